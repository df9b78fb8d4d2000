//! Tiles of the kinds whose scales are integers: four tokens by the rows of a group, unpacked or as they lie in the weight.

use super::dot::Dot;
use super::scaled::Behind;
use super::{BLOCKS, SUPER};
use crate::linear::activations::{FOUR, META, PIECE};
use crate::linear::tile::turns;
use crate::linear::{Activations, Output, GROUP, HALF};
use crate::simd::{Vector, V};

/// Sums of two quads of rows by four tokens, in turns.
pub type Sums = [[V; 2]; FOUR];

/// Where a tile finds half a group of rows, two quads of four. A part of a block are the columns that share a scale.
///
/// # Safety
/// What pointers are called after must lie there: a group, the header of one of its super-blocks, one of its blocks. `half` must be the same for all.
pub trait Rows<D: Dot> {
    /// Whether a block has two parts.
    const HALVES: bool;
    /// Whether there are minima.
    const MIN: bool;
    /// Bytes of the header of a super-block, behind which its blocks lie.
    const HEADER: usize;
    /// Bytes from a block to the next.
    const BLOCK_BYTES: usize;
    /// The first super-block of `supers`.
    unsafe fn half(group: *const u8, half: usize, supers: usize) -> *const u8;
    /// Scales and minima of a super-block.
    unsafe fn super_scales(header: *const u8, half: usize) -> [[V; 2]; 2];
    /// Integer scales of a part of a block.
    unsafe fn scales(block: *const u8, half: usize, part: usize) -> [V; 2];
    /// Its minima, as F32.
    unsafe fn minima(block: *const u8, half: usize, part: usize) -> [V; 2];
    /// Adds the dots of a part with a block of activations of four tokens; `scales` are i16 twice, for
    /// [`add_two`]; where sums are [`Dot::WIDE`] they are not used.
    unsafe fn add_dots(
        sums: &mut Sums,
        block: *const u8,
        half: usize,
        part: usize,
        a: *const u8,
        scales: [V; 2],
    );
}

/// Up to four tokens by 16 rows, 8 at a time, in turns as in [`crate::linear::tile::tile`]. `zero` is the kind's zero point.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows that `R` can read.
#[inline(never)]
pub unsafe fn tile_of<D: Dot, R: Rows<D>>(
    group: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
    zero: u8,
) {
    let zero = V::splat_i32(i32::from(zero));
    let supers = x.k / SUPER;
    // SAFETY: the group has that many super-blocks, and the tokens are there.
    unsafe {
        let seen = output.fetch::<GROUP>(token, tokens, row);
        for half in 0..2 {
            let mut sums = [[V::zero(); 2]; FOUR];
            let mut w = R::half(group, half, supers);
            let mut a = x.quantized(token);
            for _ in 0..supers {
                let header = w;
                w = w.add(R::HEADER);
                let mut scaled = [[V::zero(); 2]; FOUR];
                let start = a;
                for _ in 0..BLOCKS {
                    let meta = a.add(16 * x.pieces);
                    let behind = [0, 16, 32, 48].map(|at| V::load(meta.add(at)));
                    let behind = Behind::new(behind, R::HALVES, R::MIN, zero);
                    let blocks = block_sums::<D, R>(w, half, a, &behind);
                    w = w.add(R::BLOCK_BYTES);
                    for (turn, scale) in turns(behind.scale).into_iter().enumerate() {
                        for r in 0..2 {
                            let block = blocks[turn][r].f32_from_i32();
                            scaled[turn][r] = block.madd(scale, scaled[turn][r]);
                        }
                    }
                    a = meta.add(PIECE * META * FOUR);
                }
                let minima = if R::MIN {
                    minima::<D, R>(header.add(R::HEADER), half, start, x.pieces)
                } else {
                    scaled
                };
                let [d, d_min] = R::super_scales(header, half);
                for r in 0..2 {
                    for turn in 0..FOUR {
                        sums[turn][r] = scaled[turn][r].madd(d[r], sums[turn][r]);
                        if R::MIN {
                            sums[turn][r] = minima[turn][r].madd(d_min[r], sums[turn][r]);
                        }
                    }
                }
            }
            let row = row + half * HALF;
            output.write_half(token, tokens, row, sums, V::load(a));
        }
        std::hint::black_box(seen);
    }
}

