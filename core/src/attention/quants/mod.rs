//! What a page of a quantized cache holds of one KV head: blocks of channels of a token, rounded to integers with a scale.
//!
//! Q8 is GGUF's Q8_0: 32 channels share a scale, their greatest magnitude / 127, kept as F16; a quant is x / scale, to nearest, half
//! away from zero. In Q16 it is 64 channels, their greatest magnitude / 16383 as F32, and half to even. Quants of keys stand as
//! `[width / 2, page_size, 2]`, those of values as `[page_size / 2, width, 2]`, so that the two numbers which one product of pairs adds
//! up are neighbours. Behind them are the scales, `[width / block, page_size]`. `width` is `head_dim` in whole blocks.

mod scores;
mod sums;
mod tile;

pub(super) use scores::{narrow_queries, scores};
pub(super) use sums::sums;
pub(super) use tile::Tile;

use super::TILE_KEYS;
use crate::dtype::DType;
use crate::simd::{f16_to_f32, f32_to_f16, Vector, LANES, ROUND, V};
use tile::widen_scales;

/// The greatest quant of Q8, and of Q16: with 14 bits, 64 products with integers of a query fit i32.
const MOST_OF_Q8: f32 = 127.0;
const MOST_OF_Q16: f32 = 16383.0;

/// Channels that share a scale in Q8, and the most of the two.
const Q8_BLOCK: usize = 32;
const MOST_CHANNELS: usize = 64;

/// Numbers of Q16 below this are zero: their scale's inverse would not be finite.
const LEAST: f32 = 1e-30;

/// Which of the two layouts quants have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Keys,
    Values,
}

/// A head's part of a page.
#[derive(Clone, Copy)]
pub struct QuantPage {
    dtype: DType,
    width: usize,
    page_size: usize,
}

impl QuantPage {
    /// The one of a dtype for heads of `head_dim` and pages of `page_size` tokens, a multiple of 4; nothing where the dtype has no quants.
    pub fn new(dtype: DType, head_dim: usize, page_size: usize) -> Option<QuantPage> {
        matches!(dtype, DType::Q8_0 | DType::Q16).then(|| QuantPage {
            dtype,
            width: head_dim.next_multiple_of(dtype.block().0),
            page_size,
        })
    }

    /// Its bytes.
    pub fn bytes(self) -> usize {
        self.page_size * self.dtype.row_bytes(self.width)
    }

    /// Whether quants are i16.
    fn wide(self) -> bool {
        self.dtype == DType::Q16
    }

    /// Channels that share a scale.
    fn block(self) -> usize {
        self.dtype.block().0
    }

    /// The greatest quant.
    fn most(self) -> f32 {
        if self.wide() {
            MOST_OF_Q16
        } else {
            MOST_OF_Q8
        }
    }

    fn quant_bytes(self) -> usize {
        if self.wide() {
            2
        } else {
            1
        }
    }

    fn quant_at(self, part: Part, token: usize, channel: usize) -> usize {
        let place = match part {
            Part::Keys => (channel / 2 * self.page_size + token) * 2 + channel % 2,
            Part::Values => (token / 2 * self.width + channel) * 2 + token % 2,
        };
        place * self.quant_bytes()
    }

    fn scale_at(self, token: usize, block: usize) -> usize {
        let scale_bytes = if self.wide() { 4 } else { 2 };
        let quants = self.page_size * self.width * self.quant_bytes();
        quants + (block * self.page_size + token) * scale_bytes
    }

    /// A number of the page.
    /// # Safety
    /// The page must be readable, and have that token and channel.
    pub unsafe fn get(self, page: *const u8, part: Part, token: usize, channel: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe {
            let scale = page.add(self.scale_at(token, channel / self.block()));
            let quant = page.add(self.quant_at(part, token, channel));
            if self.wide() {
                scale.cast::<f32>().read_unaligned()
                    * f32::from(quant.cast::<i16>().read_unaligned())
            } else {
                f16_to_f32(scale.cast::<u16>().read_unaligned()) * f32::from(*quant.cast::<i8>())
            }
        }
    }

    /// Rounds a token's `head_dim` numbers into the page.
    /// # Safety
    /// The page must be writable, and have that token.
    pub unsafe fn set(
        self,
        page: *mut u8,
        part: Part,
        token: usize,
        x: *const f32,
        head_dim: usize,
    ) {
        let block = self.block();
        // Bytes from the first channel of a pair to its second, and to the next pair.
        let [within, between] = [1, 2].map(|i| self.quant_at(part, 0, i));
        for first in (0..head_dim).step_by(block) {
            let count = block.min(head_dim - first);
            // SAFETY: the caller's.
            unsafe {
                let scale_at = page.add(self.scale_at(token, first / block));
                let to = page.add(self.quant_at(part, token, first));
                if self.wide() {
                    let (scale, quants) = quantize_wide(x.add(first), count);
                    scale_at.cast::<f32>().write_unaligned(scale);
                    write_pairs(&quants, to, within, between);
                } else {
                    let (scale, quants) = quantize(x.add(first), count);
                    scale_at.cast::<u16>().write_unaligned(scale);
                    write_pairs(&quants, to, within, between);
                }
            }
        }
    }

