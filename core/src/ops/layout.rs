//! Elements in another order: strided copies, and tensors joined along an axis.

use super::{Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead, Shape};
use std::ops::Range;

struct Copy {
    /// Outer dimensions and their strides in elements.
    outer: Vec<(usize, isize)>,
    /// The innermost dimension and its stride.
    inner: (usize, isize),
    x: *const f32,
    output: *mut f32,
}

/// Checks and adds `copy`.
pub fn compile_copy(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let offset = operands.attrs.count()?;
    let dims = operands.attrs.i32s()?;
    let strides = operands.attrs.i32s()?;
    let x = operands.f32(0)?;
    operands.check(
        x.shape.lead == Lead::Fixed,
        "the input must not depend on the step",
    )?;
    operands.check(
        dims.len() == strides.len(),
        "shape and strides differ in rank",
    )?;
    operands.check(dims.iter().all(|dim| *dim >= 0), "a dimension is negative")?;
    let (mut low, mut high) = (offset as i128, offset as i128);
    for (dim, stride) in dims.iter().zip(&strides) {
        let reach = i128::from(*stride) * (i128::from(*dim) - 1);
        low += reach.min(0);
        high += reach.max(0);
    }
    let inside = dims.contains(&0) || (low >= 0 && high < x.shape.elements() as i128);
    operands.check(inside, "the view leaves its elements")?;
    let shape = Shape {
        dims: dims.iter().map(|dim| *dim as usize).collect(),
        lead: Lead::Fixed,
    };
    let output = operands.output(0, DType::F32, &shape)?.f32();
    let mut outer: Vec<_> = shape
        .dims
        .iter()
        .copied()
        .zip(strides.iter().map(|s| *s as isize))
        .collect();
    let inner = outer.pop().unwrap_or((1, 1));
    // An empty view may have any offset, so its pointer must not be made.
    let x = if dims.contains(&0) {
        x.f32()
    } else {
        x.f32().wrapping_add(offset)
    };
    compiler.push(Copy {
        outer,
        inner,
        x,
        output,
    });
    operands.attrs.done()
}

impl Region for Copy {
    fn units(&self, _counts: &Counts) -> usize {
        if self.inner.0 == 0 {
            return 0;
        }
        self.outer.iter().map(|(dim, _)| dim).product()
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.inner.0 as f32
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let (count, stride) = self.inner;
        for unit in units {
            let mut rest = unit;
            let mut from = 0;
            for &(dim, stride) in self.outer.iter().rev() {
                from += (rest % dim) as isize * stride;
                rest /= dim;
            }
            // SAFETY: the caller's; the view lies within its elements.
            unsafe {
                let (x, output) = (self.x.offset(from), self.output.add(unit * count));
                if stride == 1 {
                    output.copy_from(x, count);
                } else {
                    for i in 0..count {
                        *output.add(i) = *x.offset(i as isize * stride);
                    }
                }
            }
        }
        Ok(())
    }
}

struct Concat {
    outer: usize,
    /// Each input with the length of its runs.
    inputs: [(*const f32, usize); 2],
    output: *mut f32,
}

/// Checks and adds `concat`.
pub fn compile_concat(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let (a, b) = (operands.f32(0)?.clone(), operands.f32(1)?.clone());
    let fixed = a.shape.lead == Lead::Fixed && b.shape.lead == Lead::Fixed;
    operands.check(fixed, "the operands must not depend on the step")?;
    let rank = a.shape.dims.len();
    operands.check(rank == b.shape.dims.len(), "the operands differ in rank")?;
    let axis = operands.attrs.axis(rank)?;
    let mut shape = a.shape.clone();
    shape.dims[axis] = b.shape.dims[axis];
    operands.check(shape == b.shape, "the operands differ in another dimension")?;
    shape.dims[axis] += a.shape.dims[axis];
    let output = operands.output(0, DType::F32, &shape)?.f32();
    let run = |shape: &Shape| shape.product(axis..rank);
    let inputs = [
        (a.f32().cast_const(), run(&a.shape)),
        (b.f32().cast_const(), run(&b.shape)),
    ];
    compiler.push(Concat {
        outer: shape.product(0..axis),
        inputs,
        output,
    });
    operands.attrs.done()
}

impl Region for Concat {
    fn units(&self, _counts: &Counts) -> usize {
        self.outer
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.inputs[0].1 + self.inputs[1].1) as f32 * 0.2
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let [(a, a_run), (b, b_run)] = self.inputs;
        for unit in units {
            // SAFETY: the caller's.
            unsafe {
                let output = self.output.add(unit * (a_run + b_run));
                output.copy_from(a.add(unit * a_run), a_run);
                output.add(a_run).copy_from(b.add(unit * b_run), b_run);
            }
        }
        Ok(())
    }
}
