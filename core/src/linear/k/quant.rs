//! The K kinds as their kernels see them: quants and scales of four rows, out of vectors of bits.

use super::shape::{Piece, QUARTETS};
use super::Shape;
use crate::dtype::DType;
use crate::linear::{GROUP, QUADS};
use crate::simd::{widen_f16, Vector, V};

const fn shape(dtype: DType) -> Shape {
    match Shape::of(dtype) {
        Some(shape) => shape,
        None => panic!("it is no K-quant"),
    }
}

/// A K-quant that kernels are made for.
pub trait Quant {
    const SHAPE: Shape;
}

macro_rules! quants {
    ($($name:ident = $dtype:ident),*) => {$(
        pub struct $name;
        impl Quant for $name {
            const SHAPE: Shape = shape(DType::$dtype);
        }
    )*};
}
quants!(Q2K = Q2_K, Q3K = Q3_K, Q4K = Q4_K, Q5K = Q5_K, Q6K = Q6_K);

/// Moves bits from place `from` of a byte to place `to`; bits of neighbours come along.
#[inline(always)]
fn shift(v: V, from: usize, to: usize) -> V {
    match from as i32 - to as i32 {
        0 => v,
        1 => v.shr_u16::<1>(),
        2 => v.shr_u16::<2>(),
        3 => v.shr_u16::<3>(),
        4 => v.shr_u16::<4>(),
        5 => v.shr_u16::<5>(),
        6 => v.shr_u16::<6>(),
        -1 => v.shl_i16::<1>(),
        -2 => v.shl_i16::<2>(),
        -3 => v.shl_i16::<3>(),
        _ => v.shl_i16::<4>(),
    }
}

/// A piece of a quartet, in its place among the bits of a quant.
#[inline(always)]
pub fn bits(vector: V, piece: Piece) -> V {
    let Piece { from, bits, to, .. } = piece;
    let mask = |at: usize| V::splat_i32(((0x0101_0101 * ((1_u32 << bits) - 1)) << at) as i32);
    // Whole ones lie at several places of a vector, and pieces of others go to several: so either way there are few masks.
    if piece.whole {
        shift(vector, from, to).and(mask(to))
    } else {
        shift(vector.and(mask(from)), from, to)
    }
}

/// Where vector `vector` of quad `r` of a block's quants lies.
#[inline(always)]
pub const fn vector_at(vector: usize, r: usize) -> usize {
    (vector * QUADS + r) * 16
}

/// The quants of four rows of a block, as bytes.
/// # Safety
/// `vectors` must be those of a block.
#[inline(always)]
pub unsafe fn quartets<Q: Quant>(vectors: *const u8, r: usize) -> [V; QUARTETS] {
    let mut quartets = [V::zero(); QUARTETS];
    unroll!(VECTOR in [0, 1, 2, 3, 4, 5] {
        if VECTOR < Q::SHAPE.bits {
            // SAFETY: the caller's.
            let vector = unsafe { V::load(vectors.add(vector_at(VECTOR, r))) };
            unroll!(I in [0, 1, 2, 3, 4, 5, 6, 7] {
                if let Some(piece) = const { Q::SHAPE.piece(I, VECTOR) } {
                    let bits = bits(vector, piece);
                    let begins = const { Q::SHAPE.begins(I, VECTOR) };
                    quartets[I] = if begins { bits } else { quartets[I].or(bits) };
                }
            });
        }
    });
    quartets
}

/// The integers of a block of 16 rows.
/// # Safety
/// They must lie there.
#[inline(always)]
pub unsafe fn integers(block: *const u8) -> [V; 2] {
    // SAFETY: the caller's.
    unsafe { [V::load(block), V::load(block.add(GROUP))] }
}

/// Those of half a group, as if it were the first half.
/// # Safety
/// They must lie there, and quants behind them.
#[inline(always)]
pub unsafe fn half_integers(block: *const u8, half: usize) -> [V; 2] {
    // SAFETY: the caller's.
    unsafe { integers(block.add(2 * half)) }
}

/// Integer scale of a half of a block of four rows, and the minimum as F32, where the kind has one.
#[inline(always)]
pub fn scale_and_min<Q: Quant>(integers: [V; 2], half: usize, r: usize) -> (V, V) {
    let shape = Q::SHAPE;
    let byte = |vector: usize| match r {
        0 => integers[vector].and(V::splat_i32(0xff)),
        1 => integers[vector].shr_u32::<8>().and(V::splat_i32(0xff)),
        2 => integers[vector].shr_u32::<16>().and(V::splat_i32(0xff)),
        _ => integers[vector].shr_u32::<24>(),
    };
    if !shape.halves {
        return (byte(0), byte(1).f32_from_i32());
    }
    if shape.min {
        let byte = byte(half);
        let (scale, min) = (byte.and(V::splat_i32(15)), byte.shr_u32::<4>());
        return (scale, min.f32_from_i32());
    }
    let signed = match r {
        0 => integers[half].shl_i32::<24>().shr_i32::<24>(),
        1 => integers[half].shl_i32::<16>().shr_i32::<24>(),
        2 => integers[half].shl_i32::<8>().shr_i32::<24>(),
        _ => integers[half].shr_i32::<24>(),
    };
    (signed, V::zero())
}

/// Scales and minima of a super-block.
/// # Safety
/// `header` must be one's start.
#[inline(always)]
pub unsafe fn super_scales<Q: Quant>(header: *const u8) -> [[V; QUADS]; 2] {
    // SAFETY: the caller's.
    unsafe { super_scales_of::<Q, QUADS>(header, 0) }
}

/// Those of some quads of rows.
/// # Safety
/// As [`super_scales`].
#[inline(always)]
pub unsafe fn super_scales_of<Q: Quant, const COUNT: usize>(
    header: *const u8,
    first: usize,
) -> [[V; COUNT]; 2] {
    // SAFETY: the caller's.
    let load = |r: usize| unsafe { widen_f16(V::load_i16x4(header.add((first + r) * 8))) };
    let min = |r: usize| {
        if Q::SHAPE.min {
            load(QUADS + r)
        } else {
            V::zero()
        }
    };
    [std::array::from_fn(load), std::array::from_fn(min)]
}
