//! Tiles of an F16 cache: their two products for few queries, without a copy of the tile in F32, and the copy for many.
//!
//! F16 bits shifted to their place in F32 stand for the number times 2^-112. Queries and weights are multiplied by 2^112 instead
//! of every key and value: powers of two change no rounding, so the bits are those of [`super::tile`].

// Loops over registers count, as the formulas do.
#![allow(clippy::needless_range_loop)]

use super::ahead::Ahead;
use super::tile::FOUR;
use super::TILE_KEYS;
use crate::simd::{Vector, WidenF16, LANES, V};
use std::ops::Range;

/// Vectors of keys or dimensions that are taken together: a load of F16, those in even places and those in odd ones.
const PAIR: usize = 2;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What the lengths of pages and heads must be multiples of.
pub(super) const STEP: usize = PAIR * LANES;

/// Greatest magnitude of a query that can be multiplied by 2^112.
pub(super) const MOST: f32 = 16384.0;

/// As [`super::tile::scores`] with splat queries: `[queries, TILE_KEYS]`. `q` is multiplied by 2^112.
/// # Safety
/// `q` is `[dim, 4]`, `keys` is `[dim, stride]`; `stride` is a multiple of [`STEP`].
pub(super) unsafe fn scores(
    q: *const f32,
    queries: usize,
    keys: Part,
    stride: usize,
    count: usize,
    dim: usize,
    scores: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        match queries {
            1 => scores_of::<1>(q, keys, stride, count, dim, scores),
            2 => scores_of::<2>(q, keys, stride, count, dim, scores),
            3 => scores_of::<3>(q, keys, stride, count, dim, scores),
            _ => scores_of::<4>(q, keys, stride, count, dim, scores),
        }
    }
}

#[inline(never)] // V8 gives a small function's loop its registers
unsafe fn scores_of<const Q: usize>(
    q: *const f32,
    keys: Part,
    stride: usize,
    count: usize,
    dim: usize,
    scores: *mut f32,
) {
    let widen = WidenF16::new();
    let mut ahead = Ahead::new([keys.ahead]);
    for first in (0..count).step_by(STEP) {
        let mut dots = [[V::zero(); PAIR]; Q];
        // SAFETY: the caller's.
        unsafe {
            let (mut q, mut keys) = (q, keys.at.add(first));
            for _ in 0..dim / LANES {
                ahead.read(LINE);
                for _ in 0..LANES {
                    let key = load(keys, &widen);
                    let queries = V::load_f32(q).lanes();
                    for t in 0..Q {
                        add_products(&mut dots[t], key, queries[t]);
                    }
                    q = q.add(FOUR);
                    keys = keys.wrapping_add(stride);
                }
            }
            for t in 0..Q {
                for (j, in_order) in zip(dots[t]).into_iter().enumerate() {
                    in_order.store_f32(scores.add(t * TILE_KEYS + first + j * LANES));
                }
            }
        }
    }
}

/// As [`super::tile::sums`] with splat weights: `[dim / 4, query, 4]`. The weights are multiplied by 2^112.
/// # Safety
/// `weights` is `[queries, TILE_KEYS]`, `values` is `[seen.end, dim]`; `dim` is a multiple of [`STEP`].
pub(super) unsafe fn sums(
    weights: *const f32,
    queries: usize,
    decay: V,
    values: Part,
    seen: Range<usize>,
    dim: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        match queries {
            1 => sums_of::<1>(weights, decay, values, seen, dim, sums),
            2 => sums_of::<2>(weights, decay, values, seen, dim, sums),
            3 => sums_of::<3>(weights, decay, values, seen, dim, sums),
            _ => sums_of::<4>(weights, decay, values, seen, dim, sums),
        }
    }
}

