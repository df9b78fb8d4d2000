//! Tiles of the kinds whose scales are integers: four tokens by what a group unpacks to.

use super::dot::{ByWords, Dot};
use super::quant::{integers, quartets, scale_and_min, super_scales, Quant};
use super::scaled::Behind;
use super::{Shape, BLOCKS, INTEGERS, SUPER};
use crate::linear::activations::{FOUR, META, PIECE};
use crate::linear::tile::turns;
use crate::linear::{Activations, Output, GROUP, HALF, QUADS};
use crate::simd::{Vector, V};

/// Bytes of a half's scales and minima of a super-block, as F32.
const HEADER: usize = 64;

/// Bytes of a half's integer scales and minima behind it.
const SCALES: usize = 64;

/// Bytes of a block of 16 rows unpacked to a tile, and its part of a super-block's header.
pub fn tile_block_bytes(shape: Shape, vectors: usize) -> usize {
    QUADS * 16 * vectors + 2 * (shape.scales() * SCALES + HEADER / BLOCKS)
}

/// Unpacks a group to two halves of 8 rows; of each its super-blocks: scales and minima as F32, then for each scale the integers, the minima as
/// F32, and the vectors in order of the columns, two quads each.
/// # Safety
/// The group must have that many super-blocks, and `tile` room for them: [`tile_block_bytes`] of each block.
#[inline(never)]
pub unsafe fn unpack<Q: Quant>(packed: *const u8, supers: usize, words: bool, tile: *mut u8) {
    let shape = Q::SHAPE;
    let count = shape.scales();
    let pieces = 1 + usize::from(words);
    let part = SCALES + 32 * 8 * pieces / count;
    let of_super = HEADER + BLOCKS * count * part;
    // Known at run time only, so that the loops below are not unrolled.
    let quads = std::hint::black_box(QUADS);
    for n in 0..supers {
        // SAFETY: the caller's.
        unsafe {
            let from = packed.add(n * shape.super_bytes());
            let place_of = |r: usize| tile.add((r / 2 * supers + n) * of_super + r % 2 * 16);
            let (d, d_min) = super_scales::<Q>(from);
            for r in 0..QUADS {
                d[r].store(place_of(r));
                d_min[r].store(place_of(r).add(32));
            }
            for b in 0..BLOCKS {
                let block = from.add(shape.header() + b * shape.block_bytes());
                let part_of =
                    |r: usize, half: usize| place_of(r).add(HEADER + (b * count + half) * part);
                let integers = integers(block);
                for half in 0..count {
                    for r in 0..QUADS {
                        let (scale, min) = scale_and_min::<Q>(integers, half, r);
                        scale.store(part_of(r, half));
                        min.store(part_of(r, half).add(32));
                    }
                }
                for r in 0..quads {
                    let quartets = quartets::<Q>(block.add(INTEGERS), r);
                    for (i, quants) in quartets.into_iter().enumerate() {
                        let (half, within) = (i / shape.run(), i % shape.run());
                        let to = part_of(r, half).add(SCALES + 32 * pieces * within);
                        store(quants, words, to);
                    }
                }
            }
        }
    }
}

/// Writes a quartet of quants as they meet activations, the pieces 32 bytes apart.
/// # Safety
/// There must be room.
#[inline(always)]
pub unsafe fn store(quants: V, words: bool, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe {
        if !words {
            quants.store(to);
            return;
        }
        for (piece, words) in ByWords::widen(quants).into_iter().enumerate() {
            words.store(to.add(32 * piece));
        }
    }
}

/// Up to four tokens by 16 rows. Kinds that differ only in bits and zero points share a function.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows of the kind that [`unpack`] wrote.
#[inline(always)]
pub unsafe fn tile<Q: Quant, D: Dot>(
    tile: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let zero = Q::SHAPE.zero();
    // SAFETY: the caller's.
    unsafe {
        match (Q::SHAPE.halves, Q::SHAPE.min) {
            (true, true) => tile_of::<D, true, true>(tile, x, token, tokens, row, output, zero),
            (true, false) => tile_of::<D, true, false>(tile, x, token, tokens, row, output, zero),
            (false, _) => tile_of::<D, false, true>(tile, x, token, tokens, row, output, zero),
        }
    }
}

/// The same, 8 rows at a time, in turns as in [`crate::linear::tile::tile`].
/// # Safety
/// As [`tile`].
#[inline(never)]
unsafe fn tile_of<D: Dot, const HALVES: bool, const MIN: bool>(
    tile: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
    zero: u8,
) {
    let zero = V::splat_i32(i32::from(zero));
    let (supers, count) = (x.k / SUPER, 1 + usize::from(HALVES));
    // Two quartets at a time; known at run time only, so that the loop is not unrolled.
    let steps = x.pieces / D::PIECES / 2 / count;
    let part = SCALES + 64 * steps * D::PIECES;
    // SAFETY: the tile has two halves of that many super-blocks, and the tokens are there.
    unsafe {
        let seen = output.fetch::<GROUP>(token, tokens, row);
        for half in 0..2 {
            let mut sums = [[V::zero(); 2]; FOUR];
            let mut w = tile.add(half * supers * (HEADER + BLOCKS * count * part));
            let mut a = x.quantized(token);
            for _ in 0..supers {
                let header = w;
                w = w.add(HEADER);
                let mut scaled = [[V::zero(); 2]; FOUR];
                let start = a;
                for _ in 0..BLOCKS {
                    let meta = a.add(16 * x.pieces);
                    let behind = [0, 16, 32, 48].map(|at| V::load(meta.add(at)));
                    let behind = Behind::new::<HALVES, MIN>(behind, zero);
                    let blocks = block_sums::<D, HALVES, MIN>(w, a, &behind, steps, part);
                    w = w.add(count * part);
                    for (turn, scale) in turns(behind.scale).into_iter().enumerate() {
                        for r in 0..2 {
                            let block = blocks[turn][r].f32_from_i32();
                            scaled[turn][r] = block.madd(scale, scaled[turn][r]);
                        }
                    }
                    a = meta.add(PIECE * META * FOUR);
                }
                let minima = if MIN {
                    tile_minima::<HALVES>(header.add(HEADER), part, start, x.pieces)
                } else {
                    scaled
                };
                for r in 0..2 {
                    let (d, d_min) = (
                        V::load(header.add(16 * r)),
                        V::load(header.add(32 + 16 * r)),
                    );
                    for turn in 0..FOUR {
                        sums[turn][r] = scaled[turn][r].madd(d, sums[turn][r]);
                        if MIN {
                            sums[turn][r] = minima[turn][r].madd(d_min, sums[turn][r]);
                        }
                    }
                }
            }
            let row = row + half * HALF;
            output.write_half(token, tokens, row, sums, V::load(a));
        }
        std::hint::black_box(seen);
    }
}

