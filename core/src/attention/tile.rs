//! The two products of a tile of keys, for up to four queries.
//!
//! Three or four queries go together in turns: in turn `t`, lane `i` of a vector is key (or dimension) `i` by query `(i + t) % 4`,
//! so that one load brings a number of each query where splats would take four. Fewer queries are splat. Either way a score sums
//! over the dimensions in order, and a value over the keys in order: the bits are the same.

// Loops over registers count, as the formulas do.
#![allow(clippy::needless_range_loop)]

use super::TILE_KEYS;
use crate::simd::{Vector, LANES, V};
use std::ops::Range;

/// Queries of a tile's products.
pub(super) const FOUR: usize = 4;

/// Whether so many queries are taken in turns.
pub(super) fn in_turns(queries: usize) -> bool {
    queries > 2
}

/// The scores `q[query] . keys[key]` for `count` keys, rounded up to a multiple of 4: `[TILE_KEYS, 4]` where the queries are in turns,
/// and else `[queries, TILE_KEYS]`.
/// # Safety
/// `q` is `[dim, 4]`, `keys` is `[dim, stride]`.
pub(super) unsafe fn scores(
    q: *const f32,
    queries: usize,
    keys: *const f32,
    stride: usize,
    count: usize,
    dim: usize,
    scores: *mut f32,
) {
    let mut key = 0;
    while key < count {
        let left = (count - key).div_ceil(LANES);
        // SAFETY: the caller's.
        key += LANES
            * unsafe {
                let keys = keys.add(key);
                let (few, four) = (scores.add(key), scores.add(key * FOUR));
                match (queries, left) {
                    (1, 4..) => scores_splat::<1, 4>(q, keys, stride, dim, few),
                    (1, _) => scores_splat::<1, 1>(q, keys, stride, dim, few),
                    (2, 4..) => scores_splat::<2, 4>(q, keys, stride, dim, few),
                    (2, _) => scores_splat::<2, 1>(q, keys, stride, dim, few),
                    (_, 1) => scores_in_turns::<1>(q, keys, stride, dim, four),
                    _ => scores_in_turns::<2>(q, keys, stride, dim, four),
                }
            };
    }
}

/// Returns the vectors of keys that it took.
#[inline(never)] // V8 gives a small function's loop its registers
unsafe fn scores_splat<const Q: usize, const N: usize>(
    q: *const f32,
    keys: *const f32,
    stride: usize,
    dim: usize,
    scores: *mut f32,
) -> usize {
    let mut dots = [[V::zero(); N]; Q];
    // SAFETY: the caller's.
    unsafe {
        let (mut q, mut keys) = (q, keys);
        for _ in 0..dim {
            let splat: [V; Q] = std::array::from_fn(|t| V::load32_splat(q.add(t).cast()));
            for j in 0..N {
                let key = V::load_f32(keys.add(j * LANES));
                for t in 0..Q {
                    dots[t][j] = key.madd(splat[t], dots[t][j]);
                }
            }
            q = q.add(FOUR);
            keys = keys.add(stride);
        }
        for t in 0..Q {
            for j in 0..N {
                dots[t][j].store_f32(scores.add(t * TILE_KEYS + j * LANES));
            }
        }
    }
    N
}

#[inline(never)] // as above
unsafe fn scores_in_turns<const N: usize>(
    q: *const f32,
    keys: *const f32,
    stride: usize,
    dim: usize,
    scores: *mut f32,
) -> usize {
    let mut dots = [[V::zero(); FOUR]; N];
    // SAFETY: the caller's.
    unsafe {
        let (mut q, mut keys) = (q, keys);
        for _ in 0..dim {
            let mut turning = V::load_f32(q);
            let key: [V; N] = std::array::from_fn(|j| V::load_f32(keys.add(j * LANES)));
            for turn in 0..FOUR {
                for j in 0..N {
                    dots[j][turn] = key[j].madd(turning, dots[j][turn]);
                }
                turning = turning.rotate();
            }
            q = q.add(FOUR);
            keys = keys.add(stride);
        }
        for (j, dots) in dots.into_iter().enumerate() {
            let by_query = std::array::from_fn(|t| V::of_turns(dots, t));
            for (key, scored) in V::transpose(by_query).into_iter().enumerate() {
                scored.store_f32(scores.add((j * LANES + key) * FOUR));
            }
        }
    }
    N
}

