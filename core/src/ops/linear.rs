//! x · weightᵀ + bias for one weight or for several that share their input, a group of output features a unit.

use super::lanes::dot;
use super::{Extent, Operands, Region, Step, Weight};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::linear::{linear, ActivationKind, Activations, PackedWeight, GROUP};
use crate::program::Counts;
use std::ops::Range;

/// One weight with its output.
struct Product {
    weight: Weight,
    kind: ActivationKind,
    features: usize,
    groups: usize,
    bias: Option<*const f32>,
    output: *mut f32,
}

struct Linear {
    rows: Extent,
    width: usize,
    x: *const f32,
    products: Vec<Product>,
    scratch_bytes: usize,
}

/// Checks and adds `linear`.
pub fn compile(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
    add(compiler, operands, &[(1, 2)])
}

/// Checks and adds `linearGroup`.
pub fn compile_group(compiler: &mut Compiler, operands: Operands) -> Result<(), Error> {
    let count = if operands.inputs[3].is_some() { 3 } else { 2 };
    operands.check(
        operands.outputs.len() == count,
        "there must be an output for each weight",
    )?;
    add(compiler, operands, &[(1, 4), (2, 5), (3, 6)][..count])
}

/// Adds the products of one input, given the positions of their weights and biases.
fn add(
    compiler: &mut Compiler,
    operands: Operands,
    places: &[(usize, usize)],
) -> Result<(), Error> {
    let x = operands.f32(0)?;
    operands.check(!x.shape.dims.is_empty(), "the input must have a dimension")?;
    let (rows, width) = (Extent::rows(&x.shape), x.shape.last());
    let most = rows.at(&compiler.capacity());
    let mut region = Linear {
        rows,
        width,
        x: x.f32(),
        products: Vec::new(),
        scratch_bytes: 0,
    };
    for (position, &(weight, bias)) in places.iter().enumerate() {
        let (weight, features, inner) = operands.weight(weight)?;
        operands.check(inner == width, "the input features of x and weight differ")?;
        let mut shape = x.shape.clone();
        operands.check(
            shape.dims.len() > 1 || shape.lead == crate::program::Lead::Fixed,
            "a vector cannot depend on the step",
        )?;
        *shape.dims.last_mut().expect("the rank is not 0") = features;
        let mut kind = ActivationKind::F32;
        if let Weight::Packed(packed) = weight {
            // SAFETY: whoever bound the Program vouches for the handle.
            let packed: &PackedWeight = unsafe { &*packed };
            kind = packed.activation_kind();
            // A step of fewer rows may go through a smaller tile, but never needs more.
            region.scratch_bytes = region.scratch_bytes.max(packed.scratch_bytes(most));
        }
        region.products.push(Product {
            weight,
            kind,
            features,
            groups: features.div_ceil(GROUP),
            bias: operands.vector(bias, features)?,
            output: operands.output(position, DType::F32, &shape)?.f32(),
        });
    }
    for product in &region.products {
        compiler.prepare(region.x, rows, width, product.kind);
    }
    compiler.push(region);
    operands.attrs.done()
}

impl Region for Linear {
    fn units(&self, counts: &Counts) -> usize {
        if self.rows.at(counts) == 0 {
            return 0;
        }
        self.products.iter().map(|product| product.groups).sum()
    }

    fn unit_work(&self, counts: &Counts) -> f32 {
        // A group of rows; float weights take longer, but not less.
        (self.rows.at(counts) * GROUP * self.width) as f32 * 0.03
    }

    fn scratch_bytes(&self) -> usize {
        self.scratch_bytes
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        let rows = self.rows.at(&step.counts);
        let mut first = 0;
        for product in &self.products {
            let groups = units.start.clamp(first, first + product.groups) - first
                ..units.end.clamp(first, first + product.groups) - first;
            first += product.groups;
            if groups.is_empty() {
                continue;
            }
            let Product {
                bias,
                output,
                features,
                ..
            } = *product;
            // SAFETY: the caller's; the activations were prepared by an earlier region.
            unsafe {
                match product.weight {
                    Weight::Packed(weight) => {
                        let slot = step.slot(product.kind);
                        let x = Activations::prepare_rows(
                            product.kind,
                            self.x,
                            rows,
                            self.width,
                            0..0,
                            slot,
                        );
                        linear(&*weight, &x, rows, bias, output, features, groups, scratch);
                    }
                    Weight::Dense(weight) => {
                        let features = groups.start * GROUP..(groups.end * GROUP).min(features);
                        self.dense(product, weight, rows, features);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Linear {
    /// The product with a weight that no upload has packed.
    unsafe fn dense(
        &self,
        product: &Product,
        weight: *const f32,
        rows: usize,
        features: Range<usize>,
    ) {
        for row in 0..rows {
            for feature in features.clone() {
                // SAFETY: the caller's.
                unsafe {
                    let sum = dot(
                        self.x.add(row * self.width),
                        weight.add(feature * self.width),
                        self.width,
                    );
                    let bias = product.bias.map_or(0.0, |bias| *bias.add(feature));
                    *product.output.add(row * product.features + feature) = sum + bias;
                }
            }
        }
    }
}