/// The integer sums of a block, 8 rows by four tokens in turns.
/// # Safety
/// A block of the rows and one of the activations of four tokens must lie there.
#[inline(always)]
unsafe fn block_sums<D: Dot, R: Rows<D>>(
    block: *const u8,
    half: usize,
    a: *const u8,
    behind: &Behind,
) -> Sums {
    let count = 1 + usize::from(R::HALVES);
    let mut sums = [[V::zero(); 2]; FOUR];
    // SAFETY: the caller's.
    unsafe {
        if D::WIDE {
            for part in 0..count {
                let mut dots = turns(behind.starts[part]).map(|start| [start; 2]);
                R::add_dots(&mut dots, block, half, part, a, [V::zero(); 2]);
                let scales = R::scales(block, half, part);
                for (sums, dots) in sums.iter_mut().zip(dots) {
                    for r in 0..2 {
                        sums[r] = sums[r].add_i32(dots[r].mul_i32(scales[r]));
                    }
                }
            }
            return sums;
        }
        // The dots are scaled as they are added, so that sums begin with what is taken off.
        if !R::MIN {
            for part in 0..count {
                let scales = R::scales(block, half, part);
                for (sums, start) in sums.iter_mut().zip(turns(behind.starts[part])) {
                    for (sum, scale) in sums.iter_mut().zip(scales) {
                        *sum = sum.add_i32(start.mul_i32(scale));
                    }
                }
            }
        }
        for part in 0..count {
            let scales = R::scales(block, half, part).map(pairs);
            R::add_dots(&mut sums, block, half, part, a, scales);
        }
    }
    sums
}

/// Piece by piece the quartet `i` behind `from`, the pieces `step` bytes apart.
/// # Safety
/// It must lie there.
#[inline(always)]
pub unsafe fn load_quartet<D: Dot>(from: *const u8, i: usize, step: usize) -> D::Quartet {
    // SAFETY: the caller's.
    D::quartet(|piece| unsafe { V::load(from.add((i * D::PIECES + piece) * step)) })
}

/// Adds the products of a quartet of four tokens and of both quads, where narrow sums are i32.
#[inline(always)]
pub fn add_one<D: Dot>(sums: &mut Sums, mut values: D::Quartet, quants: [D::Quartet; 2]) {
    for sums in sums {
        for r in 0..2 {
            sums[r] = D::narrow(sums[r], values, quants[r]).pinned();
        }
        values = D::rotate(values);
    }
}

/// Adds the products of two quartets where narrow sums are of i16, which the instruction that adds pairs of them scales as well.
#[inline(always)]
pub fn add_two<D: Dot>(
    sums: &mut Sums,
    mut values: [D::Quartet; 2],
    quants: [[D::Quartet; 2]; 2],
    scales: [V; 2],
) {
    for sums in sums {
        for r in 0..2 {
            let [first, second] = quants[r];
            let narrow = D::narrow(V::zero(), values[0], first);
            let narrow = D::narrow(narrow, values[1], second);
            sums[r] = sums[r].add_i32(narrow.dot_i16(scales[r])).pinned();
        }
        values = values.map(D::rotate);
    }
}

/// A small integer twice, as i16.
#[inline(always)]
fn pairs(integer: V) -> V {
    integer
        .and(V::splat_i32(0xffff))
        .or(integer.shl_i32::<16>())
}

/// The minima of a super-block, times the sums of what they belong to.
/// # Safety
/// Its blocks and those of the activations of four tokens must lie there.
#[inline(always)]
unsafe fn minima<D: Dot, R: Rows<D>>(
    blocks: *const u8,
    half: usize,
    a: *const u8,
    pieces: usize,
) -> Sums {
    let mut minima = [[V::zero(); 2]; FOUR];
    let (mut block, mut a) = (blocks, a);
    for _ in 0..BLOCKS {
        // SAFETY: the caller's.
        unsafe {
            let meta = a.add(16 * pieces);
            let behind = [0, 16, 32, 48].map(|at| V::load(meta.add(at)));
            let behind = Behind::new(behind, R::HALVES, R::MIN, V::zero());
            for part in 0..1 + usize::from(R::HALVES) {
                let min = R::minima(block, half, part);
                for (minima, sums) in minima.iter_mut().zip(turns(behind.scaled_sums[part])) {
                    minima[0] = min[0].madd(sums, minima[0]);
                    minima[1] = min[1].madd(sums, minima[1]);
                }
            }
            block = block.add(R::BLOCK_BYTES);
            a = meta.add(PIECE * META * FOUR);
        }
    }
    minima
}
