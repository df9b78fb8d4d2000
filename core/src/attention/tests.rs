#![allow(clippy::single_range_in_vec_init)] // one range of heads is a split too

mod case;
mod pages;

use super::*;
use case::{noise, Case};

const SHAPE: AttentionShape = AttentionShape {
    heads: 6,
    kv_heads: 2,
    head_dim: 64,
    scale: 0.5,
    softcap: 0.0,
    window: 0,
    page_size: 16,
    max_pages: 32,
    kv_dtype: DType::F32,
};

/// Numbers are below 1. Queries that meet integers are rounded: by 2^-16 of the greatest for a Q8 cache, by 2^-18 of their sum for
/// Q16. That moves a score of 64 products, times 0.5, by 2e-5 or 1.6e-4 in the mean, and five times that is allowed.
fn close(got: &[f32], truth: &[f32], kv_dtype: DType, what: &str) {
    let most = match kv_dtype {
        DType::Q8_0 => 1e-4,
        DType::Q16 => 8e-4,
        _ => 2e-6,
    };
    for (i, (g, t)) in got.iter().zip(truth).enumerate() {
        assert!((g - t).abs() < most, "{what}: element {i} is {g}, not {t}");
    }
}

const Q8: AttentionShape = AttentionShape {
    kv_dtype: DType::Q8_0,
    page_size: 32,
    ..SHAPE
};

