//! Attention over a paged KV cache, in tiles of keys with a running softmax.
//!
//! Tiles begin at fixed keys, and a row's sums run over its tiles in order: a row has the same bits whatever rows
//! share its call. Within a page the values are `[kv_heads, page_size, head_dim]`, the keys `[kv_heads, head_dim, page_size]`.

mod cache;
#[cfg(test)]
mod tests;
mod tile;

pub use cache::write_kv;

use crate::dtype::DType;
use crate::simd::{tanh, widen_f16, Exp, Vector, LANES, V};
use std::ops::Range;
use tile::FOUR;

/// Keys of a tile; a page's last tile may be shorter.
const TILE_KEYS: usize = 32;

/// Queries (rows times the heads that share a KV head) that go through a tile together.
const QUERIES: usize = 32;

/// What a call of [`paged_attention`] needs to know of the model and the cache.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// A multiple of 4.
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// Scores become `softcap * tanh(score / softcap)`; 0 for none.
    pub softcap: f32,
    /// A row sees only its last `window` keys; 0 for all.
    pub window: usize,
    /// Keys of a page, a multiple of 4.
    pub page_size: usize,
    /// Entries of a sequence in the page table.
    pub max_pages: usize,
    /// F32 or F16.
    pub kv_dtype: DType,
}

impl AttentionShape {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Rows that go through a tile together.
    fn chunk(&self) -> usize {
        (QUERIES / self.group()).max(1)
    }

    fn queries(&self) -> usize {
        self.chunk() * self.group()
    }

    /// Scratch of a call, in bytes, 16-byte aligned; one for each thread.
    pub fn scratch_bytes(&self) -> usize {
        let queries = self.queries().next_multiple_of(FOUR);
        (queries * (2 * self.head_dim + LANES)
            + 2 * FOUR * TILE_KEYS
            + 2 * TILE_KEYS * self.head_dim)
            * 4
    }

    /// Bytes of an element of the cache.
    fn kv_bytes(&self) -> usize {
        self.kv_dtype.block().1
    }

    /// First key that a row with `length` keys sees.
    fn first(&self, length: usize) -> usize {
        if self.window == 0 {
            0
        } else {
            length.saturating_sub(self.window)
        }
    }
}

/// Softmax attention of `rows` for the heads of `kv_heads`.
///
/// Row `r`, of sequence `sequences[r]`, sees the keys `0..lengths[r]` of the cache, or the last `window` of them.
/// Key `i` of sequence `s` lies in page `page_table[s * max_pages + i / page_size]`. With `slopes` (one a head, ALiBi) a score
/// gains `slope * (key - (length - 1))`. A row of length 0 gets zeros.
/// `q` and `out` are `[rows, heads * head_dim]`. Rows of one sequence that follow each other share the reading of its cache.
///
/// # Safety
/// Every pointer must be valid for what is said above, `scratch` for [`AttentionShape::scratch_bytes`], and the keys and values that
/// rows see must have been written.
#[allow(clippy::too_many_arguments)]
pub unsafe fn paged_attention(
    q: *const f32,
    k: *const u8,
    v: *const u8,
    lengths: *const i32,
    sequences: *const i32,
    page_table: *const i32,
    slopes: Option<*const f32>,
    shape: &AttentionShape,
    rows: Range<usize>,
    kv_heads: Range<usize>,
    scratch: *mut u8,
    out: *mut f32,
) {
    debug_assert!(
        shape.head_dim.is_multiple_of(LANES)
            && shape.page_size.is_multiple_of(LANES)
            && shape.heads.is_multiple_of(shape.kv_heads)
    );
    debug_assert!(matches!(shape.kv_dtype, DType::F32 | DType::F16));
    let mut row = rows.start;
    while row < rows.end {
        // SAFETY: the caller's.
        unsafe {
            let sequence = *sequences.add(row);
            let mut end = row + 1;
            while end < rows.end && end - row < shape.chunk() && *sequences.add(end) == sequence {
                end += 1;
            }
            let pages = page_table.add(sequence as usize * shape.max_pages);
            for kv_head in kv_heads.clone() {
                let mut chunk = Chunk::new(shape, row..end, kv_head, lengths, slopes, scratch);
                chunk.load(q);
                chunk.attend(k, v, pages);
                chunk.store(out);
            }
            row = end;
        }
    }
}

/// Some rows of one sequence, for the heads of one KV head. A query is a row and one of its heads: `row * group + head`.
struct Chunk<'a> {
    shape: &'a AttentionShape,
    rows: Range<usize>,
    kv_head: usize,
    lengths: *const i32,
    slopes: Option<*const f32>,
    /// `[queries / 4, head_dim, 4]`, scaled
    q: *mut f32,
    /// The values' sums, for weights relative to `greatest`, as [`tile::sums`] has them for each four queries
    sums: *mut f32,
    /// `[queries, 4]`: greatest score, sum of weights, factor of the sums so far
    states: *mut [f32; LANES],
    /// `[4, TILE_KEYS]`: scores of four queries, then their weights
    scores: *mut f32,
    /// `[TILE_KEYS, 4]`: the weights
    weights: *mut f32,
    /// `[head_dim, TILE_KEYS]` and `[TILE_KEYS, head_dim]`, for an F16 cache
    wide: [*mut f32; 2],
}

