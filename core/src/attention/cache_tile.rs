//! A tile of the cache as its kernels take it, whatever the cache is of.

use super::tile::{self, FOUR};
use super::{half, quants, AttentionShape, TILE_KEYS};
use crate::dtype::DType;
use crate::simd::V;
use std::ops::Range;

/// Scratch that the chunks of a thread share, one after another.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    /// Scores of four queries, then their weights, as [`tile::scores`] has them
    pub(super) scores: *mut f32,
    /// `[head_dim, TILE_KEYS]` and `[TILE_KEYS, head_dim]`, for an F16 cache; for a cache of integers the scales of Q8 and four queries' weights in i16
    wide: [*mut f32; 2],
}

impl Shared {
    /// F32 that it takes, a multiple of 4.
    pub(super) fn floats(shape: &AttentionShape) -> usize {
        FOUR * TILE_KEYS + 2 * TILE_KEYS * shape.head_dim
    }

    /// # Safety
    /// There must be [`Shared::floats`], 16-byte aligned.
    pub(super) unsafe fn at(place: *mut f32, shape: &AttentionShape) -> Shared {
        // SAFETY: the caller's.
        unsafe {
            let wide = place.add(FOUR * TILE_KEYS);
            Shared {
                scores: place,
                wide: [wide, wide.add(TILE_KEYS * shape.head_dim)],
            }
        }
    }
}

/// Keys `[head_dim, stride]` and values `[keys, head_dim]` of a tile.
pub(super) enum Tile {
    Single {
        keys: *const f32,
        stride: usize,
        values: *const f32,
    },
    Half {
        keys: half::Part,
        stride: usize,
        values: half::Part,
    },
    Quants(quants::Tile),
}

impl Tile {
    /// The tokens `tokens` of keys and values `part`, which a page has of a head; `next` is what will be read after it.
    /// An F16 cache is taken as it is where `as_half`; of one of integers what comes next is read meanwhile where `few`.
    /// # Safety
    /// The tokens must be written; the scratch is the tile's as long as it is used.
    pub(super) unsafe fn of(
        shape: &AttentionShape,
        part: [*const u8; 2],
        next: [*const u8; 2],
        tokens: Range<usize>,
        as_half: bool,
        few: bool,
        shared: Shared,
    ) -> Tile {
        let (stride, dim, place) = (shape.page_size, shape.head_dim, tokens.start);
        let [keys, values] = part;
        // SAFETY: the caller's.
        unsafe {
            if let Some(page) = shape.quants() {
                let scales = shared.wide[0];
                return Tile::Quants(page.tile(
                    keys,
                    values,
                    place,
                    tokens.len(),
                    few.then_some(next),
                    scales,
                ));
            }
            let bytes = shape.kv_bytes();
            let (keys, values) = (keys.add(place * bytes), values.add(place * dim * bytes));
            if as_half {
                let [keys, values] =
                    [(keys, next[0]), (values, next[1])].map(|(at, next)| half::Part {
                        at: at.cast(),
                        ahead: next.add(place * dim * bytes),
                    });
                return Tile::Half {
                    keys,
                    stride,
                    values,
                };
            }
            if shape.kv_dtype == DType::F16 {
                let [wide_keys, wide_values] = shared.wide;
                let line = stride * bytes;
                half::widen(keys, line, dim, wide_keys, TILE_KEYS, tokens.len());
                half::widen(values, 0, 1, wide_values, 0, tokens.len() * dim);
                return Tile::Single {
                    keys: wide_keys,
                    stride: TILE_KEYS,
                    values: wide_values,
                };
            }
            Tile::Single {
                keys: keys.cast(),
                stride,
                values: values.cast(),
            }
        }
    }

    /// Scores of up to four queries for the first `keys` keys; `factors` are those of queries in integers.
    /// # Safety
    /// As [`tile::scores`], [`half::scores`] and [`quants::scores`].
    pub(super) unsafe fn scores(
        &self,
        q: *const f32,
        factors: *const f32,
        queries: usize,
        count: usize,
        dim: usize,
        scores: *mut f32,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match *self {
                Tile::Single { keys, stride, .. } => {
                    tile::scores(q, queries, keys, stride, count, dim, scores)
                }
                Tile::Half { keys, stride, .. } => {
                    half::scores(q, queries, keys, stride, count, dim, scores)
                }
                Tile::Quants(ref tile) => {
                    quants::scores(q, V::load_f32(factors), queries, tile, count, dim, scores)
                }
            }
        }
    }

    /// Adds the values, by the weights that stand in place of the scores, to sums that decay.
    /// # Safety
    /// As [`tile::sums`], [`half::sums`] and [`quants::sums`].
    pub(super) unsafe fn sums(
        &self,
        shared: Shared,
        queries: usize,
        decay: V,
        seen: Range<usize>,
        dim: usize,
        sums: *mut f32,
    ) {
        let weights = shared.scores;
        // SAFETY: the caller's.
        unsafe {
            match *self {
                Tile::Single { values, .. } => {
                    tile::sums(weights, queries, decay, values, seen, dim, sums)
                }
                Tile::Half { values, .. } => {
                    for t in 0..queries {
                        half::enlarge(weights.add(t * TILE_KEYS), seen.end);
                    }
                    half::sums(weights, queries, decay, values, seen, dim, sums)
                }
                Tile::Quants(ref tile) => {
                    let narrow = shared.wide[1].cast();
                    quants::sums(weights, queries, decay, tile, seen, dim, narrow, sums)
                }
            }
        }
    }
}
