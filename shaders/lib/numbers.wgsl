// Numbers that WGSL leaves loose: 16-bit floats as bits, and functions whose built-in forms are only roughly bounded.

fn isNan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn halfOf(word: u32, index: u32) -> u32 {
  return (word >> (16u * (index & 1u))) & 0xffffu;
}

fn widenF16(half: u32) -> f32 {
  return unpack2x16float(half).x;
}

// As `widenF16`, also where the device flushes subnormal halves: the scales of small weights are such.
fn widenF16Exactly(half: u32) -> f32 {
  let tiny = f32(half & 0x3ffu) * 5.9604644775390625e-8;
  let subnormal = select(tiny, -tiny, (half & 0x8000u) != 0u);
  return select(widenF16(half), subnormal, (half & 0x7c00u) == 0u);
}

fn widenBf16(half: u32) -> f32 {
  return bitcast<f32>(half << 16u);
}

// tanh that neither cancels near 0 nor overflows far from it.
fn tanhOf(x: f32) -> f32 {
  let square = x * x;
  let series = x * (1.0 + square * (-1.0 / 3.0 + square * (2.0 / 15.0 - square * (17.0 / 315.0))));
  let power = exp(-2.0 * abs(x));
  let far = sign(x) * (1.0 - power) / (1.0 + power);
  return select(select(far, series, abs(x) < 0.25), x, isNan(x));
}

// erfc with a relative error of 1.2e-7 (Press et al., "Numerical Recipes", section 6.2, erfcc).
fn erfcOf(x: f32) -> f32 {
  let z = abs(x);
  let t = 1.0 / (1.0 + 0.5 * z);
  var p = 0.17087277;
  p = p * t - 0.82215223;
  p = p * t + 1.48851587;
  p = p * t - 1.13520398;
  p = p * t + 0.27886807;
  p = p * t - 0.18628806;
  p = p * t + 0.09678418;
  p = p * t + 0.37409196;
  p = p * t + 1.00002368;
  p = p * t - 1.26551223;
  let tail = t * exp(p - z * z);
  return select(tail, 2.0 - tail, x < 0.0);
}
