//! Activations as the kernels read them.
//!
//! F32 rows stay as they are.
//! Quantized rows lie four and four together, in blocks of 32 columns: pieces of 4 bytes (`[piece][4 rows]`), then of the four rows the scales,
//! the scales times the sums of the values (both F32), minus 8 times the sums (i32), and the scales times the sums of the first 16 (F32). A piece is four columns in `I8`, two in `I16`:
//! of each four columns the first and third, then the second and fourth, the order in which a shift and a mask take bytes out of
//! 16-bit lanes. In `Nibbles` two pieces are four columns: their low nibbles, then their high ones.

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

/// Bytes of scales and sums behind the values of a block of four rows.
pub(super) const META: usize = 4 * 4 * FOUR;

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

    /// Bytes of four quantized rows.
    fn four_bytes(self, k: usize) -> usize {
        k / BLOCK * (self.pieces() * 4 * FOUR + META)
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
            _ => m.div_ceil(FOUR) * kind.four_bytes(k),
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
                let mut to = scratch.add(row / FOUR * kind.four_bytes(k) + row % FOUR * 4);
                for _ in 0..k / BLOCK {
                    quantize(form, x, to);
                    x = x.add(BLOCK);
                    to = to.add(kind.pieces() * 4 * FOUR + META);
                }
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

    /// Start of the four rows that a quantized row lies in.
    /// # Safety
    /// There must be that row.
    #[inline(always)]
    pub(super) unsafe fn four(&self, row: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { self.data.add(row / FOUR * self.kind.four_bytes(self.k)) }
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

/// Writes one block of a row, its pieces 16 bytes apart.
#[inline(always)]
unsafe fn quantize(kind: ActivationKind, x: *const f32, to: *mut u8) {
    let mut values = [V::zero(); 8];
    let mut greatest = V::zero();
    let mut poison = V::zero(); // NaN where a value is NaN or infinite
    for (i, value) in values.iter_mut().enumerate() {
        // SAFETY: a block has 32 floats.
        *value = unsafe { V::load_f32(x.add(4 * i)) };
        greatest = greatest.max(value.abs());
        poison = value.madd(V::zero(), poison);
    }
    let greatest = greatest.max_lane();
    let scale = greatest / 127.0 + poison.sum();
    let inverse = if greatest > 0.0 {
        V::splat(127.0 / greatest)
    } else {
        V::zero()
    };
    let mut sum = V::zero();
    let integers = values.map(|x| {
        // The integer is in the low bits of the sum, which ROUND's own bits leave zero.
        let n = x.madd(inverse, V::splat(ROUND)).sub_i32(V::splat(ROUND));
        sum = sum.add_i32(n);
        n
    });
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| integers[i]);
    let first = lanes_sum(a.add_i32(b).add_i32(c.add_i32(d)));
    let sum = lanes_sum(sum);
    // SAFETY: the caller's; a block has room for its pieces and META.
    unsafe {
        match kind {
            ActivationKind::I8 => {
                for i in 0..2 {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|j| integers[4 * i + j]);
                    scatter::<16>(a.narrow_i32(b).narrow_i16(c.narrow_i32(d)), to.add(64 * i));
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
                    scatter::<32>(ab.1.narrow_i16(cd.1), to.add(128 * i));
                    scatter::<32>(ab.0.narrow_i16(cd.0), to.add(128 * i + 16));
                }
            }
            _ => {
                for i in 0..4 {
                    // [k0 k1 k2 k3] to [k0 k2 k1 k3], as i16.
                    let (a, b) = (integers[2 * i], integers[2 * i + 1]);
                    scatter::<16>(a.even_odd().narrow_i32(b.even_odd()), to.add(64 * i));
                }
            }
        }
        let meta = to.add(kind.pieces() * 4 * FOUR);
        meta.cast::<f32>().write(scale);
        meta.add(16).cast::<f32>().write(scale * sum as f32);
        meta.add(32).cast::<i32>().write(sum.wrapping_mul(-8));
        meta.add(48).cast::<f32>().write(scale * first as f32);
    }
}

/// The sum of the i32 lanes.
#[inline(always)]
fn lanes_sum(v: V) -> i32 {
    let add = |sum: i32, lane: &f32| sum.wrapping_add(lane.to_bits() as i32);
    v.lanes().iter().fold(0, add)
}

/// Writes the four lanes `STEP` bytes apart.
#[inline(always)]
unsafe fn scatter<const STEP: usize>(pieces: V, to: *mut u8) {
    for (i, piece) in pieces.lanes().into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { to.add(STEP * i).cast::<u32>().write(piece.to_bits()) };
    }
}
