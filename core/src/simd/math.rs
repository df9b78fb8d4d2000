//! Functions that are made of the vector operations.

use super::{Vector, V};

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

/// e^x for the weights of a softmax, x <= 0: off by 2e-7 at most, and by 2e-6 of itself (4e-6 without fused products); 1 at 0, 0 below
/// -87.3, anything for NaN. It takes five operations less than [`Exp`], whose constants are loaded once too.
#[derive(Clone, Copy)]
pub struct SoftmaxExp([V; 9]);

impl SoftmaxExp {
    const CONSTANTS: [f32; 9] = [
        Exp::LOW,
        std::f32::consts::LOG2_E,
        ROUND,
        // 2^r for r in -0.5..=0.5: the polynomial of that degree with 1 at 0 whose greatest relative error is least, 9.1e-8.
        1.326_472_7e-3,
        9.671_513e-3,
        5.550_733_6e-2,
        2.402_224_2e-1,
        std::f32::consts::LN_2 - 1.788_139_3e-7,
        1.0,
    ];

    /// Loads the constants.
    #[inline(always)]
    pub fn new() -> SoftmaxExp {
        static CONSTANTS: [f32; 9] = SoftmaxExp::CONSTANTS;
        // As in [`Exp::new`].
        let constants = std::hint::black_box(&CONSTANTS);
        SoftmaxExp(std::array::from_fn(|i| V::splat(constants[i])))
    }

    /// e^x
    #[inline(always)]
    pub fn of(&self, x: V) -> V {
        let [low, log2_e, round, c5, c4, c3, c2, c1, one] = self.0;
        let clamped = x.max(low);
        let shifted = clamped.madd(log2_e, round);
        let r = clamped.madd(log2_e, round.sub(shifted));
        let p = c5.madd(r, c4).madd(r, c3).madd(r, c2).madd(r, c1);
        let scaled = p.madd(r, one).add_i32(shifted.shl_i32::<23>());
        // As in [`Exp::of`].
        scaled.and(low.lt(x))
    }
}

impl Default for SoftmaxExp {
    fn default() -> SoftmaxExp {
        SoftmaxExp::new()
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