const GREATEST: usize = 0;
const TOTAL: usize = 1;
const DECAY: usize = 2;

impl<'a> Chunk<'a> {
    unsafe fn new(
        shape: &'a AttentionShape,
        rows: Range<usize>,
        kv_head: usize,
        lengths: *const i32,
        slopes: Option<*const f32>,
        scratch: *mut u8,
    ) -> Chunk<'a> {
        let (queries, dim) = (shape.queries().next_multiple_of(FOUR), shape.head_dim);
        // SAFETY: the parts add up to `scratch_bytes`.
        unsafe {
            let q = scratch.cast::<f32>();
            let sums = q.add(queries * dim);
            let states = sums.add(queries * dim);
            let scores = states.add(queries * LANES);
            let weights = scores.add(FOUR * TILE_KEYS);
            let wide = weights.add(FOUR * TILE_KEYS);
            let wide = [wide, wide.add(TILE_KEYS * dim)];
            Chunk {
                shape,
                rows,
                kv_head,
                lengths,
                slopes,
                q,
                sums,
                states: states.cast(),
                scores,
                weights,
                wide,
            }
        }
    }

    fn queries(&self) -> usize {
        self.rows.len() * self.shape.group()
    }

    fn length(&self, row: usize) -> usize {
        // SAFETY: the row is one of the call's.
        unsafe { *self.lengths.add(self.rows.start + row) }.max(0) as usize
    }

    /// Start of a query in `q` and `out` of the call.
    fn offset(&self, query: usize) -> usize {
        let group = self.shape.group();
        let head = self.kv_head * group + query % group;
        ((self.rows.start + query / group) * self.shape.heads + head) * self.shape.head_dim
    }

    unsafe fn load(&mut self, q: *const f32) {
        let dim = self.shape.head_dim;
        let padded = self.queries().next_multiple_of(FOUR);
        // SAFETY: the queries are the call's, the rest its scratch.
        unsafe {
            self.q.write_bytes(0, padded * dim);
            self.sums.write_bytes(0, padded * dim);
            for query in 0..self.queries() {
                let (from, to) = (
                    q.add(self.offset(query)),
                    self.q.add(query / FOUR * FOUR * dim + query % FOUR),
                );
                for d in 0..dim {
                    *to.add(d * FOUR) = *from.add(d) * self.shape.scale;
                }
            }
            for query in 0..padded {
                *self.states.add(query) = [f32::NEG_INFINITY, 0.0, 0.0, 0.0];
            }
        }
    }

    unsafe fn store(&self, out: *mut f32) {
        let dim = self.shape.head_dim;
        for query in 0..self.queries() {
            let (first, t) = (query / FOUR * FOUR, query % FOUR);
            let in_turns = tile::in_turns(self.queries() - first);
            // SAFETY: the query is one of the call's.
            unsafe {
                let total = (*self.states.add(query))[TOTAL];
                let factor = V::splat(if total == 0.0 { 0.0 } else { 1.0 / total });
                for d in (0..dim).step_by(LANES) {
                    let sums = self.sums.add(first * dim + d * FOUR);
                    let turns: [V; FOUR] =
                        std::array::from_fn(|turn| V::load_f32(sums.add(turn * LANES)));
                    let sum = if in_turns {
                        V::of_turns(turns, t)
                    } else {
                        turns[t]
                    };
                    sum.mul(factor).store_f32(out.add(self.offset(query) + d));
                }
            }
        }
    }

    /// Takes every tile that a row sees.
    unsafe fn attend(&mut self, k: *const u8, v: *const u8, pages: *const i32) {
        let shape = self.shape;
        let (page_size, dim, bytes) = (shape.page_size, shape.head_dim, shape.kv_bytes());
        let rows = 0..self.rows.len();
        let first = rows
            .clone()
            .map(|row| shape.first(self.length(row)))
            .min()
            .unwrap_or(0);
        let end = rows.map(|row| self.length(row)).max().unwrap_or(0);
        let mut start = first / page_size * page_size + first % page_size / TILE_KEYS * TILE_KEYS;
        while start < end {
            let count = TILE_KEYS.min(page_size - start % page_size);
            let seen = start.max(first) - start..(end - start).min(count);
            // SAFETY: rows see keys of the tile, so its page is in the table, and its keys are written as far as they are seen.
            unsafe {
                let page = *pages.add(start / page_size) as usize;
                let head = (page * shape.kv_heads + self.kv_head) * page_size * dim;
                let (keys, values) = (
                    k.add((head + start % page_size) * bytes),
                    v.add((head + start % page_size * dim) * bytes),
                );
                if shape.kv_dtype == DType::F16 {
                    for d in 0..dim {
                        widen(
                            keys.add(d * page_size * bytes),
                            seen.end,
                            self.wide[0].add(d * TILE_KEYS),
                        );
                    }
                    widen(values, seen.end * dim, self.wide[1]);
                    self.take(self.wide[0], TILE_KEYS, self.wide[1], start, seen);
                } else {
                    self.take(keys.cast(), page_size, values.cast(), start, seen);
                }
            }
            start += count;
        }
    }

    /// Takes a tile: keys `[head_dim, stride]`, values `[keys, head_dim]`.
    unsafe fn take(
        &mut self,
        keys: *const f32,
        stride: usize,
        values: *const f32,
        start: usize,
        seen: Range<usize>,
    ) {
        let dim = self.shape.head_dim;
        for first in (0..self.queries()).step_by(FOUR) {
            let queries = (self.queries() - first).min(FOUR);
            // SAFETY: the caller's; each four queries have their part of the scratch.
            unsafe {
                tile::scores(
                    self.q.add(first * dim),
                    queries,
                    keys,
                    stride,
                    seen.end,
                    dim,
                    self.scores,
                );
                for t in 0..queries {
                    self.weigh(first + t, start, seen.end);
                }
                for key in (0..seen.end).step_by(LANES) {
                    let rows =
                        std::array::from_fn(|t| V::load_f32(self.scores.add(t * TILE_KEYS + key)));
                    for (i, column) in V::transpose(rows).into_iter().enumerate() {
                        column.store_f32(self.weights.add((key + i) * FOUR));
                    }
                }
                let decay = V::from_lanes(std::array::from_fn(|t| {
                    (*self.states.add(first + t))[DECAY]
                }));
                tile::sums(
                    self.weights,
                    queries,
                    decay,
                    values,
                    seen.clone(),
                    dim,
                    self.sums.add(first * dim),
                );
            }
        }
    }

    /// Turns a query's scores for the keys from `start` on to weights, and brings its state up to date.
    unsafe fn weigh(&mut self, query: usize, start: usize, count: usize) {
        let shape = self.shape;
        let length = self.length(query / shape.group());
        let (first, end) = (
            shape.first(length).max(start) - start,
            length.saturating_sub(start).min(count),
        );
        // SAFETY: the query has its scores and its state.
        let (scores, state) = unsafe {
            let scores = self.scores.add(query % FOUR * TILE_KEYS);
            (
                std::slice::from_raw_parts_mut(
                    scores.cast::<[f32; LANES]>(),
                    count.div_ceil(LANES),
                ),
                &mut *self.states.add(query),
            )
        };
        if first >= end {
            scores.fill([0.0; LANES]);
            state[DECAY] = 1.0;
            return;
        }
        let slope = self.slopes.map(|slopes| {
            let head = self.kv_head * shape.group() + query % shape.group();
            // SAFETY: there is a slope for each head.
            V::splat(unsafe { *slopes.add(head) })
        });
        let mut greatest = V::splat(state[GREATEST]);
        for (i, lanes) in scores.iter_mut().enumerate() {
            let mut score = V::from_lanes(*lanes);
            if shape.softcap != 0.0 {
                score = tanh(score.mul(V::splat(1.0 / shape.softcap))).mul(V::splat(shape.softcap));
            }
            let at = LANES * i;
            if let Some(slope) = slope {
                let distance = |lane: usize| (start + at + lane) as f32 - (length as f32 - 1.0);
                score = slope.madd(
                    V::from_lanes([distance(0), distance(1), distance(2), distance(3)]),
                    score,
                );
            }
            if at < first || at + LANES > end {
                let seen = |lane: usize| {
                    if (first..end).contains(&(at + lane)) {
                        f32::from_bits(u32::MAX)
                    } else {
                        0.0
                    }
                };
                let mask = V::from_lanes([seen(0), seen(1), seen(2), seen(3)]);
                score = V::select(mask, score, V::splat(f32::NEG_INFINITY));
            }
            greatest = greatest.max(score);
            *lanes = score.lanes();
        }
        let greatest = greatest.max_lane();
        let exp = Exp::new();
        let mut total = V::zero();
        for lanes in scores.iter_mut() {
            let weight = exp.of(V::from_lanes(*lanes).sub(V::splat(greatest)));
            total = total.add(weight);
            *lanes = weight.lanes();
        }
        let decay = exp.of(V::splat(state[GREATEST] - greatest)).lanes()[0];
        *state = [greatest, state[TOTAL] * decay + total.sum(), decay, 0.0];
    }
}

/// `count` F16, rounded up to a multiple of 4, to F32.
unsafe fn widen(from: *const u8, count: usize, to: *mut f32) {
    for i in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe { widen_f16(V::load_i16x4(from.add(2 * i))).store_f32(to.add(i)) };
    }
}
