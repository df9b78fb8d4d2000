//! Nibble and byte weights by 8-bit activations: exact integer dots of 32 columns, summed in F32 block after block.

use super::activations::{FOUR, META, PIECE};
use super::kernels::{
    BytesByQuads, BytesByWords, Kernel, NibblesByBytes, NibblesByQuads, NibblesByWords,
};
use super::tile::{tile, unpack, Packed, Unpacked};
use super::weight::BLOCK;
use super::{singles, ActivationKind, Activations, Output, PackedWeight, GROUP, QUADS};
use crate::simd::{ByteDot, Vector, WidenF16, BYTE_DOT, LANES, V};

/// Whether the build has kernels of bytes, and words for nibbles; tests have all.
pub(super) const BYTES: bool = BYTE_DOT || cfg!(test);
pub(super) const WORDS: bool = !BYTE_DOT || cfg!(test);

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
    let tiled = m - singles(m);
    // SAFETY: the caller's.
    unsafe {
        for token in tiled..m {
            vector::<K, MIN>(packed, x, token, row, output);
        }
        if tiled <= K::FEW {
            for token in (0..tiled).step_by(FOUR) {
                tile::<Packed<K, MIN>, K, MIN>(
                    packed,
                    x,
                    token,
                    (m - token).min(FOUR),
                    row,
                    output,
                );
            }
            return;
        }
        // Last, so that nothing else is to be kept in registers meanwhile.
        unpack::<K, MIN>(packed, x.k / BLOCK, scratch);
        for token in (0..tiled).step_by(FOUR) {
            tile::<Unpacked<K, MIN>, K, MIN>(scratch, x, token, (m - token).min(FOUR), row, output);
        }
    }
}

/// Scales and sums of a block of activations, a token or four.
#[derive(Clone, Copy)]
pub(super) struct Meta {
    pub(super) scale: V,
    pub(super) scaled_sum: V,
}

/// Adds a block's minima, if the kind has them, to the sums of four rows behind its dots.
#[inline(always)]
pub(super) fn add_minima<const MIN: bool>(sums: V, min: V, scaled_sum: V) -> V {
    if MIN {
        min.madd(scaled_sum, sums)
    } else {
        sums
    }
}

/// What a block's accumulators begin with; `less_sum_8` is read only where it is needed.
#[inline(always)]
pub(super) fn start<K: Kernel>(less_sum_8: impl Fn() -> V) -> V {
    if K::ZERO {
        K::start(less_sum_8())
    } else {
        V::zero()
    }
}

/// Bits in every lane, in a register: V8 makes a constant anew wherever it is used.
#[inline(always)]
pub(super) fn lanes_of(bits: u32) -> V {
    V::splat_i32(std::hint::black_box(bits) as i32)
}

#[inline(always)]
pub(super) const fn header(min: bool) -> usize {
    GROUP * 2 * (1 + min as usize)
}

/// One token: all 16 rows at once, unpacked in registers.
///
/// Sums are pinned, so that lines of memory are read from first to last: in LLVM's order, a row after the other and each from its end,
/// the hardware does not read ahead as well.
/// # Safety
/// As [`super::linear`], for a group of rows.
#[inline(never)]
pub(super) unsafe fn vector<K: Kernel, const MIN: bool>(
    packed: *const u8,
    x: &Activations,
    token: usize,
    row: usize,
    output: Output,
) {
    let widen = WidenF16::new();
    let mask = lanes_of(K::MASK);
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
                        let unpacked = K::unpack(quants, part, mask);
                        *dot = K::step(*dot, values, unpacked).pinned();
                    }
                }
            }
            a = meta.add(PIECE * META);
            let scales = K::scales(V::load32_splat(meta));
            let scaled_sum = V::load32_splat(meta.add(4));
            for r in 0..QUADS {
                let scale = widen.small(V::load_i16x4(w.add(r * 8)));
                let min = if MIN {
                    widen.small(V::load_i16x4(w.add(GROUP * 2 + r * 8)))
                } else {
                    V::zero()
                };
                let sum = K::add(sums[r], dots[r], scale, scales);
                sums[r] = add_minima::<MIN>(sum, min, scaled_sum);
            }
            w = w.add(header(MIN) + K::SOURCES * QUADS * 16);
        }
        let (unit, scale) = (V::load32_splat(a), V::splat(WidenF16::SCALE));
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum.mul(scale).mul(unit));
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
                            *dot = dot.add_i16(nibbles.dot_i8_u8(bytes)).pinned();
                        }
                    }
                    quants = quants.add(QUADS * 16);
                }
                a = a.add(32);
            }
            let [scales, scaled_sum, less_sum_8, _] = V::load(a).splats();
            let start = BytesByWords::start(less_sum_8);
            let scales = BytesByWords::scales(scales);
            for (r, [low, high]) in dots.into_iter().enumerate() {
                let scale = widen.small(V::load_i16x4(w.add(r * 8)));
                let min = if MIN {
                    widen.small(V::load_i16x4(w.add(GROUP * 2 + r * 8)))
                } else {
                    V::zero()
                };
                let dots = high.pairs_i16().shl_i32::<4>().add_i32(low.pairs_i16());
                let sum = BytesByWords::add(sums[r], dots.add_i32(start), scale, scales);
                sums[r] = add_minima::<MIN>(sum, min, scaled_sum);
            }
            w = quants;
            a = a.add(PIECE * META);
        }
        let (unit, scale) = (V::load32_splat(a), V::splat(WidenF16::SCALE));
        for (r, sum) in sums.into_iter().enumerate() {
            output.write(token, row + r * LANES, sum.mul(scale).mul(unit));
        }
    }
}

impl Meta {
    #[inline(always)]
    pub(super) fn rotate(self) -> Meta {
        Meta {
            scale: self.scale.rotate(),
            scaled_sum: self.scaled_sum.rotate(),
        }
    }
}
