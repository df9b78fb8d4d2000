//! How quantized weights meet 8-bit activations: a kernel for each kind of both that a machine may have.

use super::activations::FOUR;
use crate::simd::{Vector, V};

/// [`Kernel::FEW`] where unpacking is a mask and a shift: twelve tokens are 1 to 7 % faster so, sixteen from 2 % slower to 4 % faster.
pub(super) const FEW: usize = 3 * FOUR;

/// The scales of activations, i16 twice in a lane, as F32.
#[inline(always)]
pub(super) fn float_scales(pairs: V) -> V {
    pairs.shr_i32::<16>().f32_from_i32()
}

/// [`Kernel::add`] of nibbles whose dots are i32.
#[inline(always)]
pub(super) fn add_nibbles(sums: V, dots: V, scale: V, scales: V) -> V {
    dots.f32_from_i32().mul(scales).madd(scale, sums)
}

/// [`Kernel::add`] of quants of more bits: the product of scales does not wait for the dots.
#[inline(always)]
pub(super) fn add_bytes(sums: V, dots: V, scale: V, scales: V) -> V {
    dots.f32_from_i32().madd(scale.mul(scales), sums)
}

/// How packed weights become the dots of a block. Four rows of a block unpack to `SOURCES * PARTS` vectors;
/// vector `i` meets piece `i` of the activations, splat.
pub(super) trait Kernel {
    /// Packed vectors of four rows of a block.
    const SOURCES: usize;
    /// Vectors that a packed one unpacks to.
    const PARTS: usize;
    /// Bits that unpacking takes, or flips.
    const MASK: u32;
    /// Tokens up to which tiles unpack for themselves. That takes each of them more operations, but unpacking before means to wait for
    /// memory meanwhile, where a tile waits and computes at once.
    const FEW: usize;
    /// Whether the weights have a zero point, whose product with the sum of the activations must be taken off.
    const ZERO: bool;
    /// The accumulator to begin with, of minus 8 times the sum of the activations.
    fn start(less_sum_8: V) -> V;
    /// Place among the unpacked of part `part` of packed vector `source`.
    fn place(source: usize, part: usize) -> usize;
    /// Part `part` of a packed vector; `mask` is [`Kernel::MASK`] in every lane.
    fn unpack(packed: V, part: usize, mask: V) -> V;
    /// Adds a product to an accumulator.
    fn step(sum: V, activations: V, weights: V) -> V;
    /// The scales of activations, i16 twice in a lane, as [`Kernel::add`] takes them.
    #[inline(always)]
    fn scales(pairs: V) -> V {
        float_scales(pairs)
    }
    /// Adds the dots of a block, which the accumulator holds, times the scales of both, to the F32 sums of four rows. Kernels of the same
    /// weights multiply in the same order, and what is exact is rounded once: so all give the same bits.
    fn add(sums: V, dots: V, scale: V, scales: V) -> V;
}

/// Nibbles by bytes: products of two fit, and all 32 columns' sums stay within i16 (8 * 2 * 15 * 127).
pub(super) struct NibblesByBytes<const MIN: bool>;

impl<const MIN: bool> Kernel for NibblesByBytes<MIN> {
    const SOURCES: usize = 4;
    const PARTS: usize = 2;
    const MASK: u32 = 0x0f0f_0f0f;
    const FEW: usize = FEW;
    const ZERO: bool = !MIN;
    /// Sums wrap on their way, but what they end at fits: 8 * 127 * 16 of one lane's own columns, and as much of the other's.
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8.shl_i32::<16>().shr_u32::<16>()
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        source + 4 * part
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize, mask: V) -> V {
        if part == 0 {
            packed.and(mask)
        } else {
            packed.shr_u16::<4>().and(mask)
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        sum.add_i16(activations.dot_i8_u7(weights))
    }
    #[inline(always)]
    fn scales(pairs: V) -> V {
        pairs
    }
    #[inline(always)]
    fn add(sums: V, dots: V, scale: V, scales: V) -> V {
        dots.dot_i16(scales).f32_from_i32().madd(scale, sums)
    }
}

/// Nibbles by words, for machines without a dot of bytes.
pub(super) struct NibblesByWords<const MIN: bool>;

impl<const MIN: bool> Kernel for NibblesByWords<MIN> {
    const SOURCES: usize = 4;
    const PARTS: usize = 4;
    const MASK: u32 = 0x000f_000f;
    const FEW: usize = FOUR;
    const ZERO: bool = !MIN;
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        2 * source + part % 2 + 8 * (part / 2)
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize, mask: V) -> V {
        match part {
            0 => packed.and(mask),
            1 => packed.shr_u16::<8>().and(mask),
            2 => packed.shr_u16::<4>().and(mask),
            _ => packed.shr_u16::<12>(),
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        sum.add_i32(activations.dot_i16(weights))
    }
    #[inline(always)]
    fn add(sums: V, dots: V, scale: V, scales: V) -> V {
        add_nibbles(sums, dots, scale, scales)
    }
}

/// Nibbles by bytes, where the dot of four is one instruction.
pub(super) struct NibblesByQuads<const MIN: bool>;

impl<const MIN: bool> Kernel for NibblesByQuads<MIN> {
    const SOURCES: usize = 4;
    const PARTS: usize = 2;
    const MASK: u32 = 0x0f0f_0f0f;
    const FEW: usize = FEW;
    const ZERO: bool = !MIN;
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        source + 4 * part
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize, mask: V) -> V {
        NibblesByBytes::<MIN>::unpack(packed, part, mask)
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        activations.dot_i8_u7_add(weights, sum)
    }
    #[inline(always)]
    fn add(sums: V, dots: V, scale: V, scales: V) -> V {
        add_nibbles(sums, dots, scale, scales)
    }
}

/// Bytes by bytes, where the dot of four is one instruction that takes its second operand as signed or as unsigned.
pub(super) struct BytesByQuads<const SIGNED: bool>;

impl<const SIGNED: bool> Kernel for BytesByQuads<SIGNED> {
    const SOURCES: usize = 8;
    const PARTS: usize = 1;
    const MASK: u32 = 0x8080_8080;
    const FEW: usize = FEW;
    const ZERO: bool = !SIGNED;
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8.shl_i32::<4>()
    }
    #[inline(always)]
    fn place(source: usize, _: usize) -> usize {
        source
    }
    #[inline(always)]
    fn unpack(packed: V, _: usize, mask: V) -> V {
        if SIGNED {
            packed.xor(mask)
        } else {
            packed
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        if SIGNED {
            activations.dot_i8_add(weights, sum)
        } else {
            activations.dot_i8_u8_add(weights, sum)
        }
    }
    #[inline(always)]
    fn add(sums: V, dots: V, scale: V, scales: V) -> V {
        add_bytes(sums, dots, scale, scales)
    }
}

/// Bytes by words.
pub(super) struct BytesByWords;

impl Kernel for BytesByWords {
    const SOURCES: usize = 8;
    const PARTS: usize = 2;
    const MASK: u32 = 0x00ff_00ff;
    const FEW: usize = FEW;
    const ZERO: bool = true;
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8.shl_i32::<4>()
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        2 * source + part
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize, mask: V) -> V {
        if part == 0 {
            packed.and(mask)
        } else {
            packed.shr_u16::<8>()
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        sum.add_i32(activations.dot_i16(weights))
    }
    #[inline(always)]
    fn add(sums: V, dots: V, scale: V, scales: V) -> V {
        add_bytes(sums, dots, scale, scales)
    }
}
