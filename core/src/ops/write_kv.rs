//! The paged KV cache, and writing rows to their slots of it.

use super::gather::index;
use super::{Extent, Operands, Region, Step, Tensor};
use crate::attention::{write_kv, AttentionShape};
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
        matches!(
            keys.dtype,
            DType::F32 | DType::F16 | DType::Q16 | DType::Q8_0
        ),
        "a cache must be F32, F16, Q16 or Q8_0",
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
    pub(super) fn with_head_dim(
        mut self,
        operands: &Operands,
        head_dim: usize,
    ) -> Result<Caches, Error> {
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
pub fn compile(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
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
