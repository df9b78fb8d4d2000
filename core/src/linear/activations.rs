//! Activations as the kernels read them.
//!
//! F32 rows stay as they are.
//! A quantized row is blocks of 32 columns, then its unit (F32). A value is its integer times the scale of its block, an integer of at
//! most [`MAX_SCALE`], times the unit: so kernels may scale the dots of a block as integers, and the unit comes last.
//! A block is pieces of 4 bytes, then [`META`] more of them: the scale (an i16, twice), the scale times the sum of the
//! integers (F32), minus 8 times the sum, and minus the sum of the first 16 (i32). Rows that go through tiles lie four
//! and four together (`[piece][4 rows]`), those that go one by one ([`singles`]) each alone.
//! A piece is four columns in `I8`, two in `I16`: of each four columns the first and third, then the second and fourth, the order in
//! which a shift and a mask take bytes out of 16-bit lanes. In `Nibbles` four pieces are the low nibbles of 16 columns, the next four the high ones.

use super::singles;
use super::weight::BLOCK;
use crate::simd::{byte_dot, ByteDot, Vector, ROUND, V};
use std::ops::Range;

/// What activations are prepared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationKind {
    /// As they are.
    F32,
    /// 8-bit values in bytes.
    I8,
    /// 8-bit values in 16-bit words.
    I16,
    /// As `I16` the rows that go through tiles, and the others' 8-bit values in two signed nibbles, a byte each.
    Nibbles,
}

/// Rows that lie together.
pub const FOUR: usize = 4;

/// Bytes of a piece.
pub(super) const PIECE: usize = 4;

/// Scale and sums behind the pieces of a block of a row, as long as pieces.
pub(super) const META: usize = 4;

/// The greatest scale of a block: times the dot of 32 nibbles by bytes it still is an i32, 32 * 15 * 127 * 32767.
const MAX_SCALE: i16 = i16::MAX;

impl ActivationKind {
    /// For weights of nibbles.
    pub(super) fn of_nibbles() -> ActivationKind {
        match byte_dot() {
            ByteDot::None => ActivationKind::I16,
            _ => ActivationKind::I8,
        }
    }
    /// For weights of bytes.
    pub(super) fn of_bytes() -> ActivationKind {
        match byte_dot() {
            ByteDot::Unsigned | ByteDot::Signed => ActivationKind::I8,
            ByteDot::Pairs => ActivationKind::Nibbles,
            ByteDot::Seven | ByteDot::None => ActivationKind::I16,
        }
    }

    /// Pieces of 4 bytes of a block.
    const fn pieces(self) -> usize {
        match self {
            ActivationKind::F32 => BLOCK,
            ActivationKind::I8 => BLOCK / 4,
            ActivationKind::I16 | ActivationKind::Nibbles => BLOCK / 2,
        }
    }

    /// Bytes of a quantized row.
    fn row_bytes(self, k: usize) -> usize {
        (k / BLOCK * (self.pieces() + META) + 1) * PIECE
    }
}

/// Rows of activations, prepared for every weight of one [`ActivationKind`].
#[derive(Clone, Copy)]
pub struct Activations {
    pub(super) kind: ActivationKind,
    pub(super) k: usize,
    /// Pieces of a block.
    pub(super) pieces: usize,
    data: *const u8,
    /// Which rows of F32 these are; null where they follow each other.
    order: *const i32,
    /// Which of the kernels of bytes is used; all give the same.
    pub(super) dot: ByteDot,
}

impl Activations {
    /// Bytes of scratch for `m` rows of `k`; none for F32.
    pub fn scratch_bytes(kind: ActivationKind, m: usize, k: usize) -> usize {
        match kind {
            ActivationKind::F32 => 0,
            _ => m.div_ceil(FOUR) * FOUR * kind.row_bytes(k),
        }
    }

    /// Prepares `m` contiguous rows of `k`. F32 rows are borrowed, the others are written to `scratch`.
    /// # Safety
    /// `x` must be readable for `m * k` floats and `scratch` writable for [`Activations::scratch_bytes`],
    /// both as long as the result is used; `k` must be a multiple of 32 but for F32.
    pub unsafe fn prepare(
        kind: ActivationKind,
        x: *const f32,
        m: usize,
        k: usize,
        scratch: *mut u8,
    ) -> Activations {
        // SAFETY: the caller's.
        unsafe { Activations::prepare_rows(kind, x, m, k, 0..m, scratch) }
    }

