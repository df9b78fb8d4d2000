//! Attention over a paged cache in its plain form, a row of one head at a time: for what the tiles of [`crate::attention`] do not do,
//! heads whose width is no multiple of 4.

use super::check_pages::Lookup;
use super::{Region, Step};
use crate::attention::{AttentionShape, ByDistance, Part, RelativeBias};
use crate::dtype::DType;
use crate::error::Error;
use crate::program::Counts;
use crate::simd::{f16_to_f32, tanh, SoftmaxExp, Vector, LANES, V};
use std::ops::Range;

pub struct PlainAttention {
    pub lookup: Lookup,
    pub shape: AttentionShape,
    pub q: *const f32,
    pub key_cache: *const u8,
    pub value_cache: *const u8,
    pub by_distance: ByDistance,
    pub output: *mut f32,
}

impl Region for PlainAttention {
    /// A head of a row is a unit.
    fn units(&self, counts: &Counts) -> usize {
        self.lookup.rows.at(counts) * self.shape.heads
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        // At least: how many keys a row sees is not known here.
        self.shape.head_dim as f32 * 10.0
    }

    /// Scores of all keys, and a row of a page as F32.
    fn scratch_bytes(&self) -> usize {
        let keys = self.shape.max_pages * self.shape.page_size;
        let line = self.shape.page_size.max(self.shape.head_dim);
        (keys + line).next_multiple_of(LANES) * 4
    }

    unsafe fn run(&self, _step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        for unit in units {
            // SAFETY: the caller's; an earlier region has checked the indexes.
            unsafe {
                self.attend(
                    unit / self.shape.heads,
                    unit % self.shape.heads,
                    scratch.cast(),
                )
            };
        }
        Ok(())
    }
}

/// Vectors of sums that stay in registers.
const SUMS: usize = 8;
/// Keys, or elements of a value, that they hold.
const BLOCK: usize = SUMS * LANES;

impl PlainAttention {
    /// One head of one row: scores, their softmax, and the sum of the values, each over the keys in order.
    unsafe fn attend(&self, row: usize, head: usize, scratch: *mut f32) {
        let shape = &self.shape;
        let (dim, page_size) = (shape.head_dim, shape.page_size);
        let kv_head = head / (shape.heads / shape.kv_heads);
        // SAFETY: the row is one of the step's; `scratch` is as long as said above; what is seen of the cache has been written.
        unsafe {
            let length = *self.lookup.lengths.add(row) as usize;
            let first = match shape.window {
                0 => 0,
                window => length.saturating_sub(window),
            };
            let line = *self.lookup.sequences.add(row) as usize * shape.max_pages;
            let page_of = |page: usize| {
                let page = *self.lookup.page_table.add(line + page) as usize;
                (page * shape.kv_heads + kv_head) * shape.head_bytes()
            };
            let (scores, wide) = (scratch, scratch.add(shape.max_pages * page_size));
            let at = (row * shape.heads + head) * dim;
            for page in first / page_size..length.div_ceil(page_size) {
                let start = page * page_size;
                let count = page_size.min(length - start);
                self.score(
                    self.q.add(at),
                    page_of(page),
                    count,
                    scores.add(start),
                    wide,
                );
            }
            let position = self.by_distance.position(row, length);
            let total = self.weigh(scores, first..length, head, position);
            let factor = V::splat(if total == 0.0 { 0.0 } else { 1.0 / total });
            let out = self.output.add(at);
            for block in (0..dim).step_by(BLOCK) {
                let (out, width) = (out.add(block), BLOCK.min(dim - block));
                let mut sums = [V::zero(); SUMS];
                for key in first..length {
                    let page = page_of(key / page_size);
                    let values = self.value(page, key % page_size, block, width, wide);
                    let weight = V::splat(*scores.add(key));
                    add_products(values, weight, width, &mut sums);
                }
                for (sum, i) in sums.iter().zip((0..width).step_by(LANES)) {
                    let sum = sum.mul(factor);
                    if i + LANES <= width {
                        sum.store_f32(out.add(i));
                    } else {
                        sum.store_partial(out.add(i), width - i);
                    }
                }
            }
        }
    }

