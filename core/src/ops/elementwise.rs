//! a + b, a - b, a * b, a / b under broadcasting.

use super::lanes::{map2, Each, Same};
use super::{Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead, Shape};
use crate::simd::{Vector, V};
use std::marker::PhantomData;
use std::ops::Range;

/// An operation on two numbers.
pub trait Binary {
    fn apply(a: V, b: V) -> V;
}

macro_rules! binary {
    ($($name:ident $method:ident),*) => { $(
        pub struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn apply(a: V, b: V) -> V {
                a.$method(b)
            }
        }
    )* };
}

binary!(Add add, Sub sub, Mul mul, Div div);

/// One loop over both operands; a stride of 0 stretches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Axis {
    count: Extent,
    strides: [usize; 2],
}

struct Elementwise<O> {
    /// Outermost first, at least one; only the first may depend on the step.
    axes: Vec<Axis>,
    inputs: [*const f32; 2],
    output: *mut f32,
    operation: PhantomData<O>,
}

/// Checks the operands of a binary op and adds it.
pub fn compile<O: Binary + 'static>(
    compiler: &mut Compiler,
    operands: Operands,
) -> Result<(), Error> {
    let (a, b) = (operands.f32(0)?, operands.f32(1)?);
    let Some(shape) = broadcast(&a.shape, &b.shape) else {
        return operands.wrong("the shapes do not broadcast");
    };
    let output = operands.output(0, DType::F32, &shape)?;
    compiler.push(Elementwise::<O> {
        axes: axes(&shape, [&a.shape, &b.shape]),
        inputs: [a.f32(), b.f32()],
        output: output.f32(),
        operation: PhantomData,
    });
    operands.attrs.done()
}

/// The shape of the result; `None` where the shapes do not fit.
fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.dims.len().max(b.dims.len());
    let mut shape = Shape {
        dims: Vec::with_capacity(rank),
        lead: Lead::Fixed,
    };
    for axis in 0..rank {
        let [(x, x_lead), (y, y_lead)] = [a, b].map(|shape| aligned(shape, rank, axis));
        let (dim, lead) = match (x_lead, y_lead) {
            (x_lead, y_lead) if x_lead == y_lead => match (x, y) {
                (x, y) if x == y => (x, x_lead),
                (1, y) => (y, y_lead),
                (x, 1) => (x, x_lead),
                _ => return None,
            },
            (Lead::Fixed, lead) if x == 1 => (y, lead),
            (lead, Lead::Fixed) if y == 1 => (x, lead),
            _ => return None,
        };
        if lead != Lead::Fixed && axis > 0 {
            return None;
        }
        shape.dims.push(dim);
        if axis == 0 {
            shape.lead = lead;
        }
    }
    Some(shape)
}

/// A dimension of a shape that is aligned at its last one.
fn aligned(shape: &Shape, rank: usize, axis: usize) -> (usize, Lead) {
    match (axis + shape.dims.len()).checked_sub(rank) {
        None => (1, Lead::Fixed),
        Some(own) => (
            shape.dims[own],
            if own == 0 { shape.lead } else { Lead::Fixed },
        ),
    }
}

/// The loops, as few as will do: neighbours that both operands walk evenly become one.
fn axes(shape: &Shape, inputs: [&Shape; 2]) -> Vec<Axis> {
    let rank = shape.dims.len();
    let mut axes: Vec<Axis> = Vec::new();
    let mut sizes = [1, 1];
    for axis in (0..rank).rev() {
        let lead = if axis == 0 { shape.lead } else { Lead::Fixed };
        let mut strides = [0, 0];
        for (i, input) in inputs.into_iter().enumerate() {
            let (dim, input_lead) = aligned(input, rank, axis);
            if dim == shape.dims[axis] && input_lead == lead && (dim != 1 || lead != Lead::Fixed) {
                strides[i] = sizes[i];
            }
            sizes[i] *= dim;
        }
        let count = if lead == Lead::Fixed {
            shape.dims[axis]
        } else {
            1
        };
        if lead == Lead::Fixed && count == 1 {
            continue;
        }
        match axes.last_mut() {
            Some(inner)
                if [0, 1]
                    .iter()
                    .all(|i| strides[*i] == inner.strides[*i] * inner.count.per) =>
            {
                inner.count = Extent {
                    per: inner.count.per * count,
                    lead,
                };
            }
            _ => axes.push(Axis {
                count: Extent { per: count, lead },
                strides,
            }),
        }
    }
    if axes.is_empty() {
        axes.push(Axis {
            count: Extent::fixed(1),
            strides: [1, 1],
        });
    }
    axes.reverse();
    axes
}

impl<O: Binary> Region for Elementwise<O> {
    fn units(&self, counts: &Counts) -> usize {
        // One loop is split by its elements, several by all but the innermost.
        let split = (self.axes.len() - 1).max(1);
        if self.axes[split..].iter().any(|axis| axis.count.per == 0) {
            return 0;
        }
        self.axes[..split]
            .iter()
            .map(|axis| axis.count.at(counts))
            .product()
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        match &self.axes[..] {
            [_] => 0.5,
            [.., inner] => inner.count.per as f32 * 0.5,
            [] => 0.0,
        }
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let [a, b] = self.inputs;
        let (inner, outer) = (
            self.axes[self.axes.len() - 1],
            &self.axes[..self.axes.len() - 1],
        );
        if outer.is_empty() {
            let start = units.start;
            // SAFETY: the caller's; the strides were made from the shapes.
            unsafe {
                let at = |i: usize, p: *const f32| p.add(start * inner.strides[i]);
                line::<O>(
                    at(0, a),
                    at(1, b),
                    inner.strides,
                    self.output.add(start),
                    units.len(),
                );
            }
            return Ok(());
        }
        let n = inner.count.per;
        for unit in units {
            let mut offsets = [0, 0];
            let mut rest = unit;
            for (i, axis) in outer.iter().enumerate().rev() {
                // What is left at the outermost loop is its position; its count may be the step's.
                let position = if i == 0 { rest } else { rest % axis.count.per };
                rest /= axis.count.per;
                offsets[0] += position * axis.strides[0];
                offsets[1] += position * axis.strides[1];
            }
            // SAFETY: as above.
            unsafe {
                line::<O>(
                    a.add(offsets[0]),
                    b.add(offsets[1]),
                    inner.strides,
                    self.output.add(unit * n),
                    n,
                );
            }
        }
        Ok(())
    }
}

/// # Safety
/// Each operand must have `n` elements, or one where its stride is 0; `out` must have room for `n`.
#[inline(always)]
unsafe fn line<O: Binary>(
    a: *const f32,
    b: *const f32,
    strides: [usize; 2],
    out: *mut f32,
    n: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        match strides {
            [0, 0] => map2(Same(*a), Same(*b), out, n, O::apply),
            [0, _] => map2(Same(*a), Each(b), out, n, O::apply),
            [_, 0] => map2(Each(a), Same(*b), out, n, O::apply),
            _ => map2(Each(a), Each(b), out, n, O::apply),
        }
    }
}
