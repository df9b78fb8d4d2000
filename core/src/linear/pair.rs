//! Two groups of nibbles by four tokens at a time, where the dot of bytes is one of pairs.
//!
//! Twice two halves share the activations of a block, so that what is made of these, loads with their bounds checks and rotations, costs
//! a fourth. They stay in locals meanwhile, most of them in V8's stack frame, from where a load needs no check. For that the loop over
//! the columns is written out, and operations stay in this order: see [`Vector::pinned`].

use super::activations::{FOUR, META, PIECE};
use super::kernels::{Kernel, NibblesByBytes};
use super::quantized::{add_minima, start, vector, BYTES};
use super::tile::{turns, unpack, Unpacked, Weights};
use super::weight::{Layout, BLOCK};
use super::{k, singles, ActivationKind, Activations, Output, PackedWeight, GROUP, HALF};
use crate::simd::{ByteDot, Vector, V};

/// Pieces of a block.
const PIECES: usize = BLOCK / 4;

/// Sums of four rows twice, by four tokens in turns.
type Sums = [[V; 2]; FOUR];

/// Whether a weight and `m` tokens go this way.
pub(super) fn applies(weight: &PackedWeight, kind: ActivationKind, dot: ByteDot, m: usize) -> bool {
    let nibbles = match weight.layout() {
        Layout::Nibble { .. } => true,
        Layout::K(shape) => shape.nibbles(),
        _ => false,
    };
    let pairs = kind == ActivationKind::I8 && matches!(dot, ByteDot::Pairs | ByteDot::Seven);
    BYTES && nibbles && pairs && m - singles(m) > NibblesByBytes::<true>::FEW
}

/// What computes a kind of weights.
struct Ways {
    /// A token by a group.
    vector: unsafe fn(*const u8, &Activations, usize, usize, Output),
    /// A group to two halves.
    unpack: unsafe fn(*const u8, usize, *mut u8),
    /// Four tokens by four halves.
    tile: unsafe fn(*const u8, &Activations, usize, usize, usize, Output),
    /// Bytes of a half.
    half_bytes: usize,
}

impl Ways {
    fn of(layout: Layout, blocks: usize) -> Ways {
        match layout {
            Layout::Nibble { min: false } => Ways {
                vector: vector::<NibblesByBytes<false>, false>,
                unpack: unpack::<NibblesByBytes<false>, false>,
                tile: tile::<false>,
                half_bytes: half_bytes::<false>(blocks),
            },
            Layout::Nibble { min: true } => Ways {
                vector: vector::<NibblesByBytes<true>, true>,
                unpack: unpack::<NibblesByBytes<true>, true>,
                tile: tile::<true>,
                half_bytes: half_bytes::<true>(blocks),
            },
            _ => Ways {
                vector: k::vector_of_nibbles,
                unpack: k::unpack_nibbles,
                tile: tile::<true>,
                half_bytes: half_bytes::<true>(blocks),
            },
        }
    }
}

/// The rows of a group and the next one.
/// # Safety
/// As [`super::linear`], for both groups, of a weight to which this [`applies`].
pub(super) unsafe fn rows(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    let (blocks, tiled) = (x.k / BLOCK, m - singles(m));
    let ways = Ways::of(weight.layout(), blocks);
    // SAFETY: the caller's.
    unsafe {
        for (i, group) in [group, group + 1].into_iter().enumerate() {
            for token in tiled..m {
                (ways.vector)(weight.group(group), x, token, group * GROUP, output);
            }
            let halves = scratch.add(2 * i * ways.half_bytes);
            (ways.unpack)(weight.group(group), blocks, halves);
        }
        for token in (0..tiled).step_by(FOUR) {
            let tokens = (m - token).min(FOUR);
            (ways.tile)(scratch, x, token, tokens, group * GROUP, output);
        }
    }
}

/// Bytes of half a group of unpacked blocks.
const fn half_bytes<const MIN: bool>(blocks: usize) -> usize {
    blocks * <Unpacked<NibblesByBytes<MIN>, MIN> as Weights<NibblesByBytes<MIN>>>::BLOCK_BYTES
}

