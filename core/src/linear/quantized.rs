//! Nibble and byte weights by 8-bit activations: exact integer dots of 32 columns, summed in F32 block after block.

use super::activations::{FOUR, META, PIECE};
use super::kernels::{
    BytesByQuads, BytesByWords, Kernel, NibblesByBytes, NibblesByQuads, NibblesByWords,
};
use super::weight::BLOCK;
use super::{singles, ActivationKind, Activations, Output, PackedWeight, GROUP, HALF};
use crate::simd::{widen_f16, ByteDot, Vector, WidenF16, BYTE_DOT, LANES, V};

/// Whether the build has kernels of bytes, and words for nibbles; tests have all.
const BYTES: bool = BYTE_DOT || cfg!(test);
const WORDS: bool = !BYTE_DOT || cfg!(test);

/// Vectors of four rows that make a group.
const QUADS: usize = GROUP / LANES;

/// Bytes of a block of 16 rows unpacked to a tile.
pub(super) fn tile_block_bytes(kind: ActivationKind, min: bool) -> usize {
    let vectors = if kind == ActivationKind::I8 { 8 } else { 16 };
    QUADS * 16 * (vectors + 1 + usize::from(min))
}

/// Rows of nibbles.
/// # Safety
/// As [`super::linear`].
pub(super) unsafe fn nibble_group<const MIN: bool>(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    // SAFETY: the caller's.
    unsafe {
        match (x.kind, x.dot) {
            (ActivationKind::I8, ByteDot::Unsigned | ByteDot::Signed) if BYTES => {
                rows_of_group::<NibblesByQuads<MIN>, MIN>(weight, group, x, m, output, scratch)
            }
            (ActivationKind::I8, _) if BYTES => {
                rows_of_group::<NibblesByBytes<MIN>, MIN>(weight, group, x, m, output, scratch)
            }
            (ActivationKind::I16, _) if WORDS => {
                rows_of_group::<NibblesByWords<MIN>, MIN>(weight, group, x, m, output, scratch)
            }
            _ => unreachable!("activations of another kind"),
        }
    }
}

/// Rows of bytes.
/// # Safety
/// As [`super::linear`].
pub(super) unsafe fn byte_group<const MIN: bool>(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    // SAFETY: the caller's.
    unsafe {
        match (x.kind, x.dot) {
            (ActivationKind::I8, ByteDot::Unsigned) if BYTES => {
                rows_of_group::<BytesByQuads<false>, MIN>(weight, group, x, m, output, scratch)
            }
            (ActivationKind::I8, ByteDot::Signed) if BYTES => {
                rows_of_group::<BytesByQuads<true>, MIN>(weight, group, x, m, output, scratch)
            }
            (ActivationKind::I16 | ActivationKind::Nibbles, _) => {
                let by_nibbles = BYTES && x.kind == ActivationKind::Nibbles;
                let by_words = if by_nibbles { m - singles(m) } else { m };
                for token in by_words..m {
                    let row = group * GROUP;
                    vector_by_nibbles::<MIN>(weight.group(group), x, token, row, output);
                }
                rows_of_group::<BytesByWords, MIN>(weight, group, x, by_words, output, scratch);
            }
            _ => unreachable!("activations of another kind"),
        }
    }
}

/// This and the kernels below are functions of their own in every variant: as one function they keep V8's optimizing compiler
/// busy for 150 ms and 17 MB, for variants that never run, and everything is slow until it is done.
#[inline(never)]
unsafe fn rows_of_group<K: Kernel, const MIN: bool>(
    weight: &PackedWeight,
    group: usize,
    x: &Activations,
    m: usize,
    output: Output,
    scratch: *mut u8,
) {
    let packed = weight.group(group);
    let row = group * GROUP;
    let singles = singles(m);
    // SAFETY: the caller's.
    unsafe {
        for token in m - singles..m {
            vector::<K, MIN>(packed, x, token, row, output);
        }
        // Last, so that nothing else is to be kept in registers meanwhile.
        if m > singles {
            unpack_group::<K, MIN>(packed, x.k / BLOCK, scratch);
        }
        for token in (0..m - singles).step_by(FOUR) {
            tile::<K, MIN>(scratch, x, token, (m - token).min(FOUR), row, output);
        }
    }
}

/// Scales and sums of a block of activations, a token or four.
#[derive(Clone, Copy)]
pub(super) struct Meta {
    scale: V,
    scaled_sum: V,
}

/// Adds a block's dots, scaled, to the sums of four rows. Both kernels sum through this function, block after block:
/// that is what makes their rows equal to the bit.
#[inline(always)]
pub(super) fn fold<const MIN: bool>(sum: V, dots: V, scale: V, min: V, meta: Meta) -> V {
    let sum = dots.f32_from_i32().madd(scale.mul(meta.scale), sum);
    if MIN {
        min.madd(meta.scaled_sum, sum)
    } else {
        sum
    }
}

