//! Sums of the values of a tile of a quantized cache.
//!
//! Weights times the values' scales are rounded to 16 bits, relative to the greatest of a query's in the tile, and as [`super::scores`]
//! does. The layouts are those of [`crate::attention::tile`].

// Loops over registers count, as the formulas do.
#![allow(clippy::needless_range_loop)]

use super::tile::{inverse_of, pairs, step_of, streams, Quant, Tile, Q16, Q8};
use super::{integers, QuantPage};
use crate::attention::tile::{in_turns, FOUR};
use crate::attention::TILE_KEYS;
use crate::simd::{Vector, LANES, V};
use std::ops::Range;

/// `sums[query] = sums[query] * decay[query] + weights[query] . values` over the keys that are seen.
/// # Safety
/// `weights` are as [`super::scores::scores`] has scores, and zero for a key that its query does not see; `narrow` has room for as many i16.
#[allow(clippy::too_many_arguments)]
pub(in crate::attention) unsafe fn sums(
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
    let block = tile.page.block();
    for first in (0..dim).step_by(block) {
        let scales = tile
            .value_scales
            .wrapping_add(first / block * tile.scale_line);
        // SAFETY: the caller's.
        unsafe {
            let factors = if in_turns(queries) {
                narrow_four(weights, scales, tile.page, seen.clone(), narrow)
            } else {
                let mut factors = [0.0; LANES];
                for (t, factor) in factors.iter_mut().enumerate().take(queries) {
                    let (weights, to) = (weights.add(t * TILE_KEYS), narrow.add(t * 2 * TILE_KEYS));
                    *factor = narrow_one(weights, scales, tile.page, seen.clone(), to);
                }
                V::from_lanes(factors)
            };
            let values = Values {
                narrow,
                factors,
                decay,
                values: tile.values.add(seen.start / 2 * tile.value_line),
                line: tile.value_line,
                pairs: seen.len() / 2,
            };
            let channels = first..dim.min(first + block);
            if tile.page.wide() {
                values.sums::<Q16>(queries, channels, tile, dim, sums);
            } else {
                values.sums::<Q8>(queries, channels, tile, dim, sums);
            }
        }
    }
}

/// Rounds a query's weights times the values' scales to i16; gives what they are to be multiplied by. Those of the first key come first.
/// # Safety
/// The weights and scales must be there, and `to` writable for as many i16.
#[inline(never)] // V8 gives a small function's loop its registers
unsafe fn narrow_one(
    weights: *const f32,
    scales: *const f32,
    page: QuantPage,
    seen: Range<usize>,
    to: *mut u8,
) -> f32 {
    // SAFETY: the caller's.
    let product =
        |key: usize| unsafe { V::load_f32(weights.add(key)).mul(V::load_f32(scales.add(key))) };
    let (mut sum, mut greatest) = (V::zero(), V::zero());
    for key in seen.clone().step_by(LANES) {
        let product = product(key);
        sum = sum.add(product);
        greatest = greatest.max(product);
    }
    let [greatest, sum] = [greatest.max_lane(), sum.sum()].map(V::splat);
    let step = step_of(greatest, sum, page, TILE_KEYS);
    let inverse = inverse_of(step);
    let mut to = to.cast::<u32>();
    for key in seen.step_by(LANES) {
        let whole = integers(product(key).mul(inverse));
        let [low, high, ..] = whole.narrow_i32(whole).lanes();
        // SAFETY: the caller's.
        unsafe {
            to.write_unaligned(low.to_bits());
            to.add(1).write_unaligned(high.to_bits());
            to = to.add(2);
        }
    }
    step.lanes()[0]
}

/// As [`narrow_one`], for the weights `[keys, 4]` of four queries: to `[keys / 2, 4, 2]`.
/// # Safety
/// As there.
#[inline(never)] // as above
unsafe fn narrow_four(
    weights: *const f32,
    scales: *const f32,
    page: QuantPage,
    seen: Range<usize>,
    to: *mut u8,
) -> V {
    // SAFETY: the caller's.
    let product = |key: usize| unsafe {
        let scale = V::load32_splat(scales.add(key).cast());
        V::load_f32(weights.add(key * FOUR)).mul(scale)
    };
    // The same order as in a vector's sum.
    let (mut sums, mut greatest) = ([V::zero(); LANES], V::zero());
    for key in seen.clone().step_by(LANES) {
        for i in 0..LANES {
            let product = product(key + i);
            sums[i] = sums[i].add(product);
            greatest = greatest.max(product);
        }
    }
    let [a, b, c, d] = sums;
    let step = step_of(greatest, a.add(c).add(b.add(d)), page, TILE_KEYS);
    let inverse = inverse_of(step);
    let mut to = to.cast::<f32>();
    for key in seen.step_by(2) {
        let [low, high] = [key, key + 1].map(|key| integers(product(key).mul(inverse)));
        // SAFETY: the caller's.
        unsafe {
            pairs(low, high).store_f32(to);
            to = to.add(LANES);
        }
    }
    step
}

