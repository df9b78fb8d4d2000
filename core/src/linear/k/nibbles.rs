//! Q4_K: it computes as Q4_1 does, so its rows unpack to the same tiles.

use super::dot::{ByPairs, Dot};
use super::dots::dots;
use super::kernels::quads;
use super::quant::{
    half_integers, integers, quartets, scale_and_min, super_scales, super_scales_of, Quant, Q4K,
};
use super::unpacked::store;
use super::{BLOCKS, INTEGERS, SUPER};
use crate::linear::activations::{FOUR, META, PIECE};
use crate::linear::kernels::{Kernel, NibblesByBytes, NibblesByQuads, NibblesByWords};
use crate::linear::quantized::{add_minima, lanes_of, BYTES, WORDS};
use crate::linear::tile::{tile, Unpacked, Weights};
use crate::linear::{ActivationKind, Activations, Output, QUADS};
use crate::simd::{Vector, LANES, V};
use std::marker::PhantomData;

/// A group as it lies in the weight.
struct Packed<K> {
    /// Blocks of the super-block behind the one that is open.
    left: usize,
    /// Scales and minima of the super-block.
    supers: [[V; 2]; 2],
    mask: V,
    kernel: PhantomData<K>,
}

impl<K: Kernel> Weights<K> for Packed<K> {
    const PARTS: usize = K::PARTS;
    const BLOCK_BYTES: usize = Q4K::SHAPE.block_bytes();
    const STEP: usize = QUADS * 16;
    #[inline(always)]
    fn new() -> Self {
        Packed {
            left: 0,
            supers: [[V::zero(); 2]; 2],
            mask: lanes_of(K::MASK),
            kernel: PhantomData,
        }
    }
    #[inline(always)]
    fn piece(part: usize, i: usize) -> usize {
        K::place(i, part)
    }
    #[inline(always)]
    unsafe fn half(group: *const u8, _: usize, _: usize) -> *const u8 {
        group
    }
    #[inline(always)]
    unsafe fn open(&mut self, block: *const u8, half: usize) -> *const u8 {
        if self.left > 0 {
            self.left -= 1;
            return block;
        }
        self.left = BLOCKS - 1;
        // SAFETY: the caller's; a super-block begins here.
        unsafe {
            self.supers = super_scales_of::<Q4K, 2>(block, 2 * half);
            block.add(Q4K::SHAPE.header())
        }
    }
    #[inline(always)]
    unsafe fn scales(&self, block: *const u8, half: usize, r: usize) -> V {
        // SAFETY: the caller's.
        let (scale, _) = scale_and_min::<Q4K>(unsafe { half_integers(block, half) }, 0, r);
        scale.f32_from_i32().mul(self.supers[0][r])
    }
    #[inline(always)]
    unsafe fn minima(&self, block: *const u8, half: usize, r: usize) -> V {
        // SAFETY: the caller's.
        let (_, min) = scale_and_min::<Q4K>(unsafe { half_integers(block, half) }, 0, r);
        min.mul(self.supers[1][r])
    }
    #[inline(always)]
    unsafe fn quants(block: *const u8, half: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { block.add(INTEGERS + 32 * half) }
    }
    #[inline(always)]
    fn part(&self, quants: V, part: usize) -> V {
        K::unpack(quants, part, self.mask)
    }
}

/// Up to `tokens` tokens in tiles, by whatever dot the machine has.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
pub unsafe fn tiles(
    group: *const u8,
    x: &Activations,
    tokens: usize,
    row: usize,
    output: Output,
    scratch: *mut u8,
) {
    // SAFETY: the caller's.
    unsafe {
        match x.kind {
            ActivationKind::I8 if BYTES && quads(x.dot) => {
                tiles_of::<NibblesByQuads<true>>(group, x, tokens, row, output, scratch)
            }
            ActivationKind::I8 if BYTES => {
                tiles_of::<NibblesByBytes<true>>(group, x, tokens, row, output, scratch)
            }
            _ if WORDS => tiles_of::<NibblesByWords<true>>(group, x, tokens, row, output, scratch),
            _ => unreachable!("activations of another kind"),
        }
    }
}

