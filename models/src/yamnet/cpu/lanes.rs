//! A register of single-precision values: what the kernels that are written once need of an instruction set.

/// `COUNT` values that are computed together. Every operation is the IEEE one, `mul_add` with a single rounding, so all
/// implementations give the same bits.
///
/// # Safety
/// The methods may be called only on a CPU that has the instruction set of the implementation. Pointers must be valid for
/// `COUNT` values; they need no alignment.
pub(super) trait Lanes: Copy {
    /// Values in a register.
    const COUNT: usize;

    /// The same value everywhere.
    unsafe fn splat(value: f32) -> Self;

    /// Values from memory.
    unsafe fn load(from: *const f32) -> Self;

    /// Values from memory, where they have their upper half only.
    unsafe fn load_bf16(from: *const u16) -> Self;

    /// Values to memory.
    unsafe fn store(self, to: *mut f32);

    /// `self * factor + addend`, rounded once.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// `self + other`.
    unsafe fn plus(self, other: Self) -> Self;

    /// Zero in place of what is below.
    unsafe fn rectify(self) -> Self;

    /// A bit for each value that is not zero, the first one lowest.
    unsafe fn nonzero(self) -> u16;

    /// What [`Bf16::rectified`](super::element::Bf16::rectified) makes of the values, to memory; the bits are those of
    /// [`nonzero`](Self::nonzero) for what was written.
    unsafe fn store_bf16(self, to: *mut u16) -> u16;
}
