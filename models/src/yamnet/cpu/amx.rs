//! The products of AMX: tiles of 16 rows by 32 channels times 32 channels by 16 columns.
//!
//! Inline assembly, since the compiler has no stable intrinsics for tiles. Linux grants the tile registers to a process
//! that asks (`arch_prctl(ARCH_REQ_XCOMP_PERM)`, kernel documentation, `x86/xstate.rst`).

use std::arch::asm;
use std::arch::x86_64::{_mm512_loadu_ps, _mm512_max_ps, _mm512_setzero_ps, _mm512_storeu_ps};
use std::sync::OnceLock;

use super::aligned::Aligned;
use super::element::{Bf16, Element};
use super::product::Pointwise;
use super::rows::{PADDING, Rows};

/// Rows and columns of a tile of sums.
const TILE: usize = 16;
/// Channels of a tile of factors.
const DEPTH: usize = 32;
/// Values of a tile of factors.
const TILE_VALUES: usize = TILE * DEPTH;
/// Rows and columns that are computed together: two tiles each way.
const BLOCK: usize = 2 * TILE;
const _: () = assert!(PADDING.is_multiple_of(BLOCK));

/// Operand of `LDTILECFG` (Intel 64 and IA-32 Architectures Software Developer's Manual).
#[repr(C, align(64))]
struct TileConfiguration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight tiles 16 rows of 64 bytes.
static CONFIGURATION: TileConfiguration = {
    let mut configuration =
        TileConfiguration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    let mut tile = 0;
    while tile < 8 {
        configuration.row_bytes[tile] = 64;
        configuration.rows[tile] = 16;
        tile += 1;
    }
    configuration
};

/// Whether the CPU has AMX for bfloat16 and the kernel lets this process use it; asks once.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        is_x86_feature_detected!("avx512f") && cpu_has_tiles() && system_saves_tiles() && permission_granted()
    })
}

/// `CPUID` leaf 7: AMX-BF16 is bit 22 of EDX, AMX-TILE bit 24.
fn cpu_has_tiles() -> bool {
    let leaves = std::arch::x86_64::__cpuid(0).eax;
    leaves >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx >> 22 & 0b101 == 0b101
}

/// `XGETBV`: the operating system saves the state of tiles, bits 17 and 18, when it switches threads.
fn system_saves_tiles() -> bool {
    let low: u32;
    // SAFETY: AVX-512 has been detected, so the operating system has enabled this instruction.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack)) };
    low >> 17 & 0b11 == 0b11
}

#[cfg(target_os = "linux")]
fn permission_granted() -> bool {
    const SYS_ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let result: i64;
    // SAFETY: this call takes two numbers, touches no memory, and clobbers what system calls clobber.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") SYS_ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permission_granted() -> bool {
    false
}

/// `matrix` `[inputs, outputs]` as `[outputs / 16, inputs / 32]` tiles `[16, 16, 2]`: pairs of channels by columns.
pub(super) fn pack(matrix: &[f32], inputs: usize, outputs: usize) -> Aligned<Bf16> {
    let source = |at: usize| {
        let (tile, pair, column, odd) = (at / TILE_VALUES, at % TILE_VALUES / DEPTH, at % DEPTH / 2, at % 2);
        let (column_tile, row_tile) = (tile / (inputs / DEPTH), tile % (inputs / DEPTH));
        matrix[(row_tile * DEPTH + pair * 2 + odd) * outputs + column_tile * TILE + column]
    };
    let mut packed = Aligned::zeroed(inputs * outputs);
    packed.iter_mut().enumerate().for_each(|(at, slot)| *slot = Bf16::from_f32(source(at)));
    packed
}

/// Four tiles of sums.
#[repr(C, align(64))]
struct Sums([f32; BLOCK * BLOCK]);

