//! What an op is to the executor: work that can be split into ranges of independent units.

use crate::error::Error;
use crate::linear::ActivationKind;
use crate::program::{Counts, Lead, Shape};
use std::ops::Range;

/// Places for prepared activations, one for each kind that is not F32.
pub const SLOTS: usize = 2;

/// What a region is told about the step that it is part of.
#[derive(Clone, Copy)]
pub struct Step {
    /// The counts of this step.
    pub counts: Counts,
    /// Where prepared activations lie.
    pub slots: [*mut u8; SLOTS],
    /// Where attention keeps what spans of keys gave.
    pub totals: *mut u8,
}

impl Step {
    /// Where activations of a kind are prepared; nowhere for F32.
    pub fn slot(&self, kind: ActivationKind) -> *mut u8 {
        slot_of(kind).map_or(std::ptr::null_mut(), |slot| self.slots[slot])
    }
}

/// The slot of an activation kind.
pub fn slot_of(kind: ActivationKind) -> Option<usize> {
    match kind {
        ActivationKind::F32 => None,
        ActivationKind::I8 => Some(0),
        ActivationKind::I16 | ActivationKind::Nibbles => Some(1),
    }
}

/// A parallel region: `units` pieces of work, any range of which one thread may run. What a unit computes does not
/// depend on the range that it is run in.
pub trait Region {
    /// How many units this step has.
    fn units(&self, counts: &Counts) -> usize;

    /// About how many nanoseconds a unit takes, so that no more threads share a step's units than pays.
    fn unit_work(&self, counts: &Counts) -> f32;

    /// Bytes of scratch that each thread needs.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Runs some of the units.
    ///
    /// # Safety
    /// The memory that the region was compiled with must be valid, `step.counts` within the capacity, `units` within
    /// [`Region::units`], and `scratch` a thread's own, 64-byte aligned and of [`Region::scratch_bytes`]. No two
    /// threads may run overlapping ranges at once.
    unsafe fn run(&self, step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error>;
}

/// A length that may depend on the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What is multiplied by the count, or the length itself.
    pub per: usize,
    /// The count.
    pub lead: Lead,
}

impl Extent {
    /// A length that no step changes.
    pub fn fixed(length: usize) -> Extent {
        Extent {
            per: length,
            lead: Lead::Fixed,
        }
    }

    /// The product of the outermost `axes` dimensions.
    pub fn outer(shape: &Shape, axes: usize) -> Extent {
        if axes == 0 || shape.lead == Lead::Fixed {
            Extent::fixed(shape.product(0..axes))
        } else {
            Extent {
                per: shape.product(1..axes),
                lead: shape.lead,
            }
        }
    }

    /// All elements.
    pub fn all(shape: &Shape) -> Extent {
        Extent::outer(shape, shape.dims.len())
    }

    /// The rows of a shape: all dimensions but the innermost.
    pub fn rows(shape: &Shape) -> Extent {
        Extent::outer(shape, shape.dims.len().saturating_sub(1))
    }

    /// The length in a step.
    #[inline]
    pub fn at(self, counts: &Counts) -> usize {
        match self.lead {
            Lead::Fixed => self.per,
            Lead::Rows => self.per * counts.rows,
            Lead::Outputs => self.per * counts.outputs,
        }
    }
}
