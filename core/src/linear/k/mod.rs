//! K-quants: super-blocks of 256 columns, whose scales and minima for each 16 or 32 columns are small integers.
//!
//! A group is a sequence of super-blocks of 16 rows: 16 F16 scales, 16 F16 minima (negated) where the kind has them, then eight
//! blocks of 32 columns. A block is two vectors of bytes that hold the integers, then its quants in planes of bits:
//! - the integers lie so that a shift of i32 lanes gives those of four rows: row `4r + i` is byte `r` of lane `i`.
//!   With a scale for each 16 columns there is a vector for each half, else one of scales and one of minima.
//!   Q2_K has both in one byte, four bits each; scales without minima are signed.
//! - of the lower plane, 4 bits: 4 steps of 64 bytes (4 rows x 4 columns a vector), step j has columns 4j.. below and 16 + 4j.. above;
//!   2 bits: 2 steps, step j has columns 4j.., 4(j + 2).., 4(j + 4).., 4(j + 6).. from the lowest bits up.
//! - the upper plane, 2 bits: as a lower one of 2; 1 bit: one step, columns 4v.. in bit v.

/// Repeats a block with a constant: what the block does with it is known when it is compiled.
macro_rules! unroll {
    ($name:ident in [$($value:literal),*] $block:block) => {
        $({
            const $name: usize = $value;
            $block
        })*
    };
}

mod dot;
mod kernels;
mod nibbles;
mod pack;
mod quant;
mod scaled;
#[cfg(test)]
mod tests;
mod tile;

pub(super) use kernels::{group, tile_block_bytes};
pub(super) use nibbles::{unpack_nibbles, vector_of_nibbles};
pub(super) use pack::{pack, row};

use super::weight::BLOCK;
use super::GROUP;
use crate::dtype::DType;

/// Columns of a super-block.
pub(super) const SUPER: usize = 256;

/// Blocks of a super-block.
const BLOCKS: usize = SUPER / BLOCK;

/// Bytes of the integers of a block.
const INTEGERS: usize = 2 * GROUP;

/// How the quants of a kind are cut into planes, and what scales they have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bits of the lower plane.
    pub low: usize,
    /// Bits of the upper plane.
    pub high: usize,
    /// Whether each 16 columns have a scale, not each 32.
    pub halves: bool,
    /// Whether there are minima; without, a quant stands for itself less half of its range.
    pub min: bool,
}

impl Shape {
    /// The shape of a K-quant.
    pub const fn of(dtype: DType) -> Option<Shape> {
        let (low, high, halves, min) = match dtype {
            DType::Q2_K => (2, 0, true, true),
            DType::Q3_K => (2, 1, true, false),
            DType::Q4_K => (4, 0, false, true),
            DType::Q5_K => (4, 1, false, true),
            DType::Q6_K => (4, 2, true, false),
            _ => return None,
        };
        Some(Shape {
            low,
            high,
            halves,
            min,
        })
    }

    /// What a quant of zero value is.
    const fn zero(self) -> u8 {
        if self.min {
            0
        } else {
            1 << (self.low + self.high - 1)
        }
    }

    /// Whether unpacked rows are those of Q4_1: tiles of nibbles compute both.
    pub const fn nibbles(self) -> bool {
        self.low == 4 && self.high == 0
    }

    /// Whether i16 hold the sums of all products of two bytes that share a scale.
    const fn narrow(self) -> bool {
        let products = if self.halves { 8 } else { 16 };
        products * 127 * ((1 << (self.low + self.high)) - 1) < 1 << 15
    }

    /// Bytes of the scales and minima of a super-block.
    const fn header(self) -> usize {
        GROUP * 2 * (1 + self.min as usize)
    }

    /// Bytes of a block.
    const fn block_bytes(self) -> usize {
        INTEGERS + (self.low + self.high) * GROUP * 4
    }

    /// Bytes of a super-block of 16 rows.
    pub const fn super_bytes(self) -> usize {
        self.header() + SUPER / super::weight::BLOCK * self.block_bytes()
    }
}
