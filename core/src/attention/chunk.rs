//! Some rows of one sequence on their way through the cache.

use super::bias::ByDistance;
use super::cache_tile::{Shared, Tile};
use super::quants;
use super::tile::{self, FOUR};
use super::totals::Totals;
use super::weigh::{weigh_few, weigh_four, ByQuery, Query, State, View};
use super::{half, Attention, AttentionShape, TILE_KEYS};
use crate::dtype::DType;
use crate::simd::{SoftmaxExp, Vector, LANES, V};
use std::ops::Range;

/// Up to so many queries take an F16 tile as it is, and read ahead; for more it is turned to F32 first.
const FEW: usize = 8;

/// Some rows of one sequence, for the heads of one KV head, in a span of its keys. A query is a row and one of its heads: `row * group + head`.
pub(super) struct Chunk<'a> {
    attention: &'a Attention,
    rows: Range<usize>,
    kv_head: usize,
    /// `[group]` lines of the relative bias
    bias_lines: *mut f32,
    /// `[queries / 4, head_dim, 4]`, scaled; for a cache of integers as [`quants::narrow_queries`] has them
    q: *mut f32,
    /// The values' sums, for weights relative to `greatest`, as [`tile::sums`] has them for each four queries
    sums: *mut f32,
    /// `[queries / 4]`
    states: *mut State,
    /// `[queries / 4]`
    views: *mut View,
    /// `[queries / 4, 4]`, what queries in integers are multiplied by
    factors: *mut f32,
    shared: Shared,
    /// The tiles are taken as F16; `q` is 2^112 times as large
    half: bool,
}

impl<'a> Chunk<'a> {
    /// F32 that a chunk takes of its own, a multiple of 4.
    pub(super) fn floats(
        shape: &AttentionShape,
        queries: usize,
        by_distance: &ByDistance,
    ) -> usize {
        let bias_lines = by_distance
            .bias
            .map_or(0, |bias| shape.group() * bias.line());
        queries.next_multiple_of(FOUR) * (2 * shape.head_dim + State::FLOATS + View::FLOATS + 1)
            + bias_lines.next_multiple_of(LANES)
    }

