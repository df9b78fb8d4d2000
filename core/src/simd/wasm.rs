//! WASM simd128, and relaxed SIMD with the feature `relaxed`.

use super::{Vector, LANES};
use core::arch::wasm32::*;

/// [`Vector::pinned`]: a call whose function LLVM may not look into, as another one could take its place. The build puts the value in
/// place of the call afterwards.
#[cfg(feature = "relaxed")]
#[linkage = "weak"]
#[unsafe(no_mangle)]
#[inline(never)]
#[allow(improper_ctypes_definitions)]
extern "C" fn pinned(value: v128) -> v128 {
    value
}

/// A 128-bit vector.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct V(v128);

impl Vector for V {
    #[inline(always)]
    fn zero() -> V {
        V(i32x4_splat(0))
    }
    #[inline(always)]
    fn splat(x: f32) -> V {
        V(f32x4_splat(x))
    }
    #[inline(always)]
    fn splat_i32(x: i32) -> V {
        V(i32x4_splat(x))
    }
    #[inline(always)]
    fn lanes(self) -> [f32; LANES] {
        let v = self.0;
        [
            f32x4_extract_lane::<0>(v),
            f32x4_extract_lane::<1>(v),
            f32x4_extract_lane::<2>(v),
            f32x4_extract_lane::<3>(v),
        ]
    }
    #[inline(always)]
    fn from_lanes(l: [f32; LANES]) -> V {
        V(f32x4(l[0], l[1], l[2], l[3]))
    }

