// add, sub, mul, div with broadcasting, and the activations. An invocation gives one element.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl

// Code of the op (src/program/ops.ts), or of the activation (its position in ACTIVATIONS).
override KIND: u32 = 1u;
// Elements of the output for each step row.
override WIDTH: u32 = 1u;
// How an operand is read: at the output's index, at that index modulo its length, or by strides.
override A_MODE: u32 = 0u;
override B_MODE: u32 = 0u;
override A_LENGTH: u32 = 1u;
override B_LENGTH: u32 = 1u;
override RANK: u32 = 1u;
const SAME: u32 = 0u;
const REPEATED: u32 = 1u;

// Shape of the output, and the strides of both operands in it (0 where one is stretched), outermost first.
struct Broadcast {
  shape: array<vec4<u32>, 2>,
  a: array<vec4<u32>, 2>,
  b: array<vec4<u32>, 2>,
}

@group(0) @binding(1) var<uniform> broadcast: Broadcast;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn place(index: u32, mode: u32, length: u32, second: bool) -> u32 {
  if (mode == SAME) {
    return index;
  }
  if (mode == REPEATED) {
    return index % length;
  }
  var rest = index;
  var at = 0u;
  // The outermost dimension may be a step count, and is what is left over.
  for (var i = RANK - 1u; i > 0u; i--) {
    let dim = broadcast.shape[i / 4u][i % 4u];
    at += rest % dim * select(broadcast.a[i / 4u][i % 4u], broadcast.b[i / 4u][i % 4u], second);
    rest /= dim;
  }
  return at + rest * select(broadcast.a[0].x, broadcast.b[0].x, second);
}

@compute @workgroup_size(64)
fn binary(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * WIDTH) {
    return;
  }
  let left = a[place(index, A_MODE, A_LENGTH, false)];
  let right = b[place(index, B_MODE, B_LENGTH, true)];
  switch KIND {
    case 1u: { out[index] = left + right; }
    case 2u: { out[index] = left - right; }
    case 3u: { out[index] = left * right; }
    default: { out[index] = left / right; }
  }
}

fn activated(x: f32) -> f32 {
  switch KIND {
    case 0u: { return x * (0.5 * erfcOf(x * -0.70710678118654752)); }
    case 1u: {
      return 0.5 * x * (1.0 + tanhOf(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    }
    case 2u: { return x / (1.0 + exp(-1.702 * x)); }
    case 3u: { return x / (1.0 + exp(-x)); }
    // Not max: it may give 0 for NaN.
    case 4u: { return select(x, 0.0, x < 0.0); }
    case 5u: { return 1.0 / (1.0 + exp(-x)); }
    default: { return tanhOf(x); }
  }
}

@compute @workgroup_size(64)
fn activation(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index < count.x * WIDTH) {
    out[index] = activated(a[index]);
  }
}

@compute @workgroup_size(64)
fn gatedActivation(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index < count.x * WIDTH) {
    out[index] = activated(a[index]) * b[index];
  }
}
