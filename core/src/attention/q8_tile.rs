//! The two products of a tile of a Q8 cache, in integers.
//!
//! Queries and weights are rounded to 16 bits, relative to the greatest of each query and of its weights in the tile: 2^-16 of it at
//! most, where a quant's own rounding is 2^-8. Sums of 32 products are exact, so that a row has the same bits however many go with it.

// Loops over registers count, as the formulas do.
#![allow(clippy::needless_range_loop)]

use super::q8::BLOCK;
use super::tile::FOUR;
use super::TILE_KEYS;
use crate::simd::{Vector, WidenF16, LANES, ROUND, V};
use std::ops::Range;

/// The greatest integer: 32 products with a quant fit i32.
const MOST: f32 = 32767.0;

/// Some keys and values of a head, laid out as [`super::q8`] has them, and their scales as F32, `[width / 32, TILE_KEYS]`.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) keys: *const u8,
    pub(super) key_scales: *const f32,
    pub(super) values: *const u8,
    pub(super) value_scales: *const f32,
    pub(super) page_size: usize,
    pub(super) width: usize,
}

/// Widens the scales of `count` tokens, rounded up to a multiple of 4, `page_size` apart from block to block.
/// # Safety
/// They must be there, and `to` must have room for TILE_KEYS of each block.
#[inline(never)] // V8 gives a small function's loop its registers
pub(super) unsafe fn widen_scales(
    scales: *const u8,
    page_size: usize,
    blocks: usize,
    count: usize,
    to: *mut f32,
) {
    let widen = WidenF16::new();
    for block in 0..blocks {
        for token in (0..count).step_by(LANES) {
            // SAFETY: the caller's.
            unsafe {
                let scale = V::load_i16x4(scales.add((block * page_size + token) * 2));
                let to = to.add(block * TILE_KEYS + token);
                widen.of(scale).store_f32(to);
            }
        }
    }
}

/// Rounds queries `[dim, 4]` to integers `[dim / 2, 4, 2]` in the same place; gives what the integers are to be multiplied by.
/// # Safety
/// They must be there.
pub(super) unsafe fn narrow_queries(q: *mut f32, dim: usize) -> V {
    let mut greatest = V::zero();
    for d in 0..dim {
        // SAFETY: the caller's.
        greatest = greatest.max(unsafe { V::load_f32(q.add(d * FOUR)) }.abs());
    }
    let inverse = inverse_of(greatest);
    for d in (0..dim).step_by(2) {
        // SAFETY: the caller's; what is written has been read.
        unsafe {
            let low = integers(V::load_f32(q.add(d * FOUR)).mul(inverse));
            let high = integers(V::load_f32(q.add((d + 1) * FOUR)).mul(inverse));
            let pair = low.and(V::splat_i32(0xffff)).or(high.shl_i32::<16>());
            pair.store_f32(q.add(d / 2 * FOUR));
        }
    }
    greatest.mul(V::splat(1.0 / MOST))
}

fn inverse_of(greatest: V) -> V {
    let none = greatest.eq(V::zero());
    V::select(none, V::zero(), V::splat(MOST).div(greatest))
}

/// To nearest, half to even.
#[inline(always)]
fn integers(x: V) -> V {
    x.add(V::splat(ROUND)).sub_i32(V::splat(ROUND))
}

/// The scores `q[query] . keys[key]` for `count` keys, rounded up to a multiple of 4: `[queries, TILE_KEYS]`.
/// # Safety
/// `q` and `factors` are as [`narrow_queries`] has them, and the tile has those keys.
pub(super) unsafe fn scores(
    q: *const f32,
    factors: V,
    queries: usize,
    tile: &Tile,
    count: usize,
    dim: usize,
    scores: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        match queries {
            1 => scores_of::<1>(q, factors, tile, count, dim, scores),
            2 => scores_of::<2>(q, factors, tile, count, dim, scores),
            3 => scores_of::<3>(q, factors, tile, count, dim, scores),
            _ => scores_of::<4>(q, factors, tile, count, dim, scores),
        }
    }
}

