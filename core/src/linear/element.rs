//! Elements of float weights, eight at a time.

use crate::simd::{Vector, WidenF16, LANES, V};

/// Elements that are loaded together.
pub(super) const EIGHT: usize = 2 * LANES;

/// How eight elements of a kind become F32.
pub(super) trait Element: Copy {
    const BYTES: usize;
    /// Whether those in even places come first, and not the first four.
    const UNZIPPED: bool;
    /// What the loop needs.
    fn new() -> Self;
    /// # Safety
    /// Eight elements must be readable at `p`.
    unsafe fn load(self, p: *const u8) -> [V; 2];
    /// Eight of [`Element::load`], or what was made of them, in their own order.
    #[inline(always)]
    fn in_order([a, b]: [V; 2]) -> [V; 2] {
        if Self::UNZIPPED {
            [a.zip_low(b), a.zip_high(b)]
        } else {
            [a, b]
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct F32;
/// If small, divided by [`WidenF16::SCALE`].
#[derive(Clone, Copy)]
pub(super) struct F16<const SMALL: bool>(WidenF16);
#[derive(Clone, Copy)]
pub(super) struct BF16;

impl Element for F32 {
    const BYTES: usize = 4;
    const UNZIPPED: bool = false;
    #[inline(always)]
    fn new() -> F32 {
        F32
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u8) -> [V; 2] {
        // SAFETY: the caller's.
        unsafe { [V::load(p), V::load(p.add(16))] }
    }
}

impl<const SMALL: bool> Element for F16<SMALL> {
    const BYTES: usize = 2;
    const UNZIPPED: bool = true;
    #[inline(always)]
    fn new() -> Self {
        F16(WidenF16::new())
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u8) -> [V; 2] {
        // SAFETY: the caller's.
        let halves = unsafe { V::load(p) };
        if SMALL {
            self.0.small_pair(halves)
        } else {
            self.0.pair(halves)
        }
    }
}

impl Element for BF16 {
    const BYTES: usize = 2;
    const UNZIPPED: bool = true;
    #[inline(always)]
    fn new() -> BF16 {
        BF16
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u8) -> [V; 2] {
        // SAFETY: the caller's.
        let pairs = unsafe { V::load(p) };
        [pairs.shl_i32::<16>(), pairs.and(V::splat_i32(-0x1_0000))]
    }
}
