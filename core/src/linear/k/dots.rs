//! One token by the quants of 16 rows: vectors are read once, in the order of memory, and unpacked in registers.

use super::dot::Dot;
use super::quant::{bits, vector_at, Quant};
use super::shape::{Piece, QUARTETS};
use crate::linear::activations::PIECE;
use crate::linear::QUADS;
use crate::simd::{Vector, V};
use std::marker::PhantomData;

/// Whether the sums of the columns that share a scale stay narrow, of i16.
pub const fn stays_narrow<Q: Quant, D: Dot>() -> bool {
    !D::WIDE && Q::SHAPE.narrow_quartets() >= Q::SHAPE.run()
}

/// Sums of the dots of 16 rows, while vectors come by.
struct Dots<Q: Quant, D: Dot> {
    sums: [V; QUADS],
    /// What is not in the sums yet.
    narrow: [V; QUADS],
    /// Quartets that went there.
    added: [usize; QUADS],
    /// Quartets of which pieces are missing.
    pending: [[V; QUADS]; QUARTETS],
    kind: PhantomData<(Q, D)>,
}

impl<Q: Quant, D: Dot> Dots<Q, D> {
    #[inline(always)]
    fn new(start: V) -> Self {
        const {
            assert!(
                D::WIDE
                    || stays_narrow::<Q, D>()
                    || Q::SHAPE.run().is_multiple_of(Q::SHAPE.narrow_quartets())
            )
        };
        Dots {
            sums: [start; QUADS],
            narrow: [V::zero(); QUADS],
            added: [0; QUADS],
            pending: [[V::zero(); QUADS]; QUARTETS],
            kind: PhantomData,
        }
    }

    /// Adds the products of a quartet of quad `r`.
    #[inline(always)]
    fn add(&mut self, r: usize, values: D::Quartet, quants: V) {
        let quants = D::widen(quants);
        if D::WIDE {
            self.sums[r] = D::narrow(self.sums[r], values, quants).pinned();
            return;
        }
        self.narrow[r] = D::narrow(self.narrow[r], values, quants).pinned();
        self.added[r] += 1;
        if !stays_narrow::<Q, D>() && self.added[r].is_multiple_of(Q::SHAPE.narrow_quartets()) {
            self.sums[r] = self.sums[r].add_i32(D::finish(self.narrow[r])).pinned();
            self.narrow[r] = V::zero();
        }
    }

    /// Takes a vector of quad `r` to the quartets that it has pieces of; `values` are those of the quartets that it ends.
    #[inline(always)]
    fn take(
        &mut self,
        r: usize,
        quartet: usize,
        piece: Piece,
        vector: V,
        values: Option<D::Quartet>,
    ) {
        let mut quants = bits(vector, piece);
        if !Q::SHAPE.begins(quartet, piece.vector) {
            quants = self.pending[quartet][r].or(quants);
        }
        match values {
            Some(values) => self.add(r, values, quants),
            None => self.pending[quartet][r] = quants.pinned(),
        }
    }
}

/// The dots of 16 rows of the columns that share a scale of a block: i32 that began with `start`, or narrow where they [stay so](stays_narrow).
///
/// Vectors are read in the order of memory: sums are pinned for it, as in [`crate::linear::quantized`].
/// # Safety
/// The quants of a block must lie at `vectors`, the activations of one of a token at `a`.
#[inline(always)]
pub unsafe fn dots<Q: Quant, D: Dot, const PART: usize>(
    vectors: *const u8,
    a: *const u8,
    start: V,
) -> [V; QUADS] {
    let mut dots = Dots::<Q, D>::new(start);
    unroll!(VECTOR in [0, 1, 2, 3, 4, 5] {
        if const { Q::SHAPE.has(PART, VECTOR) } {
            let mut values = [None; QUARTETS];
            unroll!(I in [0, 1, 2, 3, 4, 5, 6, 7] {
                if const { Q::SHAPE.in_part(PART, I) && Q::SHAPE.ends(I, VECTOR) } {
                    // SAFETY: the caller's.
                    values[I] = Some(D::quartet(|piece| unsafe {
                        V::load32_splat(a.add(PIECE * (D::PIECES * I + piece)))
                    }));
                }
            });
            unroll!(R in [0, 1, 2, 3] {
                // SAFETY: the caller's.
                let vector = unsafe { V::load(vectors.add(vector_at(VECTOR, R))) };
                unroll!(I in [0, 1, 2, 3, 4, 5, 6, 7] {
                    if let Some(piece) = const { Q::SHAPE.piece_in(PART, I, VECTOR) } {
                        dots.take(R, I, piece, vector, values[I]);
                    }
                });
            });
        }
    });
    if stays_narrow::<Q, D>() {
        dots.narrow
    } else {
        dots.sums
    }
}
