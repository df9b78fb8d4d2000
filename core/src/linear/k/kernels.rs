//! K-quants by 8-bit activations: exact integer dots of the columns that share a scale.
//!
//! A quant is at most 63, so that bytes meet bytes wherever the machine has a dot of bytes. Q4_K computes as Q4_1 does, and shares its tiles;
//! for the others see [`super::scaled`].

use super::dot::{ByPairs, ByQuads, ByWords, Dot};
use super::quant::{
    integers, place, quants, scale_and_min, super_scales, Quant, Q2K, Q3K, Q4K, Q5K, Q6K,
};
use super::tile::store;
use super::{scaled, tile};
use super::{Shape, BLOCKS, INTEGERS, SUPER};
use crate::dtype::DType;
use crate::linear::activations::{FOUR, META, PIECE};
use crate::linear::kernels::{NibblesByBytes, NibblesByQuads, NibblesByWords};
use crate::linear::quantized::{add_minima, BYTES, WORDS};
use crate::linear::tile::{tile as tile_of_nibbles, Unpacked};
use crate::linear::{singles, ActivationKind, Activations, Output, PackedWeight, GROUP, QUADS};
use crate::simd::{ByteDot, Vector, LANES, V};

/// Bytes of a block of 16 rows unpacked to a tile.
pub fn tile_block_bytes(shape: Shape, kind: ActivationKind) -> usize {
    let vectors = if kind == ActivationKind::I8 { 8 } else { 16 };
    if shape.nibbles() {
        QUADS * 16 * (vectors + 2)
    } else {
        tile::tile_block_bytes(shape, vectors)
    }
}

/// Whether the dot of four bytes is one instruction.
fn quads(dot: ByteDot) -> bool {
    matches!(dot, ByteDot::Unsigned | ByteDot::Signed)
}

/// Calls a function for the quant of a dtype that has tiles of its own.
macro_rules! for_scaled {
    ($dtype:expr, $module:ident::$function:ident $(, $dot:ident)?; $($argument:expr),*) => {
        match $dtype {
            DType::Q2_K => $module::$function::<Q2K $(, $dot)?>($($argument),*),
            DType::Q3_K => $module::$function::<Q3K $(, $dot)?>($($argument),*),
            DType::Q5_K => $module::$function::<Q5K $(, $dot)?>($($argument),*),
            _ => $module::$function::<Q6K $(, $dot)?>($($argument),*),
        }
    };
}

