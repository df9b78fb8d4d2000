//! Activation functions, alone or as the middle of a gated feed-forward.

use super::lanes::{map, map2, Each};
use super::{Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::Counts;
use crate::simd::{exp, sigmoid, tanh, Exp, Vector, V};
use std::hint::black_box;
use std::ops::Range;

#[derive(Clone, Copy)]
enum Kind {
    Gelu,
    GeluTanh,
    QuickGelu,
    Silu,
    Relu,
    Sigmoid,
    Tanh,
}

/// In the order of `ACTIVATIONS`.
const KINDS: [Kind; 7] = [
    Kind::Gelu,
    Kind::GeluTanh,
    Kind::QuickGelu,
    Kind::Silu,
    Kind::Relu,
    Kind::Sigmoid,
    Kind::Tanh,
];

/// Evaluates the body with `$f` standing for the kind's function, so that every kind gets a loop of its own.
macro_rules! dispatch {
    ($kind:expr, $f:ident => $body:expr) => {
        match $kind {
            Kind::Gelu => dispatch!(@ gelu, $f => $body),
            Kind::GeluTanh => dispatch!(@ gelu_tanh(), $f => $body),
            Kind::QuickGelu => dispatch!(@ quick_gelu(), $f => $body),
            Kind::Silu => dispatch!(@ silu(), $f => $body),
            Kind::Relu => dispatch!(@ relu, $f => $body),
            Kind::Sigmoid => dispatch!(@ sigmoid, $f => $body),
            Kind::Tanh => dispatch!(@ tanh, $f => $body),
        }
    };
    (@ $function:expr, $f:ident => $body:expr) => {
        apart(move || {
            let $f = $function;
            $body
        })
    };
}

/// Calls it as a function of its own: V8 compiles the kinds that are used, and not all of them at once.
#[inline(never)]
fn apart<R>(run: impl FnOnce() -> R) -> R {
    run()
}

struct Activation {
    kind: Kind,
    elements: Extent,
    x: *const f32,
    output: *mut f32,
}

/// Checks and adds `activation`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let kind = operands.attrs.choice(&KINDS)?;
    let x = operands.f32(0)?;
    let output = operands.output(0, DType::F32, &x.shape)?;
    compiler.push(Activation {
        kind,
        elements: Extent::all(&x.shape),
        x: x.f32(),
        output: output.f32(),
    });
    operands.attrs.done()
}

impl Region for Activation {
    fn units(&self, counts: &Counts) -> usize {
        self.elements.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        2.0
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe {
            let (x, output) = (Each(self.x.add(units.start)), self.output.add(units.start));
            dispatch!(self.kind, f => map(x, output, units.len(), f));
        }
        Ok(())
    }
}

struct GatedActivation {
    kind: Kind,
    elements: Extent,
    gate: *const f32,
    up: *const f32,
    output: *mut f32,
}

/// Checks and adds `gatedActivation`.
pub fn compile_gated(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let kind = operands.attrs.choice(&KINDS)?;
    let (gate, up) = (operands.f32(0)?, operands.f32(1)?);
    operands.check(gate.shape == up.shape, "gate and up differ in shape")?;
    let output = operands.output(0, DType::F32, &gate.shape)?;
    let elements = Extent::all(&gate.shape);
    compiler.push(GatedActivation {
        kind,
        elements,
        gate: gate.f32(),
        up: up.f32(),
        output: output.f32(),
    });
    operands.attrs.done()
}

impl Region for GatedActivation {
    fn units(&self, counts: &Counts) -> usize {
        self.elements.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        2.0
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let start = units.start;
        // SAFETY: the caller's.
        unsafe {
            let (gate, up, output) = (
                Each(self.gate.add(start)),
                Each(self.up.add(start)),
                self.output.add(start),
            );
            dispatch!(self.kind, f => map2(gate, up, output, units.len(), |gate, up| f(gate).mul(up)));
        }
        Ok(())
    }
}

