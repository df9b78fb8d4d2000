//! Rotary positions: the table of a step's angles, and the rotation.

use super::{Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::Counts;
use crate::simd::{Vector, LANES, V};
use std::ops::Range;

struct RopeTable {
    positions: *const i32,
    rows: Extent,
    inverse_frequencies: Vec<f64>,
    scale: f32,
    output: *mut f32,
}

/// Checks and adds `ropeTable`.
pub fn compile_table(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let inverse_frequencies = operands.attrs.f64s()?;
    let scale = operands.attrs.f32()?;
    let positions = operands.i32(0)?;
    operands.check(
        positions.shape.dims.len() == 1,
        "the positions must be a vector",
    )?;
    let mut shape = positions.shape.clone();
    shape.dims.push(2 * inverse_frequencies.len());
    let (rows, output) = (
        Extent::all(&positions.shape),
        operands.output(0, DType::F32, &shape)?.f32(),
    );
    compiler.push(RopeTable {
        positions: positions.i32(),
        rows,
        inverse_frequencies,
        scale,
        output,
    });
    operands.attrs.done()
}

impl Region for RopeTable {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.inverse_frequencies.len() as f32 * 50.0
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let n = self.inverse_frequencies.len();
        for row in units {
            // SAFETY: the caller's.
            let position = f64::from(unsafe { *self.positions.add(row) });
            for (i, frequency) in self.inverse_frequencies.iter().enumerate() {
                let (sin, cos) = (position * frequency).sin_cos();
                // SAFETY: the caller's; a row has the cosines, then the sines.
                unsafe {
                    let output = self.output.add(row * 2 * n + i);
                    *output = cos as f32 * self.scale;
                    *output.add(n) = sin as f32 * self.scale;
                }
            }
        }
        Ok(())
    }
}

struct Rope {
    x: *const f32,
    table: *const f32,
    output: *mut f32,
    rows: Extent,
    heads: usize,
    head_dim: usize,
    /// Pairs that are rotated.
    pairs: usize,
    interleaved: bool,
}

/// Checks and adds `rope`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let (heads, interleaved) = (operands.attrs.count()?, operands.attrs.bool()?);
    let (x, table) = (operands.f32(0)?, operands.f32(1)?);
    operands.check(
        x.shape.dims.len() == 2 && table.shape.dims.len() == 2,
        "x and table must be matrices",
    )?;
    let same_rows = Extent::rows(&x.shape) == Extent::rows(&table.shape);
    operands.check(same_rows, "x and table differ in rows")?;
    let (width, angles) = (x.shape.dims[1], table.shape.dims[1]);
    let fits = heads > 0 && width % heads == 0 && angles % 2 == 0 && angles <= width / heads;
    operands.check(fits, "x does not hold its heads")?;
    compiler.push(Rope {
        x: x.f32(),
        table: table.f32(),
        output: operands.output(0, DType::F32, &x.shape)?.f32(),
        rows: Extent::rows(&x.shape),
        heads,
        head_dim: width / heads,
        pairs: angles / 2,
        interleaved,
    });
    operands.attrs.done()
}

impl Region for Rope {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts) * self.heads
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.head_dim as f32 * 0.5
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let (n, rotated) = (self.pairs, 2 * self.pairs);
        for unit in units {
            // SAFETY: the caller's.
            unsafe {
                let cos = self.table.add(unit / self.heads * rotated);
                let sin = cos.add(n);
                let (x, output) = (
                    self.x.add(unit * self.head_dim),
                    self.output.add(unit * self.head_dim),
                );
                if self.interleaved {
                    rotate_neighbours(x, cos, sin, output, n);
                } else {
                    rotate_halves(x, cos, sin, output, n);
                }
                output
                    .add(rotated)
                    .copy_from(x.add(rotated), self.head_dim - rotated);
            }
        }
        Ok(())
    }
}

/// Pairs (i, i + n).
unsafe fn rotate_halves(
    x: *const f32,
    cos: *const f32,
    sin: *const f32,
    output: *mut f32,
    n: usize,
) {
    let mut i = 0;
    while i < n {
        let m = LANES.min(n - i);
        // SAFETY: the caller's.
        unsafe {
            let load = |p: *const f32| {
                if m == LANES {
                    V::load_f32(p)
                } else {
                    V::load_partial(p, m)
                }
            };
            let (a, b, c, s) = (
                load(x.add(i)),
                load(x.add(n + i)),
                load(cos.add(i)),
                load(sin.add(i)),
            );
            let (first, second) = (a.mul(c).sub(b.mul(s)), b.mul(c).add(a.mul(s)));
            if m == LANES {
                first.store_f32(output.add(i));
                second.store_f32(output.add(n + i));
            } else {
                first.store_partial(output.add(i), m);
                second.store_partial(output.add(n + i), m);
            }
        }
        i += LANES;
    }
}

/// Pairs (2i, 2i + 1).
unsafe fn rotate_neighbours(
    x: *const f32,
    cos: *const f32,
    sin: *const f32,
    output: *mut f32,
    n: usize,
) {
    for i in 0..n {
        // SAFETY: the caller's.
        unsafe {
            let (a, b, c, s) = (*x.add(2 * i), *x.add(2 * i + 1), *cos.add(i), *sin.add(i));
            *output.add(2 * i) = a * c - b * s;
            *output.add(2 * i + 1) = b * c + a * s;
        }
    }
}
