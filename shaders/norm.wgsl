// rmsNorm, addRmsNorm and layerNorm over the last axis. A workgroup takes one row.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/fold.wgsl

override WIDTH: u32 = 1u;
override PER_ROW: u32 = 1u;
override EPS: f32 = 0.0;
override OFFSET: f32 = 0.0;
override HAS_WEIGHT: u32 = 0u;
override HAS_BIAS: u32 = 0u;

@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> addend: array<f32>;
@group(0) @binding(5) var<storage, read_write> total: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;

fn weightAt(i: u32) -> f32 {
  if (HAS_WEIGHT == 1u) {
    return weight[i] + OFFSET;
  }
  return 1.0;
}

@compute @workgroup_size(64)
fn rmsNorm(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let row = workgroupIndex(workgroup, workgroups);
  if (row >= count.x * PER_ROW) {
    return;
  }
  let base = row * WIDTH;
  var squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    squares = fma(x[base + i], x[base + i], squares);
  }
  let scale = 1.0 / sqrt(foldSum(lane, squares) / f32(WIDTH) + EPS);
  for (var i = lane; i < WIDTH; i += LANES) {
    out[base + i] = x[base + i] * scale * weightAt(i);
  }
}

@compute @workgroup_size(64)
fn addRmsNorm(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let row = workgroupIndex(workgroup, workgroups);
  if (row >= count.x * PER_ROW) {
    return;
  }
  let base = row * WIDTH;
  var squares = 0.0;
  // A lane reads back only what it wrote itself.
  for (var i = lane; i < WIDTH; i += LANES) {
    let sum = x[base + i] + addend[base + i];
    total[base + i] = sum;
    squares = fma(sum, sum, squares);
  }
  let scale = 1.0 / sqrt(foldSum(lane, squares) / f32(WIDTH) + EPS);
  for (var i = lane; i < WIDTH; i += LANES) {
    out[base + i] = total[base + i] * scale * weightAt(i);
  }
}

@compute @workgroup_size(64)
fn layerNorm(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let row = workgroupIndex(workgroup, workgroups);
  if (row >= count.x * PER_ROW) {
    return;
  }
  let base = row * WIDTH;
  var sum = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    sum += x[base + i];
  }
  let mean = foldSum(lane, sum) / f32(WIDTH);
  var squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    let difference = x[base + i] - mean;
    squares = fma(difference, difference, squares);
  }
  let scale = 1.0 / sqrt(foldSum(lane, squares) / f32(WIDTH) + EPS);
  for (var i = lane; i < WIDTH; i += LANES) {
    let normed = (x[base + i] - mean) * scale * weightAt(i);
    if (HAS_BIAS == 1u) {
      out[base + i] = normed + bias[i];
    } else {
      out[base + i] = normed;
    }
  }
}
