//! Plain arrays, for every machine without a file of its own; LLVM makes vectors of most of it.

use super::{Vector, LANES};

/// A 128-bit vector.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct V([u32; 4]);

impl V {
    #[inline(always)]
    fn i32s(self) -> [i32; 4] {
        self.0.map(|x| x as i32)
    }
    #[inline(always)]
    fn from_i32s(x: [i32; 4]) -> V {
        V(x.map(|x| x as u32))
    }
    #[inline(always)]
    fn i16s(self) -> [i16; 8] {
        // SAFETY: both are 16 plain bytes.
        unsafe { core::mem::transmute(self.0) }
    }
    #[inline(always)]
    fn from_i16s(x: [i16; 8]) -> V {
        // SAFETY: both are 16 plain bytes.
        V(unsafe { core::mem::transmute::<[i16; 8], [u32; 4]>(x) })
    }
    #[inline(always)]
    fn i8s(self) -> [i8; 16] {
        // SAFETY: both are 16 plain bytes.
        unsafe { core::mem::transmute(self.0) }
    }
    #[inline(always)]
    fn from_i8s(x: [i8; 16]) -> V {
        // SAFETY: both are 16 plain bytes.
        V(unsafe { core::mem::transmute::<[i8; 16], [u32; 4]>(x) })
    }
    /// Each lane of `start` and its four of 16 products.
    #[inline(always)]
    fn quads(start: [i32; 4], product: impl Fn(usize) -> i32) -> V {
        V::from_i32s(core::array::from_fn(|lane| {
            (4 * lane..4 * lane + 4).fold(start[lane], |sum, i| sum.wrapping_add(product(i)))
        }))
    }
    #[inline(always)]
    fn f32s(self, b: V, f: impl Fn(f32, f32) -> f32) -> V {
        let (a, b) = (self.lanes(), b.lanes());
        V::from_lanes(core::array::from_fn(|i| f(a[i], b[i])))
    }
    #[inline(always)]
    fn bits(self, b: V, f: impl Fn(u32, u32) -> u32) -> V {
        V(core::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Vector for V {
    #[inline(always)]
    fn zero() -> V {
        V([0; 4])
    }
    #[inline(always)]
    fn splat(x: f32) -> V {
        V([x.to_bits(); 4])
    }
    #[inline(always)]
    fn splat_i32(x: i32) -> V {
        V([x as u32; 4])
    }
    #[inline(always)]
    fn lanes(self) -> [f32; LANES] {
        self.0.map(f32::from_bits)
    }
    #[inline(always)]
    fn from_lanes(lanes: [f32; LANES]) -> V {
        V(lanes.map(f32::to_bits))
    }

    #[inline(always)]
    unsafe fn load(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { p.cast::<[u32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load32_splat(p: *const u8) -> V {
        // SAFETY: the caller's.
        V([unsafe { p.cast::<u32>().read_unaligned() }; 4])
    }
    #[inline(always)]
    unsafe fn load_u16x4(p: *const u8) -> V {
        // SAFETY: the caller's.
        V(unsafe { p.cast::<[u16; 4]>().read_unaligned() }.map(u32::from))
    }
    #[inline(always)]
    unsafe fn load_i16x4(p: *const u8) -> V {
        // SAFETY: the caller's.
        V::from_i32s(unsafe { p.cast::<[i16; 4]>().read_unaligned() }.map(i32::from))
    }
    #[inline(always)]
    unsafe fn load_i8x8(p: *const u8) -> V {
        // SAFETY: the caller's.
        V::from_i16s(unsafe { p.cast::<[i8; 8]>().read_unaligned() }.map(i16::from))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller's.
        unsafe { p.cast::<[u32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn add(self, b: V) -> V {
        self.f32s(b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, b: V) -> V {
        self.f32s(b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, b: V) -> V {
        self.f32s(b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, b: V) -> V {
        self.f32s(b, |a, b| a / b)
    }
    #[inline(always)]
    fn madd(self, b: V, c: V) -> V {
        #[cfg(any(target_feature = "fma", target_arch = "aarch64"))]
        {
            let (a, b, c) = (self.lanes(), b.lanes(), c.lanes());
            V::from_lanes(core::array::from_fn(|i| a[i].mul_add(b[i], c[i])))
        }
        #[cfg(not(any(target_feature = "fma", target_arch = "aarch64")))]
        self.mul(b).add(c)
    }
    #[inline(always)]
    fn min(self, b: V) -> V {
        self.f32s(b, |a, b| if b < a { b } else { a })
    }
    #[inline(always)]
    fn max(self, b: V) -> V {
        self.f32s(b, |a, b| if a < b { b } else { a })
    }
    #[inline(always)]
    fn abs(self) -> V {
        V(self.0.map(|x| x & 0x7fff_ffff))
    }
    #[inline(always)]
    fn sqrt(self) -> V {
        V::from_lanes(self.lanes().map(f32::sqrt))
    }
    #[inline(always)]
    fn eq(self, b: V) -> V {
        let (a, b) = (self.lanes(), b.lanes());
        V(core::array::from_fn(|i| {
            if a[i] == b[i] {
                u32::MAX
            } else {
                0
            }
        }))
    }
    #[inline(always)]
    fn lt(self, b: V) -> V {
        let (a, b) = (self.lanes(), b.lanes());
        V(core::array::from_fn(
            |i| if a[i] < b[i] { u32::MAX } else { 0 },
        ))
    }
    #[inline(always)]
    fn f32_from_i32(self) -> V {
        V::from_lanes(self.i32s().map(|x| x as f32))
    }

    #[inline(always)]
    fn and(self, b: V) -> V {
        self.bits(b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(self, b: V) -> V {
        self.bits(b, |a, b| a | b)
    }
    #[inline(always)]
    fn xor(self, b: V) -> V {
        self.bits(b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn select(mask: V, a: V, b: V) -> V {
        V(core::array::from_fn(|i| {
            (a.0[i] & mask.0[i]) | (b.0[i] & !mask.0[i])
        }))
    }

    #[inline(always)]
    fn add_i32(self, b: V) -> V {
        self.bits(b, u32::wrapping_add)
    }
    #[inline(always)]
    fn sub_i32(self, b: V) -> V {
        self.bits(b, u32::wrapping_sub)
    }
    #[inline(always)]
    fn mul_i32(self, b: V) -> V {
        self.bits(b, u32::wrapping_mul)
    }
    #[inline(always)]
    fn shl_i32<const N: u32>(self) -> V {
        V(self.0.map(|x| x << N))
    }
    #[inline(always)]
    fn shr_u32<const N: u32>(self) -> V {
        V(self.0.map(|x| x >> N))
    }
    #[inline(always)]
    fn shr_i32<const N: u32>(self) -> V {
        V(self.0.map(|x| (x as i32 >> N) as u32))
    }
    #[inline(always)]
    fn max_i32(self, b: V) -> V {
        let (a, b) = (self.i32s(), b.i32s());
        V(core::array::from_fn(|i| a[i].max(b[i]) as u32))
    }
    #[inline(always)]
    fn gt_i32(self, b: V) -> V {
        let (a, b) = (self.i32s(), b.i32s());
        V(core::array::from_fn(
            |i| if a[i] > b[i] { u32::MAX } else { 0 },
        ))
    }
    #[inline(always)]
    fn add_i16(self, b: V) -> V {
        let (a, b) = (self.i16s(), b.i16s());
        V::from_i16s(core::array::from_fn(|i| a[i].wrapping_add(b[i])))
    }
    #[inline(always)]
    fn sub_i16(self, b: V) -> V {
        let (a, b) = (self.i16s(), b.i16s());
        V::from_i16s(core::array::from_fn(|i| a[i].wrapping_sub(b[i])))
    }
    #[inline(always)]
    fn shl_i16<const N: u32>(self) -> V {
        V::from_i16s(self.i16s().map(|x| x << N))
    }
    #[inline(always)]
    fn shr_i16<const N: u32>(self) -> V {
        V::from_i16s(self.i16s().map(|x| x >> N))
    }
    #[inline(always)]
    fn shr_u16<const N: u32>(self) -> V {
        V::from_i16s(self.i16s().map(|x| (x as u16 >> N) as i16))
    }
    #[inline(always)]
    fn dot_i16(self, b: V) -> V {
        // LLVM does not find the instruction for the plain form.
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{__m128i, _mm_madd_epi16};
            use core::mem::transmute;
            // SAFETY: all are 16 plain bytes, and every x86-64 has SSE2.
            V(unsafe {
                let [a, b] = [self, b].map(|x| transmute::<[u32; 4], __m128i>(x.0));
                transmute::<__m128i, [u32; 4]>(_mm_madd_epi16(a, b))
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let (a, b) = (self.i16s(), b.i16s());
            let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
            V::from_i32s(core::array::from_fn(|i| {
                product(2 * i).wrapping_add(product(2 * i + 1))
            }))
        }
    }
    #[inline(always)]
    fn pairs_i16(self) -> V {
        let a = self.i16s();
        V::from_i32s(core::array::from_fn(|i| {
            i32::from(a[2 * i]) + i32::from(a[2 * i + 1])
        }))
    }
    #[inline(always)]
    fn dot_i8_u7(self, b: V) -> V {
        let (a, b) = (self.i8s(), b.i8s());
        let product = |i: usize| i16::from(a[i]) * i16::from(b[i]);
        V::from_i16s(core::array::from_fn(|i| {
            product(2 * i).saturating_add(product(2 * i + 1))
        }))
    }
    #[inline(always)]
    fn dot_i8_u7_add(self, b: V, c: V) -> V {
        self.dot_i8_u7(b).pairs_i16().add_i32(c)
    }
    #[inline(always)]
    fn dot_i8_u8(self, b: V) -> V {
        let (a, b) = (self.i8s(), b.i8s());
        let product = |i: usize| i16::from(a[i]).saturating_mul(i16::from(b[i] as u8));
        V::from_i16s(core::array::from_fn(|i| {
            product(2 * i).saturating_add(product(2 * i + 1))
        }))
    }
    #[inline(always)]
    fn dot_i8_u8_add(self, b: V, c: V) -> V {
        let (a, b, c) = (self.i8s(), b.i8s(), c.i32s());
        V::quads(c, |i| i32::from(a[i]) * i32::from(b[i] as u8))
    }
    #[inline(always)]
    fn dot_i8_add(self, b: V, c: V) -> V {
        let (a, b, c) = (self.i8s(), b.i8s(), c.i32s());
        V::quads(c, |i| i32::from(a[i]) * i32::from(b[i]))
    }
    #[inline(always)]
    fn narrow_i32(self, b: V) -> V {
        let (a, b) = (self.i32s(), b.i32s());
        V::from_i16s(core::array::from_fn(|i| {
            if i < 4 { a[i] } else { b[i - 4] }.clamp(-32768, 32767) as i16
        }))
    }
    #[inline(always)]
    fn narrow_i16(self, b: V) -> V {
        let (a, b) = (self.i16s(), b.i16s());
        V::from_i8s(core::array::from_fn(|i| {
            if i < 8 { a[i] } else { b[i - 8] }.clamp(-128, 127) as i8
        }))
    }

    #[inline(always)]
    fn zip_low_i16(self, b: V) -> V {
        let (a, b) = (self.i16s(), b.i16s());
        V::from_i16s([a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]])
    }
    #[inline(always)]
    fn zip_high_i16(self, b: V) -> V {
        let (a, b) = (self.i16s(), b.i16s());
        V::from_i16s([a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]])
    }
    #[inline(always)]
    fn zip_low(self, b: V) -> V {
        V([self.0[0], b.0[0], self.0[1], b.0[1]])
    }
    #[inline(always)]
    fn zip_high(self, b: V) -> V {
        V([self.0[2], b.0[2], self.0[3], b.0[3]])
    }
    #[inline(always)]
    fn join_low(self, b: V) -> V {
        V([self.0[0], self.0[1], b.0[0], b.0[1]])
    }
    #[inline(always)]
    fn join_high(self, b: V) -> V {
        V([self.0[2], self.0[3], b.0[2], b.0[3]])
    }
    #[inline(always)]
    fn join_ends(self, b: V) -> V {
        V([self.0[0], self.0[1], b.0[2], b.0[3]])
    }
    #[inline(always)]
    fn alternate(self, b: V) -> V {
        V([self.0[0], b.0[1], self.0[2], b.0[3]])
    }
    #[inline(always)]
    fn rotate(self) -> V {
        V([self.0[1], self.0[2], self.0[3], self.0[0]])
    }
    #[inline(always)]
    fn splat_lane<const N: usize>(self) -> V {
        V([self.0[N]; LANES])
    }
    #[inline(always)]
    fn even_odd(self) -> V {
        V([self.0[0], self.0[2], self.0[1], self.0[3]])
    }
}
