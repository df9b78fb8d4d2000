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
#[cfg(test)]
mod tests;

pub use byte_dot::{byte_dot, ByteDot};

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
    fn shl_i32<const N: u32>(self) -> Self;
    fn shr_u32<const N: u32>(self) -> Self;
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

    /// The vector of column `t`, where lane `i` of turn `d` is row `i` by column `(i + d) % 4`.
    #[inline(always)]
    pub fn of_turns(turns: [V; 4], t: usize) -> V {
        let turn = |back: usize| turns[(t + 4 - back) % 4];
        turn(0)
            .alternate(turn(1))
            .join_ends(turn(2).alternate(turn(3)))
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

/// Four F16 (as widened by [`Vector::load_i16x4`]) as F32; subnormals exact, infinities read as 65536.
#[inline(always)]
pub fn widen_f16(bits: V) -> V {
    WidenF16::from(&WidenF16::CONSTANTS).of(bits)
}

/// [`widen_f16`] for a loop: its constants are loaded once, as those of [`Exp`].
#[derive(Clone, Copy)]
pub struct WidenF16([V; 2]);

impl WidenF16 {
    /// What remains of F16 bits, shifted to their place in F32, of copies of the sign; the distance of the exponents.
    const CONSTANTS: [f32; 2] = [f32::from_bits(0x8fff_ffff), F16_SCALE];

    /// The factor between [`WidenF16::small`] and [`WidenF16::of`], a power of two.
    pub const SCALE: f32 = F16_SCALE;

    /// Loads the constants.
    #[inline(always)]
    pub fn new() -> WidenF16 {
        static CONSTANTS: [f32; 2] = WidenF16::CONSTANTS;
        WidenF16::from(std::hint::black_box(&CONSTANTS))
    }

    #[inline(always)]
    fn from(constants: &[f32; 2]) -> WidenF16 {
        WidenF16(constants.map(V::splat))
    }

    /// As [`widen_f16`].
    #[inline(always)]
    pub fn of(self, bits: V) -> V {
        self.small(bits).mul(self.0[1])
    }

    /// As [`WidenF16::of`], divided by [`WidenF16::SCALE`].
    #[inline(always)]
    pub fn small(self, bits: V) -> V {
        bits.shl_i32::<13>().and(self.0[0])
    }
}

impl Default for WidenF16 {
    fn default() -> WidenF16 {
        WidenF16::new()
    }
}

/// 2^112, the distance of the exponents of F16 and F32.
const F16_SCALE: f32 = f32::from_bits(239 << 23);

/// F32 to F16 bits in u32 lanes: to nearest even, greater values to infinity, NaN to a quiet NaN.
#[inline(always)]
pub fn narrow_f16(x: V) -> V {
    // Adding a power of two that is 2^13 times the target's last place makes the F32 adder round;
    // the constants are those of Fabian Giesen's float_to_half, as ggml uses them.
    let sign = x.and(V::splat_i32(i32::MIN)).shr_u32::<16>();
    let abs = x.and(V::splat_i32(i32::MAX));
    let base = abs
        .mul(V::splat(f32::from_bits(0x7780_0000)))
        .mul(V::splat(f32::from_bits(0x0880_0000)));
    let exponent = x.shl_i32::<1>().and(V::splat_i32(0xff00_0000_u32 as i32));
    let floor = V::splat_i32(0x7100_0000);
    let bias = V::select(exponent.gt_u31(floor), exponent, floor);
    let rounded = bias
        .shr_u32::<1>()
        .add_i32(V::splat_i32(0x0780_0000))
        .add(base);
    let exponent_bits = rounded.shr_u32::<13>().and(V::splat_i32(0x7c00));
    let mantissa_bits = rounded.and(V::splat_i32(0x0fff));
    let finite = exponent_bits.add_i32(mantissa_bits);
    let nan = abs.gt_i32(V::splat_i32(0x7f80_0000));
    sign.or(V::select(nan, V::splat_i32(0x7e00), finite))
}

impl V {
    /// `self > b` on u32 lanes.
    #[inline(always)]
    fn gt_u31(self, b: V) -> V {
        let flip = V::splat_i32(i32::MIN);
        self.add_i32(flip).gt_i32(b.add_i32(flip))
    }
}

/// One F16 as F32, infinities and NaN included.
#[inline(always)]
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff);
    let magnitude = if rest >= 0x7c00 {
        0x7f80_0000 | (rest & 0x3ff) << 13
    } else {
        (f32::from_bits(rest << 13) * F16_SCALE).to_bits()
    };
    f32::from_bits(sign | magnitude)
}

