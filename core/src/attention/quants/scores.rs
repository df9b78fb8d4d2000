//! Scores of a tile of a quantized cache.
//!
//! Queries are rounded to 16 bits, relative to the greatest of each, and coarser where a sum of products would not fit i32. The sums are
//! exact, so that a row has the same bits however many go with it. Three or four queries go together in turns, as in
//! [`crate::attention::tile`], which has the same layouts.

// Loops over registers count, as the formulas do.
#![allow(clippy::needless_range_loop)]

use super::tile::{inverse_of, pairs, step_of, streams, Quant, Tile, Q16, Q8};
use super::{integers, QuantPage};
use crate::attention::tile::{in_turns, FOUR};
use crate::attention::TILE_KEYS;
use crate::simd::{Vector, LANES, V};

/// Rounds queries `[dim, 4]` to integers `[dim / 2, 4, 2]` in the same place; gives what the integers are to be multiplied by.
/// # Safety
/// They must be there.
pub(in crate::attention) unsafe fn narrow_queries(q: *mut f32, page: QuantPage, dim: usize) -> V {
    let block = page.block();
    let mut step = V::zero();
    for first in (0..dim).step_by(block) {
        let (mut greatest, mut sum) = (V::zero(), V::zero());
        for d in first..dim.min(first + block) {
            // SAFETY: the caller's.
            let magnitude = unsafe { V::load_f32(q.add(d * FOUR)) }.abs();
            greatest = greatest.max(magnitude);
            sum = sum.add(magnitude);
        }
        step = step.max(step_of(greatest, sum, page, block));
    }
    let inverse = inverse_of(step);
    for d in (0..dim).step_by(2) {
        // SAFETY: the caller's; what is written has been read.
        unsafe {
            let low = integers(V::load_f32(q.add(d * FOUR)).mul(inverse));
            let high = integers(V::load_f32(q.add((d + 1) * FOUR)).mul(inverse));
            pairs(low, high).store_f32(q.add(d / 2 * FOUR));
        }
    }
    step
}

/// The scores `q[query] . keys[key]` for `count` keys, rounded up to a multiple of 4.
/// # Safety
/// `q` and `factors` are as [`narrow_queries`] has them, and the tile has those keys.
pub(in crate::attention) unsafe fn scores(
    q: *const f32,
    factors: V,
    queries: usize,
    tile: &Tile,
    count: usize,
    dim: usize,
    scores: *mut f32,
) {
    let block = tile.page.block();
    // SAFETY: the caller's.
    unsafe {
        for first in (0..dim).step_by(block) {
            let channels = Channels {
                q: q.add(first / 2 * FOUR),
                keys: tile.keys.add(first / 2 * tile.key_line),
                next: tile.ahead(first),
                line: tile.key_line,
                pairs: block.min(dim - first) / 2,
                scales: tile.key_scales.add(first / block * tile.scale_line),
                fresh: first == 0,
            };
            if tile.page.wide() {
                channels.scores::<Q16>(queries, count, scores);
            } else {
                channels.scores::<Q8>(queries, count, scores);
            }
        }
        if in_turns(queries) {
            order_turns(scores, factors, count);
            return;
        }
        for (t, factor) in factors.lanes().into_iter().enumerate().take(queries) {
            let scores = scores.add(t * TILE_KEYS);
            for key in (0..count).step_by(LANES) {
                let at = scores.add(key);
                V::load_f32(at).mul(V::splat(factor)).store_f32(at);
            }
        }
    }
}

/// Brings scores in turns to an order by keys and multiplies them by the factors of their queries.
#[inline(never)] // V8 gives a small function's loop its registers
unsafe fn order_turns(scores: *mut f32, factors: V, count: usize) {
    for key in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe {
            let scores = scores.add(key * FOUR);
            let turns = [0, 1, 2, 3].map(|turn: usize| V::load_f32(scores.add(turn * LANES)));
            let by_query = [0, 1, 2, 3].map(|t| V::of_turns(turns, t));
            for (key, scored) in V::transpose(by_query).into_iter().enumerate() {
                scored.mul(factors).store_f32(scores.add(key * LANES));
            }
        }
    }
}

/// What sums of products stand for, added to what is there before.
#[inline(always)]
unsafe fn add_scaled(dots: V, scale: V, fresh: bool, to: *mut f32) {
    let dots = dots.f32_from_i32();
    // SAFETY: the caller's.
    unsafe {
        if fresh {
            dots.mul(scale).store_f32(to);
        } else {
            dots.madd(scale, V::load_f32(to)).store_f32(to);
        }
    }
}

