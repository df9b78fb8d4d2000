//! Nibble and byte weights by 8-bit activations: exact integer dots of 32 columns, summed in F32 block after block.

use super::activations::{FOUR, META};
use super::weight::BLOCK;
use super::{singles, ActivationKind, Activations, Output, PackedWeight, GROUP, HALF};
use crate::simd::{widen_f16, Vector, BYTE_DOT, LANES, V};

/// Vectors of four rows that make a group.
const QUADS: usize = GROUP / LANES;

/// How packed weights become the dots of a block. Four rows of a block unpack to `SOURCES * PARTS` vectors;
/// vector `i` meets piece `i` of the activations, splat.
trait Kernel {
    /// Packed vectors of four rows of a block.
    const SOURCES: usize;
    /// Vectors that a packed one unpacks to.
    const PARTS: usize;
    /// Whether 8 times the sum of the activations must be taken off.
    const ZERO_8: bool;
    /// The accumulator to begin with, of minus 8 times the sum of the activations.
    fn start(less_sum_8: V) -> V;
    /// Place among the unpacked of part `part` of packed vector `source`.
    fn place(source: usize, part: usize) -> usize;
    fn unpack(packed: V, part: usize) -> V;
    /// Adds a product to an accumulator.
    fn step(sum: V, activations: V, weights: V) -> V;
    /// The accumulator as i32 of four rows.
    fn finish(sum: V) -> V;
}

/// Nibbles by bytes: products of two fit, and all 32 columns' sums stay within i16 (8 * 2 * 15 * 127).
struct NibblesByBytes<const MIN: bool>;

impl<const MIN: bool> Kernel for NibblesByBytes<MIN> {
    const SOURCES: usize = 4;
    const PARTS: usize = 2;
    const ZERO_8: bool = !MIN;
    /// Sums wrap on their way, but what they end at fits: 8 * 127 * 16 of one lane's own columns, and as much of the other's.
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8.and(V::splat_i32(0xffff))
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        source + 4 * part
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize) -> V {
        let mask = V::splat_i32(0x0f0f_0f0f);
        if part == 0 {
            packed.and(mask)
        } else {
            packed.shr_u16::<4>().and(mask)
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        sum.add_i16(activations.dot_i8_u7(weights))
    }
    #[inline(always)]
    fn finish(sum: V) -> V {
        sum.pairs_i16()
    }
}

/// Nibbles by words, for machines without a dot of bytes.
struct NibblesByWords<const MIN: bool>;

impl<const MIN: bool> Kernel for NibblesByWords<MIN> {
    const SOURCES: usize = 4;
    const PARTS: usize = 4;
    const ZERO_8: bool = !MIN;
    #[inline(always)]
    fn start(less_sum_8: V) -> V {
        less_sum_8
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        2 * source + part % 2 + 8 * (part / 2)
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize) -> V {
        let mask = V::splat_i32(0x000f_000f);
        match part {
            0 => packed.and(mask),
            1 => packed.shr_u16::<8>().and(mask),
            2 => packed.shr_u16::<4>().and(mask),
            _ => packed.shr_u16::<12>(),
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        sum.add_i32(activations.dot_i16(weights))
    }
    #[inline(always)]
    fn finish(sum: V) -> V {
        sum
    }
}

/// Bytes by words.
struct BytesByWords;

impl Kernel for BytesByWords {
    const SOURCES: usize = 8;
    const PARTS: usize = 2;
    const ZERO_8: bool = false;
    #[inline(always)]
    fn start(_: V) -> V {
        V::zero()
    }
    #[inline(always)]
    fn place(source: usize, part: usize) -> usize {
        2 * source + part
    }
    #[inline(always)]
    fn unpack(packed: V, part: usize) -> V {
        if part == 0 {
            packed.shl_i16::<8>().shr_i16::<8>()
        } else {
            packed.shr_i16::<8>()
        }
    }
    #[inline(always)]
    fn step(sum: V, activations: V, weights: V) -> V {
        sum.add_i32(activations.dot_i16(weights))
    }
    #[inline(always)]
    fn finish(sum: V) -> V {
        sum
    }
}

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
        match x.kind {
            ActivationKind::I8 if BYTE_DOT || cfg!(test) => {
                rows_of_group::<NibblesByBytes<MIN>, MIN>(weight, group, x, m, output, scratch)
            }
            ActivationKind::I16 if !BYTE_DOT || cfg!(test) => {
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
    unsafe { rows_of_group::<BytesByWords, MIN>(weight, group, x, m, output, scratch) }
}

#[inline(always)]
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
        if m > singles {
            unpack_group::<K, MIN>(packed, x.k / BLOCK, scratch);
        }
        for token in (0..m - singles).step_by(FOUR) {
            tile::<K, MIN>(scratch, x, token, (m - token).min(FOUR), row, output);
        }
        for token in m - singles..m {
            vector::<K, MIN>(packed, x, token, row, output);
        }
    }
}

