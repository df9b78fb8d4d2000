//! `y = x W^T + b`: weights interleaved across rows, activations prepared once for all weights that share them.

mod activations;
mod element;
mod float;
mod k;
mod kernels;
mod pair;
mod quantized;
#[cfg(test)]
mod test_rig;
#[cfg(test)]
mod tests;
mod tile;
mod weight;

pub use activations::{ActivationKind, Activations, FOUR};
pub use weight::{PackedWeight, GROUP};

use crate::simd::{Vector, LANES, V};
use std::ops::Range;
use weight::Layout;

/// Tokens of `m` that are left over from tiles of four and go one by one: for two that costs less than a tile, for three not.
fn singles(m: usize) -> usize {
    match m % activations::FOUR {
        3 => 0,
        rest => rest,
    }
}

/// Half a group: the rows of a tile.
const HALF: usize = GROUP / 2;

/// Vectors of four rows that make a group.
const QUADS: usize = GROUP / LANES;

/// Floats of a line of the cache.
const LINE: usize = 16;

/// Where a kernel puts its rows: `y[token * stride + row]`, `bias` added.
#[derive(Clone, Copy)]
struct Output {
    y: *mut f32,
    stride: usize,
    bias: Option<*const f32>,
    rows: usize,
}

/// `y[t * y_stride + n] = bias[n] + sum over k of x[t][k] * w[n][k]` for the rows of `groups`.
///
/// A row of the result has the same bits whatever `m` and `groups`: its sum runs over k in order.
/// `scratch` has [`PackedWeight::scratch_bytes`] bytes, 16-byte aligned, one for each thread.
///
/// # Safety
/// `activations` must hold `m` rows of the weight's columns, of its [`PackedWeight::activation_kind`];
/// `y` and `bias` must be valid for the rows of `groups`, `groups` within [`PackedWeight::groups`].
#[allow(clippy::too_many_arguments)]
pub unsafe fn linear(
    weight: &PackedWeight,
    activations: &Activations,
    m: usize,
    bias: Option<*const f32>,
    y: *mut f32,
    y_stride: usize,
    mut groups: Range<usize>,
    scratch: *mut u8,
) {
    debug_assert!(activations.k == weight.cols());
    debug_assert!(groups.end <= weight.groups());
    let output = Output {
        y,
        stride: y_stride,
        bias,
        rows: weight.rows(),
    };
    if weight.layout() == Layout::Float {
        // SAFETY: the scratch has room for it.
        unsafe { float::prepare(weight.dtype(), activations, m, scratch) };
    }
    let pairs = pair::applies(weight, activations.kind, activations.dot, m);
    while let Some(group) = groups.next() {
        // SAFETY: the caller's; the group lies within the weight.
        unsafe {
            if pairs && groups.next().is_some() {
                pair::rows(weight, group, activations, m, output, scratch);
                continue;
            }
            match weight.layout() {
                Layout::Float => float::group(weight, group, activations, m, output, scratch),
                Layout::K(_) => k::group(weight, group, activations, m, output, scratch),
                Layout::Nibble { min: false } => {
                    quantized::nibble_group::<false>(weight, group, activations, m, output, scratch)
                }
                Layout::Nibble { min: true } => {
                    quantized::nibble_group::<true>(weight, group, activations, m, output, scratch)
                }
                Layout::Byte { min: false } => {
                    quantized::byte_group::<false>(weight, group, activations, m, output, scratch)
                }
                Layout::Byte { min: true } => {
                    quantized::byte_group::<true>(weight, group, activations, m, output, scratch)
                }
            }
        }
    }
}

impl Output {
    /// Reads a byte of each line of `y` where `ROWS` rows of four tokens will go, so that the lines are there by then: a store that waits
    /// for its line holds up those behind it, which are sums of the next tile. Gives what is read, to be used somehow.
    /// # Safety
    /// `y` must be valid for the rows.
    #[inline(always)]
    unsafe fn fetch<const ROWS: usize>(self, token: usize, tokens: usize, row: usize) -> u8 {
        let mut seen = 0;
        if tokens == FOUR && row + ROWS <= self.rows {
            for t in 0..FOUR {
                let y = self.y.wrapping_add((token + t) * self.stride + row);
                for line in (0..ROWS).step_by(LINE) {
                    // SAFETY: the caller's.
                    seen |= unsafe { y.wrapping_add(line).cast::<u8>().read() };
                }
            }
        }
        seen
    }

    /// Writes half a group of rows of up to four tokens, as they stand in the turns of a tile, times the tokens' units.
    /// # Safety
    /// `y` and `bias` must be valid for them.
    #[inline(always)]
    unsafe fn write_half(
        self,
        token: usize,
        tokens: usize,
        row: usize,
        sums: [[V; 2]; FOUR],
        mut units: V,
    ) {
        let sums = sums.map(|sums| {
            let scaled = sums.map(|sum| sum.mul(units));
            units = units.rotate();
            scaled
        });
        if tokens < FOUR || self.bias.is_some() || row + HALF > self.rows {
            // SAFETY: the caller's.
            unsafe { self.write_some(token, tokens, row, &sums) };
            return;
        }
        for r in 0..2 {
            let turns = sums.map(|sums| sums[r]);
            for t in 0..FOUR {
                let at = (token + t) * self.stride + row + r * LANES;
                // SAFETY: the caller's; all of the rows are there.
                unsafe { V::of_turns(turns, t).store_f32(self.y.wrapping_add(at)) };
            }
        }
    }

    /// The same with a bias, at the last rows or of fewer tokens: apart, as it takes more code than the tile.
    #[inline(never)]
    unsafe fn write_some(self, token: usize, tokens: usize, row: usize, sums: &[[V; 2]; FOUR]) {
        for r in 0..2 {
            let turns = sums.map(|sums| sums[r]);
            for t in 0..tokens {
                // SAFETY: the caller's.
                unsafe { self.write(token + t, row + r * LANES, V::of_turns(turns, t)) };
            }
        }
    }

    /// Writes four rows of a token, fewer at the end.
    /// # Safety
    /// `y` and `bias` must be valid for them.
    #[inline(always)]
    unsafe fn write(self, token: usize, row: usize, sum: V) {
        let count = self.rows.saturating_sub(row).min(LANES);
        if count == 0 {
            return;
        }
        // SAFETY: the caller's; `count` rows are there.
        unsafe {
            // Wrapping, because a caller that wants some rows only may give a `y` that begins before its memory.
            let y = self.y.wrapping_add(token * self.stride + row);
            if count == LANES {
                let sum = self
                    .bias
                    .map_or(sum, |bias| sum.add(V::load_f32(bias.add(row))));
                sum.store_f32(y);
            } else {
                let sum = self
                    .bias
                    .map_or(sum, |bias| sum.add(V::load_partial(bias.add(row), count)));
                sum.store_partial(y, count);
            }
        }
    }
}