/// # Safety
/// As [`tiles`].
unsafe fn tiles_of<K: Kernel>(
    group: *const u8,
    x: &Activations,
    tokens: usize,
    row: usize,
    output: Output,
    scratch: *mut u8,
) {
    let few = tokens <= K::FEW;
    // SAFETY: the caller's.
    unsafe {
        if !few {
            let words = x.kind == ActivationKind::I16;
            unpack(group, x.k / SUPER, words, scratch);
        }
        for token in (0..tokens).step_by(FOUR) {
            let count = (tokens - token).min(FOUR);
            if few {
                tile::<Packed<K>, K, true>(group, x, token, count, row, output);
            } else {
                tile::<Unpacked<K, true>, K, true>(scratch, x, token, count, row, output);
            }
        }
    }
}

/// One token: all 16 rows at once, unpacked in registers.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
#[inline(never)]
pub unsafe fn vector<D: Dot>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let shape = Q4K::SHAPE;
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 256` super-blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.quantized(token));
        for _ in 0..x.k / SUPER {
            let [d, d_min] = super_scales::<Q4K>(w);
            w = w.add(shape.header());
            for _ in 0..BLOCKS {
                let integers = integers(w);
                let dots = dots::<Q4K, D, 0>(w.add(INTEGERS), a, V::zero());
                let meta = a.add(PIECE * 8 * D::PIECES);
                let [scales, scaled_sum, ..] = V::load(meta).splats();
                unroll!(R in [0, 1, 2, 3] {
                    let (scale, min) = scale_and_min::<Q4K>(integers, 0, R);
                    let scale = scale.f32_from_i32().mul(d[R]);
                    let sum = D::add(sums[R], dots[R], scale, scales);
                    sums[R] = add_minima::<true>(sum, min.mul(d_min[R]), scaled_sum);
                });
                w = w.add(shape.block_bytes());
                a = meta.add(PIECE * META);
            }
        }
        let unit = V::load32_splat(a);
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum.mul(unit));
        }
    }
}

/// One token of Q4_K, by pairs.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows.
pub unsafe fn vector_of_nibbles(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    // SAFETY: the caller's.
    unsafe { vector::<ByPairs>(packed, x, token, row, output) }
}

/// Unpacks a group of Q4_K as [`crate::linear::tile::unpack`] does one of Q4_1.
/// # Safety
/// As there.
pub unsafe fn unpack_nibbles(packed: *const u8, blocks: usize, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { unpack(packed, blocks / BLOCKS, false, to) }
}

/// The same, to bytes or to words.
/// # Safety
/// The group must have that many super-blocks, and `to` room for them.
#[inline(never)]
pub unsafe fn unpack(packed: *const u8, supers: usize, words: bool, to: *mut u8) {
    let shape = Q4K::SHAPE;
    let pieces = 1 + usize::from(words);
    let block_bytes = 64 + 32 * 8 * pieces;
    // Known at run time only, so that the loops below are not unrolled.
    let quads = std::hint::black_box(QUADS);
    for n in 0..supers {
        // SAFETY: the group has that many super-blocks, and the tile room for them.
        unsafe {
            let from = packed.add(n * shape.super_bytes());
            let [d, d_min] = super_scales::<Q4K>(from);
            for b in 0..BLOCKS {
                let block = from.add(shape.header() + b * shape.block_bytes());
                let place_of = |r: usize| {
                    let at = r / 2 * supers * BLOCKS + n * BLOCKS + b;
                    to.add(at * block_bytes + r % 2 * 16)
                };
                let integers = integers(block);
                for r in 0..QUADS {
                    let (scale, min) = scale_and_min::<Q4K>(integers, 0, r);
                    scale.f32_from_i32().mul(d[r]).store(place_of(r));
                    min.mul(d_min[r]).store(place_of(r).add(32));
                }
                for r in 0..quads {
                    let quartets = quartets::<Q4K>(block.add(INTEGERS), r);
                    for (i, quants) in quartets.into_iter().enumerate() {
                        store(quants, words, place_of(r).add(64 + 32 * pieces * i));
                    }
                }
            }
        }
    }
}
