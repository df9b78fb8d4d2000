//! K-quants by 8-bit activations: exact integer dots of the columns that share a scale.
//!
//! A quant is at most 63, so that bytes meet bytes wherever the machine has a dot of bytes. This file chooses:
//! Q4_K goes by [`super::nibbles`], the others by [`super::scaled`], [`super::packed`] and [`super::unpacked`].

use super::dot::{ByPairs, ByQuads, ByWords};
use super::quant::{Q2K, Q3K, Q5K, Q6K};
use super::{nibbles, packed, scaled, unpacked};
use super::{Shape, SUPER};
use crate::dtype::DType;
use crate::linear::activations::FOUR;
use crate::linear::kernels::FEW;
use crate::linear::quantized::{BYTES, WORDS};
use crate::linear::{singles, ActivationKind, Activations, Output, PackedWeight, GROUP, QUADS};
use crate::simd::ByteDot;

/// Bytes of a block of 16 rows unpacked to a tile.
pub fn tile_block_bytes(shape: Shape, kind: ActivationKind) -> usize {
    let vectors = if kind == ActivationKind::I8 { 8 } else { 16 };
    if shape.nibbles() {
        QUADS * 16 * (vectors + 2)
    } else {
        unpacked::tile_block_bytes(shape, vectors)
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
    let (from, row) = (weight.group(group), group * GROUP);
    let (tiled, dtype) = (m - singles(m), weight.dtype());
    let of_nibbles = dtype == DType::Q4_K;
    // A constant where the build has only one kind.
    let words = WORDS && (!BYTES || x.kind == ActivationKind::I16);
    // SAFETY: the caller's.
    unsafe {
        for token in tiled..m {
            if of_nibbles && words {
                nibbles::vector::<ByWords>(from, x, token, row, output);
            } else if of_nibbles && quads(x.dot) {
                nibbles::vector::<ByQuads>(from, x, token, row, output);
            } else if of_nibbles {
                nibbles::vector::<ByPairs>(from, x, token, row, output);
            } else {
                for_dot!(x, dtype, scaled::vector; from, x, token, row, output);
            }
        }
        if tiled == 0 {
            return;
        }
        if of_nibbles {
            nibbles::tiles(from, x, tiled, row, output, scratch);
            return;
        }
        let few = tiled <= FEW;
        if !few {
            for_scaled!(dtype, unpacked::unpack; from, x.k / SUPER, words, scratch);
        }
        for token in (0..tiled).step_by(FOUR) {
            let tokens = (m - token).min(FOUR);
            if few {
                for_dot!(x, dtype, packed::tile; from, x, token, tokens, row, output);
            } else {
                for_dot!(x, dtype, unpacked::tile; scratch, x, token, tokens, row, output);
            }
        }
    }
}
