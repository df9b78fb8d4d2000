//! A group whose quants are bytes, for many tokens.

use super::dot::{ByWords, Dot};
use super::quant::{integers, quartets, scale_and_min, super_scales, Quant};
use super::shape::QUARTETS;
use super::tile::{add_one, add_two, load_quartet, tile_of, Rows, Sums};
use super::{Shape, BLOCKS, INTEGERS};
use crate::linear::{Activations, Output, QUADS};
use crate::simd::{Vector, V};

/// Bytes of a half's scales and minima of a super-block, as F32.
const HEADER: usize = 64;

/// Bytes of a half's integer scales and minima behind it.
const SCALES: usize = 64;

/// Bytes of a block of 16 rows unpacked to a tile, and its part of a super-block's header.
pub fn tile_block_bytes(shape: Shape, vectors: usize) -> usize {
    QUADS * 16 * vectors + 2 * (shape.scales() * SCALES + HEADER / BLOCKS)
}

/// Bytes from a scale's part of a block of half a group to the next, of `count` a block, if a quartet is so many pieces.
const fn part_bytes(count: usize, pieces: usize) -> usize {
    SCALES + 32 * QUARTETS * pieces / count
}

/// Unpacks a group to two halves of 8 rows; of each its super-blocks: scales and minima as F32, then for each scale the integers, the minima as
/// F32, and the vectors in order of the columns, two quads each.
/// # Safety
/// The group must have that many super-blocks, and `tile` room for them: [`tile_block_bytes`] of each block.
#[inline(never)]
pub unsafe fn unpack<Q: Quant>(packed: *const u8, supers: usize, words: bool, tile: *mut u8) {
    let shape = Q::SHAPE;
    let count = shape.scales();
    let pieces = 1 + usize::from(words);
    let part = part_bytes(count, pieces);
    let of_super = HEADER + BLOCKS * count * part;
    // Known at run time only, so that the loops below are not unrolled.
    let quads = std::hint::black_box(QUADS);
    for n in 0..supers {
        // SAFETY: the caller's.
        unsafe {
            let from = packed.add(n * shape.super_bytes());
            let place_of = |r: usize| tile.add((r / 2 * supers + n) * of_super + r % 2 * 16);
            let [d, d_min] = super_scales::<Q>(from);
            for r in 0..QUADS {
                d[r].store(place_of(r));
                d_min[r].store(place_of(r).add(32));
            }
            for b in 0..BLOCKS {
                let block = from.add(shape.header() + b * shape.block_bytes());
                let part_of =
                    |r: usize, half: usize| place_of(r).add(HEADER + (b * count + half) * part);
                let integers = integers(block);
                for half in 0..count {
                    for r in 0..QUADS {
                        let (scale, min) = scale_and_min::<Q>(integers, half, r);
                        scale.store(part_of(r, half));
                        min.store(part_of(r, half).add(32));
                    }
                }
                for r in 0..quads {
                    let quartets = quartets::<Q>(block.add(INTEGERS), r);
                    for (i, quants) in quartets.into_iter().enumerate() {
                        let (half, within) = (i / shape.run(), i % shape.run());
                        let to = part_of(r, half).add(SCALES + 32 * pieces * within);
                        store(quants, words, to);
                    }
                }
            }
        }
    }
}

/// Writes a quartet of quants as they meet activations, the pieces 32 bytes apart.
/// # Safety
/// There must be room.
#[inline(always)]
pub unsafe fn store(quants: V, words: bool, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe {
        if !words {
            quants.store(to);
            return;
        }
        for (piece, words) in ByWords::widen(quants).into_iter().enumerate() {
            words.store(to.add(32 * piece));
        }
    }
}

/// As [`unpack`] writes them. Kinds that differ only in bits and zero points are the same here.
pub struct Unpacked<const HALVES: bool, const MIN: bool>;

impl<const HALVES: bool, const MIN: bool> Unpacked<HALVES, MIN> {
    /// Parts of a block.
    const COUNT: usize = 1 + HALVES as usize;
}

impl<D: Dot, const HALVES: bool, const MIN: bool> Rows<D> for Unpacked<HALVES, MIN> {
    const HALVES: bool = HALVES;
    const MIN: bool = MIN;
    const HEADER: usize = HEADER;
    const BLOCK_BYTES: usize = Self::COUNT * part_bytes(Self::COUNT, D::PIECES);
    #[inline(always)]
    unsafe fn half(group: *const u8, half: usize, supers: usize) -> *const u8 {
        let bytes = HEADER + BLOCKS * <Self as Rows<D>>::BLOCK_BYTES;
        // SAFETY: the caller's.
        unsafe { group.add(half * supers * bytes) }
    }
    #[inline(always)]
    unsafe fn super_scales(header: *const u8, _: usize) -> [[V; 2]; 2] {
        // SAFETY: the caller's.
        [0, 32].map(|at| [0, 16].map(|r| unsafe { V::load(header.add(at + r)) }))
    }
    #[inline(always)]
    unsafe fn scales(block: *const u8, _: usize, part: usize) -> [V; 2] {
        // SAFETY: the caller's.
        [0, 16]
            .map(|r| unsafe { V::load(block.add(part * part_bytes(Self::COUNT, D::PIECES) + r)) })
    }
    #[inline(always)]
    unsafe fn minima(block: *const u8, _: usize, part: usize) -> [V; 2] {
        // SAFETY: the caller's.
        [32, 48]
            .map(|r| unsafe { V::load(block.add(part * part_bytes(Self::COUNT, D::PIECES) + r)) })
    }
    #[inline(always)]
    unsafe fn add_dots(
        sums: &mut Sums,
        block: *const u8,
        _: usize,
        part: usize,
        a: *const u8,
        scales: [V; 2],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let a = a.add(16 * D::PIECES * QUARTETS / Self::COUNT * part);
            let quants = block.add(part * part_bytes(Self::COUNT, D::PIECES) + SCALES);
            unroll!(STEP in [0, 1, 2, 3] {
                if STEP < QUARTETS / 2 / Self::COUNT {
                    let at = |i: usize| {
                        let values = load_quartet::<D>(a, 2 * STEP + i, 16);
                        let rows = [0, 16].map(|r| load_quartet::<D>(quants.add(r), 2 * STEP + i, 32));
                        (values, rows)
                    };
                    if D::WIDE {
                        for i in 0..2 {
                            let (values, quants) = at(i);
                            add_one::<D>(sums, values, quants);
                        }
                    } else {
                        let [(first, [a, b]), (second, [c, d])] = [at(0), at(1)];
                        add_two::<D>(sums, [first, second], [[a, c], [b, d]], scales);
                    }
                }
            });
        }
    }
}

/// Up to four tokens by 16 rows.
/// # Safety
/// As [`crate::linear::linear`], for a group of rows of the kind that [`unpack`] wrote.
#[inline(always)]
pub unsafe fn tile<Q: Quant, D: Dot>(
    group: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let zero = Q::SHAPE.zero();
    // SAFETY: the caller's.
    unsafe {
        match (Q::SHAPE.halves, Q::SHAPE.min) {
            (true, true) => {
                tile_of::<D, Unpacked<true, true>>(group, x, token, tokens, row, output, zero)
            }
            (true, false) => {
                tile_of::<D, Unpacked<true, false>>(group, x, token, tokens, row, output, zero)
            }
            (false, _) => {
                tile_of::<D, Unpacked<false, true>>(group, x, token, tokens, row, output, zero)
            }
        }
    }
}