/// One F32 as F16, to nearest even.
#[inline(always)]
pub fn f32_to_f16(x: f32) -> u16 {
    narrow_f16(V::splat(x)).lanes()[0].to_bits() as u16
}

/// One BF16 as F32.
#[inline(always)]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// 1.5 * 2^23: adding it leaves a small number's nearest integer in the low bits of the sum.
pub const ROUND: f32 = 12_582_912.0;

/// e^x, within 2 units in the last place; 0 below -87.3, the greatest finite values above 88.3; NaN stays NaN.
#[inline(always)]
pub fn exp(x: V) -> V {
    V::select(x.eq(x), Exp::from(&Exp::CONSTANTS).of(x), x)
}

/// [`exp`] for a loop: its constants are loaded once. V8 makes a vector constant anew, by three instructions, wherever it is used.
#[derive(Clone, Copy)]
pub struct Exp([V; 13]);

impl Exp {
    const LOW: f32 = -87.33;
    const CONSTANTS: [f32; 13] = [
        Exp::LOW,
        88.37,
        std::f32::consts::LOG2_E,
        ROUND,
        // Cody and Waite: ln 2 in two parts, the first with few bits, so that its product with n is exact.
        -0.693_359_4,
        2.121_944_4e-4,
        // Cephes expf.
        1.987_569_2e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
        1.0,
    ];

    /// Loads the constants.
    #[inline(always)]
    pub fn new() -> Exp {
        static CONSTANTS: [f32; 13] = Exp::CONSTANTS;
        // Without the black box the compiler would see through to the constants.
        Exp::from(std::hint::black_box(&CONSTANTS))
    }

    #[inline(always)]
    fn from(constants: &[f32; 13]) -> Exp {
        Exp(std::array::from_fn(|i| V::splat(constants[i])))
    }

    /// e^x as [`exp`], but anything for NaN.
    #[inline(always)]
    pub fn of(&self, x: V) -> V {
        let [low, high, log2_e, round, ln2_high, ln2_low, c6, c5, c4, c3, c2, half, one] = self.0;
        let clamped = x.max(low).min(high);
        let shifted = clamped.madd(log2_e, round);
        let n = shifted.sub(round);
        let r = n.madd(ln2_high, clamped);
        let r = n.madd(ln2_low, r);
        let p = c6
            .madd(r, c5)
            .madd(r, c4)
            .madd(r, c3)
            .madd(r, c2)
            .madd(r, half);
        let p = p.madd(r.mul(r), r).add(one);
        let scaled = p.add_i32(shifted.shl_i32::<23>());
        // V8 makes a select of three instructions, this is one.
        scaled.and(low.lt(x))
    }
}

impl Default for Exp {
    fn default() -> Exp {
        Exp::new()
    }
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub fn sigmoid(x: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::zero().sub(x))))
}

/// x / (1 + e^-x)
#[inline(always)]
pub fn silu(x: V) -> V {
    x.div(V::splat(1.0).add(exp(V::zero().sub(x))))
}

/// The hyperbolic tangent, within 2e-7 of the true value.
#[inline(always)]
pub fn tanh(x: V) -> V {
    let one = V::splat(1.0);
    let e = exp(x.add(x));
    one.sub(V::splat(2.0).div(e.add(one)))
}
