//! Softmax over one axis, or its logarithm.

use super::lanes::{self, map, Each};
use super::reduce::Split;
use super::{Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::Counts;
use crate::simd::{exp, Vector, V};
use std::ops::Range;

struct Softmax {
    split: Split,
    log: bool,
    x: *const f32,
    output: *mut f32,
}

/// Checks and adds `softmax`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let x = operands.f32(0)?.clone();
    let axis = operands.attrs.axis(x.shape.dims.len())?;
    let log = operands.attrs.bool()?;
    let output = operands.output(0, DType::F32, &x.shape)?;
    compiler.push(Softmax {
        split: Split::around(&x.shape, axis),
        log,
        x: x.f32(),
        output: output.f32(),
    });
    operands.attrs.done()
}

impl Region for Softmax {
    fn units(&self, counts: &Counts) -> usize {
        self.split.outer.at(counts) * self.split.inner
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        self.split.length.at(counts) as f32 * 4.0
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, _scratch: *mut u8) -> Result<(), Error> {
        let (length, inner) = (self.split.length.at(&step.counts), self.split.inner);
        for unit in units {
            let start = unit / inner * length * inner + unit % inner;
            // SAFETY: the caller's.
            unsafe {
                let (x, output) = (self.x.add(start), self.output.add(start));
                match inner {
                    1 => row(x, output, length, self.log),
                    _ => column(x, output, length, inner, self.log),
                }
            }
        }
        Ok(())
    }
}

/// Softmax of `n` neighbours.
/// # Safety
/// They must be readable and writable.
pub unsafe fn row(x: *const f32, output: *mut f32, n: usize, log: bool) {
    // SAFETY: the caller's.
    unsafe {
        let greatest = V::splat(lanes::max(x, n));
        if log {
            map(Each(x), output, n, |x| exp(x.sub(greatest)));
            let shift = V::splat(f64::from(lanes::sum(output, n, |x| x)).ln() as f32);
            map(Each(x), output, n, |x| x.sub(greatest).sub(shift));
        } else {
            map(Each(x), output, n, |x| exp(x.sub(greatest)));
            let total = V::splat(lanes::sum(output, n, |x| x));
            map(Each(output), output, n, |x| x.div(total));
        }
    }
}

/// Softmax of `n` elements that are `stride` apart.
unsafe fn column(x: *const f32, output: *mut f32, n: usize, stride: usize, log: bool) {
    // SAFETY: the caller's.
    let at = |k: usize| f64::from(unsafe { *x.add(k * stride) });
    let greatest = (0..n).map(at).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = (0..n).map(|k| (at(k) - greatest).exp()).sum();
    for k in 0..n {
        let shifted = at(k) - greatest;
        let value = if log {
            shifted - total.ln()
        } else {
            shifted.exp() / total
        };
        // SAFETY: the caller's.
        unsafe { *output.add(k * stride) = value as f32 };
    }
}
