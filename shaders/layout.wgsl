// gatherRows, copy and concat: elements move, nothing is computed. An invocation moves one element.
//! include lib/grid.wgsl

// Elements of the output for each row.
override WIDTH: u32 = 1u;
override RANK: u32 = 0u;
override OFFSET: i32 = 0;
// concat: elements that each operand adds to one run of the output.
override A_RUN: u32 = 1u;
override B_RUN: u32 = 1u;

struct View {
  shape: array<vec4<i32>, 2>,
  strides: array<vec4<i32>, 2>,
}

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> indexes: array<i32>;
@group(0) @binding(4) var<uniform> view: View;
@group(0) @binding(5) var<storage, read> y: array<f32>;

@compute @workgroup_size(64)
fn gatherRows(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index < count.x * WIDTH) {
    out[index] = x[u32(indexes[index / WIDTH]) * WIDTH + index % WIDTH];
  }
}

@compute @workgroup_size(64)
fn copyView(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * WIDTH) {
    return;
  }
  var rest = i32(index);
  var at = OFFSET;
  for (var i = RANK; i > 0u; i--) {
    let dim = view.shape[(i - 1u) / 4u][(i - 1u) % 4u];
    at += rest % dim * view.strides[(i - 1u) / 4u][(i - 1u) % 4u];
    rest /= dim;
  }
  out[index] = x[at];
}

@compute @workgroup_size(64)
fn concat(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * WIDTH) {
    return;
  }
  let run = index / (A_RUN + B_RUN);
  let place = index % (A_RUN + B_RUN);
  if (place < A_RUN) {
    out[index] = x[run * A_RUN + place];
  } else {
    out[index] = y[run * B_RUN + place - A_RUN];
  }
}
