//! Quantized rows by four tokens at a time: [`tile`], whose weights are unpacked as it goes or, for many tokens, once before.

use super::activations::{FOUR, META, PIECE};
use super::kernels::Kernel;
use super::quantized::{add_minima, header, lanes_of, start, Meta};
use super::weight::BLOCK;
use super::{ActivationKind, Activations, Output, GROUP, HALF, QUADS};
use crate::simd::{Vector, WidenF16, V};
use std::marker::PhantomData;

/// Bytes of a block of 16 rows unpacked to a tile.
pub(super) fn tile_block_bytes(kind: ActivationKind, min: bool) -> usize {
    let vectors = if kind == ActivationKind::I8 { 8 } else { 16 };
    QUADS * 16 * (vectors + 1 + usize::from(min))
}

/// Where a tile finds its weights.
pub(super) trait Weights<K> {
    /// Parts that the columns of a block are taken in, a loop each: one loop that unpacks several needs more registers than there are.
    const PARTS: usize;
    /// Bytes from a block to the next.
    const BLOCK_BYTES: usize;
    /// Bytes from a quad's vector to its next one.
    const STEP: usize;
    /// What [`Weights::scales`] and [`Weights::minima`] are yet to be multiplied with, a power of two.
    const SCALE: f32 = 1.0;
    /// What the loops need in registers.
    fn new() -> Self;
    /// The piece of the activations that vector `i` of a part meets.
    fn piece(part: usize, i: usize) -> usize;
    /// The first block of half a group of `blocks`.
    /// # Safety
    /// There must be that group.
    unsafe fn half(group: *const u8, half: usize, blocks: usize) -> *const u8;
    /// Gets to a block, of which the one before ends at `block`.
    /// # Safety
    /// There must be one.
    #[inline(always)]
    unsafe fn open(&mut self, block: *const u8, _half: usize) -> *const u8 {
        block
    }
    /// Scales of quad `r` of the half.
    /// # Safety
    /// `block` must be one of the half's, and the one that was opened.
    unsafe fn scales(&self, block: *const u8, half: usize, r: usize) -> V;
    /// Its minima.
    /// # Safety
    /// As [`Weights::scales`]; the kind must have them.
    unsafe fn minima(&self, block: *const u8, half: usize, r: usize) -> V;
    /// The first vector of its first quad; the second quad's is the next.
    /// # Safety
    /// As [`Weights::scales`].
    unsafe fn quants(block: *const u8, half: usize) -> *const u8;
    /// Part `part` of a vector.
    fn part(&self, quants: V, part: usize) -> V;
}

/// As [`unpack`] writes them.
pub(super) struct Unpacked<K, const MIN: bool>(PhantomData<K>);

/// As they lie in the weight.
pub(super) struct Packed<K, const MIN: bool> {
    widen: WidenF16,
    mask: V,
    kernel: PhantomData<K>,
}

impl<K: Kernel, const MIN: bool> Weights<K> for Unpacked<K, MIN> {
    const PARTS: usize = 1;
    const BLOCK_BYTES: usize = 32 * (1 + MIN as usize + K::SOURCES * K::PARTS);
    const STEP: usize = 32;
    #[inline(always)]
    fn new() -> Self {
        Unpacked(PhantomData)
    }
    #[inline(always)]
    fn piece(_: usize, i: usize) -> usize {
        i
    }
    #[inline(always)]
    unsafe fn half(group: *const u8, half: usize, blocks: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { group.add(half * blocks * Self::BLOCK_BYTES) }
    }
    #[inline(always)]
    unsafe fn scales(&self, block: *const u8, _: usize, r: usize) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(block.add(16 * r)) }
    }
    #[inline(always)]
    unsafe fn minima(&self, block: *const u8, _: usize, r: usize) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(block.add(32 + 16 * r)) }
    }
    #[inline(always)]
    unsafe fn quants(block: *const u8, _: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { block.add(32 * (1 + usize::from(MIN))) }
    }
    #[inline(always)]
    fn part(&self, quants: V, _: usize) -> V {
        quants
    }
}

impl<K: Kernel, const MIN: bool> Weights<K> for Packed<K, MIN> {
    const PARTS: usize = K::PARTS;
    const BLOCK_BYTES: usize = header(MIN) + K::SOURCES * QUADS * 16;
    const STEP: usize = QUADS * 16;
    /// To multiply by it at the end gives the same bits: whatever is summed is an integer times F16, which F32 holds in both ranges.
    const SCALE: f32 = WidenF16::SCALE;
    #[inline(always)]
    fn new() -> Self {
        Packed {
            widen: WidenF16::new(),
            mask: lanes_of(K::MASK),
            kernel: PhantomData,
        }
    }
    #[inline(always)]
    fn piece(part: usize, i: usize) -> usize {
        K::place(i, part)
    }
    #[inline(always)]
    unsafe fn half(group: *const u8, _: usize, _: usize) -> *const u8 {
        group
    }
    #[inline(always)]
    unsafe fn scales(&self, block: *const u8, half: usize, r: usize) -> V {
        // SAFETY: the caller's.
        unsafe {
            self.widen
                .small(V::load_i16x4(block.add(16 * half + 8 * r)))
        }
    }
    #[inline(always)]
    unsafe fn minima(&self, block: *const u8, half: usize, r: usize) -> V {
        // SAFETY: the caller's.
        unsafe { self.scales(block.add(GROUP * 2), half, r) }
    }
    #[inline(always)]
    unsafe fn quants(block: *const u8, half: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { block.add(header(MIN) + 32 * half) }
    }
    #[inline(always)]
    fn part(&self, quants: V, part: usize) -> V {
        K::unpack(quants, part, self.mask)
    }
}

