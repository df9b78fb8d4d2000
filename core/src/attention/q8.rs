//! What a page of a Q8 cache holds of one KV head: blocks of 32 channels of a token, rounded as GGUF's Q8_0 is.
//!
//! A scale is a block's greatest magnitude / 127, kept as F16; a quant is x / scale, to nearest, half away from zero. Quants of keys
//! stand as `[width / 2, page_size, 2]`, those of values as `[page_size / 2, width, 2]`, so that the two numbers which one product
//! of pairs adds up are neighbours. Behind them are the scales, `[width / 32, page_size]`. `width` is `head_dim` in whole blocks.

use super::q8_tile::{widen_scales, Tile};
use super::TILE_KEYS;
use crate::dtype::DType;
use crate::simd::{f16_to_f32, f32_to_f16, Vector, LANES, ROUND, V};

/// Channels that share a scale.
pub(super) const BLOCK: usize = 32;

/// Which of the two layouts quants have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Keys,
    Values,
}

/// A head's part of a page.
#[derive(Clone, Copy)]
pub struct Q8Page {
    width: usize,
    page_size: usize,
}

impl Q8Page {
    /// The one for heads of `head_dim` and pages of `page_size` tokens, a multiple of 4.
    pub fn new(head_dim: usize, page_size: usize) -> Q8Page {
        let width = head_dim.next_multiple_of(BLOCK);
        Q8Page { width, page_size }
    }

    /// Its bytes.
    pub fn bytes(self) -> usize {
        self.page_size * DType::Q8_0.row_bytes(self.width)
    }

    fn quant_at(self, part: Part, token: usize, channel: usize) -> usize {
        match part {
            Part::Keys => (channel / 2 * self.page_size + token) * 2 + channel % 2,
            Part::Values => (token / 2 * self.width + channel) * 2 + token % 2,
        }
    }

    fn scale_at(self, token: usize, block: usize) -> usize {
        self.page_size * self.width + (block * self.page_size + token) * 2
    }

    /// A number of the page.
    /// # Safety
    /// The page must be readable, and have that token and channel.
    pub unsafe fn get(self, page: *const u8, part: Part, token: usize, channel: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe {
            let scale = page.add(self.scale_at(token, channel / BLOCK));
            let quant = page.add(self.quant_at(part, token, channel)).cast::<i8>();
            f16_to_f32(scale.cast::<u16>().read_unaligned()) * f32::from(*quant)
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
        for first in (0..head_dim).step_by(BLOCK) {
            // SAFETY: the caller's.
            unsafe {
                let (scale, quants) = quantize(x.add(first), BLOCK.min(head_dim - first));
                let to = page.add(self.scale_at(token, first / BLOCK));
                to.cast::<u16>().write_unaligned(scale);
                let mut bytes = [0u8; BLOCK];
                quants[0].store(bytes.as_mut_ptr());
                quants[1].store(bytes.as_mut_ptr().add(BLOCK / 2));
                for (i, byte) in bytes.into_iter().enumerate() {
                    page.add(self.quant_at(part, token, first + i)).write(byte);
                }
            }
        }
    }

    /// `count` keys and values from `token`, an even one, on, with their scales in `wide`.
    /// # Safety
    /// Both must be pages that have those tokens, and `wide` room for two scales of each block and token of a tile.
    pub(super) unsafe fn tile(
        self,
        keys: *const u8,
        values: *const u8,
        token: usize,
        count: usize,
        wide: *mut f32,
    ) -> Tile {
        let blocks = self.width / BLOCK;
        let (key_scales, value_scales) = (wide, wide.wrapping_add(blocks * TILE_KEYS));
        // SAFETY: the caller's.
        unsafe {
            let scales = self.scale_at(token, 0);
            widen_scales(keys.add(scales), self.page_size, blocks, count, key_scales);
            widen_scales(
                values.add(scales),
                self.page_size,
                blocks,
                count,
                value_scales,
            );
            Tile {
                keys: keys.add(self.quant_at(Part::Keys, token, 0)),
                key_scales,
                values: values.add(self.quant_at(Part::Values, token, 0)),
                value_scales,
                page_size: self.page_size,
                width: self.width,
            }
        }
    }
}

/// A block of `count` numbers, and zeros behind them: the scale as F16, and 32 quants in bytes.
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn quantize(x: *const f32, count: usize) -> (u16, [V; 2]) {
    let mut values = [V::zero(); BLOCK / LANES];
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
    let scale = greatest.max_lane() / 127.0;
    let inverse = V::splat(if scale == 0.0 { 0.0 } else { 1.0 / scale });
    let [a, b, c, d, e, f, g, h] = values.map(|x| round(x.mul(inverse)));
    let bytes = |a: V, b: V, c: V, d: V| a.narrow_i32(b).narrow_i16(c.narrow_i32(d));
    (f32_to_f16(scale), [bytes(a, b, c, d), bytes(e, f, g, h)])
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
