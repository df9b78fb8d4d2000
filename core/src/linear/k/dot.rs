//! How quants, which are bytes of at most 63, meet activations: a way for each kind of activations and of machine.

use crate::linear::kernels::{add_nibbles, float_scales, Kernel, NibblesByBytes};
use crate::simd::{Vector, V};

/// How quartets of quants meet those of activations.
pub trait Dot {
    /// Four columns of activations, of a token splat or of four tokens.
    type Quartet: Copy;
    /// Pieces of activations that make a quartet.
    const PIECES: usize;
    /// Whether narrow sums are i32 like others.
    const WIDE: bool;
    /// Reads a quartet with `load` from its first piece.
    fn quartet(load: impl Fn(usize) -> V) -> Self::Quartet;
    fn rotate(values: Self::Quartet) -> Self::Quartet;
    /// Adds the products of a quartet to a narrow sum, which may be of i16.
    fn narrow(sum: V, values: Self::Quartet, quants: Self::Quartet) -> V;
    /// A narrow sum as i32 of four rows.
    fn finish(sum: V) -> V;
    /// Adds narrow sums of nibbles as [`Kernel::add`] does of the tiles; the scales of activations are i16 twice in a lane.
    ///
    /// [`Kernel::add`]: crate::linear::kernels::Kernel::add
    #[inline(always)]
    fn add(sums: V, narrow: V, scale: V, scales: V) -> V {
        add_nibbles(sums, Self::finish(narrow), scale, float_scales(scales))
    }
    /// Quants, which are bytes, as they meet activations.
    fn widen(quants: V) -> Self::Quartet;
}

/// Bytes, by the dot of two: as i16 sums hold two quartets of quants of 6 bits, four of 5, eight of 4: 63 * 127 * 2 * 2.
pub struct ByPairs;

impl Dot for ByPairs {
    type Quartet = V;
    const PIECES: usize = 1;
    const WIDE: bool = false;
    #[inline(always)]
    fn quartet(load: impl Fn(usize) -> V) -> V {
        load(0)
    }
    #[inline(always)]
    fn rotate(values: V) -> V {
        values.rotate()
    }
    #[inline(always)]
    fn narrow(sum: V, values: V, quants: V) -> V {
        sum.add_i16(values.dot_i8_u7(quants))
    }
    #[inline(always)]
    fn finish(sum: V) -> V {
        sum.pairs_i16()
    }
    #[inline(always)]
    fn add(sums: V, narrow: V, scale: V, scales: V) -> V {
        NibblesByBytes::<true>::add(sums, narrow, scale, scales)
    }
    #[inline(always)]
    fn widen(quants: V) -> V {
        quants
    }
}

/// Bytes, where the dot of four is one instruction.
pub struct ByQuads;

impl Dot for ByQuads {
    type Quartet = V;
    const PIECES: usize = 1;
    const WIDE: bool = true;
    #[inline(always)]
    fn quartet(load: impl Fn(usize) -> V) -> V {
        load(0)
    }
    #[inline(always)]
    fn rotate(values: V) -> V {
        values.rotate()
    }
    #[inline(always)]
    fn narrow(sum: V, values: V, quants: V) -> V {
        values.dot_i8_u7_add(quants, sum)
    }
    #[inline(always)]
    fn finish(sum: V) -> V {
        sum
    }
    #[inline(always)]
    fn widen(quants: V) -> V {
        quants
    }
}

/// Words, for machines without a dot of bytes: columns 0 and 2, then 1 and 3.
pub struct ByWords;

impl Dot for ByWords {
    type Quartet = [V; 2];
    const PIECES: usize = 2;
    const WIDE: bool = true;
    #[inline(always)]
    fn quartet(load: impl Fn(usize) -> V) -> [V; 2] {
        [load(0), load(1)]
    }
    #[inline(always)]
    fn rotate(values: [V; 2]) -> [V; 2] {
        values.map(V::rotate)
    }
    #[inline(always)]
    fn narrow(sum: V, values: [V; 2], quants: [V; 2]) -> V {
        let sum = sum.add_i32(values[0].dot_i16(quants[0]));
        sum.add_i32(values[1].dot_i16(quants[1]))
    }
    #[inline(always)]
    fn finish(sum: V) -> V {
        sum
    }
    #[inline(always)]
    fn widen(quants: V) -> [V; 2] {
        [quants.and(V::splat_i32(0x00ff_00ff)), quants.shr_u16::<8>()]
    }
}
