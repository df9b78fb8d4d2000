// linear: x · weightᵀ + bias. An invocation computes one row of one output feature, or four, so that a weight is widened
// once for all of them. The four partial sums of a row and their order depend on IN and the format only.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/packed_weight.wgsl

override OUT: u32 = 1u;
// Rows for each step row: the product of the dimensions between the first and the last.
override PER_ROW: u32 = 1u;
// Rows of an invocation: 1 or 4. Sums are named, not an array: one that is indexed by a variable leaves the registers.
override TILE: u32 = 1u;
override HAS_BIAS: u32 = 0u;

// x in fours, where IN is a multiple of 4, and by element.
@group(0) @binding(2) var<storage, read> quads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn store(row: u32, feature: u32, sums: vec4<f32>) {
  var sum = (sums.x + sums.y) + (sums.z + sums.w);
  if (HAS_BIAS == 1u) {
    sum += bias[feature];
  }
  out[row * OUT + feature] = sum;
}

@compute @workgroup_size(64)
fn linear(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  let feature = index % OUT;
  let row = index / OUT * TILE;
  let rows = count.x * PER_ROW;
  if (row >= rows) {
    return;
  }
  // Where there are fewer than four rows left, the last one is computed again, and not stored.
  let x0 = row * (IN / 4u);
  let x1 = min(row + 1u, rows - 1u) * (IN / 4u);
  let x2 = min(row + 2u, rows - 1u) * (IN / 4u);
  let x3 = min(row + 3u, rows - 1u) * (IN / 4u);
  var sums0 = vec4(0.0);
  var sums1 = vec4(0.0);
  var sums2 = vec4(0.0);
  var sums3 = vec4(0.0);
  let blocks = (IN + 31u) / 32u;
  for (var b = 0u; b < blocks; b++) {
    let block = feature * blocks + b;
    let scale = blockScale(block);
    let end = min(8u, IN / 4u - b * 8u);
    for (var quad = 0u; quad < end; quad++) {
      let w = blockQuad(block, feature * IN + b * 32u, quad) * scale.x + scale.y;
      let k = b * 8u + quad;
      sums0 = fma(w, quads[x0 + k], sums0);
      if (TILE == 4u) {
        sums1 = fma(w, quads[x1 + k], sums1);
        sums2 = fma(w, quads[x2 + k], sums2);
        sums3 = fma(w, quads[x3 + k], sums3);
      }
    }
  }
  store(row, feature, sums0);
  if (TILE == 4u) {
    if (row + 1u < rows) {
      store(row + 1u, feature, sums1);
    }
    if (row + 2u < rows) {
      store(row + 2u, feature, sums2);
    }
    if (row + 3u < rows) {
      store(row + 3u, feature, sums3);
    }
  }
}

// For plain weights whose rows are no multiple of 4: one row, element by element.
@compute @workgroup_size(64)
fn linearByElement(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  let feature = index % OUT;
  let row = index / OUT;
  if (row >= count.x * PER_ROW) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < IN; k++) {
    sum = fma(plainElement(feature * IN + k), x[row * IN + k], sum);
  }
  store(row, feature, vec4(sum, 0.0, 0.0, 0.0));
}
