//! Keys of the cache, turned to other positions.

use super::gather::index;
use super::write_kv::{caches, Caches};
use super::{Extent, Operands, Region, Step};
use crate::attention::{rotate_keys, Rotation};
use crate::dtype::DType;
use crate::error::{invalid, Error};
use crate::executor::Compiler;
use crate::program::Counts;
use std::ops::Range;

struct RopeShift {
    table: *const f32,
    pages: *const i32,
    rows: Extent,
    rotation: Rotation,
    caches: Caches,
    key_cache: *mut u8,
}

/// Checks and adds `ropeShift`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let interleaved = operands.attrs.bool()?;
    let (table, pages) = (operands.f32(0)?, operands.i32(1)?);
    let key_cache = operands.any(2)?;
    let caches = caches(&operands, key_cache, key_cache)?;
    let rows = Extent::all(&pages.shape);
    let fits = pages.shape.dims.len() == 1
        && table.shape.dims.len() == 2
        && Extent::rows(&table.shape) == rows;
    operands.check(fits, "table and pages do not fit")?;
    let angles = table.shape.dims[1];
    operands.check(
        angles % 2 == 0 && angles <= caches.shape.head_dim,
        "a key does not hold the pairs of the table",
    )?;
    compiler.push(CheckDistinct {
        pages: pages.i32(),
        rows,
        bound: caches.pages,
    });
    compiler.push(RopeShift {
        table: table.f32(),
        pages: pages.i32(),
        rows,
        rotation: Rotation {
            pairs: angles / 2,
            interleaved,
        },
        key_cache: key_cache.bytes(),
        caches,
    });
    operands.attrs.done()
}

/// Checks the pages that [`RopeShift`] will write to: two threads must not have the same.
struct CheckDistinct {
    pages: *const i32,
    rows: Extent,
    bound: usize,
}

impl Region for CheckDistinct {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts).min(1)
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        self.rows.at(counts) as f32
    }

    unsafe fn run(
        &self,
        step: &Step,
        _units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let rows = self.rows.at(&step.counts);
        for row in 0..rows {
            // SAFETY: the caller's.
            unsafe {
                let page = *self.pages.add(row);
                if page < 0 {
                    continue;
                }
                index(self.pages, row, self.bound, "pages of the cache")?;
                if (0..row).any(|other| *self.pages.add(other) == page) {
                    return invalid(format!("ropeShift: page {page} is given twice"));
                }
            }
        }
        Ok(())
    }
}

impl Region for RopeShift {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts) * self.caches.shape.kv_heads
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        let shape = &self.caches.shape;
        let slow = match shape.kv_dtype {
            DType::F32 => 0.5,
            DType::F16 => 2.0,
            _ => 20.0,
        };
        (2 * self.rotation.pairs * shape.page_size) as f32 * slow
    }

    /// A key as F32.
    fn scratch_bytes(&self) -> usize {
        self.caches.shape.head_dim * 4
    }

    unsafe fn run(&self, _step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        let shape = &self.caches.shape;
        let head_bytes = shape.head_bytes();
        for unit in units {
            let (row, head) = (unit / shape.kv_heads, unit % shape.kv_heads);
            // SAFETY: the caller's; the pages were checked before.
            unsafe {
                let page = *self.pages.add(row);
                if page < 0 {
                    continue;
                }
                let keys = (page as usize * shape.kv_heads + head) * head_bytes;
                rotate_keys(
                    self.key_cache.add(keys),
                    self.table.add(row * 2 * self.rotation.pairs),
                    shape,
                    self.rotation,
                    scratch.cast(),
                );
            }
        }
        Ok(())
    }
}
