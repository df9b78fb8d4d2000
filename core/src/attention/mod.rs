//! Attention over a paged KV cache, in tiles of keys with a running softmax.
//!
//! Tiles begin at fixed keys, a row's sums run over the tiles of a span in order, and spans, which begin at fixed keys too, are added
//! in order: a row has the same bits whatever rows share its call and whoever computes which spans. Within a page the values are `[kv_heads, page_size, head_dim]`, the keys `[kv_heads, head_dim, page_size]`; for integers see [`quants`].

mod ahead;
mod bias;
mod cache;
mod cache_tile;
mod chunk;
mod half;
mod quants;
mod rotate;
mod spans;
#[cfg(test)]
mod tests;
mod tile;
mod totals;
mod weigh;

pub use bias::{ByDistance, RelativeBias};
pub use cache::write_kv;
pub use quants::{Part, QuantPage};
pub use rotate::{rotate_keys, Rotation};

use crate::dtype::DType;
use crate::simd::LANES;
use cache_tile::Shared;
use chunk::Chunk;
use std::ops::Range;
use tile::FOUR;
use totals::Totals;

/// Keys of a tile; a page's last tile may be shorter.
const TILE_KEYS: usize = 32;

/// Queries (rows times the heads that share a KV head) that go through a tile together, at most.
const QUERIES: usize = 96;

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
    /// F32, F16, Q16 or Q8_0.
    pub kv_dtype: DType,
}

impl AttentionShape {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Rows that go through a tile together: where it can be so many that their queries are whole fours.
    fn chunk(&self) -> usize {
        let most = (QUERIES / self.group()).max(1);
        let whole = match self.group() % FOUR {
            0 => 1,
            2 => 2,
            _ => 4,
        };
        most.checked_div(whole)
            .filter(|n| *n > 0)
            .map_or(most, |n| n * whole)
    }

    fn queries(&self) -> usize {
        self.chunk() * self.group()
    }

    /// Bytes of an element of an F32 or F16 cache.
    fn kv_bytes(&self) -> usize {
        self.kv_dtype.block().1
    }

    /// The layout of a cache of integers, for one that is.
    pub fn quants(&self) -> Option<QuantPage> {
        QuantPage::new(self.kv_dtype, self.head_dim, self.page_size)
    }

    /// Bytes of the keys, or values, of a page for one KV head.
    pub fn head_bytes(&self) -> usize {
        match self.quants() {
            Some(page) => page.bytes(),
            None => self.page_size * self.head_dim * self.kv_bytes(),
        }
    }