/// All kinds of cache.
const CACHES: [DType; 4] = [DType::F32, DType::F16, DType::Q16, DType::Q8_0];

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn agrees_with_f64_in_every_shape() {
    let shapes = [
        SHAPE,
        AttentionShape {
            kv_dtype: DType::F16,
            ..SHAPE
        },
        AttentionShape {
            kv_dtype: DType::F16,
            page_size: 64,
            head_dim: 80,
            ..SHAPE
        },
        AttentionShape {
            page_size: 48,
            heads: 2,
            head_dim: 20,
            ..SHAPE
        },
        AttentionShape {
            heads: 1,
            kv_heads: 1,
            head_dim: 4,
            ..SHAPE
        },
        AttentionShape {
            heads: 40,
            kv_heads: 1,
            head_dim: 8,
            ..SHAPE
        },
        AttentionShape { window: 7, ..SHAPE },
        AttentionShape {
            window: 50,
            page_size: 128,
            ..SHAPE
        },
        AttentionShape {
            softcap: 2.5,
            kv_dtype: DType::F16,
            ..SHAPE
        },
        Q8,
        // Pages of more and of fewer keys than a tile, and some that are no whole pairs of vectors.
        AttentionShape {
            page_size: 64,
            head_dim: 80,
            ..Q8
        },
        AttentionShape {
            page_size: 4,
            head_dim: 36,
            ..Q8
        },
        AttentionShape {
            page_size: 44,
            heads: 2,
            head_dim: 20,
            ..Q8
        },
        AttentionShape {
            heads: 1,
            kv_heads: 1,
            head_dim: 4,
            ..Q8
        },
        AttentionShape {
            heads: 40,
            kv_heads: 1,
            head_dim: 8,
            ..Q8
        },
        AttentionShape {
            heads: 8,
            head_dim: 256,
            scale: 0.125,
            window: 41,
            ..Q8
        },
        AttentionShape { softcap: 2.5, ..Q8 },
    ];
    let wide = |shape: AttentionShape| {
        (shape.kv_dtype == DType::Q8_0).then_some(AttentionShape {
            kv_dtype: DType::Q16,
            ..shape
        })
    };
    for shape in shapes
        .into_iter()
        .chain(shapes.into_iter().filter_map(wide))
    {
        let case = Case::new(shape, 100);
        let width = shape.heads * shape.head_dim;
        // A prefill of sequence 1, a decode of each, an empty row.
        let mut lengths: Vec<i32> = (89..=100).collect();
        lengths.extend([77, 100, 0, 1]);
        let mut sequences = vec![1; 12];
        sequences.extend([0, 1, 0, 0]);
        let q = noise(9, lengths.len() * width);
        let slopes: Vec<f32> = (1..=shape.heads).map(|h| 0.5 / h as f32).collect();
        for slopes in [None, Some(&slopes[..])] {
            let all = 0..shape.kv_heads;
            let got = case.run(&q, &lengths, &sequences, slopes, &[all]);
            close(
                &got,
                &case.naive(&q, &lengths, &sequences, slopes),
                shape.kv_dtype,
                &format!("{shape:?}"),
            );
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_the_chunk_and_the_split() {
    // Groups of 1 to 8 heads.
    let groups = [(0, 2), (0, 4), (0, 6), (30, 6), (0, 8), (0, 14), (0, 16)];
    let caches = &CACHES[1..];
    for ((window, heads), kv_dtype) in groups
        .into_iter()
        .flat_map(|g| caches.iter().map(move |c| (g, *c)))
    {
        let shape = AttentionShape {
            window,
            heads,
            kv_dtype,
            ..SHAPE
        };
        let case = Case::new(shape, 70);
        let width = shape.heads * shape.head_dim;
        let lengths: Vec<i32> = (1..=70).step_by(3).collect();
        let sequences = vec![0; lengths.len()];
        let q = noise(11, lengths.len() * width);
        let whole = case.run(&q, &lengths, &sequences, None, &[0..2]);
        assert_eq!(
            bits(&case.run(&q, &lengths, &sequences, None, &[1..2, 0..1])),
            bits(&whole)
        );
        for row in 0..lengths.len() {
            let one = case.run(
                &q[row * width..][..width],
                &lengths[row..=row],
                &[0],
                None,
                &[0..2],
            );
            assert_eq!(
                bits(&one),
                bits(&whole[row * width..][..width]),
                "row {row}"
            );
        }
    }
}

#[test]
fn spans_give_the_bits_of_the_whole_however_they_are_shared() {
    for (window, heads, page_size) in [
        (0, 6, 16),
        (0, 2, 64),
        (300, 8, 64),
        (40, 6, 48),
        (0, 6, 512),
    ] {
        for kv_dtype in CACHES {
            let shape = AttentionShape {
                window,
                heads,
                page_size,
                max_pages: 1040usize.div_ceil(page_size),
                kv_dtype,
                ..SHAPE
            };
            let case = Case::new(shape, 1030);
            let width = shape.heads * shape.head_dim;
            // Rows of one sequence and of another, an empty one, and one that ends where a span does.
            let lengths = [1030, 1029, 1028, 700, 0, 256, 257, 1];
            let sequences = [0, 0, 0, 1, 0, 1, 1, 0];
            let q = noise(19, lengths.len() * width);
            let slopes: Vec<f32> = (1..=heads).map(|h| 0.01 / h as f32).collect();
            let by_distance = ByDistance {
                slopes: Some(slopes.as_ptr()),
                ..ByDistance::default()
            };
            let whole = case.run_by(&q, &lengths, &sequences, &by_distance, &[0..2]);
            let truth = case.naive(&q, &lengths, &sequences, Some(&slopes));
            close(&whole, &truth, kv_dtype, &format!("{shape:?}"));
            for parts in [1, 2, 3, 7, 40, 500] {
                let got = case.run_in_spans(&q, &lengths, &sequences, &by_distance, parts);
                assert_eq!(bits(&got), bits(&whole), "{parts} parts of {shape:?}");
            }
        }
    }
}

#[test]
fn great_scores_do_not_overflow() {
    for kv_dtype in CACHES {
        let shape = AttentionShape {
            scale: 1e5,
            kv_dtype,
            ..SHAPE
        };
        let case = Case::new(shape, 64);
        let q = noise(13, shape.heads * shape.head_dim);
        let got = case.run(&q, &[64], &[0], None, &[0..2]);
        assert!(got.iter().all(|x| x.abs() <= 1.0));
    }
}

#[test]
fn slopes_are_a_relative_bias_and_its_ends_reach_on() {
    for (heads, farthest) in [(2, 80), (6, 80), (16, 80), (6, 5), (2, 0)] {
        let shape = AttentionShape { heads, ..SHAPE };
        let case = Case::new(shape, 70);
        let width = heads * shape.head_dim;
        // Some rows see keys ahead of them, and one stands far from all keys.
        let lengths: Vec<i32> = (1..=70).step_by(3).collect();
        let mut positions: Vec<i32> = lengths
            .iter()
            .map(|length| length - 1 - length % 7)
            .collect();
        positions[9] = -1000;
        let sequences = vec![0; lengths.len()];
        let q = noise(17, lengths.len() * width);
        let slopes: Vec<f32> = (1..=heads).map(|head| 0.03 / head as f32).collect();
        let bias: Vec<f32> = (-farthest..=farthest)
            .flat_map(|distance| slopes.iter().map(move |slope| slope * distance as f32))
            .collect();
        let biased = |row: usize| ByDistance {
            slopes: None,
            bias: Some(RelativeBias {
                table: bias.as_ptr(),
                farthest: farthest as usize,
            }),
            positions: Some(positions[row..].as_ptr()),
        };
        let whole = case.run_by(&q, &lengths, &sequences, &biased(0), &[0..2]);
        for row in 0..lengths.len() {
            let (q, length) = (&q[row * width..][..width], &lengths[row..=row]);
            let whole = &whole[row * width..][..width];
            let one = case.run_by(q, length, &[0], &biased(row), &[0..2]);
            assert_eq!(bits(&one), bits(whole), "row {row}, {heads} heads");
            let distances = [0, length[0] - 1].map(|key: i32| key - positions[row]);
            if distances.iter().all(|distance| distance.abs() <= farthest) {
                let sloped = ByDistance {
                    slopes: Some(slopes.as_ptr()),
                    bias: None,
                    ..biased(row)
                };
                let slopes = case.run_by(q, length, &[0], &sloped, &[0..2]);
                close(
                    whole,
                    &slopes,
                    DType::F32,
                    &format!("row {row}, {heads} heads"),
                );
            } else if distances.iter().all(|distance| *distance >= farthest) {
                // The same bias for all keys is none.
                let plain = case.run_by(q, length, &[0], &ByDistance::default(), &[0..2]);
                close(
                    whole,
                    &plain,
                    DType::F32,
                    &format!("row {row}, {heads} heads"),
                );
            }
        }
    }
}