unsafe fn scores_of<const Q: usize>(
    q: *const f32,
    factors: V,
    tile: &Tile,
    count: usize,
    dim: usize,
    scores: *mut f32,
) {
    for (block, first) in (0..dim).step_by(BLOCK).enumerate() {
        let pairs = BLOCK.min(dim - first) / 2;
        let mut key = 0;
        while key < count {
            // SAFETY: the caller's.
            unsafe {
                let q = q.add(first / 2 * FOUR);
                let keys = tile.keys.add((first / 2 * tile.page_size + key) * 2);
                let scales = tile.key_scales.add(block * TILE_KEYS + key);
                let (to, line) = (scores.add(key), tile.page_size);
                let fresh = block == 0;
                key += if count - key > LANES {
                    block_scores::<Q, 2>(q, keys, line, pairs, scales, fresh, to)
                } else {
                    block_scores::<Q, 1>(q, keys, line, pairs, scales, fresh, to)
                };
            }
        }
    }
    for (t, factor) in factors.lanes().into_iter().enumerate().take(Q) {
        for key in (0..count).step_by(LANES) {
            // SAFETY: the caller's.
            unsafe {
                let at = scores.add(t * TILE_KEYS + key);
                V::load_f32(at).mul(V::splat(factor)).store_f32(at);
            }
        }
    }
}

/// What a block of channels adds to the scores; returns the keys that it took.
#[inline(never)] // as above
unsafe fn block_scores<const Q: usize, const N: usize>(
    q: *const f32,
    keys: *const u8,
    page_size: usize,
    pairs: usize,
    scales: *const f32,
    fresh: bool,
    scores: *mut f32,
) -> usize {
    let mut dots = [[V::zero(); N]; Q];
    // SAFETY: the caller's.
    unsafe {
        let (mut q, mut keys) = (q, keys);
        for _ in 0..pairs {
            let key: [V; N] = std::array::from_fn(|j| V::load_i8x8(keys.add(j * 2 * LANES)));
            for t in 0..Q {
                let query = V::load32_splat(q.add(t).cast());
                for j in 0..N {
                    dots[t][j] = dots[t][j].add_i32(key[j].dot_i16(query));
                }
            }
            q = q.add(FOUR);
            keys = keys.wrapping_add(2 * page_size);
        }
        for j in 0..N {
            let scale = V::load_f32(scales.add(j * LANES));
            for t in 0..Q {
                let at = scores.add(t * TILE_KEYS + j * LANES);
                let score = dots[t][j].f32_from_i32();
                let before = if fresh { V::zero() } else { V::load_f32(at) };
                score.madd(scale, before).store_f32(at);
            }
        }
    }
    N * LANES
}

