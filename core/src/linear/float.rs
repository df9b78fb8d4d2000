//! F32, F16 and BF16 weights, multiplied in F32.

use super::activations::FOUR;
use super::element::{Element, BF16, EIGHT, F16, F32};
use super::{singles, Activations, Output, PackedWeight, GROUP, HALF};
use crate::dtype::DType;
use crate::simd::{Vector, WidenF16, LANES, V};

/// Bytes that `m` tokens or fewer need.
pub(super) fn scratch_bytes(dtype: DType, m: usize, k: usize) -> usize {
    let scaled = if dtype == DType::F16 {
        m.min(2) * scaled_floats(k) * 4
    } else {
        0
    };
    interleaved_bytes(m, k) + wide_bytes(dtype, m, k) + scaled
}

/// Bytes of a group of [`widen`], where there are tiles that read it.
fn wide_bytes(dtype: DType, m: usize, k: usize) -> usize {
    if m > singles(m) && dtype != DType::F32 {
        k * GROUP * 4
    } else {
        0
    }
}

/// Floats of a token of [`scale`].
fn scaled_floats(k: usize) -> usize {
    k.next_multiple_of(LANES) + LANES
}

/// Where [`scale`] puts one of those of `m` tokens that go one by one.
fn scaled_row(token: usize, m: usize, k: usize, scratch: *mut u8) -> *mut f32 {
    let before = interleaved_bytes(m, k) + wide_bytes(DType::F16, m, k);
    let row = token - (m - singles(m));
    scratch
        .wrapping_add(before + row * scaled_floats(k) * 4)
        .cast()
}

/// Prepares `m` tokens for [`group`].
/// # Safety
/// `scratch` must have [`scratch_bytes`].
#[inline(never)]
pub(super) unsafe fn prepare(dtype: DType, x: &Activations, m: usize, scratch: *mut u8) {
    // SAFETY: the caller's.
    unsafe {
        interleave(x, m, scratch.cast());
        if dtype == DType::F16 {
            for token in m - singles(m)..m {
                scale(x.row(token), x.k, scaled_row(token, m, x.k, scratch));
            }
        }
    }
}

/// Writes a token times [`WidenF16::SCALE`], so that F16 may be smaller by as much; behind it what is not finite where one of its values is not.
/// # Safety
/// `to` must have room for [`scaled_floats`].
unsafe fn scale(row: *const f32, k: usize, to: *mut f32) {
    let (factor, nothing) = (V::splat(WidenF16::SCALE), V::zero());
    let mut finite = V::zero();
    // SAFETY: the caller's.
    unsafe {
        for column in (0..k).step_by(LANES) {
            let values = if k - column < LANES {
                V::load_partial(row.add(column), k - column)
            } else {
                V::load_f32(row.add(column))
            };
            let scaled = values.mul(factor);
            finite = scaled.madd(nothing, finite);
            scaled.store_f32(to.add(column));
        }
        *to.add(scaled_floats(k) - LANES) = finite.lanes().iter().sum();
    }
}

/// Bytes of the tokens of [`interleave`].
fn interleaved_bytes(m: usize, k: usize) -> usize {
    (m - singles(m)).div_ceil(FOUR) * FOUR * k * 4
}

/// Writes the tokens that go through tiles four and four together, `[column][4 tokens]`.
/// # Safety
/// `to` must have room for [`interleaved_bytes`].
unsafe fn interleave(x: &Activations, m: usize, to: *mut f32) {
    let (k, whole) = (x.k, x.k / LANES * LANES);
    for token in (0..m - singles(m)).step_by(FOUR) {
        // SAFETY: the tokens are there; past the last it is read again, for rows that are not written.
        unsafe {
            let to = to.add(token * k);
            let rows: [*const f32; FOUR] = std::array::from_fn(|t| x.row((token + t).min(m - 1)));
            for column in (0..whole).step_by(LANES) {
                let columns = V::transpose(rows.map(|row| V::load_f32(row.add(column))));
                for (i, values) in columns.into_iter().enumerate() {
                    values.store_f32(to.add((column + i) * FOUR));
                }
            }
            for column in whole..k {
                V::from_lanes(rows.map(|row| *row.add(column))).store_f32(to.add(column * FOUR));
            }
        }
    }
}

/// The rows of one group for all tokens, which [`prepare`] has written to `scratch`.
/// # Safety
/// As [`super::linear`].
#[inline(never)]
pub(super) unsafe fn group(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    let (packed, row) = (weight.group(group), group * GROUP);
    // SAFETY: the caller's.
    unsafe {
        match weight.dtype() {
            DType::F32 => {
                tiles::<F32>(packed, x, m, row, output, scratch);
                vectors::<F32>(packed, x, m, row, output);
            }
            DType::F16 => {
                tiles::<F16<false>>(packed, x, m, row, output, scratch);
                for token in m - singles(m)..m {
                    let values = scaled_row(token, m, x.k, scratch);
                    if (*values.add(scaled_floats(x.k) - LANES)).is_finite() {
                        vector::<F16<true>>(packed, values, x.k, token, row, output);
                    } else {
                        vector::<F16<false>>(packed, x.row(token), x.k, token, row, output);
                    }
                }
            }
            _ => {
                tiles::<BF16>(packed, x, m, row, output, scratch);
                vectors::<BF16>(packed, x, m, row, output);
            }
        }
    }
}

