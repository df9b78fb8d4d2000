//! K-quants by 8-bit activations: exact integer dots of the columns that share a scale.
//!
//! A quant is at most 63, so that bytes meet bytes wherever the machine has a dot of bytes. This file chooses:
//! Q4_K goes by [`super::nibbles`], the others by [`super::scaled`] and [`super::tile`].

use super::dot::{ByPairs, ByQuads, ByWords};
use super::quant::{Q2K, Q3K, Q5K, Q6K};
use super::{nibbles, scaled, tile};
use super::{Shape, SUPER};
use crate::dtype::DType;
use crate::linear::activations::FOUR;
use crate::linear::quantized::{BYTES, WORDS};
use crate::linear::{singles, ActivationKind, Activations, Output, PackedWeight, GROUP, QUADS};
use crate::simd::ByteDot;

/// Bytes of a block of 16 rows unpacked to a tile.
pub fn tile_block_bytes(shape: Shape, kind: ActivationKind) -> usize {
    let vectors = if kind == ActivationKind::I8 { 8 } else { 16 };
    if shape.nibbles() {
        QUADS * 16 * (vectors + 2)
    } else {
        tile::tile_block_bytes(shape, vectors)
    }
}

/// Whether the dot of four bytes is one instruction.
pub(super) fn quads(dot: ByteDot) -> bool {
    matches!(dot, ByteDot::Unsigned | ByteDot::Signed)
}

/// Calls a function for the quant of a dtype that has tiles of its own.
macro_rules! for_scaled {
    ($dtype:expr, $module:ident::$function:ident $(, $dot:ident)?; $($argument:expr),*) => {
        match $dtype {
            DType::Q2_K => $module::$function::<Q2K $(, $dot)?>($($argument),*),
            DType::Q3_K => $module::$function::<Q3K $(, $dot)?>($($argument),*),
            DType::Q5_K => $module::$function::<Q5K $(, $dot)?>($($argument),*),
            _ => $module::$function::<Q6K $(, $dot)?>($($argument),*),
        }
    };
}

/// Calls a function for the dot that the machine has.
macro_rules! for_dot {
    ($x:expr, $dtype:expr, $module:ident::$function:ident; $($argument:expr),*) => {
        match $x.kind {
            ActivationKind::I8 if BYTES && quads($x.dot) => {
                for_scaled!($dtype, $module::$function, ByQuads; $($argument),*)
            }
            ActivationKind::I8 if BYTES => for_scaled!($dtype, $module::$function, ByPairs; $($argument),*),
            ActivationKind::I16 if WORDS => for_scaled!($dtype, $module::$function, ByWords; $($argument),*),
            _ => unreachable!("activations of another kind"),
        }
    };
}

/// The rows of one group for all tokens.
/// # Safety
/// As [`crate::linear::linear`].
#[inline(never)]
pub unsafe fn group(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    let (packed, row) = (weight.group(group), group * GROUP);
    let (tiled, dtype) = (m - singles(m), weight.dtype());
    let of_nibbles = dtype == DType::Q4_K;
    // A constant where the build has only one kind.
    let words = WORDS && (!BYTES || x.kind == ActivationKind::I16);
    // SAFETY: the caller's.
    unsafe {
        for token in tiled..m {
            if of_nibbles && words {
                nibbles::vector::<ByWords>(packed, x, token, row, output);
            } else if of_nibbles && quads(x.dot) {
                nibbles::vector::<ByQuads>(packed, x, token, row, output);
            } else if of_nibbles {
                nibbles::vector::<ByPairs>(packed, x, token, row, output);
            } else {
                for_dot!(x, dtype, scaled::vector; packed, x, token, row, output);
            }
        }
        if tiled == 0 {
            return;
        }
        let supers = x.k / SUPER;
        if of_nibbles {
            nibbles::unpack(packed, supers, words, scratch);
        } else {
            for_scaled!(dtype, tile::unpack; packed, supers, words, scratch);
        }
        for token in (0..tiled).step_by(FOUR) {
            let tokens = (m - token).min(FOUR);
            if of_nibbles {
                nibbles::tile(scratch, x, token, tokens, row, output);
            } else {
                for_dot!(x, dtype, tile::tile; scratch, x, token, tokens, row, output);
            }
        }
    }
}