/// Unpacks a group to two halves of 8 rows; of each its blocks: F32 scales, minima if any, then the vectors in the order of the
/// activations, two quads each.
/// # Safety
/// The group must have that many blocks, and `tile` room for them: [`tile_block_bytes`] each.
#[inline(never)]
pub(super) unsafe fn unpack<K: Kernel, const MIN: bool>(
    packed: *const u8,
    blocks: usize,
    tile: *mut u8,
) {
    let weights = Packed::<K, MIN>::new();
    let unit = V::splat(Packed::<K, MIN>::SCALE);
    for block in 0..blocks {
        for half in 0..2 {
            // SAFETY: the caller's.
            unsafe {
                let from = packed.add(block * Packed::<K, MIN>::BLOCK_BYTES);
                let quants = Packed::<K, MIN>::quants(from, half);
                let to = Unpacked::<K, MIN>::half(tile, half, blocks).cast_mut();
                let to = to.add(block * Unpacked::<K, MIN>::BLOCK_BYTES);
                let vectors = Unpacked::<K, MIN>::quants(to, half).cast_mut();
                for r in 0..2 {
                    weights
                        .scales(from, half, r)
                        .mul(unit)
                        .store(to.add(16 * r));
                    if MIN {
                        let minima = weights.minima(from, half, r).mul(unit);
                        minima.store(to.add(32 + 16 * r));
                    }
                    for source in 0..K::SOURCES {
                        let step = Packed::<K, MIN>::STEP;
                        let quants = V::load(quants.add(step * source + 16 * r));
                        for part in 0..K::PARTS {
                            let at = Unpacked::<K, MIN>::STEP * K::place(source, part) + 16 * r;
                            weights.part(quants, part).store(vectors.add(at));
                        }
                    }
                }
            }
        }
    }
}

/// A vector of four tokens in each turn, as [`tile`] has them.
#[inline(always)]
pub(super) fn turns(tokens: V) -> [V; FOUR] {
    let second = tokens.rotate();
    let third = second.rotate();
    [tokens, second, third, third.rotate()]
}

/// Up to four tokens by 16 rows, 8 at a time.
///
/// A vector of four rows meets one of four tokens in four turns: in turn `d`, lane `i` is row `i` by token `(i + d) % 4`.
/// That takes a load of activations where splats would take four: each load costs a bounds check, and accumulators stay in registers.
/// # Safety
/// As [`super::linear`], for a group of rows that `W` can read.
#[inline(never)]
pub(super) unsafe fn tile<W: Weights<K>, K: Kernel, const MIN: bool>(
    group: *const u8,
    x: &Activations,
    token: usize,
    tokens: usize,
    row: usize,
    output: Output,
) {
    let blocks = x.k / BLOCK;
    // Known only at run time, or else LLVM unrolls the loop and orders it so that V8 spills most of it.
    let pieces = x.pieces / W::PARTS;
    let mut weights = W::new();
    debug_assert!(pieces > 0 && blocks > 0);
    // SAFETY: the caller's.
    let seen = unsafe { output.fetch::<GROUP>(token, tokens, row) };
    for half in 0..2 {
        let mut sums = [[V::zero(); 2]; FOUR];
        // SAFETY: the group has two halves of `blocks` blocks, and the tokens are there; quantized activations have pieces and blocks.
        unsafe {
            let mut w = W::half(group, half, blocks);
            let mut a = x.quantized(token);
            // Or else the loops would have to be left out, and accumulators to be moved where both ways meet.
            std::hint::assert_unchecked(pieces > 0 && blocks > 0);
            for _ in 0..blocks {
                w = weights.open(w, half);
                let meta = a.add(16 * K::SOURCES * K::PARTS);
                let mut start = start::<K>(|| V::load(meta.add(32)));
                let mut dots = [[start; 2]; FOUR];
                for dots in &mut dots {
                    *dots = [start; 2];
                    start = start.rotate();
                }
                let quants = W::quants(w, half);
                for part in 0..W::PARTS {
                    for i in 0..pieces {
                        let mut values = V::load(a.add(16 * W::piece(part, i)));
                        let quants = quants.add(W::STEP * i);
                        let (low, high) = (V::load(quants), V::load(quants.add(16)));
                        let (low, high) = (weights.part(low, part), weights.part(high, part));
                        for dots in &mut dots {
                            dots[0] = K::step(dots[0], values, low);
                            dots[1] = K::step(dots[1], values, high);
                            values = values.rotate();
                        }
                    }
                }
                a = meta.add(PIECE * META * FOUR);
                let meta = Meta {
                    scale: K::scales(V::load(meta)),
                    scaled_sum: V::load(meta.add(16)),
                };
                for r in 0..2 {
                    let scale = weights.scales(w, half, r);
                    let min = if MIN {
                        weights.minima(w, half, r)
                    } else {
                        V::zero()
                    };
                    let mut meta = meta;
                    for turn in 0..FOUR {
                        let sum = K::add(sums[turn][r], dots[turn][r], scale, meta.scale);
                        sums[turn][r] = add_minima::<MIN>(sum, min, meta.scaled_sum);
                        meta = meta.rotate();
                    }
                }
                w = w.add(W::BLOCK_BYTES);
            }
            if W::SCALE != 1.0 {
                sums = sums.map(|sums| sums.map(|sum| sum.mul(V::splat(W::SCALE))));
            }
            let row = row + half * HALF;
            output.write_half(token, tokens, row, sums, V::load(a));
        }
    }
    std::hint::black_box(seen);
}
