//! Weights of known contents, products with them, and the same in F64.

use super::*;
use crate::dtype::DType;
use crate::memory::Block;
use crate::simd::{byte_dot, f32_to_f16, ByteDot};

/// A xorshift generator: the same numbers on every machine.
pub struct Random(pub u64);

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
pub fn file(dtype: DType, rows: usize, cols: usize, random: &mut Random) -> Vec<u8> {
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
pub fn dequantized(dtype: DType, src: &[u8]) -> Vec<f32> {
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

pub fn packed(dtype: DType, rows: usize, cols: usize, src: &[u8]) -> PackedWeight {
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

pub fn run_groups(
    weight: &PackedWeight,
    kind: ActivationKind,
    x: &[f32],
    m: usize,
    bias: Option<&[f32]>,
    step: usize,
) -> Vec<f32> {
    run_with(weight, kind, byte_dot(), x, m, bias, step)
}

pub fn run_with(
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

pub fn run(weight: &PackedWeight, x: &[f32], m: usize, bias: Option<&[f32]>) -> Vec<f32> {
    run_groups(
        weight,
        weight.activation_kind(),
        x,
        m,
        bias,
        usize::MAX >> 1,
    )
}

pub fn naive(w: &[f32], x: &[f32], k: usize, bias: Option<&[f32]>) -> Vec<f32> {
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
pub fn nmse(got: &[f32], truth: &[f32]) -> f64 {
    assert_eq!(got.len(), truth.len());
    let square = |x: f64| x * x;
    let error: f64 = got
        .iter()
        .zip(truth)
        .map(|(g, t)| square(f64::from(*g) - f64::from(*t)))
        .sum();
    error / truth.iter().map(|t| square(f64::from(*t))).sum::<f64>()
}

pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
