//! Q4_K: it computes as Q4_1 does, so its rows unpack to the same tiles.

use super::dot::{ByPairs, Dot};
use super::dots::dots;
use super::kernels::quads;
use super::quant::{integers, quartets, scale_and_min, super_scales, Quant, Q4K};
use super::tile::store;
use super::{BLOCKS, INTEGERS, SUPER};
use crate::linear::activations::{META, PIECE};
use crate::linear::kernels::{NibblesByBytes, NibblesByQuads, NibblesByWords};
use crate::linear::quantized::{add_minima, BYTES, WORDS};
use crate::linear::tile::{tile as tile_of_nibbles, Unpacked};
use crate::linear::{ActivationKind, Activations, Output, QUADS};
use crate::simd::{Vector, LANES, V};

/// Up to four tokens by 16 rows, by whatever dot the machine has.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows that [`unpack`] wrote.
pub unsafe fn tile(
    from: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    // SAFETY: the caller's.
    unsafe {
        match x.kind {
            ActivationKind::I8 if BYTES && quads(x.dot) => {
                tile_of_nibbles::<Unpacked<NibblesByQuads<true>, true>, _, true>(
                    from, x, token, tokens, row, output,
                )
            }
            ActivationKind::I8 if BYTES => {
                tile_of_nibbles::<Unpacked<NibblesByBytes<true>, true>, _, true>(
                    from, x, token, tokens, row, output,
                )
            }
            _ if WORDS => tile_of_nibbles::<Unpacked<NibblesByWords<true>, true>, _, true>(
                from, x, token, tokens, row, output,
            ),
            _ => unreachable!("activations of another kind"),
        }
    }
}

/// One token: all 16 rows at once, unpacked in registers.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
#[inline(never)]
pub unsafe fn vector<D: Dot>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let shape = Q4K::SHAPE;
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 256` super-blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.quantized(token));
        for _ in 0..x.k / SUPER {
            let (d, d_min) = super_scales::<Q4K>(w);
            w = w.add(shape.header());
            for _ in 0..BLOCKS {
                let dots = dots::<Q4K, D, 0>(w.add(INTEGERS), a, V::zero());
                let meta = a.add(PIECE * 8 * D::PIECES);
                let [scales, scaled_sum, ..] = V::load(meta).splats();
                let integers = integers(w);
                unroll!(R in [0, 1, 2, 3] {
                    let (scale, min) = scale_and_min::<Q4K>(integers, 0, R);
                    let scale = scale.f32_from_i32().mul(d[R]);
                    let sum = D::add(sums[R], dots[R], scale, scales);
                    sums[R] = add_minima::<true>(sum, min.mul(d_min[R]), scaled_sum);
                });
                w = w.add(shape.block_bytes());
                a = meta.add(PIECE * META);
            }
        }
        let unit = V::load32_splat(a);
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum.mul(unit));
        }
    }
}

/// One token of Q4_K, by pairs.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
pub unsafe fn vector_of_nibbles(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    // SAFETY: the caller's.
    unsafe { vector::<ByPairs>(packed, x, token, row, output) }
}

/// Unpacks a group of Q4_K as [`crate::linear::tile::unpack`] does one of Q4_1.
/// # Safety
/// As there.
pub unsafe fn unpack_nibbles(packed: *const u8, blocks: usize, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { unpack(packed, blocks / BLOCKS, false, to) }
}

/// The same, to bytes or to words.
/// # Safety
/// The group must have that many super-blocks, and `to` room for them.
#[inline(never)]
pub unsafe fn unpack(packed: *const u8, supers: usize, words: bool, to: *mut u8) {
    let shape = Q4K::SHAPE;
    let pieces = 1 + usize::from(words);
    let block_bytes = 64 + 32 * 8 * pieces;
    // Known at run time only, so that the loops below are not unrolled.
    let quads = std::hint::black_box(QUADS);
    for n in 0..supers {
        // SAFETY: the group has that many super-blocks, and the tile room for them.
        unsafe {
            let from = packed.add(n * shape.super_bytes());
            let (d, d_min) = super_scales::<Q4K>(from);
            for b in 0..BLOCKS {
                let block = from.add(shape.header() + b * shape.block_bytes());
                let place_of = |r: usize| {
                    let at = r / 2 * supers * BLOCKS + n * BLOCKS + b;
                    to.add(at * block_bytes + r % 2 * 16)
                };
                let integers = integers(block);
                for r in 0..QUADS {
                    let (scale, min) = scale_and_min::<Q4K>(integers, 0, r);
                    scale.f32_from_i32().mul(d[r]).store(place_of(r));
                    min.mul(d_min[r]).store(place_of(r).add(32));
                }
                for r in 0..quads {
                    let quartets = quartets::<Q4K>(block.add(INTEGERS), r);
                    for (i, quants) in quartets.into_iter().enumerate() {
                        store(quants, words, place_of(r).add(64 + 32 * pieces * i));
                    }
                }
            }
        }
    }
}
