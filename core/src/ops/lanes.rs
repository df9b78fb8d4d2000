//! Loops over F32 by the vector, whole ones first, the last lanes by a partial load.

use crate::simd::{Vector, LANES, V};

/// Something to read vectors from.
pub trait Read: Copy {
    /// # Safety
    /// Elements `i..i + 4` must be there.
    unsafe fn whole(self, i: usize) -> V;
    /// # Safety
    /// Elements `i..i + n` must be there.
    unsafe fn part(self, i: usize, n: usize) -> V;
}

/// A run of elements.
#[derive(Clone, Copy)]
pub struct Each(pub *const f32);

/// One element, again and again.
#[derive(Clone, Copy)]
pub struct Same(pub f32);

impl Read for Each {
    #[inline(always)]
    unsafe fn whole(self, i: usize) -> V {
        // SAFETY: the caller's.
        unsafe { V::load_f32(self.0.add(i)) }
    }
    #[inline(always)]
    unsafe fn part(self, i: usize, n: usize) -> V {
        // SAFETY: the caller's.
        unsafe { V::load_partial(self.0.add(i), n) }
    }
}

impl Read for Same {
    #[inline(always)]
    unsafe fn whole(self, _: usize) -> V {
        V::splat(self.0)
    }
    #[inline(always)]
    unsafe fn part(self, _: usize, _: usize) -> V {
        V::splat(self.0)
    }
}

/// `out[i] = f(a[i], b[i])`. `out` may be `a` or `b`.
/// # Safety
/// `n` elements must be readable and writable.
#[inline(always)]
pub unsafe fn map2(a: impl Read, b: impl Read, out: *mut f32, n: usize, f: impl Fn(V, V) -> V) {
    let mut i = 0;
    // SAFETY: the caller's.
    unsafe {
        while i + LANES <= n {
            f(a.whole(i), b.whole(i)).store_f32(out.add(i));
            i += LANES;
        }
        if i < n {
            f(a.part(i, n - i), b.part(i, n - i)).store_partial(out.add(i), n - i);
        }
    }
}

/// `out[i] = f(a[i])`. `out` may be `a`.
/// # Safety
/// As [`map2`].
#[inline(always)]
pub unsafe fn map(a: impl Read, out: *mut f32, n: usize, f: impl Fn(V) -> V) {
    // SAFETY: the caller's.
    unsafe { map2(a, Same(0.0), out, n, |a, _| f(a)) }
}

/// The sum of `f(x[i])`, in an order that depends on `n` only. `f(0)` must be 0.
/// # Safety
/// `n` elements must be readable.
#[inline(always)]
pub unsafe fn sum(x: *const f32, n: usize, f: impl Fn(V) -> V) -> f32 {
    let mut sums = [V::zero(); 4];
    let mut i = 0;
    // SAFETY: the caller's.
    unsafe {
        while i + 4 * LANES <= n {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add(f(V::load_f32(x.add(i + lane * LANES))));
            }
            i += 4 * LANES;
        }
        while i + LANES <= n {
            sums[0] = sums[0].add(f(V::load_f32(x.add(i))));
            i += LANES;
        }
        if i < n {
            sums[1] = sums[1].add(f(V::load_partial(x.add(i), n - i)));
        }
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
}

/// The greatest element; NaN does not win.
/// # Safety
/// `n` elements must be readable.
#[inline(always)]
pub unsafe fn max(x: *const f32, n: usize) -> f32 {
    let mut best = V::splat(f32::NEG_INFINITY);
    let mut i = 0;
    // SAFETY: the caller's.
    unsafe {
        while i + LANES <= n {
            best = best.max(V::load_f32(x.add(i)));
            i += LANES;
        }
        let mut greatest = best.max_lane();
        while i < n {
            greatest = greatest.max(*x.add(i));
            i += 1;
        }
        greatest
    }
}

/// The sum of `a[i] * b[i]`, in an order that depends on `n` only.
/// # Safety
/// `n` elements must be readable in both.
#[inline(always)]
pub unsafe fn dot(a: *const f32, b: *const f32, n: usize) -> f32 {
    let mut sums = [V::zero(); 2];
    let mut i = 0;
    // SAFETY: the caller's.
    unsafe {
        while i + 2 * LANES <= n {
            sums[0] = V::load_f32(a.add(i)).madd(V::load_f32(b.add(i)), sums[0]);
            sums[1] = V::load_f32(a.add(i + LANES)).madd(V::load_f32(b.add(i + LANES)), sums[1]);
            i += 2 * LANES;
        }
        while i < n {
            let m = LANES.min(n - i);
            sums[0] = V::load_partial(a.add(i), m).madd(V::load_partial(b.add(i), m), sums[0]);
            i += LANES;
        }
    }
    sums[0].add(sums[1]).sum()
}
