use super::kernels::FEW;
use super::test_rig::*;
use super::*;
use crate::dtype::DType;
use crate::simd::{f32_to_f16, ByteDot};

const QUANTIZED: [DType; 5] = [
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
];
const FLOAT: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

#[test]
fn rows_dequantize_exactly() {
    let mut random = Random(1);
    for dtype in QUANTIZED.into_iter().chain(FLOAT) {
        let (rows, cols) = (37, 96);
        let src = file(dtype, rows, cols, &mut random);
        let weight = packed(dtype, rows, cols, &src);
        let truth = dequantized(dtype, &src);
        let mut out = vec![0.0; cols];
        for row in 0..rows {
            weight.row(row, &mut out);
            assert_eq!(
                bits(&out),
                bits(&truth[row * cols..][..cols]),
                "{dtype:?} row {row}"
            );
        }
    }
}

#[test]
fn rows_are_packed_alike_in_pieces_and_at_once() {
    let mut random = Random(7);
    for dtype in QUANTIZED.into_iter().chain(FLOAT) {
        // Two whole groups, of which pieces have none, and some rows.
        for cols in [96, if dtype.block().0 == 1 { 13 } else { 32 }] {
            let rows = 37;
            let src = file(dtype, rows, cols, &mut random);
            let pieces = packed(dtype, rows, cols, &src);
            let mut whole = PackedWeight::new(dtype, rows, cols).unwrap();
            assert!(whole.write_rows(0, &src));
            let [mut a, mut b] = [vec![0.0; cols], vec![1.0; cols]];
            for row in 0..rows {
                pieces.row(row, &mut a);
                whole.row(row, &mut b);
                assert_eq!(bits(&a), bits(&b), "{dtype:?} row {row}");
            }
        }
    }
}

#[test]
fn quantized_products_agree_with_f64() {
    let mut random = Random(2);
    for dtype in QUANTIZED {
        for (rows, cols) in [(16, 32), (1, 64), (37, 576), (24, 320), (5, 1536)] {
            for m in [1, 2, 3, 5, 9, FEW + 3] {
                let src = file(dtype, rows, cols, &mut random);
                let weight = packed(dtype, rows, cols, &src);
                let x = random.normals(m * cols);
                let bias = random.normals(rows);
                let truth = naive(&dequantized(dtype, &src), &x, cols, Some(&bias));
                let error = nmse(&run(&weight, &x, m, Some(&bias)), &truth);
                assert!(error < 2e-4, "{dtype:?} [{rows}, {cols}] x {m}: {error:e}");
            }
        }
    }
}

