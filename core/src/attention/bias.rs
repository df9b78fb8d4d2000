//! What is added to a score by the distance of its key from its row.

use super::TILE_KEYS;
use std::ops::Range;

/// A bias by distance: `[2 * farthest + 1, heads]`, whose ends stand for all that lies beyond.
#[derive(Clone, Copy)]
pub struct RelativeBias {
    /// Its first element.
    pub table: *const f32,
    /// The greatest distance that it has.
    pub farthest: usize,
}

/// All that depends on the distance `key - position`.
#[derive(Clone, Copy, Default)]
pub struct ByDistance {
    /// ALiBi: one a head; a score gains `slope * distance`.
    pub slopes: Option<*const f32>,
    /// A score gains the bias of its distance.
    pub bias: Option<RelativeBias>,
    /// Where each row stands among the keys; at the last one that it sees where there are none.
    pub positions: Option<*const i32>,
}

impl ByDistance {
    /// Where a row with `length` keys stands.
    /// # Safety
    /// The row must be one of the call's.
    pub unsafe fn position(&self, row: usize, length: usize) -> i32 {
        match self.positions {
            // SAFETY: the caller's.
            Some(positions) => unsafe { *positions.add(row) },
            None => length as i32 - 1,
        }
    }
}

impl RelativeBias {
    /// Elements of a head's line: those of the table, and at each end as many copies of it as a tile has keys, so that the
    /// biases of a tile stand side by side wherever it lies.
    pub(super) fn line(self) -> usize {
        2 * (self.farthest + TILE_KEYS) + 1
    }

    /// Where a tile whose first key lies at this distance begins in a line.
    pub(super) fn place(self, distance: i32) -> usize {
        let (farthest, tile) = (self.farthest as i32, TILE_KEYS as i32);
        (distance.clamp(-farthest - tile, farthest) + farthest + tile) as usize
    }

    /// Fills a part of the line of a head.
    /// # Safety
    /// `line` must have room for it, and the table a column for the head, of so many.
    pub(super) unsafe fn fill(self, line: *mut f32, part: Range<usize>, head: usize, heads: usize) {
        for i in part {
            let row = i.saturating_sub(TILE_KEYS).min(2 * self.farthest);
            // SAFETY: the caller's.
            unsafe { line.add(i).write(*self.table.add(row * heads + head)) };
        }
    }
}