    #[inline(always)]
    unsafe fn load(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { v128_load(p.cast()) })
    }
    #[inline(always)]
    unsafe fn load32_splat(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { v128_load32_splat(p.cast()) })
    }
    #[inline(always)]
    unsafe fn load_u16x4(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { u32x4_load_extend_u16x4(p.cast()) })
    }
    #[inline(always)]
    unsafe fn load_i16x4(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { i32x4_load_extend_i16x4(p.cast()) })
    }
    #[inline(always)]
    unsafe fn load_i8x8(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { i16x8_load_extend_i8x8(p.cast()) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller's.
        unsafe { v128_store(p.cast(), self.0) }
    }

    #[inline(always)]
    fn add(self, b: V) -> V {
        V(f32x4_add(self.0, b.0))
    }
    #[inline(always)]
    fn sub(self, b: V) -> V {
        V(f32x4_sub(self.0, b.0))
    }
    #[inline(always)]
    fn mul(self, b: V) -> V {
        V(f32x4_mul(self.0, b.0))
    }
    #[inline(always)]
    fn div(self, b: V) -> V {
        V(f32x4_div(self.0, b.0))
    }
    #[inline(always)]
    fn madd(self, b: V, c: V) -> V {
        #[cfg(feature = "relaxed")]
        return V(f32x4_relaxed_madd(self.0, b.0, c.0));
        #[cfg(not(feature = "relaxed"))]
        return V(f32x4_add(f32x4_mul(self.0, b.0), c.0));
    }
    #[inline(always)]
    fn min(self, b: V) -> V {
        V(f32x4_pmin(self.0, b.0))
    }
    #[inline(always)]
    fn max(self, b: V) -> V {
        V(f32x4_pmax(self.0, b.0))
    }
    #[inline(always)]
    fn abs(self) -> V {
        V(f32x4_abs(self.0))
    }
    #[inline(always)]
    fn sqrt(self) -> V {
        V(f32x4_sqrt(self.0))
    }
    #[inline(always)]
    fn lt(self, b: V) -> V {
        V(f32x4_lt(self.0, b.0))
    }
    #[inline(always)]
    fn eq(self, b: V) -> V {
        V(f32x4_eq(self.0, b.0))
    }
    #[inline(always)]
    fn f32_from_i32(self) -> V {
        V(f32x4_convert_i32x4(self.0))
    }

    #[inline(always)]
    fn and(self, b: V) -> V {
        V(v128_and(self.0, b.0))
    }
    #[inline(always)]
    fn or(self, b: V) -> V {
        V(v128_or(self.0, b.0))
    }
    #[inline(always)]
    fn xor(self, b: V) -> V {
        V(v128_xor(self.0, b.0))
    }
    #[inline(always)]
    fn select(mask: V, a: V, b: V) -> V {
        V(v128_bitselect(a.0, b.0, mask.0))
    }

    #[inline(always)]
    fn add_i32(self, b: V) -> V {
        V(i32x4_add(self.0, b.0))
    }
    #[inline(always)]
    fn sub_i32(self, b: V) -> V {
        V(i32x4_sub(self.0, b.0))
    }
    #[inline(always)]
    fn mul_i32(self, b: V) -> V {
        V(i32x4_mul(self.0, b.0))
    }
    #[inline(always)]
    fn shl_i32<const N: u32>(self) -> V {
        V(i32x4_shl(self.0, N))
    }
    #[inline(always)]
    fn shr_u32<const N: u32>(self) -> V {
        V(u32x4_shr(self.0, N))
    }
    #[inline(always)]
    fn shr_i32<const N: u32>(self) -> V {
        V(i32x4_shr(self.0, N))
    }
    #[inline(always)]
    fn max_i32(self, b: V) -> V {
        V(i32x4_max(self.0, b.0))
    }
    #[inline(always)]
    fn gt_i32(self, b: V) -> V {
        V(i32x4_gt(self.0, b.0))
    }
    #[inline(always)]
    fn add_i16(self, b: V) -> V {
        V(i16x8_add(self.0, b.0))
    }
    #[inline(always)]
    fn sub_i16(self, b: V) -> V {
        V(i16x8_sub(self.0, b.0))
    }
    #[inline(always)]
    fn shl_i16<const N: u32>(self) -> V {
        V(i16x8_shl(self.0, N))
    }
    #[inline(always)]
    fn shr_i16<const N: u32>(self) -> V {
        V(i16x8_shr(self.0, N))
    }
    #[inline(always)]
    fn shr_u16<const N: u32>(self) -> V {
        V(u16x8_shr(self.0, N))
    }
    #[inline(always)]
    fn dot_i16(self, b: V) -> V {
        V(i32x4_dot_i16x8(self.0, b.0))
    }
    #[inline(always)]
    fn pairs_i16(self) -> V {
        V(i32x4_extadd_pairwise_i16x8(self.0))
    }
    #[inline(always)]
    fn dot_i8_u7(self, b: V) -> V {
        #[cfg(feature = "relaxed")]
        return V(i16x8_relaxed_dot_i8x16_i7x16(self.0, b.0));
        #[cfg(not(feature = "relaxed"))]
        {
            let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(self.0), i16x8_extend_low_i8x16(b.0));
            let high = i32x4_dot_i16x8(
                i16x8_extend_high_i8x16(self.0),
                i16x8_extend_high_i8x16(b.0),
            );
            V(i16x8_narrow_i32x4(low, high))
        }
    }
    #[inline(always)]
    fn dot_i8_u7_add(self, b: V, c: V) -> V {
        #[cfg(feature = "relaxed")]
        return V(i32x4_relaxed_dot_i8x16_i7x16_add(self.0, b.0, c.0));
        #[cfg(not(feature = "relaxed"))]
        return self.dot_i8_u7(b).pairs_i16().add_i32(c);
    }
    #[inline(always)]
    fn dot_i8_u8(self, b: V) -> V {
        self.dot_i8_u7(b)
    }
    #[inline(always)]
    fn dot_i8_u8_add(self, b: V, c: V) -> V {
        self.dot_i8_u7_add(b, c)
    }
    #[inline(always)]
    fn dot_i8_add(self, b: V, c: V) -> V {
        self.dot_i8_u7_add(b, c)
    }
    #[inline(always)]
    fn narrow_i32(self, b: V) -> V {
        V(i16x8_narrow_i32x4(self.0, b.0))
    }
    #[inline(always)]
    fn narrow_i16(self, b: V) -> V {
        V(i8x16_narrow_i16x8(self.0, b.0))
    }

    #[cfg(feature = "relaxed")]
    #[inline(always)]
    fn pinned(self) -> V {
        V(pinned(self.0))
    }

    #[inline(always)]
    fn zip_low_i16(self, b: V) -> V {
        V(i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(self.0, b.0))
    }
    #[inline(always)]
    fn zip_high_i16(self, b: V) -> V {
        V(i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(self.0, b.0))
    }
    #[inline(always)]
    fn zip_low(self, b: V) -> V {
        V(i32x4_shuffle::<0, 4, 1, 5>(self.0, b.0))
    }
    #[inline(always)]
    fn zip_high(self, b: V) -> V {
        V(i32x4_shuffle::<2, 6, 3, 7>(self.0, b.0))
    }
    #[inline(always)]
    fn join_low(self, b: V) -> V {
        V(i32x4_shuffle::<0, 1, 4, 5>(self.0, b.0))
    }
    #[inline(always)]
    fn join_high(self, b: V) -> V {
        V(i32x4_shuffle::<2, 3, 6, 7>(self.0, b.0))
    }
    #[inline(always)]
    fn join_ends(self, b: V) -> V {
        V(i32x4_shuffle::<0, 1, 6, 7>(self.0, b.0))
    }
    #[inline(always)]
    fn alternate(self, b: V) -> V {
        V(i32x4_shuffle::<0, 5, 2, 7>(self.0, b.0))
    }
    #[inline(always)]
    fn rotate(self) -> V {
        V(i32x4_shuffle::<1, 2, 3, 0>(self.0, self.0))
    }
    #[inline(always)]
    fn splat_lane<const N: usize>(self) -> V {
        V(i32x4_shuffle::<N, N, N, N>(self.0, self.0))
    }
    #[inline(always)]
    fn even_odd(self) -> V {
        V(i32x4_shuffle::<0, 2, 1, 3>(self.0, self.0))
    }
}