    /// The scores of a page's first `count` keys; what stands behind them up to a multiple of 4 is written too.
    unsafe fn score(
        &self,
        q: *const f32,
        page: usize,
        count: usize,
        scores: *mut f32,
        wide: *mut f32,
    ) {
        let dim = self.shape.head_dim;
        for block in (0..count).step_by(BLOCK) {
            // A page has a multiple of 4 keys, so whole vectors of them are there.
            let width = BLOCK.min((count - block).next_multiple_of(LANES));
            let mut sums = [V::zero(); SUMS];
            // SAFETY: the caller's.
            unsafe {
                for d in 0..dim {
                    let keys = self.keys(page, d, block, width, wide);
                    let q = V::splat(*q.add(d) * self.shape.scale);
                    add_products(keys, q, width, &mut sums);
                }
                for (sum, i) in sums.iter().zip((0..width).step_by(LANES)) {
                    sum.store_f32(scores.add(block + i));
                }
            }
        }
    }

    /// Channel `d` of `count` keys of a page as F32, where they stand or widened to `wide`.
    unsafe fn keys(
        &self,
        page: usize,
        d: usize,
        first: usize,
        count: usize,
        wide: *mut f32,
    ) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            let keys = self.key_cache.add(page);
            let Some(quants) = self.shape.quants() else {
                return self.line(keys, d * self.shape.page_size + first, count, wide);
            };
            for i in 0..count {
                let key = quants.get(keys, Part::Keys, first + i, d);
                wide.add(i).write(key);
            }
        }
        wide
    }

    /// `count` channels of a value of a page, as [`PlainAttention::keys`].
    unsafe fn value(
        &self,
        page: usize,
        place: usize,
        first: usize,
        count: usize,
        wide: *mut f32,
    ) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            let values = self.value_cache.add(page);
            let Some(quants) = self.shape.quants() else {
                return self.line(values, place * self.shape.head_dim + first, count, wide);
            };
            for i in 0..count {
                let value = quants.get(values, Part::Values, place, first + i);
                wide.add(i).write(value);
            }
        }
        wide
    }

    /// Elements of F32 or F16 as F32, where they stand or widened to `wide`.
    unsafe fn line(&self, head: *const u8, at: usize, count: usize, wide: *mut f32) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            if self.shape.kv_dtype == DType::F32 {
                return head.cast::<f32>().add(at);
            }
            let half = head.cast::<u16>().add(at);
            for i in 0..count {
                wide.add(i).write(f16_to_f32(*half.add(i)));
            }
        }
        wide
    }

    /// Turns the scores of the keys to weights relative to the greatest; gives their sum.
    unsafe fn weigh(
        &self,
        scores: *mut f32,
        keys: Range<usize>,
        head: usize,
        position: i32,
    ) -> f32 {
        let softcap = self.shape.softcap;
        // SAFETY: the caller's; a table has a line for each distance, and a slope for each head.
        unsafe {
            let slope = self
                .by_distance
                .slopes
                .map_or(0.0, |slopes| *slopes.add(head));
            let mut greatest = f32::NEG_INFINITY;
            for key in keys.clone() {
                let mut score = *scores.add(key);
                if softcap != 0.0 {
                    let bent = tanh(V::splat(score / softcap)).lanes()[0];
                    score = softcap * bent;
                }
                let distance = key as i32 - position;
                if let Some(RelativeBias { table, farthest }) = self.by_distance.bias {
                    let farthest = farthest as i32;
                    let line = (distance.clamp(-farthest, farthest) + farthest) as usize;
                    score += *table.add(line * self.shape.heads + head);
                }
                score += slope * distance as f32;
                greatest = greatest.max(score);
                *scores.add(key) = score;
            }
            let exp = SoftmaxExp::new();
            let mut total = 0.0;
            for key in keys {
                let weight = exp.of(V::splat(*scores.add(key) - greatest)).lanes()[0];
                total += weight;
                *scores.add(key) = weight;
            }
            total
        }
    }
}

/// `sums[i] += x[i] * factor` for `width` elements, at most [`BLOCK`] of them.
#[inline(always)]
unsafe fn add_products(x: *const f32, factor: V, width: usize, sums: &mut [V; SUMS]) {
    // SAFETY: the caller's.
    unsafe {
        if width == BLOCK {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = V::load_f32(x.add(i * LANES)).madd(factor, *sum);
            }
            return;
        }
        for (sum, i) in sums.iter_mut().zip((0..width).step_by(LANES)) {
            let part = LANES.min(width - i);
            *sum = V::load_partial(x.add(i), part).madd(factor, *sum);
        }
    }
}