    /// # Safety
    /// `own` must have [`Chunk::floats`], 16-byte aligned.
    pub(super) unsafe fn new(
        attention: &'a Attention,
        rows: Range<usize>,
        kv_head: usize,
        own: *mut f32,
        shared: Shared,
    ) -> Chunk<'a> {
        let shape = &attention.shape;
        let (queries, dim) = (rows.len() * shape.group(), shape.head_dim);
        let queries = queries.next_multiple_of(FOUR);
        // SAFETY: the parts add up to `floats`.
        unsafe {
            let sums = own.add(queries * dim);
            let states = sums.add(queries * dim);
            let views = states.add(queries * State::FLOATS);
            let factors = views.add(queries * View::FLOATS);
            Chunk {
                attention,
                rows,
                kv_head,
                bias_lines: factors.add(queries),
                q: own,
                sums,
                states: states.cast(),
                views: views.cast(),
                factors,
                shared,
                half: false,
            }
        }
    }

    pub(super) fn queries(&self) -> usize {
        self.rows.len() * self.shape().group()
    }

    fn shape(&self) -> &'a AttentionShape {
        &self.attention.shape
    }

    fn length(&self, row: usize) -> usize {
        // SAFETY: the row is one of the call's.
        unsafe { self.attention.sources.length(self.rows.start + row) }
    }

    /// Query head of a query.
    fn head(&self, query: usize) -> usize {
        let group = self.shape().group();
        self.kv_head * group + query % group
    }

    /// Start of a query in `q` and `out` of the call.
    fn offset(&self, query: usize) -> usize {
        let row = self.rows.start + query / self.shape().group();
        self.shape().offset(row, self.head(query))
    }

    #[inline(never)]
    pub(super) unsafe fn load(&mut self) {
        let q = self.attention.sources.q;
        let dim = self.shape().head_dim;
        let padded = self.queries().next_multiple_of(FOUR);
        let scale = V::splat(self.shape().scale);
        let mut greatest = V::zero();
        // SAFETY: the queries are the call's, the rest its scratch.
        unsafe {
            for first in (0..self.queries()).step_by(FOUR) {
                let count = (self.queries() - first).min(FOUR);
                for d in (0..dim).step_by(LANES) {
                    let rows = std::array::from_fn(|t| {
                        if t < count {
                            V::load_f32(q.add(self.offset(first + t) + d)).mul(scale)
                        } else {
                            V::zero()
                        }
                    });
                    for (i, column) in V::transpose(rows).into_iter().enumerate() {
                        greatest = greatest.max(column.abs());
                        column.store_f32(self.q.add(first * dim + (d + i) * FOUR));
                    }
                }
            }
            self.half = self.few_halves() && greatest.max_lane() < half::MOST;
            if self.half {
                half::enlarge(self.q, padded * dim);
            }
            if let Some(page) = self.shape().quants() {
                for first in (0..padded).step_by(FOUR) {
                    quants::narrow_queries(self.q.add(first * dim), page, dim)
                        .store_f32(self.factors.add(first));
                }
            }
            for first in (0..self.queries()).step_by(FOUR) {
                let mut seen = [(0, 0); FOUR];
                let count = (self.queries() - first).min(FOUR);
                for (t, seen) in seen.iter_mut().enumerate().take(count) {
                    *seen = self.sees(first + t);
                }
                self.views
                    .add(first / FOUR)
                    .write(View::new(&seen[..count]));
            }
            let seen = self.attention.seen(self.rows.clone());
            self.load_bias(seen.start, seen.end);
        }
    }

    /// Whether the tiles can be taken as F16.
    fn few_halves(&self) -> bool {
        let shape = self.shape();
        shape.kv_dtype == DType::F16
            && self.queries() <= FEW
            && shape.page_size.is_multiple_of(half::STEP)
            && shape.head_dim.is_multiple_of(half::STEP)
    }

    /// Whether so many queries of a tile are taken in turns.
    fn in_turns(&self, queries: usize) -> bool {
        !self.half && tile::in_turns(queries)
    }

    /// Begins a span.
    pub(super) unsafe fn begin(&mut self) {
        let padded = self.queries().next_multiple_of(FOUR);
        // SAFETY: the chunk has them.
        unsafe {
            self.sums.write_bytes(0, padded * self.shape().head_dim);
            for quad in 0..padded / FOUR {
                self.states.add(quad).write(State::new());
            }
        }
    }

    /// Adds what the span gave to the totals of its queries.
    #[inline(never)]
    pub(super) unsafe fn end(&self, totals: &Totals) {
        let (dim, exp) = (self.shape().head_dim, SoftmaxExp::new());
        for first in (0..self.queries()).step_by(FOUR) {
            let count = (self.queries() - first).min(FOUR);
            // SAFETY: the chunk has them.
            unsafe {
                let factors = totals.add_state(first, &*self.states.add(first / FOUR), &exp);
                let sums = self.sums.add(first * dim);
                let of = |d: usize, turn: usize| V::load_f32(sums.add(d * FOUR + turn * LANES));
                if self.in_turns(count) {
                    totals.add_turns(first, count, factors, |d| {
                        std::array::from_fn(|turn| of(d, turn))
                    });
                    continue;
                }
                for t in 0..count {
                    totals.add_values(first + t, factors, |d| of(d, t));
                }
            }
        }
    }

    /// Writes the results of its queries.
    pub(super) unsafe fn store(&self, totals: &Totals, out: *mut f32) {
        for query in 0..self.queries() {
            // SAFETY: the query is one of the call's.
            unsafe { totals.store(query, out.add(self.offset(query))) };
        }
    }

    /// Takes every tile with some of these keys. Behind them comes page `next.0` for KV head `next.1`, if any.
    #[inline(never)]
    pub(super) unsafe fn attend(&mut self, keys: Range<usize>, next: Option<(usize, usize)>) {
        let (shape, sources) = (self.shape(), &self.attention.sources);
        let page_size = shape.page_size;
        let Range { start: first, end } = keys;
        let mut start = first / page_size * page_size + first % page_size / TILE_KEYS * TILE_KEYS;
        while start < end {
            let (page, place) = (start / page_size, start % page_size);
            let count = TILE_KEYS.min(page_size - place);
            let seen = start.max(first) - start..(end - start).min(count);
            let next = if (page + 1) * page_size < end {
                (page + 1, self.kv_head)
            } else {
                next.unwrap_or((page, self.kv_head))
            };
            // SAFETY: rows see keys of the tile, so its page is in the table, and its keys are written as far as they are seen.
            unsafe {
                let sequence = self.rows.start;
                let part = sources.part(shape, sequence, page, self.kv_head);
                let next = sources.part(shape, sequence, next.0, next.1);
                let tile = Tile::of(
                    shape,
                    part,
                    next,
                    place..place + seen.end,
                    self.half,
                    self.queries() <= FEW,
                    self.shared,
                );
                self.take(&tile, start, seen);
            }
            start += count;
        }
    }

    /// The relative bias of the heads, as far as the rows meet it in tiles from `start` up to `end`.
    unsafe fn load_bias(&self, start: usize, end: usize) {
        let Some(bias) = self.attention.by_distance.bias else {
            return;
        };
        let (mut first, mut last) = (bias.line(), 0);
        for row in 0..self.rows.len() {
            first = first.min(bias.place(self.distance(row, start)));
            last = last.max(bias.place(self.distance(row, end)));
        }
        let part = first..(last + TILE_KEYS).min(bias.line());
        let group = self.shape().group();
        for i in 0..group {
            let head = self.kv_head * group + i;
            // SAFETY: the caller's; there is scratch for a line of each head.
            unsafe {
                let line = self.bias_lines.add(i * bias.line());
                bias.fill(line, part.clone(), head, self.shape().heads);
            }
        }
    }

    /// How far a key lies ahead of a row.
    fn distance(&self, row: usize, key: usize) -> i32 {
        // SAFETY: the row is one of the call's.
        let position = unsafe {
            self.attention
                .by_distance
                .position(self.rows.start + row, self.length(row))
        };
        (key as i32).saturating_sub(position)
    }

    /// Takes a tile whose first key is `start`.
    unsafe fn take(&mut self, tile: &Tile, start: usize, seen: Range<usize>) {
        let (dim, softcap) = (self.shape().head_dim, self.shape().softcap);
        for first in (0..self.queries()).step_by(FOUR) {
            let count = (self.queries() - first).min(FOUR);
            // SAFETY: each four queries have one.
            let view = unsafe { &*self.views.add(first / FOUR) };
            // Keys that none of the four sees are left out: the tiles of a triangle.
            let end = (view.most as usize).saturating_sub(start);
            let seen = seen.start..end.min(seen.end);
            if seen.is_empty() {
                continue;
            }
            // SAFETY: the caller's; each four queries have their part of the scratch.
            unsafe {
                let scores = self.shared.scores;
                let (q, factors) = (self.q.add(first * dim), self.factors.add(first));
                tile.scores(q, factors, count, seen.end, dim, scores);
                let state = &mut *self.states.add(first / FOUR);
                if self.in_turns(count) {
                    let by_query = self.adds_by_query().then(|| self.by_query(first, start));
                    weigh_four(
                        scores,
                        start as i32,
                        seen.end,
                        state,
                        view,
                        by_query,
                        softcap,
                    );
                } else {
                    let queries = (first..first + count).map(|query| self.query(query, start));
                    weigh_few(scores, TILE_KEYS, seen.end, state, queries, softcap);
                }
                let sums = self.sums.add(first * dim);
                tile.sums(self.shared, count, state.decay, seen, dim, sums);
            }
        }
    }

    /// Whether something is added to scores.
    fn adds_by_query(&self) -> bool {
        let by_distance = &self.attention.by_distance;
        by_distance.slopes.is_some() || by_distance.bias.is_some()
    }

    /// What is added to the scores of four queries for the keys from `start` on.
    #[inline(never)] // Few models have it
    fn by_query(&self, first: usize, start: usize) -> ByQuery {
        let queries = [0, 1, 2, 3].map(|t| self.query((first + t).min(self.queries() - 1), start));
        ByQuery {
            slopes: queries.map(|it| it.slope),
            distances: queries.map(|it| it.distance),
            biases: queries.map(|it| it.bias),
        }
    }

    /// The keys that a query sees: from the first up to the second.
    fn sees(&self, query: usize) -> (i32, i32) {
        let length = self.length(query / self.shape().group());
        (self.shape().first(length) as i32, length as i32)
    }

    /// What a query sees of the keys from `start` on.
    fn query(&self, query: usize, start: usize) -> Query {
        let group = self.shape().group();
        let (row, head) = (query / group, self.head(query));
        let distance = self.distance(row, start);
        let (first, end) = self.sees(query);
        Query {
            seen: (first - start as i32, end - start as i32),
            // SAFETY: there is a slope for each head.
            slope: self
                .attention
                .by_distance
                .slopes
                .map_or(0.0, |slopes| unsafe { *slopes.add(head) }),
            distance: distance as f32,
            bias: self
                .attention
                .by_distance
                .bias
                .map_or(std::ptr::null(), |bias| {
                    let at = query % group * bias.line() + bias.place(distance);
                    self.bias_lines.wrapping_add(at)
                }),
        }
    }
}
