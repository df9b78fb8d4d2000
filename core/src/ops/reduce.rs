//! Reductions over one axis, and the position of a maximum.

use super::{lanes, Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead, Shape};
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sum,
    Mean,
    Max,
}

/// In the order of `REDUCTIONS`.
const KINDS: [Kind; 3] = [Kind::Sum, Kind::Mean, Kind::Max];

/// A shape seen as `[outer, length, inner]` around one axis.
#[derive(Clone, Copy)]
pub struct Split {
    pub outer: Extent,
    pub length: Extent,
    pub inner: usize,
}

impl Split {
    /// Around `axis`, which is in range.
    pub fn around(shape: &Shape, axis: usize) -> Split {
        let length = match (axis, shape.lead) {
            (0, Lead::Fixed) | (1.., _) => Extent::fixed(shape.dims[axis]),
            (0, lead) => Extent { per: 1, lead },
        };
        Split {
            outer: Extent::outer(shape, axis),
            length,
            inner: shape.product(axis + 1..shape.dims.len()),
        }
    }
}

struct Reduce {
    kind: Kind,
    split: Split,
    x: *const f32,
    output: *mut f32,
}

/// Checks and adds `reduce`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let kind = operands.attrs.choice(&KINDS)?;
    let x = operands.f32(0)?.clone();
    let axis = operands.attrs.axis(x.shape.dims.len())?;
    let mut shape = x.shape.clone();
    if operands.attrs.bool()? {
        shape.dims[axis] = 1;
    } else {
        shape.dims.remove(axis);
    }
    if axis == 0 {
        shape.lead = Lead::Fixed;
    }
    let output = operands.output(0, DType::F32, &shape)?;
    compiler.push(Reduce {
        kind,
        split: Split::around(&x.shape, axis),
        x: x.f32(),
        output: output.f32(),
    });
    operands.attrs.done()
}

impl Region for Reduce {
    fn units(&self, counts: &Counts) -> usize {
        self.split.outer.at(counts) * self.split.inner
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        self.split.length.at(counts) as f32 * 2.0
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, _scratch: *mut u8) -> Result<(), Error> {
        let (length, inner) = (self.split.length.at(&step.counts), self.split.inner);
        for unit in units {
            let start = unit / inner * length * inner + unit % inner;
            // SAFETY: the caller's.
            let elements = (0..length).map(|k| unsafe { *self.x.add(start + k * inner) });
            let value = match self.kind {
                // Unlike `f32::max`, NaN wins.
                Kind::Max => {
                    elements.fold(
                        f32::NEG_INFINITY,
                        |a, b| if a >= b || a.is_nan() { a } else { b },
                    )
                }
                Kind::Sum => elements.map(f64::from).sum::<f64>() as f32,
                Kind::Mean => (elements.map(f64::from).sum::<f64>() / length as f64) as f32,
            };
            // SAFETY: the caller's.
            unsafe { *self.output.add(unit) = value };
        }
        Ok(())
    }
}

struct Argmax {
    rows: Extent,
    width: usize,
    x: *const f32,
    output: *mut i32,
}

/// Checks and adds `argmax`.
pub fn compile_argmax(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
    let x = operands.f32(0)?;
    operands.check(!x.shape.dims.is_empty(), "a scalar has no axis")?;
    let mut shape = x.shape.clone();
    shape.dims.pop();
    if shape.dims.is_empty() {
        shape.lead = Lead::Fixed;
        operands.check(
            x.shape.lead == Lead::Fixed,
            "the axis must not depend on the step",
        )?;
    }
    let output = operands.output(0, DType::I32, &shape)?;
    compiler.push(Argmax {
        rows: Extent::rows(&x.shape),
        width: x.shape.last(),
        x: x.f32(),
        output: output.i32(),
    });
    operands.attrs.done()
}

impl Region for Argmax {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32 * 0.3
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        for row in units {
            // SAFETY: the caller's.
            unsafe {
                *self.output.add(row) = argmax(self.x.add(row * self.width), self.width) as i32
            };
        }
        Ok(())
    }
}

/// Elements that are looked through by the vector before any is looked at alone.
const CHUNK: usize = 256;

/// Position of the first maximum; NaN never wins.
unsafe fn argmax(x: *const f32, n: usize) -> usize {
    let mut best = f32::NEG_INFINITY;
    let mut chunk = 0;
    for start in (0..n).step_by(CHUNK) {
        // SAFETY: the caller's.
        let greatest = unsafe { lanes::max(x.add(start), CHUNK.min(n - start)) };
        if greatest > best {
            (best, chunk) = (greatest, start);
        }
    }
    // SAFETY: the caller's. Where no chunk beat -inf this finds the first -inf, and nothing where all are NaN.
    (chunk..n)
        .find(|i| unsafe { *x.add(*i) } == best)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn first_maximum_and_no_nan() {
        let at = |x: &[f32]| unsafe { argmax(x.as_ptr(), x.len()) };
        assert_eq!(at(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(at(&[f32::NAN, f32::NEG_INFINITY]), 1);
        assert_eq!(at(&[f32::NAN, f32::NAN]), 0);
        assert_eq!(at(&[f32::NAN, -1.0, 2.0, f32::NAN, 2.0]), 2);
        let mut long = vec![0.0; 1000];
        (long[700], long[701], long[300]) = (5.0, 5.0, 4.0);
        assert_eq!(at(&long), 700);
    }
}