/// `sums[query] = sums[query] * decay[query] + weights[query] . values` over the keys that are seen.
/// # Safety
/// `weights` are as [`scores`] has them, `values` is `[seen.end, dim]`; `sums` is `[dim / 4, turn, 4]` where the queries are in turns,
/// and else `[dim / 4, query, 4]`.
pub(super) unsafe fn sums(
    weights: *const f32,
    queries: usize,
    decay: V,
    values: *const f32,
    seen: Range<usize>,
    dim: usize,
    sums: *mut f32,
) {
    let mut d = 0;
    while d < dim {
        let left = (dim - d) / LANES;
        // SAFETY: the caller's.
        d += LANES
            * unsafe {
                let values = values.add(seen.start * dim + d);
                let (few, four) = (weights.add(seen.start), weights.add(seen.start * FOUR));
                let (sums, count) = (sums.add(d * FOUR), seen.len());
                match (queries, left) {
                    (1, 4..) => sums_splat::<1, 4>(few, decay, values, count, dim, sums),
                    (1, _) => sums_splat::<1, 1>(few, decay, values, count, dim, sums),
                    (2, 4..) => sums_splat::<2, 4>(few, decay, values, count, dim, sums),
                    (2, _) => sums_splat::<2, 1>(few, decay, values, count, dim, sums),
                    (_, 1) => sums_in_turns::<1>(four, decay, values, count, dim, sums),
                    _ => sums_in_turns::<2>(four, decay, values, count, dim, sums),
                }
            };
    }
}

/// Returns the vectors of dimensions that it took.
#[inline(never)] // as above
unsafe fn sums_splat<const Q: usize, const N: usize>(
    weights: *const f32,
    decay: V,
    values: *const f32,
    count: usize,
    dim: usize,
    sums: *mut f32,
) -> usize {
    // SAFETY: the caller's.
    unsafe {
        let place = |t: usize, j: usize| sums.add((j * FOUR + t) * LANES);
        let mut acc: [[V; N]; Q] = std::array::from_fn(|t| {
            std::array::from_fn(|j| V::load_f32(place(t, j)).mul(V::splat(decay.lanes()[t])))
        });
        let (mut weights, mut values) = (weights, values);
        for _ in 0..count {
            let weight: [V; Q] =
                std::array::from_fn(|t| V::load32_splat(weights.add(t * TILE_KEYS).cast()));
            for j in 0..N {
                let value = V::load_f32(values.add(j * LANES));
                for t in 0..Q {
                    acc[t][j] = value.madd(weight[t], acc[t][j]);
                }
            }
            weights = weights.add(1);
            values = values.add(dim);
        }
        for t in 0..Q {
            for j in 0..N {
                acc[t][j].store_f32(place(t, j));
            }
        }
    }
    N
}

#[inline(never)] // as above
unsafe fn sums_in_turns<const N: usize>(
    weights: *const f32,
    decay: V,
    values: *const f32,
    count: usize,
    dim: usize,
    sums: *mut f32,
) -> usize {
    let mut acc = [[V::zero(); FOUR]; N];
    // SAFETY: the caller's.
    unsafe {
        let place = |turn: usize, j: usize| sums.add((j * FOUR + turn) * LANES);
        let mut decay = decay;
        for turn in 0..FOUR {
            for (j, acc) in acc.iter_mut().enumerate() {
                acc[turn] = V::load_f32(place(turn, j)).mul(decay);
            }
            decay = decay.rotate();
        }
        let (mut weights, mut values) = (weights, values);
        for _ in 0..count {
            let mut weight = V::load_f32(weights);
            let value: [V; N] = std::array::from_fn(|j| V::load_f32(values.add(j * LANES)));
            for turn in 0..FOUR {
                for j in 0..N {
                    acc[j][turn] = value[j].madd(weight, acc[j][turn]);
                }
                weight = weight.rotate();
            }
            weights = weights.add(FOUR);
            values = values.add(dim);
        }
        for (j, acc) in acc.into_iter().enumerate() {
            for (turn, acc) in acc.into_iter().enumerate() {
                acc.store_f32(place(turn, j));
            }
        }
    }
    N
}
