//! K-quants: super-blocks of 256 columns, whose scales and minima for each 16 or 32 columns are small integers.
//!
//! A group is a sequence of super-blocks of 16 rows: 16 F16 scales, 16 F16 minima (negated) where the kind has them, then eight
//! blocks of 32 columns. A block is two vectors of bytes that hold the integers, then its quants:
//! - the integers lie so that a shift of i32 lanes gives those of four rows: row `4r + i` is byte `r` of lane `i`.
//!   With a scale for each 16 columns there is a vector for each half, else one of scales and one of minima.
//!   Q2_K has both in one byte, four bits each; scales without minima are signed.
//! - the quants take as many vectors of each four rows (4 rows x 4 columns a vector, the four of a group behind each other) as they have bits.
//!   A vector has a quartet of columns or several whole, and bits of another one, which lie so that they are taken out with the fewest
//!   operations: [`shape`].

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
mod dots;
mod kernels;
mod nibbles;
mod pack;
mod packed;
mod quant;
mod scaled;
mod shape;
#[cfg(test)]
mod tests;
mod tile;
mod unpacked;

pub(super) use kernels::{group, tile_block_bytes};
pub(super) use nibbles::{unpack_nibbles, vector_of_nibbles};
pub(super) use pack::{pack, row};
pub(super) use shape::Shape;

use super::weight::BLOCK;
use super::GROUP;

/// Columns of a super-block.
pub(super) const SUPER: usize = 256;

/// Blocks of a super-block.
const BLOCKS: usize = SUPER / BLOCK;

/// Bytes of the integers of a block.
const INTEGERS: usize = 2 * GROUP;
