//! How the quants of a K kind are cut into bits of vectors, and what scales they have.

use super::INTEGERS;
use crate::dtype::DType;
use crate::linear::weight::BLOCK;
use crate::linear::GROUP;

/// Quartets of columns of a block.
pub const QUARTETS: usize = BLOCK / 4;

/// Some bits of a quartet: `bits` from bit `from` on of a vector's bytes are those from bit `to` on of its quants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub vector: usize,
    pub from: usize,
    pub bits: usize,
    pub to: usize,
    /// Whether it is the whole quartet.
    pub whole: bool,
}

/// What the quartets of a block are made of.
type Pieces = [&'static [Piece]; QUARTETS];

const fn whole(vector: usize, from: usize, bits: usize) -> Piece {
    Piece {
        whole: true,
        ..piece(vector, from, bits, 0)
    }
}

const fn piece(vector: usize, from: usize, bits: usize, to: usize) -> Piece {
    Piece {
        vector,
        from,
        bits,
        to,
        whole: false,
    }
}

/// A vector for each half.
const TWO: Pieces = [
    &[whole(0, 0, 2)],
    &[whole(0, 2, 2)],
    &[whole(0, 4, 2)],
    &[whole(0, 6, 2)],
    &[whole(1, 0, 2)],
    &[whole(1, 2, 2)],
    &[whole(1, 4, 2)],
    &[whole(1, 6, 2)],
];

/// Three vectors of two, and the bits that are left.
const THREE: Pieces = [
    &[whole(0, 0, 3)],
    &[whole(0, 3, 3)],
    &[whole(1, 0, 3)],
    &[piece(0, 6, 2, 0), piece(1, 3, 1, 2)],
    &[whole(1, 4, 3)],
    &[whole(2, 0, 3)],
    &[whole(2, 3, 3)],
    &[piece(1, 7, 1, 2), piece(2, 6, 2, 0)],
];

/// The nibbles of Q4_1.
const FOUR: Pieces = [
    &[whole(0, 0, 4)],
    &[whole(1, 0, 4)],
    &[whole(2, 0, 4)],
    &[whole(3, 0, 4)],
    &[whole(0, 4, 4)],
    &[whole(1, 4, 4)],
    &[whole(2, 4, 4)],
    &[whole(3, 4, 4)],
];

/// Five vectors of one, and the bits that are left.
const FIVE: Pieces = [
    &[whole(0, 0, 5)],
    &[whole(1, 0, 5)],
    &[piece(0, 5, 3, 0), piece(1, 5, 2, 3)],
    &[whole(2, 0, 5)],
    &[whole(3, 0, 5)],
    &[piece(2, 5, 3, 0), piece(3, 5, 2, 3)],
    &[whole(4, 0, 5)],
    &[piece(1, 7, 1, 3), piece(3, 7, 1, 4), piece(4, 5, 3, 0)],
];

/// For each half three vectors of one, and the bits that are left.
const SIX: Pieces = [
    &[whole(0, 0, 6)],
    &[whole(1, 0, 6)],
    &[whole(2, 0, 6)],
    &[piece(0, 6, 2, 0), piece(1, 6, 2, 2), piece(2, 6, 2, 4)],
    &[whole(3, 0, 6)],
    &[whole(4, 0, 6)],
    &[whole(5, 0, 6)],
    &[piece(3, 6, 2, 0), piece(4, 6, 2, 2), piece(5, 6, 2, 4)],
];

/// Quants and scales of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bits of a quant, and so vectors of four rows of a block.
    pub bits: usize,
    /// The pieces of each quartet, in the order of the vectors.
    pub pieces: Pieces,
    /// Whether each 16 columns have a scale, not each 32.
    pub halves: bool,
    /// Whether there are minima; without, a quant stands for itself less half of its range.
    pub min: bool,
}

impl Shape {
    /// The shape of a K-quant.
    pub const fn of(dtype: DType) -> Option<Shape> {
        let (bits, pieces, halves, min) = match dtype {
            DType::Q2_K => (2, TWO, true, true),
            DType::Q3_K => (3, THREE, true, false),
            DType::Q4_K => (4, FOUR, false, true),
            DType::Q5_K => (5, FIVE, false, true),
            DType::Q6_K => (6, SIX, true, false),
            _ => return None,
        };
        Some(Shape {
            bits,
            pieces,
            halves,
            min,
        })
    }

    /// What a quant of zero value is.
    pub const fn zero(self) -> u8 {
        if self.min {
            0
        } else {
            1 << (self.bits - 1)
        }
    }

    /// Whether unpacked rows are those of Q4_1: tiles of nibbles compute both.
    pub const fn nibbles(self) -> bool {
        self.bits == 4
    }

    /// Scales of a block.
    pub const fn scales(self) -> usize {
        1 + self.halves as usize
    }

    /// Quartets that share a scale.
    pub const fn run(self) -> usize {
        QUARTETS / self.scales()
    }

    /// How many quartets' products with bytes i16 lanes can sum, two of them in a lane.
    pub const fn narrow_quartets(self) -> usize {
        i16::MAX as usize / (2 * 127 * ((1 << self.bits) - 1))
    }

    /// The piece of a quartet that lies in a vector.
    pub const fn piece(self, quartet: usize, vector: usize) -> Option<Piece> {
        let pieces = self.pieces[quartet];
        let mut i = 0;
        while i < pieces.len() {
            if pieces[i].vector == vector {
                return Some(pieces[i]);
            }
            i += 1;
        }
        None
    }

    /// Whether a quartet is whole with its piece in this vector.
    pub const fn ends(self, quartet: usize, vector: usize) -> bool {
        let pieces = self.pieces[quartet];
        pieces[pieces.len() - 1].vector == vector
    }

    /// Whether a quartet begins with its piece in this vector.
    pub const fn begins(self, quartet: usize, vector: usize) -> bool {
        self.pieces[quartet][0].vector == vector
    }

    /// Whether a quartet is one of those that share a scale of a block.
    pub const fn in_part(self, part: usize, quartet: usize) -> bool {
        quartet / self.run() == part
    }

    /// The piece of such a quartet that lies in a vector.
    pub const fn piece_in(self, part: usize, quartet: usize, vector: usize) -> Option<Piece> {
        if self.in_part(part, quartet) {
            self.piece(quartet, vector)
        } else {
            None
        }
    }

    /// Whether a vector has pieces of them.
    pub const fn has(self, part: usize, vector: usize) -> bool {
        let mut quartet = 0;
        while quartet < QUARTETS {
            if self.piece_in(part, quartet, vector).is_some() {
                return true;
            }
            quartet += 1;
        }
        false
    }

    /// Bytes of the scales and minima of a super-block.
    pub const fn header(self) -> usize {
        GROUP * 2 * (1 + self.min as usize)
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        INTEGERS + self.bits * GROUP * 4
    }

    /// Bytes of a super-block of 16 rows.
    pub const fn super_bytes(self) -> usize {
        self.header() + super::BLOCKS * self.block_bytes()
    }
}
