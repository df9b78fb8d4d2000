//! The rows of a step by the experts that they chose, so that those of an expert can be multiplied together.

use super::gather::index;
use super::{Extent, Region, Step};
use crate::error::Error;
use crate::linear::{ActivationKind, Activations, FOUR};
use crate::memory::Block;
use crate::program::Counts;
use std::ops::Range;
use std::sync::Arc;

/// The most rows of a lot. More would make products of an expert that all rows choose no faster, and their scratch larger.
pub const LOT: usize = 256;

/// Some of the rows that chose an expert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    pub expert: usize,
    /// The first of its choices, of all that are sorted.
    pub first: usize,
    /// At least 1, at most [`LOT`].
    pub count: usize,
    /// Where its rows begin among prepared ones: each lot's begin with four of their own.
    place: usize,
}

/// The choices of a step, `row * used + number`, sorted by expert; those of an expert stay in their order.
/// What they are is written by a [`Route`] in every step.
pub struct Routes {
    ids: *const i32,
    rows: Extent,
    used: usize,
    experts: usize,
    /// Choices of a step, at most.
    most: usize,
    memory: Block,
}

// SAFETY: one thread sorts the choices of a step, and others read them only after that; the ids are the step's own.
unsafe impl Send for Routes {}
// SAFETY: as above.
unsafe impl Sync for Routes {}

impl Routes {
    /// Takes the memory for as many choices as `capacity` allows; `ids` are `[rows, used]`.
    pub fn new(
        ids: *const i32,
        rows: Extent,
        used: usize,
        experts: usize,
        capacity: &Counts,
    ) -> Result<Routes, Error> {
        let most = rows.at(capacity) * used;
        let words = 2 * most + experts;
        let bytes = (1 + lots_at_most(most, experts)) * size_of::<Lot>() + words * 4;
        let memory = Block::new(bytes, true).ok_or(Error::Memory(bytes))?;
        Ok(Routes {
            ids,
            rows,
            used,
            experts,
            most,
            memory,
        })
    }

    /// Choices of a step.
    pub fn choices(&self, counts: &Counts) -> usize {
        self.rows.at(counts) * self.used
    }

    /// Rows of the longest lot that there can be.
    pub fn longest(&self) -> usize {
        self.most.min(LOT)
    }

    /// The lots, in the order of their choices.
    /// # Safety
    /// The choices of the step must have been sorted, and nobody may sort others meanwhile.
    pub unsafe fn lots(&self) -> &[Lot] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts(self.lots_ptr(), *self.count_ptr()) }
    }

    /// The choices of a lot.
    /// # Safety
    /// As [`Routes::lots`], of which it must be one.
    pub unsafe fn choices_of(&self, lot: &Lot) -> &[i32] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts(self.choices_ptr().add(lot.first), lot.count) }
    }

    /// The rows of x that a lot reads: `own`, one for each choice, else one for all choices of a row.
    /// # Safety
    /// As [`Routes::choices_of`].
    pub unsafe fn rows_of(&self, lot: &Lot, own: bool) -> &[i32] {
        if own {
            // SAFETY: the caller's.
            return unsafe { self.choices_of(lot) };
        }
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts(self.rows_ptr().add(lot.first), lot.count) }
    }

    /// The rows of a lot as [`PrepareRouted`] has prepared them.
    /// # Safety
    /// As [`Routes::choices_of`]; `x` must have been prepared, or be of a kind that needs not be.
    pub unsafe fn activations(
        &self,
        lot: &Lot,
        x: *const f32,
        width: usize,
        kind: ActivationKind,
        own_rows: bool,
        step: &Step,
    ) -> Activations {
        // SAFETY: the caller's.
        unsafe { self.prepare(lot, x, width, kind, own_rows, step, 0..0) }
    }

    /// Prepares some rows of a lot.
    #[allow(clippy::too_many_arguments)]
    unsafe fn prepare(
        &self,
        lot: &Lot,
        x: *const f32,
        width: usize,
        kind: ActivationKind,
        own_rows: bool,
        step: &Step,
        rows: Range<usize>,
    ) -> Activations {
        let slot = step.slot(kind);
        let place = slot.wrapping_add(Activations::scratch_bytes(kind, lot.place, width));
        // SAFETY: the caller's; the slot has room for all lots.
        unsafe {
            let order = self.rows_of(lot, own_rows).as_ptr();
            Activations::prepare_gathered(kind, x, order, lot.count, width, rows, place)
        }
    }

    /// Bytes of all lots' rows, prepared.
    pub fn prepared_bytes(&self, kind: ActivationKind, width: usize) -> usize {
        let rows = self.most + lots_at_most(self.most, self.experts) * (FOUR - 1);
        Activations::scratch_bytes(kind, rows, width)
    }

    /// Sorts the choices of a step.
    unsafe fn sort(&self, counts: &Counts) -> Result<(), Error> {
        let choices = self.choices(counts);
        // SAFETY: the parts of the memory do not overlap, and nobody else touches them.
        unsafe {
            let next = std::slice::from_raw_parts_mut(self.next_ptr(), self.experts);
            let sorted = std::slice::from_raw_parts_mut(self.choices_ptr(), choices);
            let rows = std::slice::from_raw_parts_mut(self.rows_ptr(), choices);
            next.fill(0);
            for choice in 0..choices {
                next[index(self.ids, choice, self.experts, "experts of the model")?] += 1;
            }
            *self.count_ptr() = self.cut(next);
            for choice in 0..choices {
                let place = &mut next[*self.ids.add(choice) as usize];
                sorted[*place as usize] = choice as i32;
                rows[*place as usize] = (choice / self.used) as i32;
                *place += 1;
            }
        }
        Ok(())
    }

    /// Makes lots of the experts' counts and gives their number; the counts become the places of the experts' first choices.
    unsafe fn cut(&self, counts: &mut [i32]) -> usize {
        let (mut lots, mut first, mut place) = (0, 0, 0);
        for (expert, count) in counts.iter_mut().enumerate() {
            let end = first + *count as usize;
            *count = first as i32;
            while first < end {
                let count = (end - first).min(LOT);
                let lot = Lot {
                    expert,
                    first,
                    count,
                    place,
                };
                // SAFETY: there are no more lots than there is room for.
                unsafe { self.lots_ptr().add(lots).write(lot) };
                lots += 1;
                first += count;
                place += count.next_multiple_of(FOUR);
            }
        }
        lots
    }

    // The memory: the number of lots in the place of one, the lots, then words: choices, their rows, a place for each expert.

    fn count_ptr(&self) -> *mut usize {
        self.memory.ptr().cast()
    }

    fn lots_ptr(&self) -> *mut Lot {
        self.memory.ptr().cast::<Lot>().wrapping_add(1)
    }

    fn choices_ptr(&self) -> *mut i32 {
        let lots = lots_at_most(self.most, self.experts);
        self.lots_ptr().wrapping_add(lots).cast()
    }

    fn rows_ptr(&self) -> *mut i32 {
        self.choices_ptr().wrapping_add(self.most)
    }

    fn next_ptr(&self) -> *mut i32 {
        self.rows_ptr().wrapping_add(self.most)
    }
}

