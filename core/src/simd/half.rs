//! Numbers of 16 bits: F16 and BF16 to F32 and back.

use super::{Vector, V};

/// Four F16 (as widened by [`Vector::load_i16x4`]) as F32; subnormals exact, infinities read as 65536.
///
/// There is no arithmetic on subnormals of F32, which takes processors ten cycles and more: the scales of K-quants often are subnormals of F16.
#[inline(always)]
pub fn widen_f16(bits: V) -> V {
    // As if none were subnormal: those come out as 2^-15 and half of what they are.
    let magnitude = bits.and(V::splat_i32(0x7fff)).shl_i32::<13>();
    let normal = magnitude.add_i32(V::splat_i32(112 << 23));
    // Less than `normal` where that is less than 2^-14, which are the subnormals.
    let subnormal = normal.madd(V::splat(2.0), V::splat(-1.0 / 16384.0));
    let sign = bits.and(V::splat_i32(i32::MIN));
    normal.min(subnormal).or(sign)
}

/// [`widen_f16`] in three operations, for a loop: its constants are loaded once, as those of [`Exp`]. Subnormals take longer.
#[derive(Clone, Copy)]
pub struct WidenF16([V; 3]);

impl WidenF16 {
    /// What remains of F16 bits, shifted to their place in F32, beside copies of the sign and another's bits; the distance of the exponents;
    /// i16 that shift the lower one of two F16 to its place and drop the other.
    const CONSTANTS: [f32; 3] = [
        f32::from_bits(0x8fff_e000),
        F16_SCALE,
        f32::from_bits(1 << 13),
    ];

    /// The factor between [`WidenF16::small`] and [`WidenF16::of`], a power of two.
    pub const SCALE: f32 = F16_SCALE;

    /// Loads the constants.
    #[inline(always)]
    pub fn new() -> WidenF16 {
        static CONSTANTS: [f32; 3] = WidenF16::CONSTANTS;
        WidenF16::from(std::hint::black_box(&CONSTANTS))
    }

    #[inline(always)]
    fn from(constants: &[f32; 3]) -> WidenF16 {
        WidenF16(constants.map(V::splat))
    }

    /// Four F16 as F32, as [`widen_f16`].
    #[inline(always)]
    pub fn of(self, bits: V) -> V {
        self.small(bits).mul(self.0[1])
    }

    /// As [`WidenF16::of`], divided by [`WidenF16::SCALE`].
    #[inline(always)]
    pub fn small(self, bits: V) -> V {
        bits.shl_i32::<13>().and(self.0[0])
    }

    /// As [`WidenF16::of`] of eight F16: those in even places, those in odd ones.
    #[inline(always)]
    pub fn pair(self, halves: V) -> [V; 2] {
        self.small_pair(halves).map(|small| small.mul(self.0[1]))
    }

    /// As [`WidenF16::small`] of eight F16: those in even places, those in odd ones.
    #[inline(always)]
    pub fn small_pair(self, halves: V) -> [V; 2] {
        [halves.dot_i16(self.0[2]), halves.shr_i32::<3>()].map(|it| it.and(self.0[0]))
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
