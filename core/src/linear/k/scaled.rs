//! The kinds whose tiles are their own: dots of the columns that share a scale, times their integer scale, make the sum of a block as an
//! integer. Its F32 is scaled by the activations and summed over a super-block, whose scale comes last.

use super::dot::Dot;
use super::quant::{integers, place, quants, scale_and_min, super_scales, Quant};
use super::{Shape, BLOCKS, INTEGERS, SUPER};
use crate::linear::activations::{META, PIECE};
use crate::linear::kernels::float_scales;
use crate::linear::{Activations, Output, QUADS};
use crate::simd::{Vector, LANES, V};

/// Scales of a block.
pub(super) const fn scales(shape: Shape) -> usize {
    1 + shape.halves as usize
}

/// What the activations of a block have behind them, for one half or for two.
pub(super) struct Behind {
    pub(super) scale: V,
    /// What dots begin with: minus the zero point times the sum of the activations.
    pub(super) starts: [V; 2],
    /// The sums, scaled.
    pub(super) scaled_sums: [V; 2],
}

impl Behind {
    #[inline(always)]
    pub(super) fn new<const HALVES: bool, const MIN: bool>(
        [scales, total, less_sum_8, less_first]: [V; META],
        zero: V,
    ) -> Behind {
        let scale = float_scales(scales);
        let mut behind = Behind {
            scale,
            starts: [V::zero(); 2],
            scaled_sums: [total; 2],
        };
        if !MIN {
            let less_second = less_sum_8.shr_i32::<3>().sub_i32(less_first);
            behind.starts = [less_first, less_second].map(|sum| sum.mul_i32(zero));
        } else if HALVES {
            let first = V::zero().sub_i32(less_first).f32_from_i32().mul(scale);
            behind.scaled_sums = [first, total.sub(first)];
        }
        behind
    }

    /// The one of a kind.
    #[inline(always)]
    fn of<Q: Quant>(behind: [V; META], zero: V) -> Behind {
        match (Q::SHAPE.halves, Q::SHAPE.min) {
            (true, true) => Behind::new::<true, true>(behind, zero),
            (true, false) => Behind::new::<true, false>(behind, zero),
            (false, _) => Behind::new::<false, true>(behind, zero),
        }
    }
}

/// One token: 16 rows, unpacked in registers four by four.
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
            let header = w;
            w = w.add(shape.header());
            let (mut scaled, mut minima) = ([V::zero(); QUADS], [V::zero(); QUADS]);
            for _ in 0..BLOCKS {
                let values: [D::Quartet; 8] = std::array::from_fn(|i| {
                    let from = a.add(PIECE * D::PIECES * i);
                    D::quartet(|piece| V::load32_splat(from.add(PIECE * piece)))
                });
                let behind = a.add(PIECE * 8 * D::PIECES);
                a = behind.add(PIECE * META);
                let behind = Behind::of::<Q>(V::load(behind).splats(), zero);
                let integers = integers(w);
                unroll!(R in [0, 1, 2, 3] {
                    let dots = dots::<Q, D>(w.add(INTEGERS), R, &values, behind.starts);
                    let (scale, min) = scale_and_min::<Q>(integers, 0, R);
                    let mut sum = dots[0].mul_i32(scale);
                    if shape.min {
                        minima[R] = min.madd(behind.scaled_sums[0], minima[R]);
                    }
                    if shape.halves {
                        let (scale, min) = scale_and_min::<Q>(integers, 1, R);
                        sum = sum.add_i32(dots[1].mul_i32(scale));
                        if shape.min {
                            minima[R] = min.madd(behind.scaled_sums[1], minima[R]);
                        }
                    }
                    scaled[R] = sum.f32_from_i32().madd(behind.scale, scaled[R]);
                });
                w = w.add(shape.block_bytes());
            }
            let (d, d_min) = super_scales::<Q>(header);
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

/// The dots of four rows of a block, of each half or of both together.
/// # Safety
/// `planes` must be those of a block.
#[inline(always)]
unsafe fn dots<Q: Quant, D: Dot>(
    planes: *const u8,
    r: usize,
    values: &[D::Quartet; 8],
    starts: [V; 2],
) -> [V; 2] {
    let shape = Q::SHAPE;
    // Sums of i16 begin at 0.
    let whole = !D::WIDE && shape.narrow();
    let mut dots = if whole { [V::zero(); 2] } else { starts };
    unroll!(STEP in [0, 1] {
        // SAFETY: the caller's.
        let quants = unsafe { quants::<Q>(planes, r, STEP) };
        let [low, high] = quants.map(|quants| quants.map(D::widen));
        let [first, second] = [0, 1].map(|half| {
            [0, 1].map(|i| values[place(shape, STEP, half, i)])
        });
        if D::WIDE || whole {
            let second_half = usize::from(shape.halves);
            dots[0] = D::narrow(dots[0], first, low).pinned();
            dots[second_half] = D::narrow(dots[second_half], second, high).pinned();
        } else if shape.halves {
            dots[0] = D::two(dots[0], first, low).pinned();
            dots[1] = D::two(dots[1], second, high).pinned();
        } else {
            let sum = D::narrow(D::narrow(V::zero(), first, low), second, high);
            dots[0] = dots[0].add_i32(D::finish(sum)).pinned();
        }
    });
    if whole {
        [0, 1].map(|half| D::finish(dots[half]).add_i32(starts[half]))
    } else {
        dots
    }
}
