//! The paged KV cache: writing rows to their slots, and attention over the pages of a sequence.

use super::gather::index;
use super::paged_plain::PlainAttention;
use super::{Extent, Operands, Region, Step, Tensor};
use crate::attention::{write_kv, Attention, AttentionShape, ByDistance, RelativeBias, Sources};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead};
use crate::simd::LANES;
use std::ops::Range;

/// What two caches `[pages, kv_heads, page_size, head_dim]` have in common. Those of Q8 have whole blocks of channels.
pub(super) struct Caches {
    pub(super) pages: usize,
    pub(super) shape: AttentionShape,
}

pub(super) fn caches(operands: &Operands, keys: &Tensor, values: &Tensor) -> Result<Caches, Error> {
    let &[pages, kv_heads, page_size, head_dim] = &keys.shape.dims[..] else {
        return operands.wrong("a cache must be [pages, kv_heads, page_size, head_dim]");
    };
    let same =
        keys.shape == values.shape && keys.dtype == values.dtype && keys.shape.lead == Lead::Fixed;
    operands.check(
        same,
        "the caches of keys and values must have one dtype and shape",
    )?;
    operands.check(
        matches!(keys.dtype, DType::F32 | DType::F16 | DType::Q8_0),
        "a cache must be F32, F16 or Q8_0",
    )?;
    operands.check(
        head_dim % keys.dtype.block().0 == 0,
        "a row of a cache must be whole blocks",
    )?;
    operands.check(
        page_size % LANES == 0,
        "page_size of a cache must be a multiple of 4",
    )?;
    operands.check(
        pages * kv_heads * page_size * head_dim > 0,
        "a cache must not be empty",
    )?;
    let (scale, softcap, window) = (1.0, 0.0, 0);
    let (heads, max_pages, kv_dtype) = (kv_heads, 0, keys.dtype);
    let shape = AttentionShape {
        heads,
        kv_heads,
        head_dim,
        scale,
        softcap,
        window,
        page_size,
        max_pages,
        kv_dtype,
    };
    Ok(Caches { pages, shape })
}

impl Caches {
    /// The same for heads of this width, which a Q8 cache rounds up.
    fn with_head_dim(mut self, operands: &Operands, head_dim: usize) -> Result<Caches, Error> {
        let block = self.shape.kv_dtype.block().0;
        operands.check(
            head_dim > 0 && head_dim.next_multiple_of(block) == self.shape.head_dim,
            "widths of rows and caches do not fit",
        )?;
        self.shape.head_dim = head_dim;
        Ok(self)
    }
}

struct WriteKv {
    k: *const f32,
    v: *const f32,
    slots: *const i32,
    rows: Extent,
    caches: Caches,
    key_cache: *mut u8,
    value_cache: *mut u8,
}

/// Checks and adds `writeKv`.
pub fn compile_write(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
    let (k, v, slots) = (operands.f32(0)?, operands.f32(1)?, operands.i32(2)?);
    let (key_cache, value_cache) = (operands.any(3)?, operands.any(4)?);
    let caches = caches(&operands, key_cache, value_cache)?;
    let head_dim = k.shape.last() / caches.shape.kv_heads;
    let caches = caches.with_head_dim(&operands, head_dim)?;
    let width = caches.shape.kv_heads * head_dim;
    let rows = Extent::all(&slots.shape);
    let fits = |x: &Tensor| {
        x.shape.dims.len() == 2 && x.shape.dims[1] == width && Extent::rows(&x.shape) == rows
    };
    operands.check(
        slots.shape.dims.len() == 1 && fits(k) && fits(v),
        "rows, slots and caches do not fit",
    )?;
    compiler.push(WriteKv {
        k: k.f32(),
        v: v.f32(),
        slots: slots.i32(),
        rows,
        key_cache: key_cache.bytes(),
        value_cache: value_cache.bytes(),
        caches,
    });
    operands.attrs.done()
}

impl Region for WriteKv {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.caches.shape.kv_heads * self.caches.shape.head_dim * 2) as f32
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let Caches { pages, shape } = &self.caches;
        // SAFETY: the caller's; slots are checked, and negative ones skipped.
        unsafe {
            for row in units.clone() {
                if *self.slots.add(row) >= 0 {
                    index(
                        self.slots,
                        row,
                        pages * shape.page_size,
                        "slots of the cache",
                    )?;
                }
            }
            write_kv(
                self.k,
                self.v,
                self.slots,
                shape,
                units,
                self.key_cache,
                self.value_cache,
            );
        }
        Ok(())
    }
}

/// Where the rows of a step find their keys.
#[derive(Clone, Copy)]
pub(super) struct Lookup {
    pub(super) rows: Extent,
    pub(super) lengths: *const i32,
    pub(super) sequences: *const i32,
    pub(super) page_table: *const i32,
    /// Lines of the page table.
    lines: Extent,
    max_pages: usize,
    page_size: usize,
    /// Pages of the cache.
    pages: usize,
    window: usize,
}

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

/// Checks what [`PagedAttention`] will look up. All rows are one unit: neighbours are looked at together.
struct CheckPages(Lookup);

impl Region for CheckPages {
    fn units(&self, counts: &Counts) -> usize {
        self.0.rows.at(counts).min(1)
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        self.0.rows.at(counts) as f32
    }

    unsafe fn run(
        &self,
        step: &Step,
        _units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let lookup = &self.0;
        let (rows, lines) = (lookup.rows.at(&step.counts), lookup.lines.at(&step.counts));
        let longest = lookup.max_pages * lookup.page_size;
        let mut row = 0;
        while row < rows {
            // SAFETY: the caller's.
            unsafe {
                let sequence = index(lookup.sequences, row, lines, "sequences of the page table")?;
                let (mut first, mut end) = (longest, 0);
                // The kernel reads whatever lies between the keys of neighbouring rows of a sequence.
                while row < rows && *lookup.sequences.add(row) as usize == sequence {
                    let length = index(
                        lookup.lengths,
                        row,
                        longest + 1,
                        "lengths that the page table holds",
                    )?;
                    let seen = if lookup.window == 0 {
                        length
                    } else {
                        lookup.window
                    };
                    first = first.min(length.saturating_sub(seen));
                    end = end.max(length);
                    row += 1;
                }
                for page in first / lookup.page_size..end.div_ceil(lookup.page_size) {
                    index(
                        lookup.page_table,
                        sequence * lookup.max_pages + page,
                        lookup.pages,
                        "pages of the cache",
                    )?;
                }
            }
        }
        Ok(())
    }
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
