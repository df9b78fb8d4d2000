// ropeTable and rope. An invocation gives one angle or one element.
//! include lib/grid.wgsl

// Rotated pairs of a head.
override PAIRS: u32 = 1u;
override SCALE: f32 = 1.0;
override HEAD_DIM: u32 = 2u;
// Elements of a row of x.
override WIDTH: u32 = 2u;
override INTERLEAVED: u32 = 0u;

@group(0) @binding(1) var<storage, read> positions: array<i32>;
// Turns that one position adds, modulo 1, as a 64-bit fraction: x is its upper word, y its lower.
@group(0) @binding(2) var<storage, read> turns: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>;
// [rows, 2·PAIRS], cosines first.
@group(0) @binding(5) var<storage, read> table: array<f32>;

// Upper word of the 64-bit product.
fn multiplyHigh(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let mid = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let mid2 = (a & 0xffffu) * (b >> 16u) + (mid & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (mid >> 16u) + (mid2 >> 16u);
}

// Cosine and sine of a fraction of a turn in units of 2⁻³². The built-in functions are bounded only to 2⁻¹¹, so: the
// nearest quarter turn exactly, then the series of an angle of at most π/4, with an error below 1e-7.
fn cosSin(fraction: u32) -> vec2<f32> {
  let quarter = (fraction + 0x20000000u) >> 30u;
  let angle = f32(bitcast<i32>(fraction - (quarter << 30u))) * 1.4629180792671596e-9;
  let s = angle * angle;
  let sine = angle * (1.0 + s * (-1.6666667e-1 + s * (8.3333333e-3 + s * (-1.9841270e-4 + s * 2.7557319e-6))));
  let cosine = 1.0 + s * (-0.5 + s * (4.1666667e-2 + s * (-1.3888889e-3 + s * (2.4801587e-5 - s * 2.7557319e-7))));
  switch quarter & 3u {
    case 0u: { return vec2(cosine, sine); }
    case 1u: { return vec2(-sine, cosine); }
    case 2u: { return vec2(-cosine, -sine); }
    default: { return vec2(sine, -cosine); }
  }
}

@compute @workgroup_size(64)
fn ropeTable(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * PAIRS) {
    return;
  }
  let row = index / PAIRS;
  let pair = index % PAIRS;
  let position = positions[row];
  let distance = u32(abs(position));
  let turn = turns[pair];
  // The product of position and fraction, modulo whole turns: exact but for its last bits.
  let fraction = distance * turn.x + multiplyHigh(distance, turn.y);
  let rotation = cosSin(fraction) * SCALE;
  out[row * 2u * PAIRS + pair] = rotation.x;
  out[row * 2u * PAIRS + PAIRS + pair] = select(rotation.y, -rotation.y, position < 0);
}

@compute @workgroup_size(64)
fn rope(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * WIDTH) {
    return;
  }
  let element = index % WIDTH % HEAD_DIM;
  if (element >= 2u * PAIRS) {
    out[index] = x[index];
    return;
  }
  var pair = element % PAIRS;
  var second = element >= PAIRS;
  var distance = PAIRS;
  if (INTERLEAVED == 1u) {
    pair = element / 2u;
    second = element % 2u == 1u;
    distance = 1u;
  }
  let angles = index / WIDTH * 2u * PAIRS + pair;
  let cosine = table[angles];
  let sine = table[angles + PAIRS];
  if (second) {
    out[index] = x[index] * cosine + x[index - distance] * sine;
  } else {
    out[index] = x[index] * cosine - x[index + distance] * sine;
  }
}
