//! K-quants by 8-bit activations: exact integer dots of the columns that share a scale, summed in F32 one after another.
//!
//! A quant is at most 63, so that bytes meet bytes wherever the machine has a dot of bytes, and a zero point is a minimum like any other.

use super::dot::{ByPairs, ByQuads, ByWords, Dot};
use super::quant::{place, quants, scale_and_min, super_scales, Quant, Q2K, Q3K, Q4K, Q5K, Q6K};
use super::{Shape, INTEGERS, SUPER};
use crate::dtype::DType;
use crate::linear::activations::{FOUR, META, PIECE};
use crate::linear::kernels::{
    add_bytes, float_scales, NibblesByBytes, NibblesByQuads, NibblesByWords,
};
use crate::linear::quantized::{add_minima, Meta, BYTES, WORDS};
use crate::linear::tile::{self, Unpacked};
use crate::linear::weight::BLOCK;
use crate::linear::{
    singles, ActivationKind, Activations, Output, PackedWeight, GROUP, HALF, QUADS,
};
use crate::simd::{ByteDot, Vector, LANES, V};

/// Blocks of a super-block.
const BLOCKS: usize = SUPER / BLOCK;

/// Bytes of a block of 16 rows unpacked to a tile.
pub fn tile_block_bytes(shape: Shape, kind: ActivationKind) -> usize {
    let vectors = if kind == ActivationKind::I8 { 8 } else { 16 };
    QUADS * 16 * (vectors + 2 * scales(shape))
}

/// Scales of a block.
const fn scales(shape: Shape) -> usize {
    1 + shape.halves as usize
}

/// Calls a function for the quant of a dtype.
macro_rules! for_quant {
    ($dtype:expr, $function:ident $(, $dot:ident)?; $($argument:expr),*) => {
        match $dtype {
            DType::Q2_K => $function::<Q2K $(, $dot)?>($($argument),*),
            DType::Q3_K => $function::<Q3K $(, $dot)?>($($argument),*),
            DType::Q4_K => $function::<Q4K $(, $dot)?>($($argument),*),
            DType::Q5_K => $function::<Q5K $(, $dot)?>($($argument),*),
            _ => $function::<Q6K $(, $dot)?>($($argument),*),
        }
    };
}

/// Repeats a block with a constant: what the block does with it is known when it is compiled.
macro_rules! unroll {
    ($name:ident in [$($value:literal),*] $block:block) => {
        $({
            const $name: usize = $value;
            $block
        })*
    };
}

/// The rows of one group for all tokens.
/// # Safety
/// As [`crate::linear::linear`].
#[inline(never)]
pub unsafe fn group(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    let (packed, row) = (weight.group(group), group * GROUP);
    let (tiled, dtype) = (m - singles(m), weight.dtype());
    // A constant where the build has only one kind.
    let words = WORDS && (!BYTES || x.kind == ActivationKind::I16);
    // SAFETY: the caller's.
    unsafe {
        for token in tiled..m {
            match x.kind {
                ActivationKind::I8 if BYTES => {
                    for_quant!(dtype, vector, ByPairs; packed, x, token, row, output)
                }
                ActivationKind::I16 if WORDS => {
                    for_quant!(dtype, vector, ByWords; packed, x, token, row, output)
                }
                _ => unreachable!("activations of another kind"),
            }
        }
        if tiled > 0 {
            for_quant!(dtype, unpack; packed, x.k / SUPER, words, scratch);
        }
        for token in (0..tiled).step_by(FOUR) {
            let tokens = (m - token).min(FOUR);
            tile_of(dtype, scratch, x, token, tokens, row, output);
        }
    }
}

/// A tile of whatever kernel the machine has. Nibbles with one scale for a block make the tiles of Q4_1.
unsafe fn tile_of(
    dtype: DType,
    from: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let scales = 1 + usize::from(!matches!(dtype, DType::Q4_K | DType::Q5_K));
    let nibbles = Shape::of(dtype).is_some_and(Shape::nibbles);
    // SAFETY: the caller's.
    unsafe {
        match (x.kind, x.dot) {
            (ActivationKind::I8, ByteDot::Unsigned | ByteDot::Signed) if BYTES => {
                if nibbles {
                    tile::tile::<Unpacked<NibblesByQuads<true>, true>, _, true>(
                        from, x, token, tokens, row, output,
                    )
                } else {
                    tile::<ByQuads>(from, x, token, tokens, row, output, scales)
                }
            }
            (ActivationKind::I8, _) if BYTES => {
                if nibbles {
                    tile::tile::<Unpacked<NibblesByBytes<true>, true>, _, true>(
                        from, x, token, tokens, row, output,
                    )
                } else {
                    tile::<ByPairs>(from, x, token, tokens, row, output, scales)
                }
            }
            _ if WORDS => {
                if nibbles {
                    tile::tile::<Unpacked<NibblesByWords<true>, true>, _, true>(
                        from, x, token, tokens, row, output,
                    )
                } else {
                    tile::<ByWords>(from, x, token, tokens, row, output, scales)
                }
            }
            _ => unreachable!("activations of another kind"),
        }
    }
}

