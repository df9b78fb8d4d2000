//! Attention over a cache whose contents are known, and the same in F64.

use super::super::*;
use crate::memory::Block;
use crate::simd::{f16_to_f32, f32_to_f16};

/// A cache with two sequences whose pages lie in disorder, and what went into it.
pub struct Case {
    shape: AttentionShape,
    pages: Vec<i32>,
    k: Block,
    v: Block,
    /// `[sequence][key][kv_heads * head_dim]`, as the cache rounds them
    keys: [Vec<Vec<f32>>; 2],
    values: [Vec<Vec<f32>>; 2],
}

/// Numbers of one head as a cache rounds them.
pub fn rounded(x: &[f32], kv_dtype: DType) -> Vec<f32> {
    match kv_dtype {
        DType::F32 => x.to_vec(),
        DType::F16 => x.iter().map(|x| f16_to_f32(f32_to_f16(*x))).collect(),
        DType::Q16 => x.chunks(64).flat_map(rounded_wide_block).collect(),
        _ => x.chunks(32).flat_map(rounded_block).collect(),
    }
}

/// Q16 in its own words.
fn rounded_wide_block(x: &[f32]) -> Vec<f32> {
    let greatest = x.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    let (scale, inverse) = (greatest / 16383.0, 16383.0 / greatest);
    x.iter()
        .map(|x| (x * inverse).round_ties_even() * scale)
        .collect()
}

/// GGUF's Q8_0 in its own words.
fn rounded_block(x: &[f32]) -> Vec<f32> {
    let scale = x.iter().fold(0.0, |most: f32, x| most.max(x.abs())) / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let scale = f16_to_f32(f32_to_f16(scale));
    x.iter().map(|x| (x * inverse).round() * scale).collect()
}

pub fn noise(seed: usize, n: usize) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

impl Case {
    pub fn new(shape: AttentionShape, length: usize) -> Case {
        let per_sequence = length.div_ceil(shape.page_size);
        assert!(per_sequence <= shape.max_pages);
        let total = 2 * per_sequence + 1;
        let mut pages = vec![-1; 2 * shape.max_pages];
        for sequence in 0..2 {
            for page in 0..per_sequence {
                pages[sequence * shape.max_pages + page] =
                    (total - 1 - (2 * page + sequence)) as i32;
            }
        }
        let width = shape.kv_heads * shape.head_dim;
        let bytes = total * shape.kv_heads * shape.head_bytes();
        let (k, v) = (
            Block::new(bytes, false).unwrap(),
            Block::new(bytes, false).unwrap(),
        );
        // What was never written is NaN, or as great as can be, and must not be felt.
        let never = if shape.kv_dtype == DType::Q16 {
            0x7f
        } else {
            0xff
        };
        // SAFETY: the blocks have that many bytes.
        unsafe {
            k.ptr().write_bytes(never, bytes);
            v.ptr().write_bytes(never, bytes);
        }
        let mut case = Case {
            shape,
            pages,
            k,
            v,
            keys: Default::default(),
            values: Default::default(),
        };
        for sequence in 0..2 {
            let rows = |seed: usize| noise(seed + sequence, length * width);
            let (keys, values) = (rows(1), rows(5));
            let slots: Vec<i32> = (0..length)
                .map(|i| {
                    let page = case.pages[sequence * shape.max_pages + i / shape.page_size];
                    page * shape.page_size as i32 + (i % shape.page_size) as i32
                })
                .collect();
            // SAFETY: the arrays have a row for each key.
            unsafe {
                write_kv(
                    keys.as_ptr(),
                    values.as_ptr(),
                    slots.as_ptr(),
                    &shape,
                    0..length,
                    case.k.ptr(),
                    case.v.ptr(),
                );
            }
            let rows = |x: &[f32]| {
                let heads = |row: &[f32]| {
                    row.chunks_exact(shape.head_dim)
                        .flat_map(|head| rounded(head, shape.kv_dtype))
                        .collect()
                };
                x.chunks_exact(width).map(heads).collect()
            };
            case.keys[sequence] = rows(&keys);
            case.values[sequence] = rows(&values);
        }
        case
    }

    pub fn run(
        &self,
        q: &[f32],
        lengths: &[i32],
        sequences: &[i32],
        slopes: Option<&[f32]>,
        kv_heads: &[Range<usize>],
    ) -> Vec<f32> {
        let by_distance = ByDistance {
            slopes: slopes.map(<[f32]>::as_ptr),
            ..ByDistance::default()
        };
        self.run_by(q, lengths, sequences, &by_distance, kv_heads)
    }