#[inline(never)] // as above
unsafe fn sums_of<const Q: usize>(
    weights: *const f32,
    decay: V,
    values: Part,
    seen: Range<usize>,
    dim: usize,
    sums: *mut f32,
) {
    let widen = WidenF16::new();
    let mut ahead = Ahead::new([values.ahead]);
    let decay = decay.lanes();
    for d in (0..dim).step_by(STEP) {
        // SAFETY: the caller's.
        unsafe {
            let place = |t: usize, j: usize| sums.add(d * FOUR + (j * FOUR + t) * LANES);
            let mut acc: [[V; PAIR]; Q] = std::array::from_fn(|t| {
                let decay = V::splat(decay[t]);
                unzip([V::load_f32(place(t, 0)), V::load_f32(place(t, 1))]).map(|x| x.mul(decay))
            });
            let mut key = seen.start;
            let mut values = values.at.add(seen.start * dim + d);
            while key + LANES <= seen.end {
                ahead.read(LINE);
                let weights: [[f32; LANES]; Q] =
                    std::array::from_fn(|t| V::load_f32(weights.add(t * TILE_KEYS + key)).lanes());
                for i in 0..LANES {
                    let value = load(values, &widen);
                    for t in 0..Q {
                        add_products(&mut acc[t], value, weights[t][i]);
                    }
                    values = values.wrapping_add(dim);
                }
                key += LANES;
            }
            while key < seen.end {
                let value = load(values, &widen);
                for t in 0..Q {
                    add_products(&mut acc[t], value, *weights.add(t * TILE_KEYS + key));
                }
                values = values.wrapping_add(dim);
                key += 1;
            }
            for t in 0..Q {
                for (j, in_order) in zip(acc[t]).into_iter().enumerate() {
                    in_order.store_f32(place(t, j));
                }
            }
        }
    }
}

/// Keys or values of a tile, and what comes next of them in the cache: as many bytes, which must be readable too.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) at: *const u16,
    pub(super) ahead: *const u8,
}

/// [`STEP`] numbers of the cache, times 2^-112: those in even places, those in odd ones.
#[inline(always)]
unsafe fn load(from: *const u16, widen: &WidenF16) -> [V; PAIR] {
    // SAFETY: the caller's.
    widen.small_pair(unsafe { V::load(from.cast()) })
}

#[inline(always)]
fn add_products(sums: &mut [V; PAIR], x: [V; PAIR], factor: f32) {
    let factor = V::splat(factor);
    for j in 0..PAIR {
        sums[j] = x[j].madd(factor, sums[j]);
    }
}

/// Even and odd places in order.
#[inline(always)]
fn zip([even, odd]: [V; PAIR]) -> [V; PAIR] {
    [even.zip_low(odd), even.zip_high(odd)]
}

/// The inverse of [`zip`].
#[inline(always)]
fn unzip(in_order: [V; PAIR]) -> [V; PAIR] {
    let [a, b] = in_order.map(V::even_odd);
    [a.join_low(b), a.join_high(b)]
}

/// Multiplies `count` F32, rounded up to a multiple of 4, by 2^112.
/// # Safety
/// They must be there.
pub(super) unsafe fn enlarge(x: *mut f32, count: usize) {
    let scale = V::splat(WidenF16::SCALE);
    for i in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe { V::load_f32(x.add(i)).mul(scale).store_f32(x.add(i)) };
    }
}

/// `lines` of F16, `from_stride` bytes apart, to F32, `to_stride` apart; of each the first `count`, rounded up to a multiple of 4.
/// # Safety
/// They must be readable and writable.
pub(super) unsafe fn widen(
    from: *const u8,
    from_stride: usize,
    lines: usize,
    to: *mut f32,
    to_stride: usize,
    count: usize,
) {
    let widen = WidenF16::new();
    let (mut from, mut to) = (from, to);
    for _ in 0..lines {
        for i in (0..count).step_by(LANES) {
            // SAFETY: the caller's.
            unsafe {
                widen
                    .of(V::load_i16x4(from.add(2 * i)))
                    .store_f32(to.add(i));
            }
        }
        // The last lines' successors are not read.
        from = from.wrapping_add(from_stride);
        to = to.wrapping_add(to_stride);
    }
}
