//! What attention looks up in a step, checked before it does.

use super::gather::index;
use super::{Extent, Region, Step};
use crate::error::Error;
use crate::program::Counts;
use std::ops::Range;

/// Where the rows of a step find their keys.
#[derive(Clone, Copy)]
pub(super) struct Lookup {
    pub(super) rows: Extent,
    pub(super) lengths: *const i32,
    pub(super) sequences: *const i32,
    pub(super) page_table: *const i32,
    /// Lines of the page table.
    pub(super) lines: Extent,
    pub(super) max_pages: usize,
    pub(super) page_size: usize,
    /// Pages of the cache.
    pub(super) pages: usize,
    pub(super) window: usize,
}

/// Checks what attention will look up. All rows are one unit: neighbours are looked at together.
pub(super) struct CheckPages(pub(super) Lookup);

impl Region for CheckPages {
    fn units(&self, counts: &Counts) -> usize {
        self.0.rows.at(counts).min(1)
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        self.0.rows.at(counts) as f32
    }

    unsafe fn run(
        &self,
        step: &Step,
        _units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let lookup = &self.0;
        let (rows, lines) = (lookup.rows.at(&step.counts), lookup.lines.at(&step.counts));
        let longest = lookup.max_pages * lookup.page_size;
        let mut row = 0;
        while row < rows {
            // SAFETY: the caller's.
            unsafe {
                let sequence = index(lookup.sequences, row, lines, "sequences of the page table")?;
                let (mut first, mut end) = (longest, 0);
                // The kernel reads whatever lies between the keys of neighbouring rows of a sequence.
                while row < rows && *lookup.sequences.add(row) as usize == sequence {
                    let length = index(
                        lookup.lengths,
                        row,
                        longest + 1,
                        "lengths that the page table holds",
                    )?;
                    let seen = if lookup.window == 0 {
                        length
                    } else {
                        lookup.window
                    };
                    first = first.min(length.saturating_sub(seen));
                    end = end.max(length);
                    row += 1;
                }
                for page in first / lookup.page_size..end.div_ceil(lookup.page_size) {
                    index(
                        lookup.page_table,
                        sequence * lookup.max_pages + page,
                        lookup.pages,
                        "pages of the cache",
                    )?;
                }
            }
        }
        Ok(())
    }
}