/// The sigmoid as a factor, for a loop: its constants are loaded once.
struct Gate {
    exp: Exp,
    one: V,
    least: V,
}

impl Gate {
    #[inline(always)]
    fn new() -> Gate {
        Gate {
            exp: Exp::new(),
            one: V::splat(black_box(1.0)),
            least: V::splat(black_box(f32::MIN)),
        }
    }

    /// x / (1 + e^-u); as PyTorch, NaN where x is -inf (the sigmoid is too small a number there, not 0).
    #[inline(always)]
    fn of(&self, x: V, u: V) -> V {
        let factor = self.one.add(self.exp.of(V::zero().sub(u)));
        x.div(factor).or(x.lt(self.least))
    }
}

#[inline(always)]
fn silu() -> impl Fn(V) -> V {
    let gate = Gate::new();
    move |x| gate.of(x, x)
}

#[inline(always)]
fn quick_gelu() -> impl Fn(V) -> V {
    let (gate, factor) = (Gate::new(), V::splat(black_box(1.702)));
    move |x| gate.of(x, x.mul(factor))
}

/// (1 + tanh u) / 2 is the sigmoid of 2u, which loses nothing where tanh is near -1.
#[inline(always)]
fn gelu_tanh() -> impl Fn(V) -> V {
    let gate = Gate::new();
    let [third, factor] = [0.044_715, 1.595_769_2].map(|c| V::splat(black_box(c))); // 2 sqrt(2 / pi)
    move |x| {
        let cubic = x.mul(x).mul(x).madd(third, x);
        gate.of(x, cubic.mul(factor))
    }
}

#[inline(always)]
fn relu(x: V) -> V {
    x.max(V::zero())
}

/// x/2 · erfc(-x / sqrt 2)
#[inline(always)]
fn gelu(x: V) -> V {
    let tail = erfc_positive(x.abs().mul(V::splat(std::f32::consts::FRAC_1_SQRT_2)));
    let both = V::select(x.lt(V::zero()), tail, V::splat(2.0).sub(tail));
    x.mul(V::splat(0.5)).mul(both)
}

/// erfc(z) for z >= 0, with a relative error of about 2e-7 (Numerical Recipes, "erfcc").
#[inline(always)]
fn erfc_positive(z: V) -> V {
    const COEFFICIENTS: [f32; 9] = [
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let t = V::splat(1.0).div(z.madd(V::splat(0.5), V::splat(1.0)));
    let polynomial = COEFFICIENTS
        .into_iter()
        .fold(V::splat(0.170_872_77), |p, c| p.madd(t, V::splat(c)));
    t.mul(exp(polynomial.sub(z.mul(z))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its series, in F64.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        sum * 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp()
    }

    #[test]
    fn gelu_is_exact() {
        for i in -6000..6000 {
            let x = i as f32 / 1000.0;
            let expected =
                0.5 * f64::from(x) * (1.0 + erf(f64::from(x) / std::f64::consts::SQRT_2));
            let actual = f64::from(gelu(V::splat(x)).lanes()[0]);
            let error = (actual - expected).abs();
            assert!(
                error < 3e-7 * expected.abs().max(0.3),
                "gelu({x}) = {actual}, not {expected}"
            );
        }
    }

    #[test]
    fn extremes_are_those_of_pytorch() {
        let at = |f: &dyn Fn(V) -> V, x: f32| f(V::splat(x)).lanes()[0];
        let (gelu_tanh, quick_gelu, silu) = (gelu_tanh(), quick_gelu(), silu());
        for f in [&gelu as &dyn Fn(V) -> V, &gelu_tanh, &quick_gelu, &silu] {
            assert_eq!(at(f, f32::INFINITY), f32::INFINITY);
            assert!(at(f, f32::NEG_INFINITY).is_nan());
            assert!(at(f, f32::NAN).is_nan());
            assert!(at(f, -1e4).abs() < 1e-30);
        }
        assert!(at(&relu, f32::NAN).is_nan());
    }
}