/// What the sums of a block of channels are made of.
struct Values {
    narrow: *const u8,
    factors: V,
    decay: V,
    values: *const u8,
    /// Bytes from a pair of values to the next
    line: usize,
    pairs: usize,
}

impl Values {
    unsafe fn sums<T: Quant>(
        &self,
        queries: usize,
        channels: Range<usize>,
        tile: &Tile,
        dim: usize,
        sums: *mut f32,
    ) {
        let mut d = channels.start;
        while d < channels.end {
            let left = (channels.end - d) / LANES;
            let next = tile.ahead(dim + d);
            // SAFETY: the caller's.
            d += LANES
                * unsafe {
                    let values = self.values.add(2 * T::BYTES * d);
                    let to = sums.add(d * FOUR);
                    match (queries, left) {
                        (1, 4..) => self.splat::<T, 1, 4>(values, next, to),
                        (1, _) => self.splat::<T, 1, 1>(values, next, to),
                        (2, 4..) => self.splat::<T, 2, 4>(values, next, to),
                        (2, _) => self.splat::<T, 2, 1>(values, next, to),
                        (_, 1) => self.in_turns::<T, 1, true>(values, next, to),
                        _ if next.is_some() => self.in_turns::<T, 2, true>(values, next, to),
                        _ => self.in_turns::<T, 2, false>(values, next, to),
                    }
                };
        }
    }

    /// Returns the vectors of channels that it took.
    #[inline(never)] // as above
    unsafe fn splat<T: Quant, const Q: usize, const N: usize>(
        &self,
        values: *const u8,
        next: Option<[*const u8; 2]>,
        sums: *mut f32,
    ) -> usize {
        let mut dots = [[V::zero(); N]; Q];
        let mut ahead = streams(next, values, 0);
        // SAFETY: the caller's.
        unsafe {
            let (mut weights, mut values) = (self.narrow, values);
            for _ in 0..self.pairs {
                ahead.read(N * 8 * T::BYTES);
                let value: [V; N] = std::array::from_fn(|j| T::load(values.add(j * 8 * T::BYTES)));
                for t in 0..Q {
                    let weight = V::load32_splat(weights.add(t * 2 * TILE_KEYS));
                    for j in 0..N {
                        dots[t][j] = dots[t][j].add_i32(value[j].dot_i16(weight));
                    }
                }
                weights = weights.add(4);
                values = values.wrapping_add(self.line);
            }
            let (factors, decay) = (self.factors.lanes(), self.decay.lanes());
            for t in 0..Q {
                let (factor, decay) = (V::splat(factors[t]), V::splat(decay[t]));
                for j in 0..N {
                    let at = sums.add((j * FOUR + t) * LANES);
                    let before = V::load_f32(at).mul(decay);
                    let sum = dots[t][j].f32_from_i32().madd(factor, before);
                    sum.store_f32(at);
                }
            }
        }
        N
    }

    /// As [`Values::splat`], for four queries; what is wanted next is read where `AHEAD`.
    #[inline(never)] // as above
    unsafe fn in_turns<T: Quant, const N: usize, const AHEAD: bool>(
        &self,
        values: *const u8,
        next: Option<[*const u8; 2]>,
        sums: *mut f32,
    ) -> usize {
        let mut dots = [[V::zero(); FOUR]; N];
        let mut ahead = streams(next, values, 0);
        // SAFETY: the caller's.
        unsafe {
            let (mut weights, mut values) = (self.narrow, values);
            for _ in 0..self.pairs {
                if AHEAD {
                    ahead.read(N * 8 * T::BYTES);
                }
                let mut weight = V::load(weights);
                let value: [V; N] = std::array::from_fn(|j| T::load(values.add(j * 8 * T::BYTES)));
                for turn in 0..FOUR {
                    for j in 0..N {
                        dots[j][turn] = dots[j][turn].add_i32(value[j].dot_i16(weight));
                    }
                    weight = weight.rotate();
                }
                weights = weights.add(4 * LANES);
                values = values.wrapping_add(self.line);
            }
            let (mut factor, mut decay) = (self.factors, self.decay);
            for turn in 0..FOUR {
                for j in 0..N {
                    let at = sums.add((j * FOUR + turn) * LANES);
                    let before = V::load_f32(at).mul(decay);
                    let sum = dots[j][turn].f32_from_i32().madd(factor, before);
                    sum.store_f32(at);
                }
                (factor, decay) = (factor.rotate(), decay.rotate());
            }
        }
        N
    }
}
