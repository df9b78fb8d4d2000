//! 128-bit vectors: one trait, one file an instruction set, and the functions written once on top.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod scalar;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use scalar::V;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::V;

mod byte_dot;
mod half;
mod math;
#[cfg(test)]
mod tests;

pub use byte_dot::{byte_dot, ByteDot};
pub use half::{bf16_to_f32, f16_to_f32, f32_to_f16, narrow_f16, widen_f16, WidenF16};
pub use math::{exp, sigmoid, silu, tanh, Exp, SoftmaxExp, ROUND};

/// F32 lanes of a vector.
pub const LANES: usize = 4;

/// Whether `V` multiplies signed bytes by 7-bit bytes in one instruction.
pub const BYTE_DOT: bool = cfg!(all(target_arch = "wasm32", feature = "relaxed"));

/// 16 bytes, seen as f32x4, i32x4, i16x8 or i8x16 by the operation. Plain names are f32x4.
///
/// Loads and stores need no alignment.
pub trait Vector: Copy {
    /// All bits zero.
    fn zero() -> Self;
    /// One f32 in every lane.
    fn splat(x: f32) -> Self;
    /// One i32 in every lane.
    fn splat_i32(x: i32) -> Self;
    /// The f32 of the lanes.
    fn lanes(self) -> [f32; LANES];
    /// The vector of four f32.
    fn from_lanes(lanes: [f32; LANES]) -> Self;

    /// # Safety
    /// 16 bytes must be readable at `p`.
    unsafe fn load(p: *const u8) -> Self;
    /// # Safety
    /// 4 bytes must be readable at `p`.
    unsafe fn load32_splat(p: *const u8) -> Self;
    /// Four u16 widened to four u32.
    /// # Safety
    /// 8 bytes must be readable at `p`.
    unsafe fn load_u16x4(p: *const u8) -> Self;
    /// Four i16 widened to four i32.
    /// # Safety
    /// 8 bytes must be readable at `p`.
    unsafe fn load_i16x4(p: *const u8) -> Self;
    /// Eight i8 widened to eight i16.
    /// # Safety
    /// 8 bytes must be readable at `p`.
    unsafe fn load_i8x8(p: *const u8) -> Self;
    /// # Safety
    /// 16 bytes must be writable at `p`.
    unsafe fn store(self, p: *mut u8);

    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    /// `self * b + c`, rounded once where the machine can.
    fn madd(self, b: Self, c: Self) -> Self;
    /// The smaller lane, `self` where either is NaN.
    fn min(self, b: Self) -> Self;
    /// The greater lane, `self` where either is NaN.
    fn max(self, b: Self) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    /// All ones in lanes where `self < b`.
    fn lt(self, b: Self) -> Self;
    /// All bits of a lane set where `self = b`; never where either is NaN.
    fn eq(self, b: Self) -> Self;
    /// i32 lanes as f32.
    fn f32_from_i32(self) -> Self;

    fn and(self, b: Self) -> Self;
    fn or(self, b: Self) -> Self;
    fn xor(self, b: Self) -> Self;
    /// `a` where the mask's bits are one, `b` elsewhere.
    fn select(mask: Self, a: Self, b: Self) -> Self;

    fn add_i32(self, b: Self) -> Self;
    fn sub_i32(self, b: Self) -> Self;
    /// The low 32 bits of products of i32 lanes.
    fn mul_i32(self, b: Self) -> Self;
    fn shl_i32<const N: u32>(self) -> Self;
    fn shr_u32<const N: u32>(self) -> Self;
    fn shr_i32<const N: u32>(self) -> Self;
    /// The greater i32 lane.
    fn max_i32(self, b: Self) -> Self;
    /// All ones in i32 lanes where `self > b`.
    fn gt_i32(self, b: Self) -> Self;
    fn add_i16(self, b: Self) -> Self;
    fn sub_i16(self, b: Self) -> Self;
    fn shl_i16<const N: u32>(self) -> Self;
    fn shr_i16<const N: u32>(self) -> Self;
    fn shr_u16<const N: u32>(self) -> Self;
    /// i32 lanes: sums of products of neighbouring i16.
    fn dot_i16(self, b: Self) -> Self;
    /// i32 lanes: sums of neighbouring i16.
    fn pairs_i16(self) -> Self;
    /// i16 lanes: sums of products of neighbouring bytes, `self` signed, `b` in 0..=127.
    fn dot_i8_u7(self, b: Self) -> Self;
    /// As [`Vector::dot_i8_u7`] with `b` in 0..=255, where [`byte_dot`] is [`ByteDot::Pairs`]; the sums must fit.
    fn dot_i8_u8(self, b: Self) -> Self;
    /// i32 lanes: sums of products of four neighbouring bytes, `self` signed, `b` in 0..=127, plus `c`.
    fn dot_i8_u7_add(self, b: Self, c: Self) -> Self;
    /// As [`Vector::dot_i8_u7_add`] with `b` in 0..=255, where [`byte_dot`] is [`ByteDot::Unsigned`].
    fn dot_i8_u8_add(self, b: Self, c: Self) -> Self;
    /// As [`Vector::dot_i8_u7_add`] with `b` signed, where [`byte_dot`] is [`ByteDot::Signed`].
    fn dot_i8_add(self, b: Self, c: Self) -> Self;
    /// The i32 lanes as i16, saturated: four of `self`, then four of `b`.
    fn narrow_i32(self, b: Self) -> Self;
    /// The i16 lanes as i8, saturated: eight of `self`, then eight of `b`.
    fn narrow_i16(self, b: Self) -> Self;

