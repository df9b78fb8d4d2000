//! Writing keys and values to the cache.

use super::{AttentionShape, Part};
use crate::dtype::DType;
use crate::simd::{f32_to_f16, narrow_f16, Vector, LANES, V};
use std::ops::Range;

/// Writes the keys and values of `rows` to their slots of the cache: slot `page * page_size + place`, none where negative.
/// `k` and `v` are `[rows, kv_heads * head_dim]`; an F16 cache takes them rounded to nearest even, one of integers as [`super::quants`] says.
/// # Safety
/// Every pointer must be valid for that.
pub unsafe fn write_kv(
    k: *const f32,
    v: *const f32,
    slots: *const i32,
    shape: &AttentionShape,
    rows: Range<usize>,
    k_cache: *mut u8,
    v_cache: *mut u8,
) {
    let (dim, bytes, head_bytes) = (shape.head_dim, shape.kv_bytes(), shape.head_bytes());
    for row in rows {
        // SAFETY: the caller's.
        unsafe {
            let slot = *slots.add(row);
            if slot < 0 {
                continue;
            }
            let (page, place) = (
                slot as usize / shape.page_size,
                slot as usize % shape.page_size,
            );
            for head in 0..shape.kv_heads {
                let from = (row * shape.kv_heads + head) * dim;
                let to = (page * shape.kv_heads + head) * head_bytes;
                let (k, v) = (k.add(from), v.add(from));
                let (k_to, v_to) = (k_cache.add(to), v_cache.add(to));
                if let Some(page) = shape.quants() {
                    page.set(k_to, Part::Keys, place, k, dim);
                    page.set(v_to, Part::Values, place, v, dim);
                    continue;
                }
                let (k_to, v_to) = (k_to.add(place * bytes), v_to.add(place * dim * bytes));
                if shape.kv_dtype == DType::F16 {
                    let whole = dim / LANES * LANES;
                    for i in (0..whole).step_by(LANES) {
                        for (j, half) in narrow(k.add(i)).into_iter().enumerate() {
                            k_to.cast::<u16>()
                                .add((i + j) * shape.page_size)
                                .write(half);
                        }
                        v_to.cast::<u16>()
                            .add(i)
                            .cast::<[u16; LANES]>()
                            .write(narrow(v.add(i)));
                    }
                    for i in whole..dim {
                        let (k_to, v_to) = (k_to.cast::<u16>(), v_to.cast::<u16>());
                        k_to.add(i * shape.page_size).write(f32_to_f16(*k.add(i)));
                        v_to.add(i).write(f32_to_f16(*v.add(i)));
                    }
                } else {
                    for i in 0..dim {
                        k_to.cast::<f32>().add(i * shape.page_size).write(*k.add(i));
                    }
                    v.copy_to_nonoverlapping(v_to.cast(), dim);
                }
            }
        }
    }
}

/// Four F32 as F16.
unsafe fn narrow(from: *const f32) -> [u16; LANES] {
    // SAFETY: the caller's.
    narrow_f16(unsafe { V::load_f32(from) })
        .lanes()
        .map(|lane| lane.to_bits() as u16)
}
