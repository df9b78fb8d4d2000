//! Turning keys that are in the cache: what moves tokens to other positions.

use super::{AttentionShape, Part, QuantPage};
use crate::dtype::DType;
use crate::simd::{narrow_f16, Vector, WidenF16, LANES, V};

/// How keys are turned.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Pairs of a key that are turned; what comes after them stays.
    pub pairs: usize,
    /// Pairs are (2i, 2i + 1) instead of (i, i + pairs).
    pub interleaved: bool,
}

impl Rotation {
    /// From a pair's first channel to that of the next pair, and to its second.
    fn distances(self) -> (usize, usize) {
        if self.interleaved {
            (2, 1)
        } else {
            (1, self.pairs)
        }
    }
}

/// Turns all keys of a page, for one KV head. `table` has the cosines of the pairs, then their sines.
///
/// # Safety
/// `keys` must point to what a page has of the head, `table` to two values a pair, and `scratch` to `head_dim` F32.
pub unsafe fn rotate_keys(
    keys: *mut u8,
    table: *const f32,
    shape: &AttentionShape,
    rotation: Rotation,
    scratch: *mut f32,
) {
    if let Some(page) = shape.quants() {
        // SAFETY: the caller's.
        return unsafe { turn_quants(keys, table, page, shape, rotation, scratch) };
    }
    let pairs = rotation.pairs;
    let line = shape.page_size * shape.kv_bytes();
    let (step, far) = rotation.distances();
    for pair in 0..pairs {
        // SAFETY: the caller's; `2 * pairs` is at most `head_dim`.
        unsafe {
            let (cos, sin) = (*table.add(pair), *table.add(pairs + pair));
            let first = keys.add(pair * step * line);
            let second = first.add(far * line);
            if shape.kv_dtype == DType::F16 {
                turn_halves(first.cast(), second.cast(), cos, sin, shape.page_size);
            } else {
                turn_singles(first.cast(), second.cast(), cos, sin, shape.page_size);
            }
        }
    }
}

fn turn(a: V, b: V, cos: V, sin: V) -> (V, V) {
    (a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin)))
}

unsafe fn turn_singles(first: *mut f32, second: *mut f32, cos: f32, sin: f32, count: usize) {
    let (cos, sin) = (V::splat(cos), V::splat(sin));
    for i in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe {
            let (a, b) = (V::load_f32(first.add(i)), V::load_f32(second.add(i)));
            let (a, b) = turn(a, b, cos, sin);
            a.store_f32(first.add(i));
            b.store_f32(second.add(i));
        }
    }
}

unsafe fn turn_halves(first: *mut u16, second: *mut u16, cos: f32, sin: f32, count: usize) {
    let (cos, sin) = (V::splat(cos), V::splat(sin));
    let widen = WidenF16::new();
    for i in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe {
            let a = widen.of(V::load_i16x4(first.add(i).cast()));
            let b = widen.of(V::load_i16x4(second.add(i).cast()));
            let (a, b) = turn(a, b, cos, sin);
            first.add(i).cast::<[u16; LANES]>().write(narrow(a));
            second.add(i).cast::<[u16; LANES]>().write(narrow(b));
        }
    }
}

/// As F32 and rounded again: a scale may change with the angle.
unsafe fn turn_quants(
    keys: *mut u8,
    table: *const f32,
    page: QuantPage,
    shape: &AttentionShape,
    rotation: Rotation,
    scratch: *mut f32,
) {
    let pairs = rotation.pairs;
    let (step, far) = rotation.distances();
    for token in 0..shape.page_size {
        // SAFETY: the caller's; `2 * pairs` is at most `head_dim`.
        unsafe {
            for channel in 0..shape.head_dim {
                let x = page.get(keys, Part::Keys, token, channel);
                scratch.add(channel).write(x);
            }
            for pair in 0..pairs {
                let (cos, sin) = (*table.add(pair), *table.add(pairs + pair));
                let first = scratch.add(pair * step);
                let second = first.add(far);
                let (a, b) = (*first, *second);
                first.write(a * cos - b * sin);
                second.write(b * cos + a * sin);
            }
            page.set(keys, Part::Keys, token, scratch, shape.head_dim);
        }
    }
}

fn narrow(x: V) -> [u16; LANES] {
    narrow_f16(x).lanes().map(|lane| lane.to_bits() as u16)
}
