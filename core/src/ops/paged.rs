//! Attention over the pages of a sequence.

use super::check_pages::{CheckPages, Lookup};
use super::paged_plain::PlainAttention;
use super::write_kv::{caches, Caches};
use super::{Extent, Operands, Region, Step, Tensor};
use crate::attention::{Attention, AttentionShape, ByDistance, RelativeBias, Sources};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead};
use crate::simd::LANES;
use std::ops::Range;

#[derive(Clone, Copy)]
struct PagedAttention {
    rows: Extent,
    attention: Attention,
    output: *mut f32,
}

/// The relative bias at `position`, where there is one.
fn relative_bias(
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

/// Checks and adds `pagedAttention`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let heads = operands.attrs.count()?;
    let (scale, softcap, window) = (
        operands.attrs.f32()?,
        operands.attrs.f32()?,
        operands.attrs.count()?,
    );
    let (q, key_cache, value_cache) = (operands.f32(0)?, operands.any(1)?, operands.any(2)?);
    let caches = caches(&operands, key_cache, value_cache)?;
    let Caches { pages, shape } = caches.with_head_dim(&operands, q.shape.last() / heads.max(1))?;
    let (lengths, sequences, page_table) = (operands.i32(3)?, operands.i32(4)?, operands.i32(5)?);
    operands.check(
        page_table.shape.dims.len() == 2,
        "the page table must be [sequences, pages]",
    )?;
    operands.check(
        heads > 0 && heads % shape.kv_heads == 0,
        "heads must be a multiple of KV heads",
    )?;
    let max_pages = page_table.shape.dims[1];
    let shape = AttentionShape {
        heads,
        scale,
        softcap,
        window,
        max_pages,
        ..shape
    };
    let rows = Extent::rows(&q.shape);
    let per_row = |x: &Tensor| x.shape.dims.len() == 1 && Extent::all(&x.shape) == rows;
    let wide = q.shape.dims.len() == 2 && q.shape.dims[1] == heads * shape.head_dim;
    operands.check(
        wide && per_row(lengths) && per_row(sequences),
        "q, lengths and sequences do not fit",
    )?;
    let lookup = Lookup {
        rows,
        lengths: lengths.i32(),
        sequences: sequences.i32(),
        page_table: page_table.i32(),
        lines: Extent::rows(&page_table.shape),
        max_pages,
        page_size: shape.page_size,
        pages,
        window,
    };
    // What stands in the step record stays as it is: all layers can rely on one look at it.
    let addresses = [lengths.address, sequences.address, page_table.address];
    let stable = addresses.iter().all(|address| compiler.in_record(*address));
    let [a, b, c] = addresses;
    if !stable
        || compiler
            .checked_pages
            .insert([a, b, c, shape.page_size, pages, window])
    {
        compiler.push(CheckPages(lookup));
    }
    let slopes = operands.vector(6, heads)?;
    let bias = relative_bias(&operands, 7, heads)?;
    let positions = operands.optional(8, DType::I32)?;
    operands.check(positions.is_none_or(per_row), "positions and q do not fit")?;
    let by_distance = ByDistance {
        slopes,
        bias,
        positions: positions.map(|positions| positions.i32().cast_const()),
    };
    let (q, key_cache, value_cache) = (q.f32(), key_cache.bytes(), value_cache.bytes());
    let output = operands
        .output(0, DType::F32, &operands.f32(0)?.shape)?
        .f32();
    if !shape.head_dim.is_multiple_of(LANES) {
        compiler.push(PlainAttention {
            lookup,
            shape,
            q,
            key_cache,
            value_cache,
            by_distance,
            output,
        });
    } else {
        let few = rows.at(&compiler.capacity()).min(shape.few_rows());
        compiler.keep_totals(shape.totals_bytes(few));
        let sources = Sources {
            q,
            k: key_cache,
            v: value_cache,
            lengths: lookup.lengths,
            sequences: lookup.sequences,
            page_table: lookup.page_table,
        };
        let attention = PagedAttention {
            rows,
            attention: Attention {
                shape,
                sources,
                by_distance,
            },
            output,
        };
        compiler.push(attention);
        compiler.push(MergeSpans(attention));
    }
    operands.attrs.done()
}

/// Keys that few rows are taken to see at least.
const FEW_KEYS: usize = 256;

impl PagedAttention {
    /// Whether the rows of a step are computed span by span.
    fn in_spans(&self, counts: &Counts) -> bool {
        self.rows.at(counts) <= self.attention.shape.few_rows()
    }
}

impl Region for PagedAttention {
    /// A row for a KV head is a unit, and the rows of a head follow each other; of few rows a part of all their spans is.
    fn units(&self, counts: &Counts) -> usize {
        let shape = &self.attention.shape;
        let units = self.rows.at(counts) * shape.kv_heads;
        if self.in_spans(counts) {
            units * shape.most_spans()
        } else {
            units
        }
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        // At least: how many keys a row sees is not known here.
        let shape = &self.attention.shape;
        let queries = shape.heads / shape.kv_heads * shape.head_dim;
        if self.in_spans(counts) {
            (queries * FEW_KEYS) as f32 * 0.2 / shape.most_spans() as f32
        } else {
            queries as f32 * 10.0
        }
    }

    fn scratch_bytes(&self) -> usize {
        self.attention.scratch_bytes()
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        let attention = &self.attention;
        let rows = self.rows.at(&step.counts);
        if self.in_spans(&step.counts) {
            let of = self.units(&step.counts);
            // SAFETY: the caller's; an earlier region has checked the indexes.
            unsafe { attention.attend_spans(rows, units, of, scratch, step.totals.cast()) };
            return Ok(());
        }
        let mut unit = units.start;
        while unit < units.end {
            let (head, row) = (unit / rows, unit % rows);
            // Whole heads go in one call, which reads what they share once.
            let heads = if row == 0 {
                ((units.end - unit) / rows).max(1)
            } else {
                1
            };
            let count = (rows - row).min(units.end - unit);
            // SAFETY: as above.
            unsafe { attention.attend(row..row + count, head..head + heads, scratch, self.output) };
            unit += if heads > 1 { heads * rows } else { count };
        }
        Ok(())
    }
}

/// Puts together what [`PagedAttention`] computed span by span.
struct MergeSpans(PagedAttention);

impl Region for MergeSpans {
    fn units(&self, counts: &Counts) -> usize {
        let PagedAttention {
            rows, attention, ..
        } = &self.0;
        if self.0.in_spans(counts) {
            rows.at(counts) * attention.shape.kv_heads
        } else {
            0
        }
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        let shape = &self.0.attention.shape;
        (shape.heads / shape.kv_heads * shape.head_dim) as f32 * 0.2
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, _scratch: *mut u8) -> Result<(), Error> {
        let PagedAttention {
            rows,
            attention,
            output,
        } = self.0;
        let rows = rows.at(&step.counts);
        // SAFETY: the caller's; an earlier region has computed all spans.
        unsafe { attention.merge_spans(rows, units, step.totals.cast(), output) };
        Ok(())
    }
}