/// `out` `[rows, outputs]` = rectified `rows` · matrix + bias.
///
/// # Safety
/// [`is_available`]; the matrix was packed by [`pack`]; inputs and outputs are multiples of 32; `rows` has room for
/// a multiple of 32 rows, and `out` for its rows.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn product(layer: &Pointwise<Bf16>, rows: &Rows<Bf16>, out: &mut [f32]) {
    let mut sums = Sums([0.0; BLOCK * BLOCK]);
    let depth = layer.inputs / DEPTH;
    // SAFETY: the CPU has tiles and the process may use them; the operand is a valid configuration.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack)) };
    for column in (0..layer.outputs).step_by(BLOCK) {
        for row in (0..rows.count).step_by(BLOCK) {
            // SAFETY: the tiles lie within matrix, bias and rows, whose room is a multiple of 32 rows.
            unsafe {
                tiles(
                    rows.values.as_ptr().add(row * layer.inputs),
                    layer.inputs,
                    layer.matrix.as_ptr().add(column * layer.inputs),
                    depth,
                    layer.bias.as_ptr().add(column),
                    &mut sums,
                );
            }
            for (i, sums) in sums.0.chunks_exact(BLOCK).take(rows.count - row).enumerate() {
                let out = &mut out[(row + i) * layer.outputs + column..][..BLOCK];
                // SAFETY: both slices have 32 values.
                unsafe {
                    for at in [0, TILE] {
                        let sum = _mm512_loadu_ps(sums.as_ptr().add(at));
                        _mm512_storeu_ps(out.as_mut_ptr().add(at), _mm512_max_ps(sum, _mm512_setzero_ps()));
                    }
                }
            }
        }
    }
    // SAFETY: as above; frees the tiles, so that threads switch faster.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Two by two tiles of sums over the whole depth, from the bias on.
///
/// # Safety
/// See [`product`]; tiles are configured.
#[inline(always)]
unsafe fn tiles(
    rows: *const Bf16,
    inputs: usize,
    matrix: *const Bf16,
    depth: usize,
    bias: *const f32,
    sums: &mut Sums,
) {
    let row_bytes = inputs * size_of::<Bf16>();
    // SAFETY: see above. The bias is read with a stride of zero: the same line for every row of a tile. All tiles live
    // within this function's assembly; no compiled code touches them.
    unsafe {
        asm!(
            "tileloadd tmm0, [{first} + {zero}]",
            "tileloadd tmm1, [{second} + {zero}]",
            "tileloadd tmm2, [{first} + {zero}]",
            "tileloadd tmm3, [{second} + {zero}]",
            first = in(reg) bias,
            second = in(reg) bias.add(TILE),
            zero = in(reg) 0usize,
            options(nostack, readonly),
        );
        for step in 0..depth {
            asm!(
                "tileloadd tmm4, [{upper} + {row_bytes}]",
                "tileloadd tmm6, [{left} + {line}]",
                "tileloadd tmm7, [{right} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{lower} + {row_bytes}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                upper = in(reg) rows.add(step * DEPTH),
                lower = in(reg) rows.add(TILE * inputs + step * DEPTH),
                row_bytes = in(reg) row_bytes,
                left = in(reg) matrix.add(step * TILE_VALUES),
                right = in(reg) matrix.add((depth + step) * TILE_VALUES),
                line = in(reg) 64usize,
                options(nostack, readonly),
            );
        }
        let out = sums.0.as_mut_ptr();
        asm!(
            "tilestored [{first} + {stride}], tmm0",
            "tilestored [{second} + {stride}], tmm1",
            "tilestored [{third} + {stride}], tmm2",
            "tilestored [{fourth} + {stride}], tmm3",
            first = in(reg) out,
            second = in(reg) out.add(TILE),
            third = in(reg) out.add(TILE * BLOCK),
            fourth = in(reg) out.add(TILE * BLOCK + TILE),
            stride = in(reg) BLOCK * size_of::<f32>(),
            options(nostack),
        );
    }
}
