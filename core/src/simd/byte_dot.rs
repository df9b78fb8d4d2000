//! What the relaxed dot of bytes does on this machine, found by an answer that differs.

use super::{Vector, BYTE_DOT, V};
use std::hint::black_box;
use std::sync::atomic::{AtomicU8, Ordering};

/// How `i32x4.relaxed_dot_i8x16_i7x16_add_s` takes second operands that 7 bits do not hold, and so what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ByteDot {
    /// The build has no dot of bytes.
    None = 1,
    /// Not to be relied on: x86 without AVX-VNNI, where V8 makes it of five instructions, and the dot of pairs is one.
    Pairs,
    /// As unsigned: `vpdpbusd`, one instruction.
    Unsigned,
    /// As signed: `sdot`, one instruction.
    Signed,
}

/// Asks the machine, the first time.
#[inline]
pub fn byte_dot() -> ByteDot {
    static ANSWER: AtomicU8 = AtomicU8::new(0);
    if !BYTE_DOT {
        return ByteDot::None;
    }
    let known = [ByteDot::Pairs, ByteDot::Unsigned, ByteDot::Signed];
    let answer = ANSWER.load(Ordering::Relaxed);
    if let Some(known) = known.into_iter().find(|known| *known as u8 == answer) {
        return known;
    }
    // Black boxes, so that no compiler answers for the machine.
    let (a, b) = black_box((V::splat_i32(0x7f7f_7f7f), V::splat_i32(-1)));
    let dots = a.dot_i8_u7_add(b, V::zero()).lanes().map(f32::to_bits);
    let found = match dots[0] as i32 {
        129_540 => ByteDot::Unsigned, // 4 * 127 * 255
        -508 => ByteDot::Signed,      // 4 * 127 * -1
        _ => ByteDot::Pairs,          // 65,534 where sums of two saturate
    };
    ANSWER.store(found as u8, Ordering::Relaxed);
    found
}
