use super::*;
use crate::dtype::DType;
use crate::memory::Block;
use crate::simd::{byte_dot, f32_to_f16, ByteDot};

const QUANTIZED: [DType; 5] = [
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
];
const FLOAT: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

/// A xorshift generator: the same numbers on every machine.
pub(super) struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Near normal, of variance 1.
    pub fn normal(&mut self) -> f32 {
        (0..4)
            .map(|_| (self.bits() >> 40) as f32 / (1 << 24) as f32 - 0.5)
            .sum::<f32>()
            * 3f32.sqrt()
    }

    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }
}

/// Rows of a file: any bits are a valid quant, the floats are small.
fn file(dtype: DType, rows: usize, cols: usize, random: &mut Random) -> Vec<u8> {
    let (size, bytes) = dtype.block();
    let mut out = Vec::new();
    for _ in 0..rows * cols / size {
        match dtype {
            DType::F32 => out.extend(random.normal().to_le_bytes()),
            DType::F16 => out.extend(f32_to_f16(random.normal()).to_le_bytes()),
            DType::BF16 => out.extend(((random.normal().to_bits() >> 16) as u16).to_le_bytes()),
            _ => {
                let mut block: Vec<u8> = (0..bytes).map(|_| (random.bits() >> 20) as u8).collect();
                block[..2].copy_from_slice(&f32_to_f16(random.normal() * 0.01).to_le_bytes());
                if matches!(dtype, DType::Q4_1 | DType::Q5_1) {
                    block[2..4].copy_from_slice(&f32_to_f16(random.normal() * 0.1).to_le_bytes());
                }
                if dtype == DType::Q8_0 {
                    block[2..]
                        .iter_mut()
                        .for_each(|q| *q = if *q == 128 { 129 } else { *q });
                }
                out.extend(block);
            }
        }
    }
    out
}

/// A file's values, straight from the formats' definitions.
fn dequantized(dtype: DType, src: &[u8]) -> Vec<f32> {
    let half = |b: &[u8]| crate::simd::f16_to_f32(u16::from_le_bytes([b[0], b[1]]));
    let mut out = Vec::new();
    for b in src.chunks_exact(dtype.block().1) {
        let nibble = |q: &[u8], k: usize| if k < 16 { q[k] & 15 } else { q[k - 16] >> 4 };
        let fifth = |q: &[u8], k: usize| nibble(&q[4..], k) | (q[k / 8] >> (k % 8) & 1) << 4;
        match dtype {
            DType::F32 => out.push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            DType::F16 => out.push(half(b)),
            DType::BF16 => out.push(f32::from_bits(
                u32::from(u16::from_le_bytes([b[0], b[1]])) << 16,
            )),
            DType::Q8_0 => out.extend((0..32).map(|k| f32::from(b[2 + k] as i8) * half(b))),
            DType::Q4_0 => {
                out.extend((0..32).map(|k| (f32::from(nibble(&b[2..], k)) - 8.0) * half(b)))
            }
            DType::Q4_1 => {
                out.extend((0..32).map(|k| f32::from(nibble(&b[4..], k)) * half(b) + half(&b[2..])))
            }
            DType::Q5_0 => {
                out.extend((0..32).map(|k| (f32::from(fifth(&b[2..], k)) - 16.0) * half(b)))
            }
            DType::Q5_1 => {
                out.extend((0..32).map(|k| f32::from(fifth(&b[4..], k)) * half(b) + half(&b[2..])))
            }
            _ => unreachable!(),
        }
    }
    out
}

pub(super) fn packed(dtype: DType, rows: usize, cols: usize, src: &[u8]) -> PackedWeight {
    let mut weight = PackedWeight::new(dtype, rows, cols).unwrap();
    let row_bytes = dtype.row_bytes(cols);
    let mut row = 0;
    // Pieces of 1, 2, 3 ... rows, as a stream would bring them.
    for piece in 1.. {
        let count = piece.min(rows - row);
        assert!(weight.write_rows(row, &src[row * row_bytes..][..count * row_bytes]));
        row += count;
        if row == rows {
            return weight;
        }
    }
    unreachable!()
}

pub(super) fn run_groups(
    weight: &PackedWeight,
    kind: ActivationKind,
    x: &[f32],
    m: usize,
    bias: Option<&[f32]>,
    step: usize,
) -> Vec<f32> {
    run_with(weight, kind, byte_dot(), x, m, bias, step)
}

