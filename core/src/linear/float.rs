//! F32, F16 and BF16 weights, multiplied in F32.

use super::activations::FOUR;
use super::{singles, Activations, Output, PackedWeight, GROUP, HALF};
use crate::dtype::DType;
use crate::simd::{widen_f16, Vector, LANES, V};

/// How four elements of a kind become F32.
trait Element {
    const BYTES: usize;
    /// # Safety
    /// Four elements must be readable at `p`.
    unsafe fn load(p: *const u8) -> V;
}

struct F32;
struct F16;
struct BF16;

impl Element for F32 {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load(p: *const u8) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(p) }
    }
}

impl Element for F16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load(p: *const u8) -> V {
        // SAFETY: the caller's.
        widen_f16(unsafe { V::load_i16x4(p) })
    }
}

impl Element for BF16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load(p: *const u8) -> V {
        // SAFETY: the caller's.
        unsafe { V::load_u16x4(p) }.shl_i32::<16>()
    }
}

/// Bytes of the tokens of [`interleave`].
pub(super) fn interleaved_bytes(m: usize, k: usize) -> usize {
    (m - singles(m)).div_ceil(FOUR) * FOUR * k * 4
}

/// Writes the tokens that go through tiles four and four together, `[column][4 tokens]`.
/// # Safety
/// `to` must have room for [`interleaved_bytes`].
#[inline(never)]
pub(super) unsafe fn interleave(x: &Activations, m: usize, to: *mut f32) {
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

/// The rows of one group for all tokens; `scratch` begins with the tokens interleaved.
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
    // SAFETY: the caller's.
    unsafe {
        match weight.dtype() {
            DType::F32 => group_of::<F32>(weight, group, x, m, output, scratch),
            DType::F16 => group_of::<F16>(weight, group, x, m, output, scratch),
            _ => group_of::<BF16>(weight, group, x, m, output, scratch),
        }
    }
}

#[inline(always)]
unsafe fn group_of<E: Element>(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    let packed = weight.group(group);
    let row = group * GROUP;
    let tiled = m - singles(m);
    // SAFETY: the caller's.
    unsafe {
        let mut columns = packed;
        if tiled > 0 && E::BYTES < 4 {
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
        for token in tiled..m {
            vector::<E>(packed, x, token, row, output);
        }
    }
}

/// One token: all 16 rows at once, widened in registers.
unsafe fn vector<E: Element>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let mut sums = [V::zero(); GROUP / LANES];
    // SAFETY: the group has `k` columns of 16 rows.
    unsafe {
        let (mut w, mut a) = (packed, x.row(token));
        for _ in 0..x.k {
            let value = V::load32_splat(a.cast());
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = E::load(w.add(r * LANES * E::BYTES)).madd(value, *sum);
            }
            w = w.add(GROUP * E::BYTES);
            a = a.add(1);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum);
        }
    }
}

/// A group as F32 columns of 16 rows.
unsafe fn widen<E: Element>(packed: *const u8, k: usize, to: *mut u8) {
    for i in 0..k * GROUP / LANES {
        // SAFETY: the group and the scratch have `k` columns of 16 rows.
        unsafe { E::load(packed.add(i * LANES * E::BYTES)).store(to.add(i * LANES * 4)) }
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