/// Up to four tokens by 32 rows.
/// # Safety
/// As [`super::linear`], for rows of two groups that [`unpack`] wrote one behind the other.
#[inline(never)]
unsafe fn tile<const MIN: bool>(
    unpacked: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let blocks = x.k / BLOCK;
    let half = half_bytes::<MIN>(blocks);
    let mut sums = [[[V::zero(); 2]; FOUR]; 4];
    // SAFETY: there are four halves of `blocks` blocks, and the tokens are there; quantized activations have blocks.
    unsafe {
        let mut w = unpacked;
        let mut a = x.quantized(token);
        std::hint::assert_unchecked(blocks > 0);
        let seen = output.fetch::<{ 2 * GROUP }>(token, tokens, row);
        for _ in 0..blocks {
            let activations = Block::<MIN>::load(a);
            let [first, second, third, fourth] = &mut sums;
            activations.add(w, first);
            activations.add(w.add(half), second);
            activations.add(w.add(2 * half), third);
            activations.add(w.add(3 * half), fourth);
            w = w.add(half_bytes::<MIN>(1));
            a = a.add(PIECE * (PIECES + META) * FOUR);
        }
        let units = V::load(a);
        for (half, sums) in sums.into_iter().enumerate() {
            output.write_half(token, tokens, row + half * HALF, sums, units);
        }
        std::hint::black_box(seen);
    }
}

/// A block of four tokens.
struct Block<const MIN: bool> {
    /// Each piece as it lies, and two turns on.
    pieces: [[V; 2]; PIECES],
    /// What the dots of a turn begin with.
    starts: [V; FOUR],
    /// The scales in each turn.
    scales: [V; FOUR],
    /// The scaled sums in each turn.
    scaled_sums: [V; FOUR],
}

impl<const MIN: bool> Block<MIN> {
    /// # Safety
    /// A block must lie there.
    #[inline(always)]
    unsafe fn load(a: *const u8) -> Block<MIN> {
        // SAFETY: the caller's.
        unsafe {
            let meta = a.add(16 * PIECES);
            let start = start::<NibblesByBytes<MIN>>(|| V::load(meta.add(32)));
            Block {
                pieces: std::array::from_fn(|i| {
                    let piece = V::load(a.add(16 * i));
                    [piece, piece.rotate().rotate()]
                }),
                starts: turns(start),
                scales: turns(NibblesByBytes::<MIN>::scales(V::load(meta))),
                scaled_sums: turns(V::load(meta.add(16))),
            }
        }
    }

    /// Adds the products of a block of 8 rows to their sums.
    /// # Safety
    /// An unpacked block must lie there.
    #[inline(always)]
    unsafe fn add(&self, w: *const u8, sums: &mut Sums) {
        let mut dots = self.starts.map(|start| [start; 2]);
        let [a, b, c, d, e, f, g, h] = self.pieces;
        // SAFETY: the caller's.
        unsafe {
            let quants = Unpacked::<NibblesByBytes<MIN>, MIN>::quants(w, 0);
            add_dots(&mut dots, a, quants);
            add_dots(&mut dots, b, quants.add(32));
            add_dots(&mut dots, c, quants.add(2 * 32));
            add_dots(&mut dots, d, quants.add(3 * 32));
            add_dots(&mut dots, e, quants.add(4 * 32));
            add_dots(&mut dots, f, quants.add(5 * 32));
            add_dots(&mut dots, g, quants.add(6 * 32));
            add_dots(&mut dots, h, quants.add(7 * 32));
            for r in 0..2 {
                let scale = V::load(w.add(16 * r));
                let min = if MIN {
                    V::load(w.add(32 + 16 * r))
                } else {
                    V::zero()
                };
                for turn in 0..FOUR {
                    let (sum, dots) = (&mut sums[turn][r], dots[turn][r]);
                    let scaled = NibblesByBytes::<MIN>::add(*sum, dots, scale, self.scales[turn]);
                    *sum = add_minima::<MIN>(scaled, min, self.scaled_sums[turn]);
                }
            }
        }
    }
}

/// Adds the dots of four columns: in two turns of a piece as it lies, in two of it two turns on.
///
/// Two products, then two sums: one after the other the sums take up units that only the products could use.
/// # Safety
/// Two vectors of 8 rows must lie there.
#[inline(always)]
unsafe fn add_dots([a, b, c, d]: &mut Sums, piece: [V; 2], quants: *const u8) {
    // SAFETY: the caller's.
    let rows = unsafe { [V::load(quants), V::load(quants.add(16))] };
    // Pinned, so that turns are made anew of them: all four of a block would be loads, and those are as scarce.
    for ([first, second], piece) in [([a, b], piece[0]), ([c, d], piece[1])] {
        let piece = piece.pinned();
        for (dots, values) in [(first, piece), (second, piece.rotate())] {
            let products = rows.map(|rows| values.dot_i8_u7(rows).pinned());
            for (dot, product) in dots.iter_mut().zip(products) {
                *dot = dot.add_i16(product).pinned();
            }
        }
    }
}
