//! Products of rows with the experts that they chose: the rows of an expert go through its weight together.

use super::lanes::dot;
use super::routes::{Lot, Routes};
use super::{Extent, Operands, Region, Step, Weight};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::linear::{linear, ActivationKind, PackedWeight, GROUP};
use crate::program::Counts;
use std::ops::Range;
use std::sync::Arc;

/// Groups of features whose product is computed before it is handed to the rows.
const CHUNK: usize = 16;

/// Elements of a row of such a product.
const STRIDE: usize = CHUNK * GROUP;

struct Experts {
    routes: Arc<Routes>,
    /// Each expert of a row reads a row of its own.
    own_rows: bool,
    width: usize,
    /// Of an expert.
    features: usize,
    /// Groups of the weight that the features of an expert lie in, at most: they may begin and end inside of one.
    groups: usize,
    kind: ActivationKind,
    /// Scratch of a product, before its place.
    work_bytes: usize,
    x: *const f32,
    weight: Weight,
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
    let rows = Extent::rows(&ids.shape);
    let routes = compiler.route(ids.i32(), rows, used, experts)?;
    let (mut kind, mut work_bytes) = (ActivationKind::F32, 0);
    if let Weight::Packed(packed) = weight {
        // SAFETY: whoever bound the Program vouches for the handle.
        let packed: &PackedWeight = unsafe { &*packed };
        kind = packed.activation_kind();
        work_bytes = packed.scratch_bytes(routes.longest()).next_multiple_of(64);
        compiler.prepare_routed(
            x.f32(),
            Extent::rows(&x.shape),
            width,
            kind,
            &routes,
            own_rows,
        );
    }
    compiler.push(Experts {
        routes,
        own_rows,
        width,
        features,
        groups: features.div_ceil(GROUP) + usize::from(features % GROUP != 0),
        kind,
        work_bytes,
        x: x.f32(),
        weight,
        output: operands.output(0, DType::F32, &shape)?.f32(),
    });
    operands.attrs.done()
}

impl Region for Experts {
    /// A choice of a row and a group of features: of a lot the first is all that are in that group, the others are nothing.
    /// So every range of units is about as much work as it is long.
    fn units(&self, counts: &Counts) -> usize {
        self.routes.choices(counts) * self.groups
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (GROUP * self.width) as f32 * 0.03
    }

    fn scratch_bytes(&self) -> usize {
        self.work_bytes + self.routes.longest() * STRIDE * 4
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        // SAFETY: the caller's; an earlier region has sorted the rows of this step.
        unsafe {
            for lot in self.routes.lots() {
                let begin = lot.first * self.groups;
                let group_at = |unit: usize| {
                    let group = unit.saturating_sub(begin).div_ceil(lot.count);
                    group.min(self.groups)
                };
                let (start, end) = (group_at(units.start), group_at(units.end));
                // Past the last group of an expert that lies in fewer.
                let first = lot.expert * self.features;
                let all = first / GROUP..(first + self.features).div_ceil(GROUP);
                let groups = all.start + start..(all.start + end).min(all.end);
                if groups.is_empty() {
                    continue;
                }
                match self.weight {
                    Weight::Packed(weight) => self.packed(&*weight, step, lot, groups, scratch),
                    Weight::Dense(weight) => self.dense(weight, lot, groups),
                }
            }
        }
        Ok(())
    }
}

impl Experts {
    /// The features of an expert that lie in some groups, counted from its first.
    fn features_in(&self, expert: usize, groups: &Range<usize>) -> Range<usize> {
        let first = expert * self.features;
        (groups.start * GROUP).max(first) - first
            ..(groups.end * GROUP).min(first + self.features) - first
    }

    /// The rows of a lot by some groups of its expert.
    /// # Safety
    /// As [`Region::run`].
    unsafe fn packed(
        &self,
        weight: &PackedWeight,
        step: &Step,
        lot: &Lot,
        groups: Range<usize>,
        scratch: *mut u8,
    ) {
        // SAFETY: the caller's; the scratch has room for both parts, and the product writes rows of `chunk` only.
        unsafe {
            let product = scratch.add(self.work_bytes).cast::<f32>();
            let x =
                self.routes
                    .activations(lot, self.x, self.width, self.kind, self.own_rows, step);
            for start in groups.clone().step_by(CHUNK) {
                let chunk = start..(start + CHUNK).min(groups.end);
                let y = product.wrapping_sub(start * GROUP);
                linear(
                    weight,
                    &x,
                    lot.count,
                    None,
                    y,
                    STRIDE,
                    chunk.clone(),
                    scratch,
                );
                let features = self.features_in(lot.expert, &chunk);
                let skipped = lot.expert * self.features + features.start - start * GROUP;
                for (row, choice) in self.routes.choices_of(lot).iter().enumerate() {
                    let to = *choice as usize * self.features + features.start;
                    let from = product.add(row * STRIDE + skipped);
                    self.output
                        .add(to)
                        .copy_from_nonoverlapping(from, features.len());
                }
            }
        }
    }

    /// The same by a weight that no upload has packed.
    /// # Safety
    /// As [`Region::run`].
    unsafe fn dense(&self, weight: *const f32, lot: &Lot, groups: Range<usize>) {
        let features = self.features_in(lot.expert, &groups);
        // SAFETY: the caller's.
        unsafe {
            let rows = self.routes.rows_of(lot, self.own_rows);
            for (row, choice) in rows.iter().zip(self.routes.choices_of(lot)) {
                let x = self.x.add(*row as usize * self.width);
                for feature in features.clone() {
                    let w = weight.add((lot.expert * self.features + feature) * self.width);
                    let y = self.output.add(*choice as usize * self.features + feature);
                    y.write(dot(x, w, self.width));
                }
            }
        }
    }
}