#[test]
fn float_products_agree_with_f64() {
    let mut random = Random(3);
    for dtype in FLOAT {
        for (rows, cols) in [(16, 1), (1, 13), (37, 257), (33, 576), (5, 1536)] {
            for m in [1, 2, 3, 4, 9] {
                let src = file(dtype, rows, cols, &mut random);
                let weight = packed(dtype, rows, cols, &src);
                let x = random.normals(m * cols);
                let error = nmse(
                    &run(&weight, &x, m, None),
                    &naive(&dequantized(dtype, &src), &x, cols, None),
                );
                assert!(error < 1e-12, "{dtype:?} [{rows}, {cols}] x {m}: {error:e}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_the_batch_and_the_split() {
    let mut random = Random(4);
    for dtype in QUANTIZED.into_iter().chain(FLOAT) {
        // More tokens than what tiles compute without unpacking a group before.
        let (rows, cols, m) = (53, 320, FEW + 7);
        let src = file(dtype, rows, cols, &mut random);
        let weight = packed(dtype, rows, cols, &src);
        let x = random.normals(m * cols);
        let bias = random.normals(rows);
        let whole = run(&weight, &x, m, Some(&bias));
        for (t, x) in x.chunks_exact(cols).enumerate() {
            assert_eq!(
                bits(&run(&weight, x, 1, Some(&bias))),
                bits(&whole[t * rows..][..rows]),
                "{dtype:?} token {t}"
            );
        }
        for count in 2..m {
            assert_eq!(
                bits(&run(&weight, &x[..count * cols], count, Some(&bias))),
                bits(&whole[..count * rows])
            );
        }
        for step in 1..4 {
            assert_eq!(
                bits(&run_groups(
                    &weight,
                    weight.activation_kind(),
                    &x,
                    m,
                    Some(&bias),
                    step
                )),
                bits(&whole)
            );
        }
    }
}

/// Asserts that tokens have the same bits one by one, in few and in many.
fn assert_same_in_batches(weight: &PackedWeight, x: &[f32], name: &str) {
    let (rows, cols) = (weight.rows(), weight.cols());
    let m = x.len() / cols;
    let whole = run(weight, x, m, None);
    for count in 1..m {
        for (t, x) in x.chunks_exact(count * cols).enumerate() {
            let expected = &whole[t * count * rows..][..count * rows];
            let some = run(weight, x, count, None);
            assert_eq!(bits(&some), bits(expected), "{name}, {count} at {t}");
        }
    }
}

#[test]
fn batches_of_extremes_have_the_same_bits() {
    let mut random = Random(8);
    let (rows, cols, m) = (32, 64, FEW + 5);
    // Activations beyond what F16's exponents leave room for, at their edge, and next to nothing.
    for scale in [1e30, 65536.0, 1e-30, 1e-41] {
        for dtype in FLOAT {
            let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
            let mut x: Vec<f32> = random.normals(m * cols);
            x.iter_mut().step_by(5).for_each(|x| *x *= scale);
            assert_same_in_batches(&weight, &x, &format!("{dtype:?} by {scale}"));
        }
    }
    for dtype in QUANTIZED {
        let mut src = file(dtype, rows, cols, &mut random);
        let with_min = matches!(dtype, DType::Q4_1 | DType::Q5_1);
        for block in src.chunks_exact_mut(dtype.block().1) {
            // Subnormals of F16.
            for at in (0..2 + 2 * usize::from(with_min)).step_by(2) {
                block[at..at + 2]
                    .copy_from_slice(&f32_to_f16(random.normal() * 1e-5).to_le_bytes());
            }
        }
        let weight = packed(dtype, rows, cols, &src);
        let x = random.normals(m * cols);
        assert_same_in_batches(&weight, &x, &format!("{dtype:?}"));
    }
}

/// The kernels of bytes that a machine may have for a weight.
fn byte_kernels(dtype: DType) -> &'static [(ActivationKind, ByteDot)] {
    const I8: ActivationKind = ActivationKind::I8;
    const UNSIGNED: (ActivationKind, ByteDot) = (I8, ByteDot::Unsigned);
    const SIGNED: (ActivationKind, ByteDot) = (I8, ByteDot::Signed);
    match dtype {
        DType::Q4_0 | DType::Q4_1 => &[(I8, ByteDot::Pairs), UNSIGNED, SIGNED],
        _ => &[(ActivationKind::Nibbles, ByteDot::Pairs), UNSIGNED, SIGNED],
    }
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let mut random = Random(5);
    for dtype in QUANTIZED {
        for m in [1, 2, 7, FEW + 3, FEW + 5] {
            // A pair of groups and another one, the last rows of which are not there; a whole pair.
            let (rows, cols) = (if m == FEW + 3 { 41 } else { 64 }, 192);
            let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
            let x = random.normals(m * cols);
            let words = run_groups(&weight, ActivationKind::I16, &x, m, None, 9);
            for &(kind, dot) in byte_kernels(dtype) {
                for step in [1, 2, 3, 9] {
                    let bytes = run_with(&weight, kind, dot, &x, m, None, step);
                    assert_eq!(bits(&bytes), bits(&words), "{dtype:?} x {m} by {dot:?}");
                }
            }
        }
    }
}

#[test]
fn the_greatest_sums_do_not_overflow() {
    for dtype in QUANTIZED {
        for (quant, sign) in [
            (0xff, 1.0),
            (0x7f, 1.0),
            (0x00, -1.0),
            (0xff, -1.0),
            (0x81, -1.0),
        ] {
            let (rows, cols) = (32, 64);
            let mut src = vec![quant; dtype.row_bytes(cols) * rows];
            for block in src.chunks_exact_mut(dtype.block().1) {
                block[..2].copy_from_slice(&f32_to_f16(1.0).to_le_bytes());
                if matches!(dtype, DType::Q4_1 | DType::Q5_1) {
                    block[2..4].copy_from_slice(&f32_to_f16(-2.0).to_le_bytes());
                }
            }
            let weight = packed(dtype, rows, cols, &src);
            for m in [5, FEW + 5] {
                let x = vec![sign * 3.0; m * cols];
                let truth = naive(&dequantized(dtype, &src), &x, cols, None);
                let words = (ActivationKind::I16, ByteDot::None);
                let bytes = byte_kernels(dtype).iter().copied();
                for (kind, dot) in bytes.chain([words]) {
                    let got = run_with(&weight, kind, dot, &x, m, None, 2);
                    assert!(
                        got.iter()
                            .zip(&truth)
                            .all(|(g, t)| (g - t).abs() <= 1e-5 * t.abs()),
                        "{dtype:?} {quant:x} {got:?} {truth:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn small_blocks_beside_a_great_value_stay_exact() {
    let mut random = Random(8);
    for dtype in QUANTIZED {
        let (rows, cols) = (16, 320);
        let mut src = file(dtype, rows, cols, &mut random);
        // The block of the great value has a scale, and a minimum, of 0, so that only the others count.
        for row in src.chunks_exact_mut(dtype.row_bytes(cols)) {
            row[..4].fill(0);
        }
        let weight = packed(dtype, rows, cols, &src);
        let weights = dequantized(dtype, &src);
        let mut x = random.normals(cols);
        for great in [1e2, 1e4] {
            x[3] = great;
            let error = nmse(&run(&weight, &x, 1, None), &naive(&weights, &x, cols, None));
            assert!(error < 2e-4, "{dtype:?} {great:e}: {error:e}");
        }
    }
}

#[test]
fn extreme_activations() {
    let mut random = Random(6);
    for dtype in QUANTIZED.into_iter().chain(FLOAT) {
        let (rows, cols) = (16, 32);
        let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
        assert!(
            run(&weight, &[0.0; 32], 1, None).iter().all(|y| *y == 0.0),
            "{dtype:?} of zeros"
        );
        assert!(
            run(&weight, &[1e-42; 32], 1, None)
                .iter()
                .all(|y| y.is_finite()),
            "{dtype:?} of subnormals"
        );
        assert!(
            run(&weight, &[1e36; 32], 1, None)
                .iter()
                .all(|y| y.is_finite()),
            "{dtype:?} of great numbers"
        );
        assert!(
            run(&weight, &[f32::NAN; 32], 1, None)
                .iter()
                .all(|y| y.is_nan()),
            "{dtype:?} hides NaN"
        );
    }
}

#[test]
fn sizes_that_cannot_be() {
    assert!(PackedWeight::new(DType::Q4_0, 16, 33).is_none());
    assert!(PackedWeight::new(DType::I32, 16, 32).is_none());
    assert!(PackedWeight::new(DType::F32, 0, 32).is_none());
    assert!(PackedWeight::new(DType::F32, usize::MAX / 2, 32).is_none());
    let mut weight = PackedWeight::new(DType::Q4_0, 2, 32).unwrap();
    assert!(!weight.write_rows(0, &[0; 17]));
    assert!(!weight.write_rows(1, &[0; 36]));
    assert!(!weight.write_rows(usize::MAX, &[0; 18]));
    assert!(weight.write_rows(0, &[0; 36]));
}

#[test]
fn packing_takes_the_bytes_of_the_file() {
    for dtype in [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q8_0,
        DType::Q4_0,
        DType::Q4_1,
    ] {
        assert_eq!(
            PackedWeight::new(dtype, 64, 576).unwrap().bytes(),
            dtype.row_bytes(576) * 64
        );
    }
}
