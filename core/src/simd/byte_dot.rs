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
    /// Only within 7 bits.
    Seven,
    /// As unsigned, but sums of two saturate: `pmaddubsw` of x86 without AVX-VNNI. V8 makes five instructions of it, and one of the dot
    /// of pairs, which takes its second operand as unsigned too.
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
    let known = [
        ByteDot::Seven,
        ByteDot::Pairs,
        ByteDot::Unsigned,
        ByteDot::Signed,
    ];
    let answer = ANSWER.load(Ordering::Relaxed);
    if let Some(known) = known.into_iter().find(|known| *known as u8 == answer) {
        return known;
    }
    // Black boxes, so that no compiler answers for the machine.
    let (a, b) = black_box((V::splat_i32(0x7f7f_7f7f), V::splat_i32(-1)));
    let dots = a.dot_i8_u7_add(b, V::zero()).lanes().map(f32::to_bits);
    let one = black_box(V::splat_i32(0x0101_0101));
    let pairs = one.dot_i8_u7(b).lanes()[0].to_bits() & 0xffff; // 2 * 255
    let found = match dots[0] as i32 {
        129_540 => ByteDot::Unsigned,             // 4 * 127 * 255
        -508 => ByteDot::Signed,                  // 4 * 127 * -1
        65_534 if pairs == 510 => ByteDot::Pairs, // 2 * 32,767
        _ => ByteDot::Seven,
    };
    ANSWER.store(found as u8, Ordering::Relaxed);
    found
}
