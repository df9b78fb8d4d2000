//! F32, F16 and BF16 weights, multiplied in F32.

use super::{Activations, Output, PackedWeight, GROUP, HALF, TILE};
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

/// The rows of one group for all tokens.
/// # Safety
/// As [`super::linear`].
pub(super) unsafe fn group(weight: &PackedWeight, group: usize, x: &Activations, m: usize, output: Output, scratch: *mut u8) {
    let packed = weight.group(group);
    let row = group * GROUP;
    // SAFETY: the caller's.
    unsafe {
        match (weight.dtype(), m) {
            (DType::F32, 1) => vector::<F32>(packed, x, row, output),
            (DType::F16, 1) => vector::<F16>(packed, x, row, output),
            (_, 1) => vector::<BF16>(packed, x, row, output),
            (DType::F32, _) => matrix(packed, x, m, row, output),
            (DType::F16, _) => {
                widen::<F16>(packed, x.k, scratch);
                matrix(scratch, x, m, row, output);
            }
            _ => {
                widen::<BF16>(packed, x.k, scratch);
                matrix(scratch, x, m, row, output);
            }
        }
    }
}

/// One token: all 16 rows at once, widened in registers.
unsafe fn vector<E: Element>(packed: *const u8, x: &Activations, row: usize, output: Output) {
    let mut sums = [V::zero(); GROUP / LANES];
    // SAFETY: the group has `k` columns of 16 rows.
    unsafe {
        let (mut w, mut a) = (packed, x.row(0).cast::<u8>());
        for _ in 0..x.k {
            let value = V::load32_splat(a);
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = E::load(w.add(r * LANES * E::BYTES)).madd(value, *sum);
            }
            w = w.add(GROUP * E::BYTES);
            a = a.add(4);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(0, row + r * LANES, sum);
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

/// Many tokens: tiles of 4 tokens by 8 rows.
unsafe fn matrix(columns: *const u8, x: &Activations, m: usize, row: usize, output: Output) {
    let mut token = 0;
    // SAFETY: the caller's.
    unsafe {
        while token + TILE <= m {
            tile::<TILE>(columns, x, token, row, output);
            token += TILE;
        }
        match m - token {
            3 => tile::<3>(columns, x, token, row, output),
            2 => tile::<2>(columns, x, token, row, output),
            1 => tile::<1>(columns, x, token, row, output),
            _ => {}
        }
    }
}

unsafe fn tile<const T: usize>(columns: *const u8, x: &Activations, token: usize, row: usize, output: Output) {
    for half in 0..2 {
        let mut sums = [[V::zero(); 2]; T];
        // SAFETY: the group has `k` columns of 16 rows, and the tokens are there.
        unsafe {
            let mut w = columns.add(half * HALF * 4);
            let rows: [*const u8; T] = std::array::from_fn(|t| x.row(token + t).cast());
            for k in 0..x.k {
                let (low, high) = (V::load(w), V::load(w.add(16)));
                for t in 0..T {
                    let value = V::load32_splat(rows[t].add(4 * k));
                    sums[t][0] = low.madd(value, sums[t][0]);
                    sums[t][1] = high.madd(value, sums[t][1]);
                }
                w = w.add(GROUP * 4);
            }
            for (t, sums) in sums.into_iter().enumerate() {
                for (r, sum) in sums.into_iter().enumerate() {
                    output.write(token + t, row + half * HALF + r * LANES, sum);
                }
            }
        }
    }
}
