//! Layer norm and RMS norm over the innermost axis, a row a unit.

use super::lanes::{map, map2, sum, Each};
use super::{Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::Counts;
use crate::simd::{Vector, V};
use std::ops::Range;

struct RmsNorm {
    rows: Extent,
    width: usize,
    /// For `addRmsNorm` what is added to x, and where the sum goes.
    added: Option<(*const f32, *mut f32)>,
    x: *const f32,
    weight: Option<*const f32>,
    output: *mut f32,
    eps: f32,
    offset: f32,
}

/// Checks and adds `rmsNorm`.
pub fn compile_rms_norm(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let (eps, offset) = (operands.attrs.f32()?, operands.attrs.f32()?);
    let x = operands.f32(0)?;
    let width = x.shape.last();
    compiler.push(RmsNorm {
        rows: Extent::rows(&x.shape),
        width,
        added: None,
        x: x.f32(),
        weight: operands.vector(1, width)?,
        output: operands.output(0, DType::F32, &x.shape)?.f32(),
        eps,
        offset,
    });
    operands.attrs.done()
}

/// Checks and adds `addRmsNorm`.
pub fn compile_add_rms_norm(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let (eps, offset) = (operands.attrs.f32()?, operands.attrs.f32()?);
    let (a, b) = (operands.f32(0)?, operands.f32(1)?);
    operands.check(a.shape == b.shape, "a and b differ in shape")?;
    let width = a.shape.last();
    compiler.push(RmsNorm {
        rows: Extent::rows(&a.shape),
        width,
        added: Some((b.f32(), operands.output(0, DType::F32, &a.shape)?.f32())),
        x: a.f32(),
        weight: operands.vector(2, width)?,
        output: operands.output(1, DType::F32, &a.shape)?.f32(),
        eps,
        offset,
    });
    operands.attrs.done()
}

impl Region for RmsNorm {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32 * 0.5
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let n = self.width;
        for row in units {
            // SAFETY: the caller's.
            unsafe {
                let mut x = self.x.add(row * n);
                if let Some((b, total)) = self.added {
                    let total = total.add(row * n);
                    map2(Each(x), Each(b.add(row * n)), total, n, V::add);
                    x = total;
                }
                let mean = sum(x, n, |x| x.mul(x)) / n as f32;
                let inverse = V::splat(1.0 / (mean + self.eps).sqrt());
                let output = self.output.add(row * n);
                let offset = V::splat(self.offset);
                match self.weight {
                    Some(weight) if self.offset == 0.0 => {
                        map2(Each(x), Each(weight), output, n, |x, w| {
                            x.mul(inverse).mul(w)
                        });
                    }
                    Some(weight) => {
                        map2(Each(x), Each(weight), output, n, |x, w| {
                            x.mul(inverse).mul(w.add(offset))
                        });
                    }
                    None => map(Each(x), output, n, |x| x.mul(inverse)),
                }
            }
        }
        Ok(())
    }
}

struct LayerNorm {
    rows: Extent,
    width: usize,
    x: *const f32,
    weight: Option<*const f32>,
    bias: Option<*const f32>,
    output: *mut f32,
    eps: f32,
}

/// Checks and adds `layerNorm`.
pub fn compile_layer_norm(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let eps = operands.attrs.f32()?;
    let x = operands.f32(0)?;
    let width = x.shape.last();
    compiler.push(LayerNorm {
        rows: Extent::rows(&x.shape),
        width,
        x: x.f32(),
        weight: operands.vector(1, width)?,
        bias: operands.vector(2, width)?,
        output: operands.output(0, DType::F32, &x.shape)?.f32(),
        eps,
    });
    operands.attrs.done()
}

impl Region for LayerNorm {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32
    }

    unsafe fn run(
        &self,
        _step: &Step,
        units: Range<usize>,
        _scratch: *mut u8,
    ) -> Result<(), Error> {
        let n = self.width;
        for row in units {
            // SAFETY: the caller's.
            unsafe {
                let (x, output) = (self.x.add(row * n), self.output.add(row * n));
                let rough = V::splat(sum(x, n, |x| x) / n as f32);
                // The rounding of a large mean is taken off again: the differences are small numbers.
                map(Each(x), output, n, |x| x.sub(rough));
                let rest = V::splat(sum(output, n, |x| x) / n as f32);
                map(Each(output), output, n, |x| x.sub(rest));
                let variance = sum(output, n, |x| x.mul(x)) / n as f32;
                let inverse = V::splat(1.0 / (variance + self.eps).sqrt());
                map(Each(output), output, n, |x| x.mul(inverse));
                if let Some(weight) = self.weight {
                    map2(Each(output), Each(weight), output, n, V::mul);
                }
                if let Some(bias) = self.bias {
                    map2(Each(output), Each(bias), output, n, V::add);
                }
            }
        }
        Ok(())
    }
}