/// Scales and sums of a block of activations, a token or four.
#[derive(Clone, Copy)]
struct Meta {
    scale: V,
    scaled_sum: V,
}

/// Adds a block's dots, scaled, to the sums of four rows. Both kernels sum through this function, block after block:
/// that is what makes their rows equal to the bit.
#[inline(always)]
fn fold<const MIN: bool>(sum: V, dots: V, scale: V, min: V, meta: Meta) -> V {
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
    if K::ZERO_8 {
        K::start(less_sum_8())
    } else {
        V::zero()
    }
}

#[inline(always)]
const fn header(min: bool) -> usize {
    GROUP * 2 * (1 + min as usize)
}

/// One token: all 16 rows at once, unpacked in registers.
unsafe fn vector<K: Kernel, const MIN: bool>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let mut sums = [V::zero(); QUADS];
    // SAFETY: the group has `k / 32` blocks, and so has the row of activations.
    unsafe {
        let (mut w, mut a) = (packed, x.four(token).add(token % FOUR * 4));
        for _ in 0..x.k / BLOCK {
            let meta = a.add(16 * K::SOURCES * K::PARTS);
            let mut dots = [start::<K>(|| V::load32_splat(meta.add(32))); QUADS];
            for source in 0..K::SOURCES {
                let values: [V; 4] = std::array::from_fn(|part| {
                    V::load32_splat(a.add(16 * K::place(source, part % K::PARTS)))
                });
                for (r, dot) in dots.iter_mut().enumerate() {
                    let quants = V::load(w.add(header(MIN) + (source * QUADS + r) * 16));
                    for (part, values) in values.into_iter().enumerate().take(K::PARTS) {
                        *dot = K::step(*dot, values, K::unpack(quants, part));
                    }
                }
            }
            a = meta.add(META);
            let meta = Meta {
                scale: V::load32_splat(meta),
                scaled_sum: V::load32_splat(meta.add(16)),
            };
            for r in 0..QUADS {
                let scale = widen_f16(V::load_i16x4(w.add(r * 8)));
                let min = if MIN {
                    widen_f16(V::load_i16x4(w.add(GROUP * 2 + r * 8)))
                } else {
                    V::zero()
                };
                sums[r] = fold::<MIN>(sums[r], K::finish(dots[r]), scale, min, meta);
            }
            w = w.add(header(MIN) + K::SOURCES * QUADS * 16);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum);
        }
    }
}

/// Unpacks a group to two halves of 8 rows; of each its blocks: F32 scales, minima if any, then the vectors in the order of the
/// activations, two quads each.
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
unsafe fn tile<K: Kernel, const MIN: bool>(
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
    for half in 0..2 {
        let mut sums = [[V::zero(); 2]; FOUR];
        // SAFETY: the tile has two halves of `blocks` blocks, and the tokens are there.
        unsafe {
            let mut w = tile.add(half * blocks * tile_bytes::<K, MIN>());
            let mut a = x.four(token);
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
                a = meta.add(META);
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
                            K::finish(dots[turn][r]),
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
    fn rotate(self) -> Meta {
        Meta {
            scale: self.scale.rotate(),
            scaled_sum: self.scaled_sum.rotate(),
        }
    }
}