/// What a block of channels adds to the scores: `[queries, TILE_KEYS]`, or `[TILE_KEYS / 4, turn, 4]`.
struct Channels {
    q: *const f32,
    keys: *const u8,
    next: Option<[*const u8; 2]>,
    /// Bytes from two channels to the next
    line: usize,
    pairs: usize,
    scales: *const f32,
    /// These are the first channels.
    fresh: bool,
}

impl Channels {
    unsafe fn scores<T: Quant>(&self, queries: usize, count: usize, scores: *mut f32) {
        let mut key = 0;
        while key < count {
            let left = (count - key).div_ceil(LANES);
            // SAFETY: the caller's.
            key += LANES
                * unsafe {
                    let (few, four) = (scores.add(key), scores.add(key * FOUR));
                    match (queries, left) {
                        (1, 4..) => self.splat::<T, 1, 4>(key, few),
                        (1, _) => self.splat::<T, 1, 1>(key, few),
                        (2, 4..) => self.splat::<T, 2, 4>(key, few),
                        (2, _) => self.splat::<T, 2, 1>(key, few),
                        (_, 1) => self.in_turns::<T, 1, true>(key, four),
                        _ if self.next.is_some() => self.in_turns::<T, 2, true>(key, four),
                        _ => self.in_turns::<T, 2, false>(key, four),
                    }
                };
        }
    }

    /// Returns the vectors of keys that it took, from `key` on.
    #[inline(never)] // as above
    unsafe fn splat<T: Quant, const Q: usize, const N: usize>(
        &self,
        key: usize,
        scores: *mut f32,
    ) -> usize {
        let mut dots = [[V::zero(); N]; Q];
        let mut ahead = streams(self.next, self.keys, T::BYTES * self.pairs * key);
        // SAFETY: the caller's.
        unsafe {
            let (mut q, mut keys) = (self.q, self.keys.add(2 * T::BYTES * key));
            for _ in 0..self.pairs {
                ahead.read(N * 8 * T::BYTES);
                let key: [V; N] = std::array::from_fn(|j| T::load(keys.add(j * 8 * T::BYTES)));
                for t in 0..Q {
                    let query = V::load32_splat(q.add(t).cast());
                    for j in 0..N {
                        dots[t][j] = dots[t][j].add_i32(key[j].dot_i16(query));
                    }
                }
                q = q.add(FOUR);
                keys = keys.wrapping_add(self.line);
            }
            for j in 0..N {
                let scale = V::load_f32(self.scales.add(key + j * LANES));
                for t in 0..Q {
                    let to = scores.add(t * TILE_KEYS + j * LANES);
                    add_scaled(dots[t][j], scale, self.fresh, to);
                }
            }
        }
        N
    }

    /// As [`Channels::splat`], for four queries; what is wanted next is read where `AHEAD`.
    #[inline(never)] // as above
    unsafe fn in_turns<T: Quant, const N: usize, const AHEAD: bool>(
        &self,
        key: usize,
        scores: *mut f32,
    ) -> usize {
        let mut dots = [[V::zero(); FOUR]; N];
        let mut ahead = streams(self.next, self.keys, T::BYTES * self.pairs * key);
        // SAFETY: the caller's.
        unsafe {
            let (mut q, mut keys) = (self.q, self.keys.add(2 * T::BYTES * key));
            for _ in 0..self.pairs {
                if AHEAD {
                    ahead.read(N * 8 * T::BYTES);
                }
                let mut turning = V::load_f32(q);
                let key: [V; N] = std::array::from_fn(|j| T::load(keys.add(j * 8 * T::BYTES)));
                for turn in 0..FOUR {
                    for j in 0..N {
                        dots[j][turn] = dots[j][turn].add_i32(key[j].dot_i16(turning));
                    }
                    turning = turning.rotate();
                }
                q = q.add(FOUR);
                keys = keys.wrapping_add(self.line);
            }
            for (j, dots) in dots.into_iter().enumerate() {
                let scale = V::load_f32(self.scales.add(key + j * LANES));
                for (turn, dots) in dots.into_iter().enumerate() {
                    let to = scores.add((j * FOUR + turn) * LANES);
                    add_scaled(dots, scale, self.fresh, to);
                }
            }
        }
        N
    }
}