/// What a block's accumulators begin with; `less_sum_8` is read only where it is needed.
#[inline(always)]
fn start<K: Kernel>(less_sum_8: impl Fn() -> V) -> V {
    if K::ZERO {
        K::start(less_sum_8())
    } else {
        V::zero()
    }
}

/// i16 of 1, in a register: V8 makes a constant anew wherever it is used.
#[inline(always)]
fn ones() -> V {
    V::splat_i32(std::hint::black_box(0x0001_0001))
}

#[inline(always)]
const fn header(min: bool) -> usize {
    GROUP * 2 * (1 + min as usize)
}

/// One token: all 16 rows at once, unpacked in registers.
#[inline(never)]
unsafe fn vector<K: Kernel, const MIN: bool>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let widen = WidenF16::new();
    let ones = ones();
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 32` blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.quantized(token));
        for _ in 0..x.k / BLOCK {
            // Loads that splat, where `vector_by_nibbles` has shuffles: here shifts and masks fill the units that would shuffle.
            let meta = a.add(PIECE * K::SOURCES * K::PARTS);
            let mut dots = [start::<K>(|| V::load32_splat(meta.add(8))); QUADS];
            for source in 0..K::SOURCES {
                let values: [V; 4] = std::array::from_fn(|part| {
                    V::load32_splat(a.add(PIECE * K::place(source, part % K::PARTS)))
                });
                for (r, dot) in dots.iter_mut().enumerate() {
                    let quants = V::load(w.add(header(MIN) + (source * QUADS + r) * 16));
                    for (part, values) in values.into_iter().enumerate().take(K::PARTS) {
                        *dot = K::step(*dot, values, K::unpack(quants, part));
                    }
                }
            }
            a = meta.add(PIECE * META);
            let meta = Meta {
                scale: V::load32_splat(meta),
                scaled_sum: V::load32_splat(meta.add(4)),
            };
            for r in 0..QUADS {
                let scale = widen.of(V::load_i16x4(w.add(r * 8)));
                let min = if MIN {
                    widen.of(V::load_i16x4(w.add(GROUP * 2 + r * 8)))
                } else {
                    V::zero()
                };
                sums[r] = fold::<MIN>(sums[r], K::finish(dots[r], ones), scale, min, meta);
            }
            w = w.add(header(MIN) + K::SOURCES * QUADS * 16);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum);
        }
    }
}

/// One token of [`ActivationKind::Nibbles`]: all 16 rows at once, by bytes. The sums of a block fit in i16: 255 * 8 * 2 * 8.
#[inline(never)]
unsafe fn vector_by_nibbles<const MIN: bool>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let widen = WidenF16::new();
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 32` blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.quantized(token));
        for _ in 0..x.k / BLOCK {
            let mut dots = [[V::zero(); 2]; QUADS];
            let mut quants = w.add(header(MIN));
            // As in `tile`.
            for _ in 0..x.pieces / 8 {
                let (low, high) = (V::load(a).splats(), V::load(a.add(16)).splats());
                for (low, high) in low.into_iter().zip(high) {
                    let nibbles = [low, high];
                    for (r, dots) in dots.iter_mut().enumerate() {
                        let bytes = V::load(quants.add(r * 16));
                        for (dot, nibbles) in dots.iter_mut().zip(nibbles) {
                            *dot = dot.add_i16(nibbles.dot_i8_u8(bytes));
                        }
                    }
                    quants = quants.add(QUADS * 16);
                }
                a = a.add(32);
            }
            let [scale, scaled_sum, less_sum_8, _] = V::load(a).splats();
            let start = BytesByWords::start(less_sum_8);
            let meta = Meta { scale, scaled_sum };
            for (r, [low, high]) in dots.into_iter().enumerate() {
                let scale = widen.of(V::load_i16x4(w.add(r * 8)));
                let min = if MIN {
                    widen.of(V::load_i16x4(w.add(GROUP * 2 + r * 8)))
                } else {
                    V::zero()
                };
                let dots = high.pairs_i16().shl_i32::<4>().add_i32(low.pairs_i16());
                sums[r] = fold::<MIN>(sums[r], dots.add_i32(start), scale, min, meta);
            }
            w = quants;
            a = a.add(PIECE * META);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum);
        }
    }
}