    /// As [`Activations::prepare`], writing only some of the `m` rows: each thread its own, all with the same `x` and `scratch`.
    /// # Safety
    /// As [`Activations::prepare`]; the other rows must be written before they are used.
    pub unsafe fn prepare_rows(
        kind: ActivationKind,
        x: *const f32,
        m: usize,
        k: usize,
        rows: Range<usize>,
        scratch: *mut u8,
    ) -> Activations {
        // SAFETY: the caller's.
        unsafe { Activations::prepare_gathered(kind, x, std::ptr::null(), m, k, rows, scratch) }
    }

    /// As [`Activations::prepare_rows`] of the rows `order[0..m]` of `x`, unless it is null.
    /// # Safety
    /// As [`Activations::prepare_rows`], for those rows of `x`; `order` must stay as long as the result is used.
    pub unsafe fn prepare_gathered(
        kind: ActivationKind,
        x: *const f32,
        order: *const i32,
        m: usize,
        k: usize,
        rows: Range<usize>,
        scratch: *mut u8,
    ) -> Activations {
        let pieces = kind.pieces();
        if kind == ActivationKind::F32 {
            return Activations {
                kind,
                k,
                pieces,
                data: x.cast(),
                order,
                dot: ByteDot::None,
            };
        }
        debug_assert!(k.is_multiple_of(BLOCK));
        for row in rows {
            let form = match kind {
                ActivationKind::Nibbles if row < m - singles(m) => ActivationKind::I16,
                other => other,
            };
            // SAFETY: the caller's.
            unsafe {
                let mut x = x.add(row_of(order, row) * k);
                let (at, step) = if row < m - singles(m) {
                    (row % FOUR * PIECE, FOUR * PIECE)
                } else {
                    (row % FOUR * kind.row_bytes(k), PIECE)
                };
                let mut to = scratch.add(row / FOUR * FOUR * kind.row_bytes(k) + at);
                let (blocks, block_bytes) = (k / BLOCK, (kind.pieces() + META) * step);
                // Of each block, until it is quantized, where its scale will be.
                let behind = pieces * step;
                let mut of_row = V::zero();
                for block in 0..blocks {
                    let greatest = greatest(x.add(block * BLOCK));
                    let at = to.add(block * block_bytes + behind);
                    at.cast::<f32>().write(greatest);
                    of_row = of_row.max_i32(V::splat(greatest));
                }
                let row = RowScale::new(of_row.lanes()[0]);
                for _ in 0..blocks {
                    let greatest = to.add(behind).cast::<f32>().read();
                    quantize(form, x, greatest, row, to, step);
                    x = x.add(BLOCK);
                    to = to.add(block_bytes);
                }
                to.cast::<f32>().write(row.unit);
            }
        }
        Activations {
            kind,
            k,
            pieces,
            data: scratch,
            order: std::ptr::null(),
            dot: byte_dot(),
        }
    }

    /// Start of an F32 row.
    /// # Safety
    /// There must be that row.
    #[inline(always)]
    pub(super) unsafe fn row(&self, row: usize) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            let row = row_of(self.order, row);
            self.data.cast::<f32>().add(row * self.k)
        }
    }

    /// Start of four quantized rows, of which this is the first, or of one that lies alone.
    /// # Safety
    /// There must be that row.
    #[inline(always)]
    pub(super) unsafe fn quantized(&self, row: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { self.data.add(row * self.kind.row_bytes(self.k)) }
    }
}

/// The row that stands at a place of `order`.
/// # Safety
/// There must be that place, unless `order` is null.
#[inline(always)]
unsafe fn row_of(order: *const i32, place: usize) -> usize {
    if order.is_null() {
        return place;
    }
    // SAFETY: the caller's.
    unsafe { *order.add(place) as usize }
}

/// The greatest magnitude of a block; NaN if one is, else infinity if one is.
/// # Safety
/// A block has 32 floats.
#[inline(always)]
unsafe fn greatest(x: *const f32) -> f32 {
    let magnitude = V::splat_i32(i32::MAX);
    // As integers the magnitudes are in the same order, and NaN is above all.
    let mut greatest = V::zero();
    for i in 0..8 {
        // SAFETY: the caller's.
        let value = unsafe { V::load_f32(x.add(4 * i)) };
        greatest = greatest.max_i32(value.and(magnitude));
    }
    greatest.reduce(V::max_i32).lanes()[0]
}