/// Calls a function for the dot that the machine has.
macro_rules! for_dot {
    ($x:expr, $dtype:expr, $module:ident::$function:ident; $($argument:expr),*) => {
        match $x.kind {
            ActivationKind::I8 if BYTES && quads($x.dot) => {
                for_scaled!($dtype, $module::$function, ByQuads; $($argument),*)
            }
            ActivationKind::I8 if BYTES => for_scaled!($dtype, $module::$function, ByPairs; $($argument),*),
            ActivationKind::I16 if WORDS => for_scaled!($dtype, $module::$function, ByWords; $($argument),*),
            _ => unreachable!("activations of another kind"),
        }
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
    let nibbles = dtype == DType::Q4_K;
    // A constant where the build has only one kind.
    let words = WORDS && (!BYTES || x.kind == ActivationKind::I16);
    // SAFETY: the caller's.
    unsafe {
        for token in tiled..m {
            if nibbles && words {
                nibble_vector::<ByWords>(packed, x, token, row, output);
            } else if nibbles && quads(x.dot) {
                nibble_vector::<ByQuads>(packed, x, token, row, output);
            } else if nibbles {
                nibble_vector::<ByPairs>(packed, x, token, row, output);
            } else {
                for_dot!(x, dtype, scaled::vector; packed, x, token, row, output);
            }
        }
        if tiled == 0 {
            return;
        }
        let supers = x.k / SUPER;
        if nibbles {
            nibble_unpack(packed, supers, words, scratch);
        } else {
            for_scaled!(dtype, tile::unpack; packed, supers, words, scratch);
        }
        for token in (0..tiled).step_by(FOUR) {
            let tokens = (m - token).min(FOUR);
            if nibbles {
                nibble_tile(scratch, x, token, tokens, row, output);
            } else {
                for_dot!(x, dtype, tile::tile; scratch, x, token, tokens, row, output);
            }
        }
    }
}

/// A tile of Q4_K, which is one of Q4_1.
unsafe fn nibble_tile(
    from: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    // SAFETY: the caller's.
    unsafe {
        match x.kind {
            ActivationKind::I8 if BYTES && quads(x.dot) => {
                tile_of_nibbles::<Unpacked<NibblesByQuads<true>, true>, _, true>(
                    from, x, token, tokens, row, output,
                )
            }
            ActivationKind::I8 if BYTES => {
                tile_of_nibbles::<Unpacked<NibblesByBytes<true>, true>, _, true>(
                    from, x, token, tokens, row, output,
                )
            }
            _ if WORDS => tile_of_nibbles::<Unpacked<NibblesByWords<true>, true>, _, true>(
                from, x, token, tokens, row, output,
            ),
            _ => unreachable!("activations of another kind"),
        }
    }
}

/// One token of Q4_K: all 16 rows at once, unpacked in registers.
#[inline(never)]
unsafe fn nibble_vector<D: Dot>(
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
            let (d, d_min) = super_scales::<Q4K>(w);
            w = w.add(shape.header());
            for _ in 0..BLOCKS {
                let mut dots = [V::zero(); QUADS];
                unroll!(STEP in [0, 1] {
                    let quartet = |half: usize, i: usize| {
                        let from = a.add(PIECE * D::PIECES * place(shape, STEP, half, i));
                        D::quartet(|piece| V::load32_splat(from.add(PIECE * piece)))
                    };
                    let first = [quartet(0, 0), quartet(0, 1)];
                    let second = [quartet(1, 0), quartet(1, 1)];
                    unroll!(R in [0, 1, 2, 3] {
                        let quants = quants::<Q4K>(w.add(INTEGERS), R, STEP);
                        let [low, high] = quants.map(|quants| quants.map(D::widen));
                        let sum = D::narrow(dots[R], first, low);
                        dots[R] = D::narrow(sum, second, high).pinned();
                    });
                });
                let meta = a.add(PIECE * 8 * D::PIECES);
                let [scales, scaled_sum, ..] = V::load(meta).splats();
                let integers = integers(w);
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
    unsafe { nibble_vector::<ByPairs>(packed, x, token, row, output) }
}

/// Unpacks a group of Q4_K as [`crate::linear::tile::unpack`] does one of Q4_1.
/// # Safety
/// As there.
pub unsafe fn unpack_nibbles(packed: *const u8, blocks: usize, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { nibble_unpack(packed, blocks / BLOCKS, false, to) }
}

/// The same, to bytes or to words.
#[inline(never)]
unsafe fn nibble_unpack(packed: *const u8, supers: usize, words: bool, tile: *mut u8) {
    let shape = Q4K::SHAPE;
    let pieces = 1 + usize::from(words);
    let block_bytes = 64 + 32 * 8 * pieces;
    // Known at run time only, so that the loops below are not unrolled.
    let quads = std::hint::black_box(QUADS);
    for n in 0..supers {
        // SAFETY: the group has that many super-blocks, and the tile room for them.
        unsafe {
            let from = packed.add(n * shape.super_bytes());
            let (d, d_min) = super_scales::<Q4K>(from);
            for b in 0..BLOCKS {
                let block = from.add(shape.header() + b * shape.block_bytes());
                let place_of = |r: usize| {
                    let at = r / 2 * supers * BLOCKS + n * BLOCKS + b;
                    tile.add(at * block_bytes + r % 2 * 16)
                };
                let integers = integers(block);
                for r in 0..QUADS {
                    let (scale, min) = scale_and_min::<Q4K>(integers, 0, r);
                    scale.f32_from_i32().mul(d[r]).store(place_of(r));
                    min.mul(d_min[r]).store(place_of(r).add(32));
                }
                for r in 0..quads {
                    unroll!(STEP in [0, 1] {
                        let quants = quants::<Q4K>(block.add(INTEGERS), r, STEP);
                        for (half, quartets) in quants.into_iter().enumerate() {
                            for (i, quartet) in quartets.into_iter().enumerate() {
                                let place = place(shape, STEP, half, i);
                                store(quartet, words, place_of(r).add(64 + 32 * pieces * place));
                            }
                        }
                    });
                }
            }
        }
    }
}
