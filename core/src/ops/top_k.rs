//! The highest elements of a row and where they stand.

use super::{Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::Counts;
use std::ops::Range;

struct TopK {
    rows: Extent,
    width: usize,
    count: usize,
    x: *const f32,
    values: *mut f32,
    indexes: *mut i32,
}

/// Checks and adds `topK`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let count = operands.attrs.count()?;
    let x = operands.f32(0)?;
    operands.check(
        x.shape.dims.len() > 1,
        "x must have a dimension before the last",
    )?;
    let width = x.shape.last();
    operands.check(
        (1..=width).contains(&count),
        "k must be within the last dimension",
    )?;
    let mut shape = x.shape.clone();
    *shape.dims.last_mut().expect("the rank is not 0") = count;
    compiler.push(TopK {
        rows: Extent::rows(&x.shape),
        width,
        count,
        x: x.f32(),
        values: operands.output(0, DType::F32, &shape)?.f32(),
        indexes: operands.output(1, DType::I32, &shape)?.i32(),
    });
    operands.attrs.done()
}

impl Region for TopK {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.width * self.count) as f32
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        for row in units {
            // SAFETY: the caller's.
            let x = unsafe { std::slice::from_raw_parts(self.x.add(row * self.width), self.width) };
            let mut last = None;
            for place in 0..self.count {
                let next = after(x, last);
                // SAFETY: the caller's.
                unsafe {
                    *self.values.add(row * self.count + place) = x[next];
                    *self.indexes.add(row * self.count + place) = next as i32;
                }
                last = Some(next);
            }
        }
        Ok(())
    }
}

/// The element that comes after `last`: from the highest down, the first of equals first, NaN as the lowest.
fn after(x: &[f32], last: Option<usize>) -> usize {
    let key = |i: usize| {
        if x[i].is_nan() {
            f32::NEG_INFINITY
        } else {
            x[i]
        }
    };
    let waits = |i: &usize| {
        last.is_none_or(|last| key(*i) < key(last) || key(*i) == key(last) && *i > last)
    };
    (0..x.len())
        .filter(waits)
        .reduce(|best, i| if key(i) > key(best) { i } else { best })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn from_the_highest_down() {
        let x = [1.0, f32::NAN, 3.0, 3.0, f32::NEG_INFINITY];
        let mut order = vec![after(&x, None)];
        for _ in 1..x.len() {
            order.push(after(&x, order.last().copied()));
        }
        assert_eq!(order, [2, 3, 0, 1, 4]);
    }
}
