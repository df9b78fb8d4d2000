//! K-quants from the file's super-blocks to interleaved ones, and a row back.

use super::quant::{Quant, Q2K, Q3K, Q4K, Q5K, Q6K};
use super::shape::{Piece, QUARTETS};
use super::{Shape, INTEGERS, SUPER};
use crate::dtype::DType;
use crate::linear::weight::{word, BLOCK};
use crate::linear::GROUP;
use crate::simd::f16_to_f32;

/// The quants of a block, four a word.
type Quartets = [u32; QUARTETS];

/// Bits of a quant, at most.
const MOST_BITS: usize = 6;

/// A row's super-block, taken apart.
struct Parts {
    /// F16 bits.
    scale: [u8; 2],
    /// F16 bits.
    min: [u8; 2],
    /// The bytes of [`INTEGERS`], in order of the columns: for each 16, or eight scales and then eight minima.
    integers: [u8; 16],
    quants: [Quartets; SUPER / BLOCK],
}

/// The lowest `bits` bits of each byte of a word.
fn low_bits(bits: usize) -> u32 {
    0x0101_0101 * ((1 << bits) - 1)
}

/// Where the integer of a row lies in its vector.
fn place(lane: usize) -> usize {
    lane % 4 * 4 + lane / 4
}

/// Packs one row's super-blocks into a group.
#[inline(never)]
pub fn pack(dtype: DType, shape: Shape, packed: &mut [u8], lane: usize, bytes: &[u8]) {
    let blocks = packed.chunks_exact_mut(shape.super_bytes());
    for (to, from) in blocks.zip(bytes.chunks_exact(dtype.block().1)) {
        let parts = split(dtype, from);
        let (header, body) = to.split_at_mut(shape.header());
        header[lane * 2..][..2].copy_from_slice(&parts.scale);
        if shape.min {
            let negated = [parts.min[0], parts.min[1] ^ 0x80];
            header[(GROUP + lane) * 2..][..2].copy_from_slice(&negated);
        }
        for (b, block) in body.chunks_exact_mut(shape.block_bytes()).enumerate() {
            let integers = if shape.halves {
                [parts.integers[2 * b], parts.integers[2 * b + 1]]
            } else {
                [parts.integers[b], parts.integers[8 + b]]
            };
            block[place(lane)] = integers[0];
            block[GROUP + place(lane)] = integers[1];
            let (vectors, quants) = (&mut block[INTEGERS..], &parts.quants[b]);
            match dtype {
                DType::Q2_K => pack_quants::<Q2K>(vectors, lane, quants),
                DType::Q3_K => pack_quants::<Q3K>(vectors, lane, quants),
                DType::Q4_K => pack_quants::<Q4K>(vectors, lane, quants),
                DType::Q5_K => pack_quants::<Q5K>(vectors, lane, quants),
                _ => pack_quants::<Q6K>(vectors, lane, quants),
            }
        }
    }
}

/// Puts the bits of the quants of a block where they belong.
#[inline(never)]
fn pack_quants<Q: Quant>(vectors: &mut [u8], lane: usize, quants: &Quartets) {
    let mut words = [0; MOST_BITS];
    unroll!(I in [0, 1, 2, 3, 4, 5, 6, 7] {
        for piece in const { Q::SHAPE.pieces[I] } {
            words[piece.vector] |= (quants[I] >> piece.to & low_bits(piece.bits)) << piece.from;
        }
    });
    for (vector, word) in vectors.chunks_exact_mut(GROUP * 4).zip(words) {
        vector[lane * 4..][..4].copy_from_slice(&word.to_le_bytes());
    }
}

/// The other way, one quant.
fn quant(shape: Shape, vectors: &[u8], lane: usize, column: usize) -> u8 {
    let bits = |piece: &Piece| {
        let byte = vectors[piece.vector * GROUP * 4 + lane * 4 + column % 4];
        (byte >> piece.from & ((1 << piece.bits) - 1)) << piece.to
    };
    shape.pieces[column / 4].iter().map(bits).sum()
}

