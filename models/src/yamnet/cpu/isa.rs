//! Instruction sets, and which of them this CPU has.

use std::fmt;
use std::str::FromStr;

/// What the kernels are written for, the plainest first. Each computes the same bits at the same precision; they differ in
/// speed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Whatever the compiler makes of plain Rust.
    Portable,
    /// AVX2 with FMA: eight values at once.
    Avx2,
    /// AVX-512: sixteen values at once.
    Avx512,
    /// AVX-512 BF16: pairs of bfloat16 products.
    Avx512Bf16,
    /// AMX BF16: tiles of bfloat16 products.
    Amx,
}

impl Isa {
    /// All of them, the plainest first.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];

    /// The most capable one of this CPU.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this CPU, under this operating system, has it and all plainer ones.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            Self::Avx512Bf16 => {
                Self::Avx512.is_available()
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512bf16")
            }
            Self::Amx => Self::Avx512Bf16.is_available() && super::amx::is_available(),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Portable;
    }

    /// As one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
            Self::Amx => "amx",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|isa| isa.word() == word).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|isa| isa.word()).collect();
            format!("unknown instruction set `{word}`; there are {}", known.join(", "))
        })
    }
}