pub(super) fn run_with(
    weight: &PackedWeight,
    kind: ActivationKind,
    dot: ByteDot,
    x: &[f32],
    m: usize,
    bias: Option<&[f32]>,
    step: usize,
) -> Vec<f32> {
    let k = weight.cols();
    let prepared = Block::new(Activations::scratch_bytes(kind, m, k), false).unwrap();
    // An I16 tile is the greatest.
    let scratch = Block::new(weight.scratch_bytes(m) * 2, false).unwrap();
    let stride = weight.rows() + 3;
    let mut y = vec![f32::NAN; m * stride];
    // SAFETY: the sizes are those the functions ask for.
    unsafe {
        let mut activations = Activations::prepare(kind, x.as_ptr(), m, k, prepared.ptr());
        activations.dot = dot;
        for from in (0..weight.groups()).step_by(step) {
            let groups = from..(from + step).min(weight.groups());
            linear(
                weight,
                &activations,
                m,
                bias.map(<[f32]>::as_ptr),
                y.as_mut_ptr(),
                stride,
                groups,
                scratch.ptr(),
            );
        }
    }
    assert!(
        (0..m).all(|t| y[t * stride + weight.rows()..][..3]
            .iter()
            .all(|x| x.is_nan())),
        "wrote past a row"
    );
    (0..m)
        .flat_map(|t| y[t * stride..][..weight.rows()].to_vec())
        .collect()
}

pub(super) fn run(weight: &PackedWeight, x: &[f32], m: usize, bias: Option<&[f32]>) -> Vec<f32> {
    run_groups(
        weight,
        weight.activation_kind(),
        x,
        m,
        bias,
        usize::MAX >> 1,
    )
}

pub(super) fn naive(w: &[f32], x: &[f32], k: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let n = w.len() / k;
    let dot = |x: &[f32], w: &[f32]| {
        x.iter()
            .zip(w)
            .map(|(x, w)| f64::from(*x) * f64::from(*w))
            .sum::<f64>()
    };
    let biased = |i: usize, sum: f64| (sum + bias.map_or(0.0, |b| f64::from(b[i]))) as f32;
    x.chunks_exact(k)
        .flat_map(|x| (0..n).map(move |i| biased(i, dot(x, &w[i * k..][..k]))))
        .collect()
}

/// Squared error over squared truth.
pub(super) fn nmse(got: &[f32], truth: &[f32]) -> f64 {
    assert_eq!(got.len(), truth.len());
    let square = |x: f64| x * x;
    let error: f64 = got
        .iter()
        .zip(truth)
        .map(|(g, t)| square(f64::from(*g) - f64::from(*t)))
        .sum();
    error / truth.iter().map(|t| square(f64::from(*t))).sum::<f64>()
}

pub(super) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

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
fn quantized_products_agree_with_f64() {
    let mut random = Random(2);
    for dtype in QUANTIZED {
        for (rows, cols) in [(16, 32), (1, 64), (37, 576), (24, 320), (5, 1536)] {
            for m in [1, 2, 3, 5, 9] {
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
        let (rows, cols, m) = (53, 320, 11);
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
        for m in [1, 2, 7] {
            let (rows, cols) = (20, 192);
            let weight = packed(dtype, rows, cols, &file(dtype, rows, cols, &mut random));
            let x = random.normals(m * cols);
            let words = run_groups(&weight, ActivationKind::I16, &x, m, None, 9);
            for &(kind, dot) in byte_kernels(dtype) {
                let bytes = run_with(&weight, kind, dot, &x, m, None, 9);
                assert_eq!(bits(&bytes), bits(&words), "{dtype:?} x {m} by {dot:?}");
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
            let (rows, cols, m) = (16, 64, 5);
            let mut src = vec![quant; dtype.row_bytes(cols) * rows];
            for block in src.chunks_exact_mut(dtype.block().1) {
                block[..2].copy_from_slice(&f32_to_f16(1.0).to_le_bytes());
                if matches!(dtype, DType::Q4_1 | DType::Q5_1) {
                    block[2..4].copy_from_slice(&f32_to_f16(-2.0).to_le_bytes());
                }
            }
            let x = vec![sign * 3.0; m * cols];
            let truth = naive(&dequantized(dtype, &src), &x, cols, None);
            let weight = packed(dtype, rows, cols, &src);
            let words = (ActivationKind::I16, ByteDot::None);
            let bytes = byte_kernels(dtype).iter().copied();
            for (kind, dot) in bytes.chain([words]) {
                let got = run_with(&weight, kind, dot, &x, m, None, 1);
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