    pub fn run_by(
        &self,
        q: &[f32],
        lengths: &[i32],
        sequences: &[i32],
        by_distance: &ByDistance,
        kv_heads: &[Range<usize>],
    ) -> Vec<f32> {
        let attention = self.attention(q, lengths, sequences, by_distance);
        let scratch = Block::new(attention.scratch_bytes(), false).unwrap();
        let mut out = vec![f32::NAN; q.len()];
        for heads in kv_heads {
            // SAFETY: the arrays have a row for each length.
            unsafe {
                scratch.ptr().write_bytes(0xff, scratch.len());
                let rows = 0..lengths.len();
                attention.attend(rows, heads.clone(), scratch.ptr(), out.as_mut_ptr());
            }
        }
        out
    }

    fn attention(
        &self,
        q: &[f32],
        lengths: &[i32],
        sequences: &[i32],
        by_distance: &ByDistance,
    ) -> Attention {
        let sources = Sources {
            q: q.as_ptr(),
            k: self.k.ptr(),
            v: self.v.ptr(),
            lengths: lengths.as_ptr(),
            sequences: sequences.as_ptr(),
            page_table: self.pages.as_ptr(),
        };
        Attention {
            shape: self.shape,
            sources,
            by_distance: *by_distance,
        }
    }

    /// The same span by span, in so many parts.
    pub fn run_in_spans(
        &self,
        q: &[f32],
        lengths: &[i32],
        sequences: &[i32],
        by_distance: &ByDistance,
        parts: usize,
    ) -> Vec<f32> {
        let (shape, rows) = (&self.shape, lengths.len());
        assert!(rows <= shape.few_rows());
        let attention = self.attention(q, lengths, sequences, by_distance);
        let scratch = Block::new(attention.scratch_bytes(), false).unwrap();
        let totals = Block::new(shape.totals_bytes(rows), false).unwrap();
        let mut out = vec![f32::NAN; q.len()];
        let units = rows * shape.kv_heads;
        // SAFETY: the arrays have a row for each length.
        unsafe {
            totals.ptr().write_bytes(0xff, totals.len());
            // The last part first: none may need another.
            for part in (0..parts).rev() {
                scratch.ptr().write_bytes(0xff, scratch.len());
                let totals = totals.ptr().cast();
                attention.attend_spans(rows, part..part + 1, parts, scratch.ptr(), totals);
            }
            for unit in 0..units {
                let totals = totals.ptr().cast();
                attention.merge_spans(rows, unit..unit + 1, totals, out.as_mut_ptr());
            }
        }
        out
    }

    pub fn naive(
        &self,
        q: &[f32],
        lengths: &[i32],
        sequences: &[i32],
        slopes: Option<&[f32]>,
    ) -> Vec<f32> {
        let shape = &self.shape;
        let dim = shape.head_dim;
        let mut out = Vec::new();
        for (i, q) in q.chunks_exact(dim).enumerate() {
            let (row, head) = (i / shape.heads, i % shape.heads);
            let at = head / shape.group() * dim;
            let (length, sequence) = (lengths[row] as usize, sequences[row] as usize);
            let first = if shape.window == 0 {
                0
            } else {
                length.saturating_sub(shape.window)
            };
            let scores: Vec<f64> = (first..length)
                .map(|key| {
                    let k = &self.keys[sequence][key][at..][..dim];
                    let mut score = q
                        .iter()
                        .zip(k)
                        .map(|(q, k)| f64::from(*q) * f64::from(*k))
                        .sum::<f64>()
                        * f64::from(shape.scale);
                    if shape.softcap != 0.0 {
                        score =
                            f64::from(shape.softcap) * (score / f64::from(shape.softcap)).tanh();
                    }
                    score
                        + slopes.map_or(0.0, |s| {
                            f64::from(s[head]) * (key as f64 - (length as f64 - 1.0))
                        })
                })
                .collect();
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - greatest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for d in 0..dim {
                let sum: f64 = (first..length)
                    .map(|key| weights[key - first] * f64::from(self.values[sequence][key][at + d]))
                    .sum();
                out.push(if total == 0.0 {
                    0.0
                } else {
                    (sum / total) as f32
                });
            }
        }
        out
    }
}