/// The integer sums of a block, 8 rows by four tokens in turns.
/// # Safety
/// The parts of 8 rows and the activations of four tokens must lie there.
#[inline(always)]
unsafe fn block_sums<D: Dot, const HALVES: bool, const MIN: bool>(
    w: *const u8,
    a: *const u8,
    behind: &Behind,
    steps: usize,
    part: usize,
) -> [[V; 2]; FOUR] {
    let count = 1 + usize::from(HALVES);
    let mut sums = [[V::zero(); 2]; FOUR];
    // SAFETY: the caller's.
    unsafe {
        let scale_of = |at: usize, r: usize| V::load(w.add(at * part + 16 * r));
        let values_of = |at: usize| a.add(32 * D::PIECES * steps * at);
        let quants_of = |at: usize| w.add(at * part + SCALES);
        if D::WIDE {
            for at in 0..count {
                let mut dots = turns(behind.starts[at]).map(|start| [start; 2]);
                let nothing = [V::zero(); 2];
                add_dots::<D>(&mut dots, values_of(at), quants_of(at), steps, nothing);
                for (sums, dots) in sums.iter_mut().zip(dots) {
                    for r in 0..2 {
                        sums[r] = sums[r].add_i32(dots[r].mul_i32(scale_of(at, r)));
                    }
                }
            }
            return sums;
        }
        // The dots are scaled as they are added, so that sums begin with what is taken off.
        if !MIN {
            for at in 0..count {
                for (sums, start) in sums.iter_mut().zip(turns(behind.starts[at])) {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add_i32(start.mul_i32(scale_of(at, r)));
                    }
                }
            }
        }
        for at in 0..count {
            let scales = [0, 1].map(|r| pairs(scale_of(at, r)));
            add_dots::<D>(&mut sums, values_of(at), quants_of(at), steps, scales);
        }
    }
    sums
}

/// Adds the dots of the columns that share a scale, two quartets at a time.
/// # Safety
/// Activations of four tokens and the vectors of 8 rows must lie there.
#[inline(always)]
unsafe fn add_dots<D: Dot>(
    sums: &mut [[V; 2]; FOUR],
    a: *const u8,
    quants: *const u8,
    steps: usize,
    scales: [V; 2],
) {
    let (mut a, mut quants) = (a, quants);
    for _ in 0..steps {
        // SAFETY: the caller's.
        unsafe {
            let load = |p: *const u8, at: usize, step: usize| {
                D::quartet(|piece| V::load(p.add((at * D::PIECES + piece) * step)))
            };
            let mut values = [load(a, 0, 16), load(a, 1, 16)];
            let low = [load(quants, 0, 32), load(quants, 1, 32)];
            let high = [load(quants.add(16), 0, 32), load(quants.add(16), 1, 32)];
            for sums in &mut *sums {
                sums[0] = D::scaled(sums[0], values, low, scales[0]);
                sums[1] = D::scaled(sums[1], values, high, scales[1]);
                values = values.map(D::rotate);
            }
            quants = quants.add(64 * D::PIECES);
            a = a.add(32 * D::PIECES);
        }
    }
}

/// A small integer twice, as i16.
#[inline(always)]
fn pairs(integer: V) -> V {
    integer
        .and(V::splat_i32(0xffff))
        .or(integer.shl_i32::<16>())
}

/// The minima of a super-block, times the sums of what they belong to.
/// # Safety
/// The parts of a half and the blocks of four tokens must lie there.
#[inline(always)]
unsafe fn tile_minima<const HALVES: bool>(
    parts: *const u8,
    part: usize,
    a: *const u8,
    pieces: usize,
) -> [[V; 2]; FOUR] {
    let mut minima = [[V::zero(); 2]; FOUR];
    let (mut w, mut a) = (parts, a);
    for _ in 0..BLOCKS {
        // SAFETY: the caller's.
        unsafe {
            let meta = a.add(16 * pieces);
            let behind = [0, 16, 32, 48].map(|at| V::load(meta.add(at)));
            let behind = Behind::new::<HALVES, true>(behind, V::zero());
            for sums in behind.scaled_sums.into_iter().take(1 + usize::from(HALVES)) {
                let min = [V::load(w.add(32)), V::load(w.add(48))];
                for (minima, sums) in minima.iter_mut().zip(turns(sums)) {
                    minima[0] = min[0].madd(sums, minima[0]);
                    minima[1] = min[1].madd(sums, minima[1]);
                }
                w = w.add(part);
            }
            a = meta.add(PIECE * META * FOUR);
        }
    }
    minima
}
