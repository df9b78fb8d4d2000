//! Products of dense F32 matrices with broadcast batches.

use super::{Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead, Shape};
use crate::simd::{Vector, LANES, V};
use std::ops::Range;

/// Rows of a tile.
const ROWS: usize = 4;

struct Matmul {
    /// For each product of the batch, offsets in a and b.
    batches: Vec<[usize; 2]>,
    rows: usize,
    inner: usize,
    columns: usize,
    a: *const f32,
    b: *const f32,
    output: *mut f32,
}

/// Checks and adds `matmul`.
pub fn compile(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
    let (a, b) = (operands.f32(0)?, operands.f32(1)?);
    let fixed = a.shape.lead == Lead::Fixed && b.shape.lead == Lead::Fixed;
    operands.check(fixed, "the operands must not depend on the step")?;
    let (x, y) = (&a.shape.dims[..], &b.shape.dims[..]);
    operands.check(
        !x.is_empty() && !y.is_empty(),
        "a scalar cannot be multiplied",
    )?;
    let (rows, inner) = (if x.len() > 1 { x[x.len() - 2] } else { 1 }, x[x.len() - 1]);
    let (other, columns) = if y.len() > 1 {
        (y[y.len() - 2], y[y.len() - 1])
    } else {
        (y[0], 1)
    };
    operands.check(inner == other, "the inner dimensions differ")?;
    let (x_batch, y_batch) = (
        &x[..x.len().saturating_sub(2)],
        &y[..y.len().saturating_sub(2)],
    );
    let Some((mut dims, batches)) = batches(x_batch, y_batch, [rows * inner, inner * columns])
    else {
        return operands.wrong("the batches do not broadcast");
    };
    if x.len() > 1 {
        dims.push(rows);
    }
    if y.len() > 1 {
        dims.push(columns);
    }
    let output = operands.output(
        0,
        DType::F32,
        &Shape {
            dims,
            lead: Lead::Fixed,
        },
    )?;
    compiler.push(Matmul {
        batches,
        rows,
        inner,
        columns,
        a: a.f32(),
        b: b.f32(),
        output: output.f32(),
    });
    operands.attrs.done()
}

/// The broadcast batch dimensions, and for each product the offsets of its operands.
fn batches(x: &[usize], y: &[usize], sizes: [usize; 2]) -> Option<(Vec<usize>, Vec<[usize; 2]>)> {
    let rank = x.len().max(y.len());
    let aligned = |dims: &[usize], axis: usize| {
        (axis + dims.len())
            .checked_sub(rank)
            .map_or(1, |own| dims[own])
    };
    let mut dims = Vec::with_capacity(rank);
    let mut batches = vec![[0, 0]];
    let mut strides = Vec::with_capacity(rank);
    let mut size = sizes;
    for axis in (0..rank).rev() {
        let (p, q) = (aligned(x, axis), aligned(y, axis));
        if p != q && p != 1 && q != 1 {
            return None;
        }
        dims.push(if p == 1 { q } else { p });
        strides.push([
            if p == 1 { 0 } else { size[0] },
            if q == 1 { 0 } else { size[1] },
        ]);
        size = [size[0] * p, size[1] * q];
    }
    for (dim, [s, t]) in dims.iter().zip(&strides).rev() {
        batches = batches
            .iter()
            .flat_map(|&[p, q]| (0..*dim).map(move |i| [p + i * s, q + i * t]))
            .collect();
    }
    dims.reverse();
    Some((dims, batches))
}

impl Region for Matmul {
    fn units(&self, _counts: &Counts) -> usize {
        self.batches.len() * self.rows
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.inner * self.columns) as f32 * 0.1
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let mut unit = units.start;
        while unit < units.end {
            let (batch, row) = (unit / self.rows, unit % self.rows);
            let [a, b] = self.batches[batch];
            let count = ROWS.min(self.rows - row).min(units.end - unit);
            // SAFETY: the caller's.
            unsafe {
                let a = self.a.add(a + row * self.inner);
                let (b, output) = (self.b.add(b), self.output.add(unit * self.columns));
                if count == ROWS {
                    tile::<ROWS>(a, b, output, self.inner, self.columns);
                } else {
                    for i in 0..count {
                        tile::<1>(
                            a.add(i * self.inner),
                            b,
                            output.add(i * self.columns),
                            self.inner,
                            self.columns,
                        );
                    }
                }
            }
            unit += count;
        }
        Ok(())
    }
}

/// R rows of the result. A sum runs over k in order, whatever the tile.
unsafe fn tile<const R: usize>(
    a: *const f32,
    b: *const f32,
    output: *mut f32,
    inner: usize,
    columns: usize,
) {
    let mut column = 0;
    // SAFETY: the caller's.
    unsafe {
        while column < columns {
            let width = LANES.min(columns - column);
            let mut sums = [V::zero(); R];
            for k in 0..inner {
                let b = b.add(k * columns + column);
                let b = if width == LANES {
                    V::load_f32(b)
                } else {
                    V::load_partial(b, width)
                };
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum = V::splat(*a.add(row * inner + k)).madd(b, *sum);
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                sum.store_partial(output.add(row * columns + column), width);
            }
            column += LANES;
        }
    }
}
