//! A group as it lies in the weight, for few tokens: to unpack it first would be to wait for memory with nothing to compute meanwhile.

use super::dot::Dot;
use super::quant::{bits, half_integers, scale_and_min, super_scales_of, vector_at, Quant};
use super::shape::QUARTETS;
use super::tile::{add_one, add_two, load_quartet, tile_of, Rows, Sums};
use super::INTEGERS;
use crate::linear::{Activations, Output};
use crate::simd::{Vector, V};
use std::marker::PhantomData;

/// Rows of a kind.
pub struct Packed<Q: Quant>(PhantomData<Q>);

impl<Q: Quant, D: Dot> Rows<D> for Packed<Q> {
    const HALVES: bool = Q::SHAPE.halves;
    const MIN: bool = Q::SHAPE.min;
    const HEADER: usize = Q::SHAPE.header();
    const BLOCK_BYTES: usize = Q::SHAPE.block_bytes();
    #[inline(always)]
    unsafe fn half(group: *const u8, _: usize, _: usize) -> *const u8 {
        group
    }
    #[inline(always)]
    unsafe fn super_scales(header: *const u8, half: usize) -> [[V; 2]; 2] {
        // SAFETY: the caller's.
        unsafe { super_scales_of::<Q, 2>(header, 2 * half) }
    }
    #[inline(always)]
    unsafe fn scales(block: *const u8, half: usize, part: usize) -> [V; 2] {
        // SAFETY: the caller's.
        let integers = unsafe { half_integers(block, half) };
        [0, 1].map(|r| scale_and_min::<Q>(integers, part, r).0)
    }
    #[inline(always)]
    unsafe fn minima(block: *const u8, half: usize, part: usize) -> [V; 2] {
        // SAFETY: the caller's.
        let integers = unsafe { half_integers(block, half) };
        [0, 1].map(|r| scale_and_min::<Q>(integers, part, r).1)
    }
    #[inline(always)]
    unsafe fn add_dots(
        sums: &mut Sums,
        block: *const u8,
        half: usize,
        part: usize,
        a: *const u8,
        scales: [V; 2],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let vectors = block.add(INTEGERS + vector_at(0, 2 * half));
            match part {
                0 => add_part::<Q, D, 0>(sums, vectors, a, scales),
                _ => add_part::<Q, D, 1>(sums, vectors, a, scales),
            }
        }
    }
}

/// Adds the dots of a part, two quartets at a time, as vectors come by.
/// # Safety
/// The vectors of two quads of a block and the activations of one of four tokens must lie there.
#[inline(always)]
unsafe fn add_part<Q: Quant, D: Dot, const PART: usize>(
    sums: &mut Sums,
    vectors: *const u8,
    a: *const u8,
    scales: [V; 2],
) {
    let mut quants = [[V::zero(); 2]; QUARTETS];
    let mut waiting = None;
    unroll!(VECTOR in [0, 1, 2, 3, 4, 5] {
        if const { Q::SHAPE.has(PART, VECTOR) } {
            // SAFETY: the caller's.
            let pair = [0, 1].map(|r| unsafe { V::load(vectors.add(vector_at(VECTOR, r))) });
            unroll!(I in [0, 1, 2, 3, 4, 5, 6, 7] {
                if let Some(piece) = const { Q::SHAPE.piece_in(PART, I, VECTOR) } {
                    for r in 0..2 {
                        let bits = bits(pair[r], piece);
                        let begins = const { Q::SHAPE.begins(I, VECTOR) };
                        quants[I][r] = if begins { bits } else { quants[I][r].or(bits) };
                    }
                    if const { Q::SHAPE.ends(I, VECTOR) } {
                        // SAFETY: the caller's.
                        let values_of = |i: usize| unsafe { load_quartet::<D>(a, i, 16) };
                        let [first, second] = quants[I].map(D::widen);
                        match waiting.take() {
                            _ if D::WIDE => add_one::<D>(sums, values_of(I), [first, second]),
                            None => waiting = Some((I, first, second)),
                            Some((i, a, b)) => {
                                let values = [values_of(i), values_of(I)];
                                add_two::<D>(sums, values, [[a, first], [b, second]], scales);
                            }
                        }
                    }
                }
            });
        }
    });
    debug_assert!(waiting.is_none());
}

/// Up to four tokens by 16 rows.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
#[inline(always)]
pub unsafe fn tile<Q: Quant, D: Dot>(
    group: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let zero = Q::SHAPE.zero();
    // SAFETY: the caller's.
    unsafe { tile_of::<D, Packed<Q>>(group, x, token, tokens, row, output, zero) }
}