/// The tokens that go through tiles.
#[inline(always)]
unsafe fn tiles<E: Element>(
    packed: *const u8,
    x: &Activations,
    m: usize,
    row: usize,
    output: Output,
    scratch: *mut u8,
) {
    let tiled = m - singles(m);
    if tiled == 0 {
        return;
    }
    // SAFETY: the caller's.
    unsafe {
        let mut columns = packed;
        if E::BYTES < 4 {
            let wide = scratch.add(interleaved_bytes(m, x.k));
            widen::<E>(packed, x.k, wide);
            columns = wide;
        }
        for token in (0..tiled).step_by(FOUR) {
            let tokens = scratch.cast::<f32>().add(token * x.k);
            tile(
                columns,
                tokens,
                x.k,
                token,
                (m - token).min(FOUR),
                row,
                output,
            );
        }
    }
}

/// The tokens that go one by one.
#[inline(always)]
unsafe fn vectors<E: Element>(
    packed: *const u8,
    x: &Activations,
    m: usize,
    row: usize,
    output: Output,
) {
    for token in m - singles(m)..m {
        // SAFETY: the caller's.
        unsafe { vector::<E>(packed, x.row(token), x.k, token, row, output) };
    }
}

/// One token: all 16 rows at once, widened in registers.
#[inline(never)]
unsafe fn vector<E: Element>(
    packed: *const u8,
    values: *const f32,
    k: usize,
    token: usize,
    row: usize,
    output: Output,
) {
    let element = E::new();
    let mut sums = [[V::zero(); 2]; GROUP / EIGHT];
    // SAFETY: the group has `k` columns of 16 rows, and there are as many values.
    unsafe {
        let (mut w, mut a) = (packed, values);
        for _ in 0..k {
            let value = V::load32_splat(a.cast());
            for (i, sums) in sums.iter_mut().enumerate() {
                let eight = element.load(w.add(i * EIGHT * E::BYTES));
                for (sum, four) in sums.iter_mut().zip(eight) {
                    *sum = four.madd(value, *sum);
                }
            }
            w = w.add(GROUP * E::BYTES);
            a = a.add(1);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, sum) in E::in_order(sums).into_iter().enumerate() {
                output.write(token, row + i * EIGHT + j * LANES, sum);
            }
        }
    }
}

/// A group as F32 columns of 16 rows.
#[inline(never)]
unsafe fn widen<E: Element>(packed: *const u8, k: usize, to: *mut u8) {
    let element = E::new();
    for i in 0..k * GROUP / EIGHT {
        // SAFETY: the group and the scratch have `k` columns of 16 rows.
        unsafe {
            let [first, last] = E::in_order(element.load(packed.add(i * EIGHT * E::BYTES)));
            first.store(to.add(i * EIGHT * 4));
            last.store(to.add(i * EIGHT * 4 + 16));
        }
    }
}

/// Up to four tokens by 16 rows, 8 at a time, in turns as in [`super::quantized`].
unsafe fn tile(
    columns: *const u8,
    tokens: *const f32,
    k: usize,
    token: usize,
    count: usize,
    row: usize,
    output: Output,
) {
    for half in 0..2 {
        let mut sums = [[V::zero(); 2]; FOUR];
        // SAFETY: the group has `k` columns of 16 rows, and the tokens are there.
        unsafe {
            let mut w = columns.add(half * HALF * 4);
            let mut a = tokens;
            for _ in 0..k {
                let mut values = V::load_f32(a);
                let (low, high) = (V::load(w), V::load(w.add(16)));
                for sums in &mut sums {
                    sums[0] = low.madd(values, sums[0]);
                    sums[1] = high.madd(values, sums[1]);
                    values = values.rotate();
                }
                w = w.add(GROUP * 4);
                a = a.add(FOUR);
            }
            for r in 0..2 {
                let turns = sums.map(|sums| sums[r]);
                for t in 0..count {
                    output.write(
                        token + t,
                        row + half * HALF + r * LANES,
                        V::of_turns(turns, t),
                    );
                }
            }
        }
    }
}

/// Packs a row of elements of `size` bytes as row `lane` of a group.
pub(super) fn pack(packed: &mut [u8], lane: usize, row: &[u8], size: usize) {
    let columns = packed.chunks_exact_mut(GROUP * size);
    for (to, from) in columns.zip(row.chunks_exact(size)) {
        to[lane * size..][..size].copy_from_slice(from);
    }
}

/// As [`pack`] of all rows of a group.
#[inline(never)]
pub(super) fn pack_group(packed: &mut [u8], rows: &[u8], size: usize) {
    let row_bytes = rows.len() / GROUP;
    assert!(packed.len() == rows.len() && row_bytes.is_multiple_of(size));
    // Bytes of a row that are turned at once, a vector.
    let whole = row_bytes / 16 * 16;
    for at in (0..whole).step_by(16) {
        // SAFETY: of each row there are 16 bytes from there on, and of the group as many columns.
        unsafe {
            let load = |row: usize| V::load(rows.as_ptr().add(row * row_bytes + at));
            let to = packed.as_mut_ptr().add(at * GROUP);
            if size == 2 {
                for half in 0..2 {
                    let rows = std::array::from_fn(|row| load(half * 8 + row));
                    for (i, column) in V::transpose_i16(rows).into_iter().enumerate() {
                        column.store(to.add(i * GROUP * 2 + half * 16));
                    }
                }
            } else {
                for quad in 0..GROUP / LANES {
                    let rows = std::array::from_fn(|row| load(quad * LANES + row));
                    for (i, column) in V::transpose(rows).into_iter().enumerate() {
                        column.store(to.add(i * GROUP * 4 + quad * 16));
                    }
                }
            }
        }
    }
    for (lane, row) in rows.chunks_exact(row_bytes).enumerate() {
        pack(&mut packed[whole * GROUP..], lane, &row[whole..], size);
    }
}
