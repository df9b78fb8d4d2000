//! The kinds whose tiles are their own: dots of the columns that share a scale, times their integer scale, make the sum of a block as an
//! integer. Its F32 is scaled by the activations and summed over a super-block, whose scale comes last.

use super::dot::Dot;
use super::dots::{dots, stays_narrow};
use super::quant::{integers, scale_and_min, super_scales, Quant};
use super::shape::QUARTETS;
use super::{BLOCKS, INTEGERS, SUPER};
use crate::linear::activations::{META, PIECE};
use crate::linear::kernels::float_scales;
use crate::linear::{Activations, Output, QUADS};
use crate::simd::{Vector, LANES, V};

/// What the activations of a block have behind them, for one half or for two.
pub(super) struct Behind {
    pub(super) scale: V,
    /// What dots begin with: minus the zero point times the sum of the activations.
    pub(super) starts: [V; 2],
    /// The sums, scaled.
    pub(super) scaled_sums: [V; 2],
}

impl Behind {
    /// Of a kind with a scale for each half of a block or one, with minima or a zero point.
    #[inline(always)]
    pub(super) fn new(
        [scales, total, less_sum_8, less_first]: [V; META],
        halves: bool,
        min: bool,
        zero: V,
    ) -> Behind {
        let scale = float_scales(scales);
        let mut behind = Behind {
            scale,
            starts: [V::zero(); 2],
            scaled_sums: [total; 2],
        };
        if !min {
            let less_second = less_sum_8.shr_i32::<3>().sub_i32(less_first);
            behind.starts = [less_first, less_second].map(|sum| sum.mul_i32(zero));
        } else if halves {
            let first = V::zero().sub_i32(less_first).f32_from_i32().mul(scale);
            behind.scaled_sums = [first, total.sub(first)];
        }
        behind
    }
}

/// One token: all 16 rows at once, unpacked in registers.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
#[inline(never)]
pub unsafe fn vector<Q: Quant, D: Dot>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let shape = Q::SHAPE;
    let zero = V::splat_i32(i32::from(shape.zero()));
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 256` super-blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.quantized(token));
        for _ in 0..x.k / SUPER {
            let [d, d_min] = super_scales::<Q>(w);
            w = w.add(shape.header());
            let (mut scaled, mut minima) = ([V::zero(); QUADS], [V::zero(); QUADS]);
            for _ in 0..BLOCKS {
                let (values, behind) = (a, a.add(PIECE * QUARTETS * D::PIECES));
                a = behind.add(PIECE * META);
                let behind = Behind::new(V::load(behind).splats(), shape.halves, shape.min, zero);
                let integers = integers(w);
                let mut block = [V::zero(); QUADS];
                unroll!(PART in [0, 1] {
                    if PART < shape.scales() {
                        let start = behind.starts[PART];
                        let dots = dots::<Q, D, PART>(w.add(INTEGERS), values, start);
                        unroll!(R in [0, 1, 2, 3] {
                            let (scale, min) = scale_and_min::<Q>(integers, PART, R);
                            let dots = if stays_narrow::<Q, D>() {
                                D::finish(dots[R]).add_i32(start)
                            } else {
                                dots[R]
                            };
                            let scaled = dots.mul_i32(scale);
                            block[R] = if PART == 0 { scaled } else { block[R].add_i32(scaled) };
                            if shape.min {
                                minima[R] = min.madd(behind.scaled_sums[PART], minima[R]);
                            }
                        });
                    }
                });
                for (block, scaled) in block.into_iter().zip(&mut scaled) {
                    *scaled = block.f32_from_i32().madd(behind.scale, *scaled);
                }
                w = w.add(shape.block_bytes());
            }
            for r in 0..QUADS {
                sums[r] = scaled[r].madd(d[r], sums[r]);
                if shape.min {
                    sums[r] = minima[r].madd(d_min[r], sums[r]);
                }
            }
        }
        let unit = V::load32_splat(a);
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum.mul(unit));
        }
    }
}
