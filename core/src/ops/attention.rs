//! Dense attention: a query of a head is a unit.

use super::lanes::{dot, map, map2, Each};
use super::{Extent, Operands, Region, Step};
use crate::dtype::DType;
use crate::error::Error;
use crate::executor::Compiler;
use crate::program::{Counts, Lead, Shape};
use crate::simd::{Vector, V};
use std::ops::Range;

struct Attention {
    batches: usize,
    heads: usize,
    kv_heads: usize,
    queries: usize,
    keys: usize,
    head_dim: usize,
    value_dim: usize,
    causal: bool,
    past: usize,
    scale: f32,
    softcap: f32,
    window: usize,
    q: *const f32,
    k: *const f32,
    v: *const f32,
    mask: Option<Scores>,
    slopes: Option<*const f32>,
    bias: Option<Scores>,
    output: *mut f32,
}

/// A mask or bias over scores `[batches, heads, queries, keys]`; a dimension of 1 has the stride 0.
struct Scores {
    elements: *const f32,
    strides: [usize; 3],
}

impl Scores {
    /// `[batches, keys]`, or all four dimensions where each of the first three may be 1.
    fn new(
        operands: &Operands,
        position: usize,
        scores: [usize; 4],
    ) -> Result<Option<Scores>, Error> {
        let Some(tensor) = operands.optional(position, DType::F32)? else {
            return Ok(None);
        };
        let dims = match tensor.shape.dims[..] {
            [batches, keys] => [batches, 1, 1, keys],
            [batches, heads, queries, keys] => [batches, heads, queries, keys],
            _ => [0; 4],
        };
        let fits = (0..3).all(|axis| dims[axis] == 1 || dims[axis] == scores[axis]);
        operands.check(
            fits && dims[3] == scores[3] && tensor.shape.lead == Lead::Fixed,
            "a mask or bias must be [batches, keys] or fit the scores",
        )?;
        let stride = |axis: usize| match dims[axis] {
            1 => 0,
            _ => dims[axis + 1..].iter().product(),
        };
        Ok(Some(Scores {
            elements: tensor.f32(),
            strides: [stride(0), stride(1), stride(2)],
        }))
    }

    /// The run of keys of a query.
    fn keys(&self, at: [usize; 3]) -> *const f32 {
        let offset: usize = (0..3).map(|axis| at[axis] * self.strides[axis]).sum();
        self.elements.wrapping_add(offset)
    }
}

/// Checks and adds `attention`.
pub fn compile(compiler: &mut Compiler, mut operands: Operands) -> Result<(), Error> {
    let (causal, past, scale) = (
        operands.attrs.bool()?,
        operands.attrs.count()?,
        operands.attrs.f32()?,
    );
    let (softcap, window) = (operands.attrs.f32()?, operands.attrs.count()?);
    let (q, k, v) = (operands.f32(0)?, operands.f32(1)?, operands.f32(2)?);
    let fixed = [q, k, v]
        .iter()
        .all(|x| x.shape.lead == Lead::Fixed && x.shape.dims.len() == 4);
    operands.check(
        fixed,
        "q, k and v must have 4 dimensions that do not depend on the step",
    )?;
    let [q_dims, k_dims, v_dims] = [q, k, v].map(|x| [0, 1, 2, 3].map(|axis| x.shape.dims[axis]));
    let [batches, heads, queries, head_dim] = q_dims;
    let [_, kv_heads, keys, _] = k_dims;
    operands.check(
        k_dims == [batches, kv_heads, keys, head_dim],
        "q and k do not fit",
    )?;
    operands.check(v_dims[..3] == k_dims[..3], "k and v do not fit")?;
    operands.check(
        kv_heads > 0 && heads % kv_heads == 0,
        "heads must be a multiple of KV heads",
    )?;
    let scores = [batches, heads, queries, keys];
    let (mask, bias) = (
        Scores::new(&operands, 3, scores)?,
        Scores::new(&operands, 5, scores)?,
    );
    let shape = Shape {
        dims: vec![batches, heads, queries, v_dims[3]],
        lead: Lead::Fixed,
    };
    compiler.push(Attention {
        batches,
        heads,
        kv_heads,
        queries,
        keys,
        head_dim,
        value_dim: v_dims[3],
        causal,
        past,
        scale,
        softcap,
        window,
        q: q.f32(),
        k: k.f32(),
        v: v.f32(),
        mask,
        slopes: operands.vector(4, heads)?,
        bias,
        output: operands.output(0, DType::F32, &shape)?.f32(),
    });
    operands.attrs.done()
}

