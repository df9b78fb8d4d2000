use crate::dtype::DType;
use crate::linear::kernels::FEW;
use crate::linear::test_rig::{bits, naive, nmse, packed, run, run_groups, run_with, Random};
use crate::linear::{ActivationKind, PackedWeight};
use crate::simd::{f32_to_f16, ByteDot};

const KINDS: [DType; 5] = [
    DType::Q2_K,
    DType::Q3_K,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
];

/// Bytes of the F16 scale and minimum in a block.
fn float_places(dtype: DType) -> &'static [usize] {
    match dtype {
        DType::Q2_K => &[80, 82],
        DType::Q3_K => &[108],
        DType::Q6_K => &[208],
        _ => &[0, 2],
    }
}

/// Rows of a file: any bits are valid but those of the floats.
fn file(dtype: DType, rows: usize, cols: usize, random: &mut Random) -> Vec<u8> {
    let mut out: Vec<u8> = (0..dtype.row_bytes(cols) * rows)
        .map(|_| (random.bits() >> 20) as u8)
        .collect();
    for block in out.chunks_exact_mut(dtype.block().1) {
        // Minima about as far below zero as the quants reach above it.
        let scale = random.normal().abs() * 0.001;
        let middle = match dtype {
            DType::Q2_K => 1.5,
            DType::Q4_K => 7.5,
            _ => 15.5,
        };
        for (at, value) in float_places(dtype).iter().zip([scale, scale * middle]) {
            block[*at..][..2].copy_from_slice(&f32_to_f16(value).to_le_bytes());
        }
    }
    out
}

fn rows_of(weight: &PackedWeight) -> Vec<f32> {
    let mut out = vec![0.0; weight.rows() * weight.cols()];
    for (row, out) in out.chunks_exact_mut(weight.cols()).enumerate() {
        weight.row(row, out);
    }
    out
}

#[test]
fn products_agree_with_f64() {
    let mut random = Random(2);
    for dtype in KINDS {
        for (rows, cols) in [(16, 256), (9, 512), (37, 768)] {
            for m in [1, 2, 3, 5, 9] {
                let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
                let x = random.normals(m * cols);
                let bias = random.normals(rows);
                let truth = naive(&rows_of(&weight), &x, cols, Some(&bias));
                let error = nmse(&run(&weight, &x, m, Some(&bias)), &truth);
                assert!(error < 2e-4, "{dtype:?} [{rows}, {cols}] x {m}: {error:e}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_the_batch_and_the_split() {
    let mut random = Random(4);
    for dtype in KINDS {
        let (rows, cols, m) = (53, 512, 11);
        let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
        let x = random.normals(m * cols);
        let kind = weight.activation_kind();
        let whole = run(&weight, &x, m, None);
        for count in 1..m {
            for first in 0..=m - count {
                let part = run(&weight, &x[first * cols..][..count * cols], count, None);
                let expected = &whole[first * rows..][..count * rows];
                assert_eq!(bits(&part), bits(expected), "{dtype:?} {first} {count}");
            }
        }
        for step in 1..4 {
            let parts = run_groups(&weight, kind, &x, m, None, step);
            assert_eq!(bits(&parts), bits(&whole), "{dtype:?} by {step}");
        }
    }
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let mut random = Random(5);
    for dtype in KINDS {
        for m in [1, 2, 7, FEW + 3] {
            // A pair of groups, and another one.
            let (rows, cols) = (41, 512);
            let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
            let x = random.normals(m * cols);
            let words = run_groups(&weight, ActivationKind::I16, &x, m, None, 9);
            for dot in [ByteDot::Pairs, ByteDot::Unsigned, ByteDot::Signed] {
                let bytes = run_with(&weight, ActivationKind::I8, dot, &x, m, None, 9);
                assert_eq!(bits(&bytes), bits(&words), "{dtype:?} x {m} by {dot:?}");
            }
        }
    }
}

#[test]
fn the_greatest_sums_do_not_overflow() {
    for dtype in KINDS {
        for (byte, sign) in [(0xff, 1.0), (0x00, -1.0), (0xff, -1.0), (0x7f, 1.0)] {
            let (rows, cols, m) = (32, 256, FEW + 5);
            let mut src = vec![byte; dtype.row_bytes(cols) * rows];
            for block in src.chunks_exact_mut(dtype.block().1) {
                for at in float_places(dtype) {
                    block[*at..][..2].copy_from_slice(&f32_to_f16(1.0).to_le_bytes());
                }
            }
            let weight = packed(dtype, rows, cols, &src);
            let x = vec![sign * 3.0; m * cols];
            let truth = naive(&rows_of(&weight), &x, cols, None);
            let kernels = [
                (ActivationKind::I16, ByteDot::None),
                (ActivationKind::I8, ByteDot::Pairs),
                (ActivationKind::I8, ByteDot::Unsigned),
            ];
            for (kind, dot) in kernels {
                let got = run_with(&weight, kind, dot, &x, m, None, 2);
                let near = |(g, t): (&f32, &f32)| (g - t).abs() <= 2e-5 * t.abs().max(1.0);
                assert!(
                    got.iter().zip(&truth).all(near),
                    "{dtype:?} {byte:x} {got:?} {truth:?}"
                );
            }
        }
    }
}

#[test]
fn nan_is_not_hidden() {
    let mut random = Random(6);
    for dtype in KINDS {
        let weight = packed(dtype, 16, 256, &file(dtype, 16, 256, &mut random));
        let zeros = run(&weight, &[0.0; 256], 1, None);
        assert!(zeros.iter().all(|y| *y == 0.0), "{dtype:?} of zeros");
        let nan = run(&weight, &[f32::NAN; 256], 1, None);
        assert!(nan.iter().all(|y| y.is_nan()), "{dtype:?} hides NaN");
    }
}

#[test]
fn packing_takes_about_the_bytes_of_the_file() {
    for dtype in KINDS {
        let bytes = PackedWeight::new(dtype, 64, 512).unwrap().bytes();
        let file = dtype.row_bytes(512) * 64;
        assert!(
            bytes >= file && bytes * 100 <= file * 104,
            "{dtype:?} {bytes}"
        );
    }
    assert!(PackedWeight::new(DType::Q4_K, 16, 128).is_none());
}
