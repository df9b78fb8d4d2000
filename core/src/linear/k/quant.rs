//! The K kinds as their kernels see them: quants and scales of four rows, out of planes of bits.

use super::Shape;
use crate::dtype::DType;
use crate::linear::{GROUP, QUADS};
use crate::simd::{Vector, WidenF16, V};

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

/// Which quartet of a block is quartet `i` of a half in one of two steps.
#[inline(always)]
pub const fn place(shape: Shape, step: usize, half: usize, i: usize) -> usize {
    if shape.low == 4 {
        4 * half + 2 * step + i
    } else {
        4 * half + 2 * i + step
    }
}

/// Half of the quants of four rows of a block, as bytes: two quartets of each half.
/// # Safety
/// `planes` must be those of a block.
#[inline(always)]
pub unsafe fn quants<Q: Quant>(planes: *const u8, r: usize, step: usize) -> [[V; 2]; 2] {
    let shape = Q::SHAPE;
    // SAFETY: the caller's.
    let load =
        |at: usize, source: usize| unsafe { V::load(planes.add(at + (source * QUADS + r) * 16)) };
    let mask =
        |bits: usize, to: usize| V::splat_i32(((0x0101_0101 * ((1_u32 << bits) - 1)) << to) as i32);
    let quartet = |half: usize, i: usize| {
        let place = place(shape, step, half, i);
        let low = load(0, place % shape.low);
        let low = shift(low, place / shape.low * shape.low, 0).and(mask(shape.low, 0));
        if shape.high == 0 {
            return low;
        }
        let high = load(shape.low * GROUP * 4, place % shape.high);
        let from = place / shape.high * shape.high;
        low.or(shift(high, from, shape.low).and(mask(shape.high, shape.low)))
    };
    [
        [quartet(0, 0), quartet(0, 1)],
        [quartet(1, 0), quartet(1, 1)],
    ]
}

/// The integers of a block of 16 rows.
/// # Safety
/// They must lie there.
#[inline(always)]
pub unsafe fn integers(block: *const u8) -> [V; 2] {
    // SAFETY: the caller's.
    unsafe { [V::load(block), V::load(block.add(GROUP))] }
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
pub unsafe fn super_scales<Q: Quant>(header: *const u8) -> ([V; QUADS], [V; QUADS]) {
    let widen = WidenF16::new();
    // SAFETY: the caller's.
    let load = |r: usize| unsafe { widen.of(V::load_i16x4(header.add(r * 8))) };
    let d = std::array::from_fn(load);
    let min = |r: usize| {
        if Q::SHAPE.min {
            load(QUADS + r)
        } else {
            V::zero()
        }
    };
    (d, std::array::from_fn(min))
}
