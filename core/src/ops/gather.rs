//! Rows by index: of a weight by token id, of a tensor by position. Indexes are checked in every step.

use super::lanes::{map, Each};
use super::{Extent, Operands, Region, Step, Weight};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::Counts;
use crate::simd::{Vector, V};
use std::ops::Range;

/// The index at `position`, checked.
/// # Safety
/// It must be readable.
pub unsafe fn index(
    indexes: *const i32,
    position: usize,
    bound: usize,
    what: &'static str,
) -> Result<usize, Error> {
    // SAFETY: the caller's.
    let index = unsafe { *indexes.add(position) };
    match usize::try_from(index) {
        Ok(valid) if valid < bound => Ok(valid),
        _ => Err(Error::Index {
            what,
            index: index.into(),
            bound,
        }),
    }
}

struct Embed {
    ids: *const i32,
    count: Extent,
    weight: Weight,
    vocabulary: usize,
    width: usize,
    scale: f32,
    output: *mut f32,
}

/// Checks and adds `embed`.
pub fn compile_embed(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let scale = operands.attrs.f32()?;
    let ids = operands.i32(0)?;
    let (weight, vocabulary, width) = operands.weight(1)?;
    let mut shape = ids.shape.clone();
    shape.dims.push(width);
    let output = operands.output(0, DType::F32, &shape)?.f32();
    let count = Extent::all(&ids.shape);
    compiler.push(Embed {
        ids: ids.i32(),
        count,
        weight,
        vocabulary,
        width,
        scale,
        output,
    });
    operands.attrs.done()
}

impl Region for Embed {
    fn units(&self, counts: &Counts) -> usize {
        self.count.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        for unit in units {
            // SAFETY: the caller's; the index is checked.
            unsafe {
                let token = index(self.ids, unit, self.vocabulary, "tokens of the vocabulary")?;
                let output = self.output.add(unit * self.width);
                match self.weight {
                    Weight::Packed(weight) => {
                        (*weight).row(token, std::slice::from_raw_parts_mut(output, self.width));
                    }
                    Weight::Dense(weight) => {
                        output.copy_from(weight.add(token * self.width), self.width);
                    }
                }
                if self.scale != 1.0 {
                    map(Each(output), output, self.width, |x| {
                        x.mul(V::splat(self.scale))
                    });
                }
            }
        }
        Ok(())
    }
}

struct GatherRows {
    x: *const f32,
    rows: Extent,
    width: usize,
    indexes: *const i32,
    count: Extent,
    output: *mut f32,
}

/// Checks and adds `gatherRows`.
pub fn compile_gather_rows(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
    let (x, indexes) = (operands.f32(0)?, operands.i32(1)?);
    let ranks = x.shape.dims.len() == 2 && indexes.shape.dims.len() == 1;
    operands.check(ranks, "x must be [rows, width] and the indexes a vector")?;
    let mut shape = indexes.shape.clone();
    shape.dims.push(x.shape.dims[1]);
    compiler.push(GatherRows {
        x: x.f32(),
        rows: Extent::rows(&x.shape),
        width: x.shape.dims[1],
        indexes: indexes.i32(),
        count: Extent::all(&indexes.shape),
        output: operands.output(0, DType::F32, &shape)?.f32(),
    });
    operands.attrs.done()
}

impl Region for GatherRows {
    fn units(&self, counts: &Counts) -> usize {
        self.count.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32 * 0.2
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, _scratch: *mut u8) -> Result<(), Error> {
        let rows = self.rows.at(&step.counts);
        for unit in units {
            // SAFETY: the caller's; the index is checked.
            unsafe {
                let row = index(self.indexes, unit, rows, "rows to gather from")?;
                self.output
                    .add(unit * self.width)
                    .copy_from(self.x.add(row * self.width), self.width);
            }
        }
        Ok(())
    }
}
