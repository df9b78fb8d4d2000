//! The highest scores of a row, and products of rows with the experts that they chose.

use super::gather::index;
use super::lanes::dot;
use super::{Extent, Operands, Region, Step, Weight};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::linear::{linear, ActivationKind, Activations, PackedWeight, GROUP};
use crate::program::Counts;
use std::ops::Range;

struct TopK {
    rows: Extent,
    width: usize,
    count: usize,
    x: *const f32,
    values: *mut f32,
    indexes: *mut i32,
}

/// Checks and adds `topK`.
pub fn compile_top_k(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let count = operands.attrs.count()?;
    let x = operands.f32(0)?;
    operands.check(
        x.shape.dims.len() > 1,
        "x must have a dimension before the last",
    )?;
    let width = x.shape.last();
    operands.check(
        (1..=width).contains(&count),
        "k must be within the last dimension",
    )?;
    let mut shape = x.shape.clone();
    *shape.dims.last_mut().expect("the rank is not 0") = count;
    compiler.push(TopK {
        rows: Extent::rows(&x.shape),
        width,
        count,
        x: x.f32(),
        values: operands.output(0, DType::F32, &shape)?.f32(),
        indexes: operands.output(1, DType::I32, &shape)?.i32(),
    });
    operands.attrs.done()
}

impl Region for TopK {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.width * self.count) as f32
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        for row in units {
            // SAFETY: the caller's.
            let x = unsafe { std::slice::from_raw_parts(self.x.add(row * self.width), self.width) };
            let mut last = None;
            for place in 0..self.count {
                let next = after(x, last);
                // SAFETY: the caller's.
                unsafe {
                    *self.values.add(row * self.count + place) = x[next];
                    *self.indexes.add(row * self.count + place) = next as i32;
                }
                last = Some(next);
            }
        }
        Ok(())
    }
}

/// The element that comes after `last`: from the highest down, the first of equals first, NaN as the lowest.
fn after(x: &[f32], last: Option<usize>) -> usize {
    let key = |i: usize| {
        if x[i].is_nan() {
            f32::NEG_INFINITY
        } else {
            x[i]
        }
    };
    let waits = |i: &usize| {
        last.is_none_or(|last| key(*i) < key(last) || key(*i) == key(last) && *i > last)
    };
    (0..x.len())
        .filter(waits)
        .reduce(|best, i| if key(i) > key(best) { i } else { best })
        .unwrap_or(0)
}

struct Experts {
    /// Rows, each with `used` experts.
    rows: Extent,
    used: usize,
    experts: usize,
    /// Each expert of a row reads a row of its own.
    own_rows: bool,
    width: usize,
    features: usize,
    kind: ActivationKind,
    /// Scratch before the output of a product: activations, and what the product needs.
    before: [usize; 2],
    x: *const f32,
    weight: Weight,
    ids: *const i32,
    output: *mut f32,
}

/// Checks and adds `matmulExperts`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let experts = operands.attrs.count()?;
    let (x, ids) = (operands.f32(0)?, operands.i32(2)?);
    let (weight, out, width) = operands.weight(1)?;
    operands.check(
        experts > 0 && out % experts == 0,
        "the weight must have equally many rows for each expert",
    )?;
    operands.check(ids.shape.dims.len() == 2, "ids must be [rows, used]")?;
    let rank = x.shape.dims.len();
    operands.check(
        (rank == 2 || rank == 3) && x.shape.last() == width,
        "x must be [rows, in] or [rows, used, in]",
    )?;
    let (used, features) = (ids.shape.dims[1], out / experts);
    let mut shape = ids.shape.clone();
    shape.dims.push(width);
    let own_rows = rank == 3;
    operands.check(
        if own_rows {
            x.shape == shape
        } else {
            Extent::rows(&x.shape) == Extent::rows(&ids.shape)
        },
        "x and ids differ in rows",
    )?;
    *shape.dims.last_mut().expect("the rank is 3") = features;
    let (mut kind, mut before) = (ActivationKind::F32, [0, 0]);
    if let Weight::Packed(packed) = weight {
        // SAFETY: whoever bound the Program vouches for the handle.
        let packed: &PackedWeight = unsafe { &*packed };
        kind = packed.activation_kind();
        before = [
            Activations::scratch_bytes(kind, 1, width).next_multiple_of(64),
            packed.scratch_bytes(1).next_multiple_of(64),
        ];
    }
    compiler.push(Experts {
        rows: Extent::rows(&ids.shape),
        used,
        experts,
        own_rows,
        width,
        features,
        kind,
        before,
        x: x.f32(),
        weight,
        ids: ids.i32(),
        output: operands.output(0, DType::F32, &shape)?.f32(),
    });
    operands.attrs.done()
}

impl Region for Experts {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts) * self.used
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.features * self.width) as f32 * 0.03
    }

    fn scratch_bytes(&self) -> usize {
        // An expert's rows may begin and end inside a group.
        self.before[0] + self.before[1] + (self.features.div_ceil(GROUP) + 1) * GROUP * 4
    }

    unsafe fn run(&self, _step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        for unit in units {
            // SAFETY: the caller's; the index is checked.
            unsafe {
                let expert = index(self.ids, unit, self.experts, "experts of the model")?;
                let row = if self.own_rows {
                    unit
                } else {
                    unit / self.used
                };
                let x = self.x.add(row * self.width);
                let output = self.output.add(unit * self.features);
                match self.weight {
                    Weight::Packed(weight) => self.packed(&*weight, expert, x, output, scratch),
                    Weight::Dense(weight) => {
                        for feature in 0..self.features {
                            let w = weight.add((expert * self.features + feature) * self.width);
                            *output.add(feature) = dot(x, w, self.width);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Experts {
    /// One row times one expert, a whole number of groups, of which the expert's rows are taken.
    /// # Safety
    /// As [`Region::run`], for a row of `x` and of `output`.
    unsafe fn packed(
        &self,
        weight: &PackedWeight,
        expert: usize,
        x: *const f32,
        output: *mut f32,
        scratch: *mut u8,
    ) {
        let first = expert * self.features;
        let groups = first / GROUP..(first + self.features).div_ceil(GROUP);
        // SAFETY: the caller's; the scratch has room for the three parts, and the product writes rows of `groups` only.
        unsafe {
            let work = scratch.add(self.before[0]);
            let product = work.add(self.before[1]).cast::<f32>();
            let x = Activations::prepare(self.kind, x, 1, self.width, scratch);
            let y = product.wrapping_sub(groups.start * GROUP);
            linear(weight, &x, 1, None, y, 0, groups.clone(), work);
            output.copy_from(product.add(first - groups.start * GROUP), self.features);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn from_the_highest_down() {
        let x = [1.0, f32::NAN, 3.0, 3.0, f32::NEG_INFINITY];
        let mut order = vec![after(&x, None)];
        for _ in 1..x.len() {
            order.push(after(&x, order.last().copied()));
        }
        assert_eq!(order, [2, 3, 0, 1, 4]);
    }
}
