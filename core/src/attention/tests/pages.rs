//! What pages of integers hold.

use super::super::*;
use super::case::{noise, rounded};
use super::Q8;
use crate::memory::Block;

#[test]
fn a_page_of_integers_is_the_same_bits_whatever_is_written_with_it() {
    for kv_dtype in [DType::Q8_0, DType::Q16] {
        page_is_the_same_bits(AttentionShape { kv_dtype, ..Q8 });
    }
}

fn page_is_the_same_bits(shape: AttentionShape) {
    let width = shape.kv_heads * shape.head_dim;
    let (keys, values) = (noise(1, 32 * width), noise(2, 32 * width));
    let page = |order: &[usize], at_once: usize| {
        let bytes = shape.kv_heads * shape.head_bytes();
        let caches = [0, 1].map(|_| Block::new(bytes, true).unwrap());
        for rows in order.chunks(at_once) {
            let of = |x: &[f32]| -> Vec<f32> {
                rows.iter()
                    .flat_map(|row| x[row * width..][..width].to_vec())
                    .collect()
            };
            let (k, v) = (of(&keys), of(&values));
            let slots: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
            let [to_k, to_v] = [&caches[0], &caches[1]].map(Block::ptr);
            // SAFETY: the arrays have a row for each slot, and the caches a page.
            unsafe {
                let (k, v, slots) = (k.as_ptr(), v.as_ptr(), slots.as_ptr());
                write_kv(k, v, slots, &shape, 0..rows.len(), to_k, to_v);
            }
        }
        // SAFETY: the blocks have that many bytes.
        caches.map(|cache| unsafe { std::slice::from_raw_parts(cache.ptr(), bytes) }.to_vec())
    };
    let all: Vec<usize> = (0..32).collect();
    let backwards: Vec<usize> = (0..32).rev().collect();
    let whole = page(&all, 32);
    assert!(page(&all, 1) == whole && page(&all, 5) == whole && page(&backwards, 3) == whole);
}

/// What a page of a dtype makes of numbers.
fn through_a_page(dtype: DType, part: Part, x: &[f32]) -> Vec<f32> {
    let page = QuantPage::new(dtype, x.len(), 8).unwrap();
    let bytes = Block::new(page.bytes(), true).unwrap();
    // SAFETY: the page has eight tokens of these channels.
    unsafe {
        page.set(bytes.ptr(), part, 5, x.as_ptr(), x.len());
        (0..x.len())
            .map(|i| page.get(bytes.ptr(), part, 5, i))
            .collect()
    }
}

#[test]
fn numbers_of_a_page_are_those_of_the_format() {
    // Halves, which go away from zero in GGUF's; a block of zeros; a last block of four channels.
    let mut x: Vec<f32> = (0..68).map(|i| (i % 32) as f32 / 2.0 - 7.5).collect();
    x[31] = 127.0;
    x[32..64].fill(0.0);
    let mut wide = noise(3, 132);
    wide[64..128].fill(0.0);
    for part in [Part::Keys, Part::Values] {
        let got = through_a_page(DType::Q8_0, part, &x);
        assert_eq!(got, rounded(&x, DType::Q8_0));
        assert_eq!((got[0], got[1], got[14]), (-8.0, -7.0, -1.0));
        let got = through_a_page(DType::Q16, part, &wide);
        assert_eq!(got[..64], rounded(&wide[..64], DType::Q16));
        assert_eq!(got[64..128], [0.0; 64]);
        assert_eq!(got[128..], rounded(&wide[128..], DType::Q16));
        let greatest = wide[..64]
            .iter()
            .fold(0.0, |most: f32, x| most.max(x.abs()));
        for (got, x) in got.iter().zip(&wide[..64]) {
            assert!((got - x).abs() <= 0.5001 * greatest / 16383.0);
        }
    }
}

#[test]
fn what_is_not_finite_stays_visible() {
    for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = noise(3, 64);
        x[17] = strange;
        assert!(through_a_page(DType::Q16, Part::Keys, &x)
            .iter()
            .all(|x| !x.is_finite()));
    }
}
