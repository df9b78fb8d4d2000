use super::*;

fn each(f: impl Fn(V) -> V, x: f32) -> f32 {
    let lanes = f(V::splat(x)).lanes();
    assert!(lanes.iter().all(|y| y.to_bits() == lanes[0].to_bits()));
    lanes[0]
}

#[test]
fn exp_is_within_two_units_in_the_last_place() {
    for i in -87_000..88_000 {
        let x = i as f32 * 1e-3;
        let truth = f64::from(x).exp();
        let error = (f64::from(each(exp, x)) - truth).abs() / truth;
        assert!(error < 2.4e-7, "exp({x}) is off by {error}");
    }
}

#[test]
fn weights_of_a_softmax_are_within_their_bounds() {
    let exp = SoftmaxExp::new();
    for i in 0..=870_000 {
        let x = i as f32 * -1e-4;
        let truth = f64::from(x).exp();
        let error = (f64::from(each(|x| exp.of(x), x)) - truth).abs();
        assert!(
            error < 2e-7 && error < 4e-6 * truth,
            "exp({x}) is off by {error}"
        );
    }
    assert_eq!(each(|x| exp.of(x), 0.0), 1.0);
    assert_eq!(each(|x| exp.of(x), -0.0), 1.0);
    for far in [-87.4, -1e30, f32::NEG_INFINITY] {
        assert_eq!(each(|x| exp.of(x), far), 0.0);
    }
}

#[test]
fn exp_of_extremes() {
    assert_eq!(each(exp, 0.0), 1.0);
    assert_eq!(each(exp, f32::NEG_INFINITY), 0.0);
    assert_eq!(each(exp, -1e30), 0.0);
    assert!(each(exp, f32::INFINITY) > 2e38);
}

#[test]
fn silu_sigmoid_tanh_agree_with_f64() {
    for i in -10_000..10_000 {
        let x = i as f32 * 1e-2;
        let t = f64::from(x);
        let sigmoid_truth = 1.0 / (1.0 + (-t).exp());
        assert!((f64::from(each(sigmoid, x)) - sigmoid_truth).abs() < 3e-7);
        assert!((f64::from(each(silu, x)) - t * sigmoid_truth).abs() < 3e-7 * t.abs().max(1.0));
        assert!((f64::from(each(tanh, x)) - t.tanh()).abs() < 3e-7);
    }
}

#[test]
fn every_f16_survives_widening_and_narrowing() {
    for bits in 0..=u16::MAX {
        let exponent = bits >> 10 & 31;
        let wide = f16_to_f32(bits);
        if exponent == 31 {
            assert_eq!(wide.is_nan(), bits & 0x3ff != 0);
            assert_eq!(wide.is_infinite(), bits & 0x3ff == 0);
            if wide.is_infinite() {
                assert_eq!(f32_to_f16(wide), bits);
            }
            continue;
        }
        let lanes = widen_f16(V::splat_i32(i32::from(bits as i16))).lanes();
        assert_eq!(lanes[0].to_bits(), wide.to_bits());
        let lanes = WidenF16::new().of(V::splat_i32(i32::from(bits as i16)));
        assert_eq!(lanes.lanes()[0].to_bits(), wide.to_bits());
        assert_eq!(f32_to_f16(wide), bits);
    }
}

#[test]
fn narrowing_rounds_to_nearest_even() {
    for (x, bits) in [
        (1.0 + 1.0 / 2048.0, 0x3c00), // half way: down to even
        (1.0 + 3.0 / 2048.0, 0x3c02), // half way: up to even
        (65504.0, 0x7bff),
        (65519.9, 0x7bff),
        (65520.0, 0x7c00),
        (1e20, 0x7c00),
        (2f32.powi(-24), 0x0001),
        (2f32.powi(-25), 0x0000),
        (2f32.powi(-25) * 1.01, 0x0001),
        (-1e-30, 0x8000),
    ] {
        assert_eq!(f32_to_f16(x), bits, "{x}");
    }
    assert_eq!(f32_to_f16(f32::NAN) & 0x7e00, 0x7e00);
}

#[test]
fn byte_dots() {
    let bytes = |f: fn(usize) -> i8| -> V {
        let b: [i8; 16] = std::array::from_fn(f);
        // SAFETY: 16 bytes.
        unsafe { V::load(b.as_ptr().cast()) }
    };
    let a = bytes(|i| if i % 3 == 0 { -128 } else { 127 });
    let b = bytes(|i| (i * 8 + 7) as i8);
    let truth: [i32; 4] = std::array::from_fn(|lane| {
        (4 * lane..4 * lane + 4)
            .map(|i| if i % 3 == 0 { -128 } else { 127 } * (i as i32 * 8 + 7))
            .sum()
    });
    let got = a
        .dot_i8_u7_add(b, V::splat_i32(5))
        .lanes()
        .map(|x| x.to_bits() as i32 - 5);
    assert_eq!(got, truth);
    assert_eq!(
        a.dot_i8_u7(b)
            .pairs_i16()
            .lanes()
            .map(|x| x.to_bits() as i32),
        truth
    );
}

#[test]
fn transpose_swaps_rows_and_columns() {
    let rows: [V; 4] =
        std::array::from_fn(|i| V::from_lanes(std::array::from_fn(|j| (10 * i + j) as f32)));
    for (j, column) in V::transpose(rows).into_iter().enumerate() {
        assert_eq!(column.lanes(), [0, 1, 2, 3].map(|i| (10 * i + j) as f32));
    }
}