/// What the blocks of a row are quantized by.
#[derive(Clone, Copy)]
struct RowScale {
    /// Scale of a block by its greatest magnitude.
    scale: f32,
    /// Integer of a value by itself, times the scale of its block.
    inverse: f32,
    /// Value of an integer times the scale of its block: NaN where a value is NaN or infinite.
    unit: f32,
}

impl RowScale {
    /// Of a row of this greatest magnitude.
    #[inline(always)]
    fn new(greatest: f32) -> RowScale {
        let most = f32::from(MAX_SCALE);
        let per = if greatest > 0.0 { most / greatest } else { 0.0 };
        RowScale {
            scale: per,
            inverse: per * 127.0,
            unit: greatest / (127.0 * most) + greatest * 0.0,
        }
    }
}

/// Writes one block of a row, its pieces and what stands behind them `step` bytes apart. `greatest` is that of the block.
#[inline(always)]
unsafe fn quantize(
    kind: ActivationKind,
    x: *const f32,
    greatest: f32,
    row: RowScale,
    to: *mut u8,
    step: usize,
) {
    // Rounded up, so that no integer is beyond 127. Where that is coarse the block is so small beside the greatest one that the
    // rounding of that is far above it.
    let scale = (greatest * row.scale).ceil();
    let scale = if scale < f32::from(MAX_SCALE) {
        scale
    } else {
        f32::from(MAX_SCALE)
    };
    let inverse = V::splat(if scale > 0.0 {
        row.inverse / scale
    } else {
        0.0
    });
    let values: [V; 8] = std::array::from_fn(|i| {
        // SAFETY: a block has 32 floats.
        unsafe { V::load_f32(x.add(4 * i)) }
    });
    // The integer is in the low bits of the sum, which ROUND's own bits leave zero.
    let round = V::splat(ROUND);
    let integers = values.map(|x| x.madd(inverse, round).sub_i32(round));
    let sum_of = |from: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| integers[from + i]);
        a.add_i32(b).add_i32(c.add_i32(d))
    };
    let [first, second] = [0, 4].map(|from| {
        let [sum, ..] = sum_of(from).reduce(V::add_i32).lanes();
        sum.to_bits() as i32
    });
    let integer = (scale + ROUND).to_bits() & 0xffff;
    // They are any integers where the unit is NaN.
    let sum = first.wrapping_add(second);
    // SAFETY: the caller's; a block has room for its pieces and what stands behind them.
    unsafe {
        match kind {
            ActivationKind::I8 => {
                for i in 0..2 {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|j| integers[4 * i + j]);
                    let bytes = a.narrow_i32(b).narrow_i16(c.narrow_i32(d));
                    write(bytes, to.add(4 * i * step), step);
                }
            }
            ActivationKind::Nibbles => {
                for i in 0..2 {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|j| integers[4 * i + j]);
                    let [ab, cd] = [a.narrow_i32(b), c.narrow_i32(d)].map(|pair| {
                        // 16 * high + low, both of -8..=8.
                        let high = pair.add_i16(V::splat_i32(0x0008_0008)).shr_i16::<4>();
                        (high, pair.sub_i16(high.shl_i16::<4>()))
                    });
                    write(ab.1.narrow_i16(cd.1), to.add(8 * i * step), step);
                    write(ab.0.narrow_i16(cd.0), to.add((8 * i + 4) * step), step);
                }
            }
            _ => {
                for i in 0..4 {
                    // [k0 k1 k2 k3] to [k0 k2 k1 k3], as i16.
                    let (a, b) = (integers[2 * i], integers[2 * i + 1]);
                    let words = a.even_odd().narrow_i32(b.even_odd());
                    write(words, to.add(4 * i * step), step);
                }
            }
        }
        let behind = V::from_lanes([
            f32::from_bits(integer | integer << 16),
            scale * sum as f32,
            f32::from_bits(sum.wrapping_mul(-8) as u32),
            f32::from_bits(first.wrapping_neg() as u32),
        ]);
        write(behind, to.add(kind.pieces() * step), step);
    }
}

/// Writes the four lanes `step` bytes apart.
#[inline(always)]
unsafe fn write(lanes: V, to: *mut u8, step: usize) {
    // SAFETY: the caller's.
    unsafe {
        if step == PIECE {
            lanes.store(to);
            return;
        }
        for (i, lane) in lanes.lanes().into_iter().enumerate() {
            to.add(step * i).cast::<u32>().write(lane.to_bits());
        }
    }
}