/// Unpacks a group to two halves of 8 rows; of each its blocks: F32 scales, minima if any, then the vectors in the order of the
/// activations, two quads each.
#[inline(never)]
unsafe fn unpack_group<K: Kernel, const MIN: bool>(
    packed: *const u8,
    blocks: usize,
    tile: *mut u8,
) {
    let size = tile_bytes::<K, MIN>();
    for block in 0..blocks {
        // SAFETY: the group has that many blocks, and the tile room for them.
        unsafe {
            let from = packed.add(block * (header(MIN) + K::SOURCES * QUADS * 16));
            for r in 0..QUADS {
                let to = tile.add((r / 2 * blocks + block) * size + r % 2 * 16);
                widen_f16(V::load_i16x4(from.add(r * 8))).store(to);
                if MIN {
                    widen_f16(V::load_i16x4(from.add(GROUP * 2 + r * 8))).store(to.add(32));
                }
                let to = to.add(32 * (1 + usize::from(MIN)));
                for source in 0..K::SOURCES {
                    let quants = V::load(from.add(header(MIN) + (source * QUADS + r) * 16));
                    for part in 0..K::PARTS {
                        K::unpack(quants, part).store(to.add(K::place(source, part) * 32));
                    }
                }
            }
        }
    }
}

/// Bytes of a block of a half group in a tile.
#[inline(always)]
const fn tile_bytes<K: Kernel, const MIN: bool>() -> usize {
    32 * (1 + MIN as usize + K::SOURCES * K::PARTS)
}

/// Up to four tokens by 16 rows, 8 at a time.
///
/// A vector of four rows meets one of four tokens in four turns: in turn `d`, lane `i` is row `i` by token `(i + d) % 4`.
/// That takes a load of activations where splats would take four: each load costs a bounds check, and accumulators stay in registers.
#[inline(never)]
pub(super) unsafe fn tile<K: Kernel, const MIN: bool>(
    tile: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let blocks = x.k / BLOCK;
    // Known only at run time, or else LLVM unrolls the loop and orders it so that V8 spills most of it.
    let pieces = x.pieces;
    let ones = ones();
    debug_assert!(pieces > 0 && blocks > 0);
    for half in 0..2 {
        let mut sums = [[V::zero(); 2]; FOUR];
        // SAFETY: the tile has two halves of `blocks` blocks, and the tokens are there; quantized activations have pieces and blocks.
        unsafe {
            let mut w = tile.add(half * blocks * tile_bytes::<K, MIN>());
            let mut a = x.quantized(token);
            // Or else the loops would have to be left out, and accumulators to be moved where both ways meet.
            std::hint::assert_unchecked(pieces > 0 && blocks > 0);
            for _ in 0..blocks {
                let meta = a.add(16 * K::SOURCES * K::PARTS);
                let mut start = start::<K>(|| V::load(meta.add(32)));
                let mut dots = [[start; 2]; FOUR];
                for dots in &mut dots {
                    *dots = [start; 2];
                    start = start.rotate();
                }
                let quants = w.add(32 * (1 + usize::from(MIN)));
                for i in 0..pieces {
                    let mut values = V::load(a.add(i * 16));
                    let (low, high) = (
                        V::load(quants.add(i * 32)),
                        V::load(quants.add(i * 32 + 16)),
                    );
                    for dots in &mut dots {
                        dots[0] = K::step(dots[0], values, low);
                        dots[1] = K::step(dots[1], values, high);
                        values = values.rotate();
                    }
                }
                a = meta.add(PIECE * META * FOUR);
                let meta = Meta {
                    scale: V::load(meta),
                    scaled_sum: V::load(meta.add(16)),
                };
                for r in 0..2 {
                    let scale = V::load(w.add(16 * r));
                    let min = if MIN {
                        V::load(w.add(32 + 16 * r))
                    } else {
                        V::zero()
                    };
                    let mut meta = meta;
                    for turn in 0..FOUR {
                        sums[turn][r] = fold::<MIN>(
                            sums[turn][r],
                            K::finish(dots[turn][r], ones),
                            scale,
                            min,
                            meta,
                        );
                        meta = meta.rotate();
                    }
                }
                w = w.add(tile_bytes::<K, MIN>());
            }
            for r in 0..2 {
                let turns = sums.map(|sums| sums[r]);
                for t in 0..tokens {
                    output.write(
                        token + t,
                        row + half * HALF + r * LANES,
                        V::of_turns(turns, t),
                    );
                }
            }
        }
    }
}

impl Meta {
    #[inline(always)]
    pub(super) fn new(scale: V, scaled_sum: V) -> Meta {
        Meta { scale, scaled_sum }
    }

    #[inline(always)]
    pub(super) fn rotate(self) -> Meta {
        Meta {
            scale: self.scale.rotate(),
            scaled_sum: self.scaled_sum.rotate(),
        }
    }
}