/// Dequantizes a row of a group, each value as the file's format defines it.
#[inline(never)]
pub fn row(shape: Shape, packed: &[u8], lane: usize, out: &mut [f32]) {
    let half = |bytes: &[u8]| f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]));
    let blocks = packed.chunks_exact(shape.super_bytes());
    for (from, out) in blocks.zip(out.chunks_exact_mut(SUPER)) {
        let (header, body) = from.split_at(shape.header());
        let d = half(&header[lane * 2..]);
        let d_min = if shape.min {
            half(&header[(GROUP + lane) * 2..])
        } else {
            0.0
        };
        let blocks = body.chunks_exact(shape.block_bytes());
        for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK)) {
            for (column, out) in out.iter_mut().enumerate() {
                let [first, second] = [0, GROUP].map(|at| block[at + place(lane)]);
                let own = if column < BLOCK / 2 { first } else { second };
                let (scale, min) = match (shape.halves, shape.min) {
                    (false, _) => (f32::from(first), f32::from(second)),
                    (true, true) => (f32::from(own & 15), f32::from(own >> 4)),
                    (true, false) => (f32::from(own as i8), 0.0),
                };
                let quant = quant(shape, &block[INTEGERS..], lane, column);
                let value = (d * scale) * (f32::from(quant) - f32::from(shape.zero()));
                *out = if shape.min {
                    value + d_min * min
                } else {
                    value
                };
            }
        }
    }
}

/// A plane of a super-block in a file: runs of `run` bytes, whose bits from the lowest up are `8 / bits` runs of columns.
struct Plane {
    at: usize,
    run: usize,
    bits: usize,
}

/// Where the parts of a super-block are (ggml, `block_q2_K` … `block_q6_K`): F16 scale and minimum, planes from the lowest bits up.
fn layout(dtype: DType) -> (usize, usize, [Plane; 2]) {
    let plane = |at, run, bits| Plane { at, run, bits };
    match dtype {
        DType::Q2_K => (80, 82, [plane(16, 32, 2), plane(0, 32, 0)]),
        DType::Q3_K => (108, 108, [plane(32, 32, 2), plane(0, 32, 1)]),
        DType::Q4_K => (0, 2, [plane(16, 32, 4), plane(0, 32, 0)]),
        DType::Q5_K => (0, 2, [plane(48, 32, 4), plane(16, 32, 1)]),
        _ => (208, 208, [plane(0, 64, 4), plane(128, 32, 2)]),
    }
}

/// Takes a super-block apart.
#[inline(never)]
fn split(dtype: DType, from: &[u8]) -> Parts {
    let (scale, min, planes) = layout(dtype);
    let mut quants = [[0; QUARTETS]; SUPER / BLOCK];
    let mut to = 0;
    for Plane { at, run, bits } in planes {
        if bits == 0 {
            continue;
        }
        let mask = low_bits(bits);
        for (i, columns) in quants
            .as_flattened_mut()
            .chunks_exact_mut(run / 4)
            .enumerate()
        {
            let shift = i % (8 / bits) * bits;
            let words = from[at + i / (8 / bits) * run..][..run].chunks_exact(4);
            for (quartet, bytes) in columns.iter_mut().zip(words) {
                *quartet |= (word(bytes, 0) >> shift & mask) << to;
            }
        }
        to += bits;
    }
    let integer = |i: usize| match dtype {
        DType::Q2_K => from[i],
        DType::Q3_K => {
            let low = from[96 + i % 8] >> (i / 8 * 4) & 15;
            let high = from[104 + i % 4] >> (i / 4 * 2) & 3;
            (low | high << 4).wrapping_sub(32)
        }
        DType::Q6_K => from[192 + i],
        _ => six_bits(&from[4..16], i),
    };
    let mut integers = [0; 16];
    for (i, to) in integers.iter_mut().enumerate() {
        *to = integer(i);
    }
    Parts {
        scale: [from[scale], from[scale + 1]],
        min: [from[min], from[min + 1]],
        integers,
        quants,
    }
}

/// Of eight scales and then eight minima of six bits each, in 12 bytes.
fn six_bits(from: &[u8], i: usize) -> u8 {
    let (kind, i) = (i / 8, i % 8);
    let own = from[4 * kind + i % 4];
    if i < 4 {
        own & 63
    } else {
        from[8 + i % 4] >> (4 * kind) & 15 | own >> 6 << 4
    }
}
