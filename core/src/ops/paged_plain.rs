//! Attention over a paged cache in its plain form, a row of one head at a time: for what the tiles of [`crate::attention`] do not do,
//! a relative bias and heads whose width is no multiple of 4.

use super::lanes::{map2, Each, Same};
use super::paged::Lookup;
use super::{Operands, Region, Step};
use crate::attention::AttentionShape;
use crate::dtype::DType;
use crate::error::Error;
use crate::program::{Counts, Lead};
use crate::simd::{f16_to_f32, tanh, Exp, Vector, LANES, V};
use std::ops::Range;

/// A bias by distance: `[2 * farthest + 1, heads]`, whose ends stand for all that lies beyond.
#[derive(Clone, Copy)]
pub struct RelativeBias {
    table: *const f32,
    farthest: usize,
}

impl RelativeBias {
    /// The input at `position`, where there is one.
    pub fn new(
        operands: &Operands,
        position: usize,
        heads: usize,
    ) -> Result<Option<RelativeBias>, Error> {
        let Some(bias) = operands.optional(position, DType::F32)? else {
            return Ok(None);
        };
        let fits = bias.shape.lead == Lead::Fixed
            && matches!(bias.shape.dims[..], [distances, columns] if distances % 2 == 1 && columns == heads);
        operands.check(fits, "a relative bias must be [an odd number, heads]")?;
        Ok(Some(RelativeBias {
            table: bias.f32(),
            farthest: bias.shape.dims[0] / 2,
        }))
    }
}

pub struct PlainAttention {
    pub lookup: Lookup,
    pub shape: AttentionShape,
    pub q: *const f32,
    pub key_cache: *const u8,
    pub value_cache: *const u8,
    pub slopes: Option<*const f32>,
    pub bias: Option<RelativeBias>,
    /// Where each row stands among the keys; at the last one that it sees where there are none.
    pub positions: Option<*const i32>,
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
                (page * shape.kv_heads + kv_head) * page_size * dim
            };
            let (scores, wide) = (scratch, scratch.add(shape.max_pages * page_size));
            let at = (row * shape.heads + head) * dim;
            let pages = first / page_size..length.div_ceil(page_size);
            for page in pages.clone() {
                let count = page_size.min(length - page * page_size);
                let scores = scores.add(page * page_size);
                map2(Same(0.0), Same(0.0), scores, count, |zero, _| zero);
                for d in 0..dim {
                    let keys = page_of(page) + d * page_size;
                    let keys = Each(self.line(self.key_cache, keys, count, wide));
                    let q = V::splat(*self.q.add(at + d) * shape.scale);
                    map2(keys, Each(scores), scores, count, |key, sum| {
                        q.madd(key, sum)
                    });
                }
            }
            let position = match self.positions {
                Some(positions) => *positions.add(row),
                None => length as i32 - 1,
            };
            let total = self.weigh(scores, first..length, head, position);
            let out = self.output.add(at);
            map2(Same(0.0), Same(0.0), out, dim, |zero, _| zero);
            for page in pages {
                let start = page * page_size;
                for key in first.max(start)..length.min(start + page_size) {
                    let values = page_of(page) + (key - start) * dim;
                    let values = Each(self.line(self.value_cache, values, dim, wide));
                    let weight = V::splat(*scores.add(key));
                    map2(values, Each(out), out, dim, |value, sum| {
                        weight.madd(value, sum)
                    });
                }
            }
            let factor = V::splat(if total == 0.0 { 0.0 } else { 1.0 / total });
            map2(Each(out), Same(0.0), out, dim, |sum, _| sum.mul(factor));
        }
    }

    /// Elements of a cache as F32, where they stand or widened to `wide`.
    unsafe fn line(&self, cache: *const u8, at: usize, count: usize, wide: *mut f32) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            if self.shape.kv_dtype == DType::F32 {
                return cache.cast::<f32>().add(at);
            }
            let half = cache.cast::<u16>().add(at);
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
            let slope = self.slopes.map_or(0.0, |slopes| *slopes.add(head));
            let mut greatest = f32::NEG_INFINITY;
            for key in keys.clone() {
                let mut score = *scores.add(key);
                if softcap != 0.0 {
                    let bent = tanh(V::splat(score / softcap)).lanes()[0];
                    score = softcap * bent;
                }
                let distance = key as i32 - position;
                if let Some(RelativeBias { table, farthest }) = self.bias {
                    let farthest = farthest as i32;
                    let line = (distance.clamp(-farthest, farthest) + farthest) as usize;
                    score += *table.add(line * self.shape.heads + head);
                }
                score += slope * distance as f32;
                greatest = greatest.max(score);
                *scores.add(key) = score;
            }
            let exp = Exp::new();
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