/// `sums[query] = sums[query] * decay[query] + weights[query] . values` over the keys that are seen: `[dim / 4, query, 4]`.
/// # Safety
/// `weights` is `[queries, TILE_KEYS]` and zero for a key that its query does not see; `narrow` has room for as many i16.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn sums(
    weights: *const f32,
    queries: usize,
    decay: V,
    tile: &Tile,
    seen: Range<usize>,
    dim: usize,
    narrow: *mut u8,
    sums: *mut f32,
) {
    // Whole vectors of weights, so whole pairs.
    let seen = seen.start / LANES * LANES..seen.end.next_multiple_of(LANES);
    let decay = decay.lanes();
    for (block, first) in (0..dim).step_by(BLOCK).enumerate() {
        let mut factors = [0.0; LANES];
        // SAFETY: the caller's.
        unsafe {
            let scales = tile.value_scales.add(block * TILE_KEYS);
            for (t, factor) in factors.iter_mut().enumerate().take(queries) {
                let (weights, to) = (weights.add(t * TILE_KEYS), narrow.add(t * 2 * TILE_KEYS));
                *factor = narrow_weights(weights, scales, seen.clone(), to);
            }
            let mut d = first;
            let end = dim.min(first + BLOCK);
            while d < end {
                let values = tile.values.add(seen.start * tile.width + 2 * d);
                let narrow = narrow.add(2 * seen.start);
                let (pairs, to, line) = (seen.len() / 2, sums.add(d * FOUR), tile.width);
                d += match (queries, end - d > LANES) {
                    (1, true) => sums_of::<1, 2>(narrow, &factors, &decay, values, line, pairs, to),
                    (1, _) => sums_of::<1, 1>(narrow, &factors, &decay, values, line, pairs, to),
                    (2, true) => sums_of::<2, 2>(narrow, &factors, &decay, values, line, pairs, to),
                    (2, _) => sums_of::<2, 1>(narrow, &factors, &decay, values, line, pairs, to),
                    (3, true) => sums_of::<3, 2>(narrow, &factors, &decay, values, line, pairs, to),
                    (3, _) => sums_of::<3, 1>(narrow, &factors, &decay, values, line, pairs, to),
                    (_, true) => sums_of::<4, 2>(narrow, &factors, &decay, values, line, pairs, to),
                    (_, _) => sums_of::<4, 1>(narrow, &factors, &decay, values, line, pairs, to),
                };
            }
        }
    }
}

/// Rounds a query's weights times the values' scales to i16; gives what they are to be multiplied by.
/// # Safety
/// The weights and scales must be there, and `to` writable for as many i16.
#[inline(never)] // as above
unsafe fn narrow_weights(
    weights: *const f32,
    scales: *const f32,
    seen: Range<usize>,
    to: *mut u8,
) -> f32 {
    // SAFETY: the caller's.
    let product =
        |key: usize| unsafe { V::load_f32(weights.add(key)).mul(V::load_f32(scales.add(key))) };
    let mut greatest = V::zero();
    for key in seen.clone().step_by(LANES) {
        greatest = greatest.max(product(key));
    }
    let greatest = greatest.max_lane();
    let inverse = inverse_of(V::splat(greatest));
    for key in seen.step_by(LANES) {
        let whole = integers(product(key).mul(inverse));
        let [low, high, ..] = whole.narrow_i32(whole).lanes();
        // SAFETY: the caller's.
        unsafe {
            let to = to.add(2 * key).cast::<u32>();
            to.write_unaligned(low.to_bits());
            to.add(1).write_unaligned(high.to_bits());
        }
    }
    greatest * (1.0 / MOST)
}

/// Returns the dimensions that it took.
#[inline(never)] // as above
unsafe fn sums_of<const Q: usize, const N: usize>(
    weights: *const u8,
    factors: &[f32; LANES],
    decay: &[f32; LANES],
    values: *const u8,
    width: usize,
    pairs: usize,
    sums: *mut f32,
) -> usize {
    let mut dots = [[V::zero(); N]; Q];
    // SAFETY: the caller's.
    unsafe {
        let (mut weights, mut values) = (weights, values);
        for _ in 0..pairs {
            let value: [V; N] = std::array::from_fn(|j| V::load_i8x8(values.add(j * 2 * LANES)));
            for t in 0..Q {
                let weight = V::load32_splat(weights.add(t * 2 * TILE_KEYS));
                for j in 0..N {
                    dots[t][j] = dots[t][j].add_i32(value[j].dot_i16(weight));
                }
            }
            weights = weights.add(4);
            values = values.wrapping_add(2 * width);
        }
        for t in 0..Q {
            let (factor, decay) = (V::splat(factors[t]), V::splat(decay[t]));
            for j in 0..N {
                let at = sums.add((j * FOUR + t) * LANES);
                let before = V::load_f32(at).mul(decay);
                dots[t][j].f32_from_i32().madd(factor, before).store_f32(at);
            }
        }
    }
    N * LANES
}