/// What the activations of a block's halves, or of all of it, are scaled by.
#[inline(always)]
fn metas([scales, total, _, first]: [V; META], halves: bool) -> [Meta; 2] {
    let scale = float_scales(scales);
    if !halves {
        return [Meta::new(scale, total); 2];
    }
    [Meta::new(scale, first), Meta::new(scale, total.sub(first))]
}

/// One token: all 16 rows at once, unpacked in registers.
#[inline(never)]
unsafe fn vector<Q: Quant, D: Dot>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let shape = Q::SHAPE;
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 256` super-blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.quantized(token));
        for _ in 0..x.k / SUPER {
            let (d, d_min) = super_scales::<Q>(w);
            w = w.add(shape.header());
            for _ in 0..BLOCKS {
                let mut dots = [[V::zero(); QUADS]; 2];
                unroll!(STEP in [0, 1] {
                    let quartet = |half: usize, i: usize| {
                        let from = a.add(PIECE * D::PIECES * place(shape, STEP, half, i));
                        D::quartet(|piece| V::load32_splat(from.add(PIECE * piece)))
                    };
                    let first = [quartet(0, 0), quartet(0, 1)];
                    let second = [quartet(1, 0), quartet(1, 1)];
                    unroll!(R in [0, 1, 2, 3] {
                        let quants = quants::<Q>(w.add(INTEGERS), R, STEP);
                        let [low, high] = quants.map(|quants| quants.map(D::widen));
                        if shape.halves && shape.narrow() {
                            dots[0][R] = D::narrow(dots[0][R], first, low);
                            dots[1][R] = D::narrow(dots[1][R], second, high);
                        } else if shape.halves {
                            dots[0][R] = D::two(dots[0][R], first, low);
                            dots[1][R] = D::two(dots[1][R], second, high);
                        } else {
                            let start = if shape.narrow() { dots[0][R] } else { V::zero() };
                            let sum = D::narrow(D::narrow(start, first, low), second, high);
                            dots[0][R] = if shape.narrow() {
                                sum
                            } else {
                                dots[0][R].add_i32(D::finish(sum))
                            };
                        }
                    });
                });
                let meta = a.add(PIECE * 8 * D::PIECES);
                let behind = V::load(meta).splats();
                let metas = metas(behind, shape.halves);
                unroll!(R in [0, 1, 2, 3] {
                    let mut part = |half: usize| {
                        let dots = dots[half][R];
                        let (scale, min) = scale_and_min::<Q>(w, half, R, d[R], d_min[R]);
                        let meta = metas[half];
                        let sum = if shape.nibbles() {
                            D::add(sums[R], dots, scale, behind[0])
                        } else {
                            let dots = if shape.narrow() { D::finish(dots) } else { dots };
                            add_bytes(sums[R], dots, scale, meta.scale)
                        };
                        sums[R] = add_minima::<true>(sum, min, meta.scaled_sum);
                    };
                    part(0);
                    if shape.halves {
                        part(1);
                    }
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
    unsafe { vector::<Q4K, ByPairs>(packed, x, token, row, output) }
}

/// Unpacks a group of Q4_K as [`tile::unpack`] does one of Q4_1.
/// # Safety
/// As there.
pub unsafe fn unpack_nibbles(packed: *const u8, blocks: usize, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { unpack::<Q4K>(packed, blocks / BLOCKS, false, to) }
}

/// Unpacks a group to two halves of 8 rows; of each its blocks: for each scale the F32 scales, the minima, then the vectors in
/// order of the columns, two quads each.
#[inline(never)]
unsafe fn unpack<Q: Quant>(packed: *const u8, supers: usize, words: bool, tile: *mut u8) {
    let shape = Q::SHAPE;
    let count = scales(shape);
    let pieces = 1 + usize::from(words);
    let part = 64 + 32 * 8 * pieces / count;
    // Known at run time only, so that the loops below are not unrolled.
    let quads = std::hint::black_box(QUADS);
    for n in 0..supers {
        // SAFETY: the group has that many super-blocks, and the tile room for them.
        unsafe {
            let from = packed.add(n * shape.super_bytes());
            let (d, d_min) = super_scales::<Q>(from);
            for b in 0..BLOCKS {
                let block = from.add(shape.header() + b * shape.block_bytes());
                let place_of = |r: usize| {
                    let at = r / 2 * supers * BLOCKS + n * BLOCKS + b;
                    tile.add(at * part * count + r % 2 * 16)
                };
                for half in 0..count {
                    for r in 0..QUADS {
                        let (scale, min) = scale_and_min::<Q>(block, half, r, d[r], d_min[r]);
                        scale.store(place_of(r).add(half * part));
                        min.store(place_of(r).add(half * part + 32));
                    }
                }
                for r in 0..quads {
                    unroll!(STEP in [0, 1] {
                        let quants = quants::<Q>(block.add(INTEGERS), r, STEP);
                        for (half, quartets) in quants.into_iter().enumerate() {
                            for (i, quartet) in quartets.into_iter().enumerate() {
                                let place = place(shape, STEP, half, i);
                                // Past the scales of this half and of those before it.
                                let scales = 64 * (1 + place / 4 * (count - 1));
                                let to = place_of(r).add(scales + 32 * pieces * place);
                                store(quartet, words, to);
                            }
                        }
                    });
                }
            }
        }
    }
}

/// Writes a quartet of quants as they meet activations, the pieces 32 bytes apart.
#[inline(always)]
unsafe fn store(quants: V, words: bool, to: *mut u8) {
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

/// Up to four tokens by 16 rows, 8 at a time, in turns as in [`tile::tile`]; a block has one scale or two.
#[inline(never)]
unsafe fn tile<D: Dot>(
    tile: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
    scales: usize,
) {
    let blocks = x.k / BLOCK;
    // Two quartets at a time; the counts are known at run time only, so that no loop is unrolled.
    let steps = x.pieces / D::PIECES / 2 / scales;
    let part = 64 + 64 * steps * D::PIECES;
    for half in 0..2 {
        let mut sums = [[V::zero(); 2]; FOUR];
        // SAFETY: the tile has two halves of `blocks` blocks, and the tokens are there.
        unsafe {
            let mut w = tile.add(half * blocks * scales * part);
            let mut a = x.quantized(token);
            for _ in 0..blocks {
                let meta = a.add(16 * x.pieces);
                let metas = metas([0, 16, 32, 48].map(|at| V::load(meta.add(at))), scales == 2);
                for mut meta in metas.into_iter().take(scales) {
                    let mut dots = [[V::zero(); 2]; FOUR];
                    let mut quants = w.add(64);
                    for _ in 0..steps {
                        let load = |p: *const u8, at: usize, step: usize| {
                            D::quartet(|piece| V::load(p.add((at * D::PIECES + piece) * step)))
                        };
                        let mut values = [load(a, 0, 16), load(a, 1, 16)];
                        let low = [load(quants, 0, 32), load(quants, 1, 32)];
                        let high = [load(quants.add(16), 0, 32), load(quants.add(16), 1, 32)];
                        for dots in &mut dots {
                            dots[0] = D::two(dots[0], values, low);
                            dots[1] = D::two(dots[1], values, high);
                            values = values.map(D::rotate);
                        }
                        quants = quants.add(64 * D::PIECES);
                        a = a.add(32 * D::PIECES);
                    }
                    for turn in 0..FOUR {
                        for r in 0..2 {
                            let (scale, min) =
                                (V::load(w.add(16 * r)), V::load(w.add(32 + 16 * r)));
                            let sum = add_bytes(sums[turn][r], dots[turn][r], scale, meta.scale);
                            sums[turn][r] = add_minima::<true>(sum, min, meta.scaled_sum);
                        }
                        meta = meta.rotate();
                    }
                    w = w.add(part);
                }
                a = meta.add(PIECE * META * FOUR);
            }
            let row = row + half * HALF;
            output.write_half(token, tokens, row, sums, V::load(a));
        }
    }
}