    /// The value itself, where it stands. LLVM sorts the terms of a sum anew and moves what is used once to its use, so that products of a
    /// loop that is written out wait for their sums in memory; it moves nothing past this.
    #[inline(always)]
    fn pinned(self) -> Self {
        self
    }

    /// `[a0, b0, a1, b1, a2, b2, a3, b3]` of i16.
    fn zip_low_i16(self, b: Self) -> Self;
    /// `[a4, b4, a5, b5, a6, b6, a7, b7]` of i16.
    fn zip_high_i16(self, b: Self) -> Self;
    /// `[a0, b0, a1, b1]`
    fn zip_low(self, b: Self) -> Self;
    /// `[a2, b2, a3, b3]`
    fn zip_high(self, b: Self) -> Self;
    /// `[a0, a1, b0, b1]`
    fn join_low(self, b: Self) -> Self;
    /// `[a2, a3, b2, b3]`
    fn join_high(self, b: Self) -> Self;
    /// `[a0, a1, b2, b3]`
    fn join_ends(self, b: Self) -> Self;
    /// `[a0, b1, a2, b3]`
    fn alternate(self, b: Self) -> Self;
    /// `[a0, a2, a1, a3]`
    fn even_odd(self) -> Self;
    /// `[a1, a2, a3, a0]`
    fn rotate(self) -> Self;
    /// One of the lanes in all of them.
    fn splat_lane<const N: usize>(self) -> Self;
}

impl V {
    /// # Safety
    /// Four f32 must be readable at `p`.
    #[inline(always)]
    pub unsafe fn load_f32(p: *const f32) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(p.cast()) }
    }

    /// # Safety
    /// Four f32 must be writable at `p`.
    #[inline(always)]
    pub unsafe fn store_f32(self, p: *mut f32) {
        // SAFETY: the caller's.
        unsafe { self.store(p.cast()) }
    }

    /// The first `n` (at most 4) f32 of `p`, then zeros.
    /// # Safety
    /// `n` f32 must be readable at `p`.
    #[inline(always)]
    pub unsafe fn load_partial(p: *const f32, n: usize) -> V {
        let mut lanes = [0.0; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: the caller's.
            *lane = unsafe { p.add(i).read_unaligned() };
        }
        V::from_lanes(lanes)
    }

    /// The first `n` (at most 4) lanes to `p`.
    /// # Safety
    /// `n` f32 must be writable at `p`.
    #[inline(always)]
    pub unsafe fn store_partial(self, p: *mut f32, n: usize) {
        for (i, lane) in self.lanes().into_iter().enumerate().take(n) {
            // SAFETY: the caller's.
            unsafe { p.add(i).write_unaligned(lane) };
        }
    }

    /// `(l0 + l2) + (l1 + l3)`
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.lanes();
        (a + c) + (b + d)
    }

    /// The greatest lane.
    #[inline(always)]
    pub fn max_lane(self) -> f32 {
        let [a, b, c, d] = self.lanes();
        a.max(c).max(b.max(d))
    }

    /// What an associative and commutative operation makes of the four lanes, in the first one.
    #[inline(always)]
    pub fn reduce(self, join: impl Fn(V, V) -> V) -> V {
        let two = join(self, self.join_high(self));
        join(two, two.rotate())
    }

    /// Each lane in all lanes of a vector of its own.
    #[inline(always)]
    pub fn splats(self) -> [V; LANES] {
        [
            self.splat_lane::<0>(),
            self.splat_lane::<1>(),
            self.splat_lane::<2>(),
            self.splat_lane::<3>(),
        ]
    }

    /// The vector of column `t`, where lane `i` of turn `d` is row `i` by column `(i + d) % 4`.
    #[inline(always)]
    pub fn of_turns(turns: [V; 4], t: usize) -> V {
        let turn = |back: usize| turns[(t + 4 - back) % 4];
        turn(0)
            .alternate(turn(1))
            .join_ends(turn(2).alternate(turn(3)))
    }

    /// Eight rows of i16 to columns.
    #[inline(always)]
    pub fn transpose_i16(rows: [V; 8]) -> [V; 8] {
        // Vectors of two rows each, of four columns.
        let pairs = |zip: fn(V, V) -> V| [0, 2, 4, 6].map(|i| zip(rows[i], rows[i + 1]));
        let [low, high] = [pairs(V::zip_low_i16), pairs(V::zip_high_i16)].map(V::transpose);
        [
            low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3],
        ]
    }

    /// Rows to columns.
    #[inline(always)]
    pub fn transpose([a, b, c, d]: [V; 4]) -> [V; 4] {
        let (ab_low, ab_high) = (a.zip_low(b), a.zip_high(b));
        let (cd_low, cd_high) = (c.zip_low(d), c.zip_high(d));
        [
            ab_low.join_low(cd_low),
            ab_low.join_high(cd_low),
            ab_high.join_low(cd_high),
            ab_high.join_high(cd_high),
        ]
    }
}