/// Every expert that is chosen has one lot that may not be full.
fn lots_at_most(choices: usize, experts: usize) -> usize {
    choices / LOT + choices.min(experts)
}

/// Sorts the choices of a step.
pub struct Route(pub Arc<Routes>);

impl Region for Route {
    fn units(&self, counts: &Counts) -> usize {
        self.0.choices(counts).min(1)
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        (self.0.choices(counts) * 3 + self.0.experts) as f32
    }

    unsafe fn run(
        &self,
        step: &Step,
        _units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        // SAFETY: the caller's; regions that read the choices do not run at once with this one.
        unsafe { self.0.sort(&step.counts) }
    }
}

/// Prepares the rows of x, lot after lot: a row once for each expert that it chose.
pub struct PrepareRouted {
    pub x: *const f32,
    pub width: usize,
    pub kind: ActivationKind,
    pub routes: Arc<Routes>,
    pub own_rows: bool,
}

impl Region for PrepareRouted {
    /// A choice is a unit.
    fn units(&self, counts: &Counts) -> usize {
        self.routes.choices(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32 * 0.5
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, _scratch: *mut u8) -> Result<(), Error> {
        let &PrepareRouted {
            x,
            width,
            kind,
            ref routes,
            own_rows,
        } = self;
        // SAFETY: the caller's; an earlier region has sorted the choices.
        unsafe {
            for lot in routes.lots() {
                let place = |unit: usize| unit.clamp(lot.first, lot.first + lot.count) - lot.first;
                let rows = place(units.start)..place(units.end);
                routes.prepare(lot, x, width, kind, own_rows, step, rows);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Lead;

    /// Choices of a step, sorted, for `experts` of which each row has `used`.
    fn sorted(ids: &[i32], used: usize, experts: usize) -> Result<Routes, Error> {
        let rows = Extent {
            per: 1,
            lead: Lead::Rows,
        };
        let counts = |rows| Counts { rows, outputs: 0 };
        // More room than the step needs.
        let most = counts(ids.len() / used + 3);
        let routes = Routes::new(ids.as_ptr(), rows, used, experts, &most)?;
        // SAFETY: the ids are there.
        unsafe { routes.sort(&counts(ids.len() / used))? };
        Ok(routes)
    }

    #[test]
    fn every_choice_is_in_a_lot_of_its_expert_in_order() {
        let mut state = 1u64;
        for (rows, used, experts) in [(1, 2, 8), (7, 1, 3), (128, 8, 64), (300, 2, 2), (600, 1, 1)]
        {
            let ids: Vec<i32> = (0..rows * used)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 33) as i32 % experts as i32
                })
                .collect();
            let routes = sorted(&ids, used, experts).unwrap();
            // SAFETY: they are sorted.
            let lots = unsafe { routes.lots() };
            let (mut choices, mut place) = (Vec::new(), 0);
            for lot in lots {
                assert!(lot.count >= 1 && lot.count <= LOT);
                assert_eq!(lot.first, choices.len());
                assert!(lot.place >= place && lot.place.is_multiple_of(FOUR));
                place = lot.place + lot.count;
                // SAFETY: as above.
                let (own, shared) =
                    unsafe { (routes.rows_of(lot, true), routes.rows_of(lot, false)) };
                for (choice, row) in own.iter().zip(shared) {
                    assert_eq!(ids[*choice as usize], lot.expert as i32);
                    assert_eq!(*row, choice / used as i32);
                    choices.push((lot.expert, *choice));
                }
            }
            assert!(choices.is_sorted(), "{rows} rows: {choices:?}");
            assert_eq!(choices.len(), rows * used);
            let bytes = routes.prepared_bytes(ActivationKind::I8, 32);
            assert!(bytes >= Activations::scratch_bytes(ActivationKind::I8, place, 32));
        }
    }

    #[test]
    fn an_expert_that_is_not_there_is_an_error() {
        for id in [-1, 3] {
            let error = sorted(&[0, 2, id, 1], 2, 3).err();
            assert!(
                matches!(error, Some(Error::Index { bound: 3, .. })),
                "{error:?}"
            );
        }
    }
}