    /// Where a row of a head begins in the queries and the results.
    fn offset(&self, row: usize, head: usize) -> usize {
        (row * self.heads + head) * self.head_dim
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

/// Where attention finds what it works on.
///
/// Row `r`, of sequence `sequences[r]`, sees the keys `0..lengths[r]` of the cache, or the last `window` of them.
/// Key `i` of sequence `s` lies in page `page_table[s * max_pages + i / page_size]`.
#[derive(Clone, Copy)]
pub struct Sources {
    /// `[rows, heads * head_dim]`
    pub q: *const f32,
    /// The cache of keys.
    pub k: *const u8,
    /// The cache of values.
    pub v: *const u8,
    /// `[rows]`
    pub lengths: *const i32,
    /// `[rows]`
    pub sequences: *const i32,
    /// `[sequences, max_pages]`
    pub page_table: *const i32,
}

impl Sources {
    /// Keys that a row may see.
    unsafe fn length(&self, row: usize) -> usize {
        // SAFETY: the caller's.
        unsafe { *self.lengths.add(row) }.max(0) as usize
    }

    /// Where the rows of the sequence of the first end, or a chunk is full.
    unsafe fn run(&self, shape: &AttentionShape, rows: Range<usize>) -> usize {
        // SAFETY: the caller's.
        unsafe {
            let sequence = *self.sequences.add(rows.start);
            let most = rows.end.min(rows.start + shape.chunk());
            let same = |row: &usize| *self.sequences.add(*row) == sequence;
            rows.start + (rows.start..most).take_while(same).count()
        }
    }

    /// The keys and the values that a page of a row's sequence has of a KV head.
    unsafe fn part(
        &self,
        shape: &AttentionShape,
        row: usize,
        page: usize,
        kv_head: usize,
    ) -> [*const u8; 2] {
        // SAFETY: the caller's.
        unsafe {
            let pages = *self.sequences.add(row) as usize * shape.max_pages;
            let page = *self.page_table.add(pages + page) as usize;
            let at = (page * shape.kv_heads + kv_head) * shape.head_bytes();
            [self.k.add(at), self.v.add(at)]
        }
    }
}

/// Softmax attention, with what `by_distance` says added to the scores. A row of length 0 gets zeros.
#[derive(Clone, Copy)]
pub struct Attention {
    /// The model's and the cache's.
    pub shape: AttentionShape,
    /// What it works on.
    pub sources: Sources,
    /// What is added to the scores.
    pub by_distance: ByDistance,
}

impl Attention {
    /// Scratch of a call, in bytes, 16-byte aligned; one for each thread.
    pub fn scratch_bytes(&self) -> usize {
        let (shape, by_distance) = (&self.shape, &self.by_distance);
        let many = Chunk::floats(shape, shape.queries(), by_distance)
            + Totals::floats(shape.queries(), shape.head_dim);
        let few = (shape.group() * shape.few_rows()).min(shape.queries());
        let few = shape.kv_heads * Chunk::floats(shape, few, by_distance);
        (Shared::floats(shape) + many.max(few)) * 4
    }

    /// The keys that rows of a sequence see, and those between.
    fn seen(&self, rows: Range<usize>) -> Range<usize> {
        let (mut first, mut end) = (usize::MAX, 0);
        for row in rows {
            // SAFETY: the row is one of the call's.
            let length = unsafe { self.sources.length(row) };
            first = first.min(self.shape.first(length));
            end = end.max(length);
        }
        first.min(end)..end
    }

    /// Computes `rows` for the heads of `kv_heads`; `out` is `[rows, heads * head_dim]`. Rows of one sequence that follow each other
    /// share the reading of its cache. For few rows see [`Attention::attend_spans`].
    ///
    /// # Safety
    /// Every pointer must be valid for what [`Sources`] says, `scratch` for [`Attention::scratch_bytes`], and the keys and values that
    /// rows see must have been written.
    pub unsafe fn attend(
        &self,
        rows: Range<usize>,
        kv_heads: Range<usize>,
        scratch: *mut u8,
        out: *mut f32,
    ) {
        let (shape, sources) = (&self.shape, &self.sources);
        debug_assert!(
            shape.head_dim.is_multiple_of(LANES)
                && shape.page_size.is_multiple_of(LANES)
                && shape.heads.is_multiple_of(shape.kv_heads)
        );
        debug_assert!(matches!(
            shape.kv_dtype,
            DType::F32 | DType::F16 | DType::Q16 | DType::Q8_0
        ));
        let mut row = rows.start;
        while row < rows.end {
            // SAFETY: the caller's.
            unsafe {
                let end = sources.run(shape, row..rows.end);
                let scratch = scratch.cast::<f32>();
                let shared = Shared::at(scratch, shape);
                let place = scratch.add(Shared::floats(shape));
                let queries = (end - row) * shape.group();
                let totals = Totals::at(place, queries, shape.head_dim);
                let own = place.add(Totals::floats(queries, shape.head_dim));
                for kv_head in kv_heads.clone() {
                    let mut chunk = Chunk::new(self, row..end, kv_head, own, shared);
                    chunk.load();
                    totals.clear();
                    let mut keys = self.seen(row..end);
                    while !keys.is_empty() {
                        let next = (keys.start / shape.span() + 1) * shape.span();
                        let span = keys.start..keys.end.min(next);
                        chunk.begin();
                        chunk.attend(span, None);
                        chunk.end(&totals);
                        keys.start = next;
                    }
                    chunk.store(&totals, out);
                }
                row = end;
            }
        }
    }
}