impl Region for Attention {
    fn units(&self, counts: &Counts) -> usize {
        Extent::fixed(self.batches * self.heads * self.queries).at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        (self.keys * (self.head_dim + self.value_dim)) as f32 * 0.25
    }

    fn scratch_bytes(&self) -> usize {
        self.keys * 4
    }

    unsafe fn run(&self, _step: &Step, units: Range<usize>, scratch: *mut u8) -> Result<(), Error> {
        for unit in units {
            // SAFETY: the caller's.
            unsafe { self.attend(unit, scratch.cast()) };
        }
        Ok(())
    }
}

impl Attention {
    /// One query of one head. A query that sees no key gives zeros.
    unsafe fn attend(&self, unit: usize, scores: *mut f32) {
        let (query, head) = (unit % self.queries, unit / self.queries % self.heads);
        let batch = unit / self.queries / self.heads;
        let position = query + self.past;
        let end = if self.causal {
            self.keys.min(position + 1)
        } else {
            self.keys
        };
        let first = if self.window > 0 {
            (position + 1).saturating_sub(self.window)
        } else {
            0
        };
        let kv_head = batch * self.kv_heads + head * self.kv_heads / self.heads;
        // SAFETY: the caller's; `scores` has room for the keys.
        unsafe {
            let q = self.q.add(unit * self.head_dim);
            let k = self.k.add(kv_head * self.keys * self.head_dim);
            let v = self.v.add(kv_head * self.keys * self.value_dim);
            let output = self.output.add(unit * self.value_dim);
            let run = |scores: &Option<Scores>| {
                scores
                    .as_ref()
                    .map(|scores| scores.keys([batch, head, query]))
            };
            let (mask, bias) = (run(&self.mask), run(&self.bias));
            let hidden = |key: usize| {
                mask.is_some_and(|mask| *mask.add(key) == 0.0)
                    || bias.is_some_and(|bias| *bias.add(key) == f32::NEG_INFINITY)
            };
            let mut greatest = f32::NEG_INFINITY;
            for key in first..end {
                let mut score = dot(q, k.add(key * self.head_dim), self.head_dim) * self.scale;
                if self.softcap > 0.0 {
                    score = self.softcap * (score / self.softcap).tanh();
                }
                if let Some(slopes) = self.slopes {
                    score += *slopes.add(head) * (key as f32 - position as f32);
                }
                if let Some(bias) = bias {
                    score += *bias.add(key);
                }
                if hidden(key) {
                    score = f32::NEG_INFINITY;
                }
                greatest = greatest.max(score);
                *scores.add(key) = score;
            }
            map(Each(output), output, self.value_dim, |_| V::zero());
            if first >= end || (first..end).all(hidden) {
                return;
            }
            let mut total = 0.0;
            for key in first..end {
                if hidden(key) {
                    continue;
                }
                let weight = (*scores.add(key) - greatest).exp();
                total += weight;
                let weight = V::splat(weight);
                let value = Each(v.add(key * self.value_dim));
                map2(value, Each(output), output, self.value_dim, |v, sum| {
                    weight.madd(v, sum)
                });
            }
            let total = V::splat(total);
            map(Each(output), output, self.value_dim, |x| x.div(total));
        }
    }
}
