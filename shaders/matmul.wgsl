// matmul: product of dense F32 matrices with broadcast batches. An invocation gives one element.
//! include lib/grid.wgsl

override ROWS: u32 = 1u;
override INNER: u32 = 1u;
override COLUMNS: u32 = 1u;
override RANK: u32 = 0u;

// Batch dimensions and, in matrices, the strides of both operands in them (0 where one is stretched).
struct Batches {
  shape: array<vec4<u32>, 2>,
  a: array<vec4<u32>, 2>,
  b: array<vec4<u32>, 2>,
}

@group(0) @binding(1) var<uniform> batches: Batches;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn matmul(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * ROWS * COLUMNS) {
    return;
  }
  var rest = index / (ROWS * COLUMNS);
  var left = 0u;
  var right = 0u;
  for (var i = RANK; i > 0u; i--) {
    let at = vec2((i - 1u) / 4u, (i - 1u) % 4u);
    let place = rest % batches.shape[at.x][at.y];
    rest /= batches.shape[at.x][at.y];
    left += place * batches.a[at.x][at.y];
    right += place * batches.b[at.x][at.y];
  }
  let row = (left * ROWS + index / COLUMNS % ROWS) * INNER;
  let column = right * INNER * COLUMNS + index % COLUMNS;
  var sum = 0.0;
  for (var k = 0u; k < INNER; k++) {
    sum = fma(a[row + k], b[column + k * COLUMNS], sum);
  }
  out[index] = sum;
}
