//! A tile of a quantized cache, and how its products take what is in it.

use super::QuantPage;
use crate::attention::ahead::Ahead;
use crate::attention::TILE_KEYS;
use crate::simd::{Vector, WidenF16, LANES, V};

/// Some keys and values of a head, laid out as [`super`] has them, and their scales as F32, `[width / block, scale_line]`.
#[derive(Clone, Copy)]
pub(in crate::attention) struct Tile {
    pub(super) page: QuantPage,
    /// In whole vectors
    pub(super) tokens: usize,
    pub(super) keys: *const u8,
    pub(super) key_scales: *const f32,
    pub(super) values: *const u8,
    pub(super) value_scales: *const f32,
    /// From a block's scales to the next one's
    pub(super) scale_line: usize,
    /// Bytes from two channels of the keys to the next two
    pub(super) key_line: usize,
    /// Bytes from two values to the next two
    pub(super) value_line: usize,
    /// As many keys and values that are wanted next
    pub(super) next: Option<[*const u8; 2]>,
}

impl Tile {
    /// What is wanted next: its keys and values as two streams, as one of them is not fetched fast enough. Of each the scores read
    /// the first half and the sums the second, in `channels` of both so far.
    pub(super) fn ahead(&self, channels: usize) -> Option<[*const u8; 2]> {
        let half = channels * self.tokens * self.page.quant_bytes() / 2;
        self.next
            .map(|streams| streams.map(|at| at.wrapping_add(half)))
    }
}

/// Streams of which a loop reads a part that begins there; where nothing is wanted, what it works on.
#[inline(always)]
pub(super) fn streams(next: Option<[*const u8; 2]>, own: *const u8, part: usize) -> Ahead<2> {
    Ahead::new(next.unwrap_or([own; 2]).map(|at| at.wrapping_add(part)))
}

/// How a quant is kept: eight of them are loaded as i16.
pub(super) trait Quant {
    const BYTES: usize;

    /// # Safety
    /// Eight must be readable.
    unsafe fn load(from: *const u8) -> V;
}

pub(super) struct Q8;
pub(super) struct Q16;

impl Quant for Q8 {
    const BYTES: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V {
        // SAFETY: the caller's.
        unsafe { V::load_i8x8(from) }
    }
}

impl Quant for Q16 {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(from) }
    }
}

/// Widens the scales of `count` tokens, rounded up to a multiple of 4, `page_size` apart from block to block.
/// # Safety
/// They must be there, and `to` must have room for TILE_KEYS of each block.
#[inline(never)] // V8 gives a small function's loop its registers
pub(super) unsafe fn widen_scales(
    scales: *const u8,
    page_size: usize,
    blocks: usize,
    count: usize,
    to: *mut f32,
) {
    let widen = WidenF16::new();
    for block in 0..blocks {
        for token in (0..count).step_by(LANES) {
            // SAFETY: the caller's.
            unsafe {
                let scale = V::load_i16x4(scales.add((block * page_size + token) * 2));
                let to = to.add(block * TILE_KEYS + token);
                widen.of(scale).store_f32(to);
            }
        }
    }
}

/// The greatest integer that a number is rounded to.
const MOST: f32 = 32767.0;

/// The unit of integers whose products with quants fit i32, for `count` numbers of which the greatest and the sum are given.
#[inline(always)]
pub(super) fn step_of(greatest: V, sum: V, page: QuantPage, count: usize) -> V {
    // Rounding adds half a unit to each.
    let most = i32::MAX as f32 / page.most() - count as f32;
    sum.mul(V::splat(1.0 / most))
        .max(greatest.mul(V::splat(1.0 / MOST)))
}

/// `1 / x`; 0 for 0.
pub(super) fn inverse_of(x: V) -> V {
    V::select(x.eq(V::zero()), V::zero(), V::splat(1.0).div(x))
}

/// Small i32 as pairs of i16.
#[inline(always)]
pub(super) fn pairs(low: V, high: V) -> V {
    low.and(V::splat_i32(0xffff)).or(high.shl_i32::<16>())
}
