//! Few rows, such as those of a decode step, span by span of their keys.
//!
//! Pages go by in the order in which they mostly lie in memory, all heads of one before the next: the hardware fetches a stream
//! ahead, and a long context is bound by memory. (Heads by themselves jump from page to page, which was a third as fast.)
//! Any range of spans and heads can be computed by itself, so that threads share a row however few KV heads there are.

use super::cache_tile::Shared;
use super::chunk::Chunk;
use super::totals::Totals;
use super::{Attention, AttentionShape};
use std::ops::Range;

/// Rows that are computed this way, at most.
const FEW_ROWS: usize = 16;

/// What their totals may take, where that is enough for a row.
const MOST_BYTES: usize = 32 << 20;

/// Keys of a span, about: it is whole pages.
const SPAN: usize = 256;

impl AttentionShape {
    /// Keys of a span.
    pub(super) fn span(&self) -> usize {
        (SPAN / self.page_size).max(1) * self.page_size
    }

    /// The most spans that a row sees a part of.
    pub fn most_spans(&self) -> usize {
        (self.max_pages * self.page_size).div_ceil(self.span())
    }

    /// Rows of a step that are few enough for it.
    pub fn few_rows(&self) -> usize {
        (MOST_BYTES / self.totals_bytes(1)).clamp(1, FEW_ROWS)
    }

    /// Bytes of the totals that the spans of few rows give, 16-byte aligned, for all threads.
    pub fn totals_bytes(&self, rows: usize) -> usize {
        rows * self.row_floats() * 4
    }

    fn row_floats(&self) -> usize {
        self.most_spans() * self.kv_heads * Totals::floats(self.group(), self.head_dim)
    }
}

/// Rows of a sequence that follow each other, and the spans that they see a part of. An item of it is a span for a KV head,
/// the heads of a span following each other.
struct Run {
    rows: Range<usize>,
    seen: Range<usize>,
    spans: Range<usize>,
}

impl Run {
    fn items(&self, shape: &AttentionShape) -> usize {
        self.spans.len() * shape.kv_heads
    }

    /// Where an item's totals lie.
    unsafe fn totals(&self, shape: &AttentionShape, totals: *mut f32, item: usize) -> Totals {
        let (queries, dim) = (self.rows.len() * shape.group(), shape.head_dim);
        // SAFETY: each row has room for as many spans as there can be, and so many rows for those of their run.
        unsafe {
            let run = totals.add(self.rows.start * shape.row_floats());
            Totals::at(run.add(item * Totals::floats(queries, dim)), queries, dim)
        }
    }
}

