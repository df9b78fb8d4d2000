// embed: rows of a packed weight by token id, widened to F32. An invocation gives one element.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/packed_weight.wgsl

override PER_ROW: u32 = 1u;
override SCALE: f32 = 1.0;

@group(0) @binding(2) var<storage, read> ids: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn embed(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  if (index >= count.x * PER_ROW * IN) {
    return;
  }
  let id = u32(ids[index / IN]);
  let k = index % IN;
  if (FORMAT <= BF16) {
    out[index] = plainElement(id * IN + k) * SCALE;
    return;
  }
  let block = id * (IN / 32u) + k / 32u;
  let scale = blockScale(block);
  let quad = blockQuad(block, id * IN + k / 32u * 32u, k % 32u / 4u) * scale.x + scale.y;
  out[index] = quad[k % 4u] * SCALE;
}