    /// `count` keys and values from `token`, an even one, on; `wide` is for scales in F32.
    /// # Safety
    /// Both must be pages that have those tokens, and `wide` room for two scales of each block and token of a tile.
    pub(super) unsafe fn tile(
        self,
        keys: *const u8,
        values: *const u8,
        token: usize,
        count: usize,
        next: Option<[*const u8; 2]>,
        wide: *mut f32,
    ) -> Tile {
        let blocks = self.width / self.block();
        let scales = self.scale_at(token, 0);
        // SAFETY: the caller's.
        let (key_scales, value_scales, line) = unsafe {
            let (of_keys, of_values) = (keys.add(scales), values.add(scales));
            if self.wide() {
                (of_keys.cast(), of_values.cast(), self.page_size)
            } else {
                let (to_keys, to_values) = (wide, wide.wrapping_add(blocks * TILE_KEYS));
                widen_scales(of_keys, self.page_size, blocks, count, to_keys);
                widen_scales(of_values, self.page_size, blocks, count, to_values);
                (to_keys.cast_const(), to_values.cast_const(), TILE_KEYS)
            }
        };
        let (in_keys, in_values) = (
            self.quant_at(Part::Keys, token, 0),
            self.quant_at(Part::Values, token, 0),
        );
        Tile {
            page: self,
            tokens: count.next_multiple_of(LANES),
            keys: keys.wrapping_add(in_keys),
            key_scales,
            values: values.wrapping_add(in_values),
            value_scales,
            scale_line: line,
            key_line: 2 * self.page_size * self.quant_bytes(),
            value_line: 2 * self.width * self.quant_bytes(),
            next: next
                .map(|[keys, values]| [keys.wrapping_add(in_keys), values.wrapping_add(in_values)]),
        }
    }
}

/// Writes the quants of a block two by two, those of a pair `within` bytes apart and pairs `between`.
/// # Safety
/// The places must be writable.
#[inline(always)]
unsafe fn write_pairs<T: Copy>(quants: &[T], to: *mut u8, within: usize, between: usize) {
    let mut to = to;
    for pair in quants.chunks_exact(2) {
        // SAFETY: the caller's.
        unsafe {
            to.cast::<T>().write_unaligned(pair[0]);
            to.add(within).cast::<T>().write_unaligned(pair[1]);
        }
        to = to.wrapping_add(between);
    }
}

/// Up to a block of numbers, and zeros behind them, with the greatest magnitude.
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn load<const N: usize>(x: *const f32, count: usize) -> ([V; N], f32) {
    let mut values = [V::zero(); N];
    let mut greatest = V::zero();
    for (value, i) in values.iter_mut().zip((0..count).step_by(LANES)) {
        // SAFETY: the caller's.
        *value = unsafe {
            if i + LANES <= count {
                V::load_f32(x.add(i))
            } else {
                V::load_partial(x.add(i), count - i)
            }
        };
        greatest = greatest.max(value.abs());
    }
    (values, greatest.max_lane())
}

/// A block of Q8 of `count` numbers, and zeros behind them: the scale as F16, and the quants in bytes.
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn quantize(x: *const f32, count: usize) -> (u16, [u8; Q8_BLOCK]) {
    // SAFETY: the caller's.
    let (values, greatest) = unsafe { load::<{ Q8_BLOCK / LANES }>(x, count) };
    let scale = greatest / MOST_OF_Q8;
    let inverse = V::splat(if scale == 0.0 { 0.0 } else { 1.0 / scale });
    let [a, b, c, d, e, f, g, h] = values.map(|x| round(x.mul(inverse)));
    let bytes = |a: V, b: V, c: V, d: V| a.narrow_i32(b).narrow_i16(c.narrow_i32(d));
    let mut quants = [0; Q8_BLOCK];
    // SAFETY: there is room for two vectors.
    unsafe {
        bytes(a, b, c, d).store(quants.as_mut_ptr());
        bytes(e, f, g, h).store(quants.as_mut_ptr().add(Q8_BLOCK / 2));
    }
    (f32_to_f16(scale), quants)
}

/// A block of Q16 of `count` numbers, and zeros behind them. Where one is not finite, none of those that are read is, but the scale
/// is: what nobody sees must not become NaN in a product with 0.
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn quantize_wide(x: *const f32, count: usize) -> (f32, [i16; MOST_CHANNELS]) {
    // SAFETY: the caller's.
    let (values, greatest) = unsafe { load::<{ MOST_CHANNELS / LANES }>(x, count) };
    // Zero in lanes that are finite, else NaN.
    let strange = values
        .into_iter()
        .fold(V::zero(), |sum, x| sum.add(x.sub(x)));
    if strange.sum() != 0.0 {
        return (f32::MAX, [MOST_OF_Q16 as i16; MOST_CHANNELS]);
    }
    let greatest = if greatest < LEAST { 0.0 } else { greatest };
    let inverse = V::splat(if greatest == 0.0 {
        0.0
    } else {
        MOST_OF_Q16 / greatest
    });
    let mut quants = [0i16; MOST_CHANNELS];
    for (pair, to) in values
        .chunks_exact(2)
        .zip(quants.chunks_exact_mut(2 * LANES))
    {
        let [low, high] = [pair[0], pair[1]].map(|x| integers(x.mul(inverse)));
        // SAFETY: the chunk has room for a vector.
        unsafe { low.narrow_i32(high).store(to.as_mut_ptr().cast()) };
    }
    (greatest / MOST_OF_Q16, quants)
}

/// Small F32 to the nearest i32, half to even.
#[inline(always)]
fn integers(x: V) -> V {
    x.add(V::splat(ROUND)).sub_i32(V::splat(ROUND))
}

/// Small F32 to the nearest i32, half away from zero.
#[inline(always)]
fn round(x: V) -> V {
    let (magnitude, shift) = (x.abs(), V::splat(ROUND));
    // To even first; the difference is exact.
    let even = magnitude.add(shift).sub(shift);
    let up = magnitude.sub(even).eq(V::splat(0.5)).and(V::splat(1.0));
    let sign = x.and(V::splat_i32(i32::MIN));
    even.add(up).or(sign).add(shift).sub_i32(shift)
}