impl Attention {
    /// The runs of the rows `0..rows`.
    unsafe fn runs(&self, rows: usize) -> impl Iterator<Item = Run> + '_ {
        let (shape, sources) = (&self.shape, &self.sources);
        let mut row = 0;
        std::iter::from_fn(move || {
            if row == rows {
                return None;
            }
            // SAFETY: the caller's.
            let rows = row..unsafe { sources.run(shape, row..rows) };
            row = rows.end;
            let seen = self.seen(rows.clone());
            let spans = if seen.is_empty() {
                0..0
            } else {
                seen.start / shape.span()..seen.end.div_ceil(shape.span())
            };
            Some(Run { rows, seen, spans })
        })
    }

    /// Part `units` of `of` equal parts of all that is to be done for rows `0..rows`; [`Attention::merge_spans`] makes results of it.
    ///
    /// # Safety
    /// As [`Attention::attend`], `rows` at most [`AttentionShape::few_rows`]; `totals` must have [`AttentionShape::totals_bytes`], and
    /// nobody may compute the same units at once.
    pub unsafe fn attend_spans(
        &self,
        rows: usize,
        units: Range<usize>,
        of: usize,
        scratch: *mut u8,
        totals: *mut f32,
    ) {
        let shape = &self.shape;
        // SAFETY: the caller's.
        unsafe {
            let items: usize = self.runs(rows).map(|run| run.items(shape)).sum();
            let mut part = items * units.start / of..items * units.end / of;
            for run in self.runs(rows) {
                let items = run.items(shape);
                let own = part.start.min(items)..part.end.min(items);
                part = part.start - own.start..part.end - own.end;
                if !own.is_empty() {
                    self.attend_run(&run, own, scratch.cast(), totals);
                }
            }
        }
    }

    /// Some items of a run.
    unsafe fn attend_run(
        &self,
        run: &Run,
        items: Range<usize>,
        scratch: *mut f32,
        totals: *mut f32,
    ) {
        let (shape, heads) = (&self.shape, self.shape.kv_heads);
        let span_of = |item: usize| item / heads;
        // The heads of the items, which are all of them unless the items are of one span.
        let (first, last) = (items.start, items.end - 1);
        let (first, end) = if span_of(first) == span_of(last) {
            (first % heads, last % heads + 1)
        } else {
            (0, heads)
        };
        let floats = Chunk::floats(shape, run.rows.len() * shape.group(), &self.by_distance);
        // SAFETY: the caller's.
        unsafe {
            let shared = Shared::at(scratch, shape);
            let scratch = scratch.add(Shared::floats(shape));
            let mut chunks: Vec<Chunk> = (first..end)
                .map(|head| {
                    let own = scratch.add((head - first) * floats);
                    let mut chunk = Chunk::new(self, run.rows.clone(), head, own, shared);
                    chunk.load();
                    chunk
                })
                .collect();
            let mut item = items.start;
            while item < items.end {
                let span = span_of(item);
                let next = items.end.min((span + 1) * heads);
                let chunks = &mut chunks[item % heads - first..][..next - item];
                for chunk in chunks.iter_mut() {
                    chunk.begin();
                }
                self.attend_span(run, span, item % heads, chunks);
                for (chunk, item) in chunks.iter().zip(item..) {
                    let totals = run.totals(shape, totals, item);
                    totals.clear();
                    chunk.end(&totals);
                }
                item = next;
            }
        }
    }

    /// A span for the heads from `head` on, page after page.
    unsafe fn attend_span(&self, run: &Run, span: usize, head: usize, chunks: &mut [Chunk]) {
        let shape = &self.shape;
        let start = (run.spans.start + span) * shape.span();
        let keys = start.max(run.seen.start)..run.seen.end.min(start + shape.span());
        let page_size = shape.page_size;
        for page in keys.start / page_size..keys.end.div_ceil(page_size) {
            let (start, end) = (page * page_size, (page + 1) * page_size);
            let keys = keys.start.max(start)..keys.end.min(end);
            for i in 0..chunks.len() {
                let next = if i + 1 < chunks.len() {
                    Some((page, head + i + 1))
                } else {
                    (end < run.seen.end).then_some((page + 1, head))
                };
                // SAFETY: the caller's.
                unsafe { chunks[i].attend(keys.clone(), next) };
            }
        }
    }

    /// Puts the spans of row and KV head `units` (`row * kv_heads + head`) together and writes the results.
    ///
    /// # Safety
    /// As [`Attention::attend_spans`], all of whose units must have been computed. `out` is `[rows, heads * head_dim]`.
    pub unsafe fn merge_spans(
        &self,
        rows: usize,
        units: Range<usize>,
        totals: *mut f32,
        out: *mut f32,
    ) {
        let shape = &self.shape;
        let (heads, group) = (shape.kv_heads, shape.group());
        // SAFETY: the caller's.
        unsafe {
            for run in self.runs(rows) {
                // The first row of a run stands for all.
                let first = run.rows.start * heads;
                for head in (0..heads).filter(|head| units.contains(&(first + head))) {
                    let merged = run.totals(shape, totals, head);
                    if run.spans.is_empty() {
                        merged.clear();
                    }
                    for span in 1..run.spans.len() {
                        merged.add(&run.totals(shape, totals, span * heads + head));
                    }
                    for query in 0..run.rows.len() * group {
                        let row = run.rows.start + query / group;
                        let at = shape.offset(row, head * group + query % group);
                        merged.store(query, out.add(at));
                    }
                }
            }
        }
    }
}
