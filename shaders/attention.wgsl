// attention: dense. q is [B, heads, T, headDim], keys and values are [B, kvHeads, S, …], mask is [B, S].
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/fold.wgsl
//! include lib/attend.wgsl

// T and S.
override QUERIES: u32 = 1u;
override KEYS: u32 = 1u;
override CAUSAL: u32 = 0u;
override PAST: u32 = 0u;
// Keys that a query sees at most, itself included; 0 for all.
override WINDOW: u32 = 0u;
override HAS_MASK: u32 = 0u;

@group(0) @binding(6) var<storage, read> mask: array<f32>;

var<private> batch: u32;

fn rowOf(key: u32, kvHead: u32) -> u32 {
  return (batch * KV_HEADS + kvHead) * KEYS + key;
}

fn isVisible(key: u32) -> bool {
  if (HAS_MASK == 1u) {
    return mask[batch * KEYS + key] != 0.0;
  }
  return true;
}

@compute @workgroup_size(64)
fn attention(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups);
  if (index >= count.x * HEADS * QUERIES) {
    return;
  }
  batch = index / (HEADS * QUERIES);
  let ownKey = index % QUERIES + PAST;
  let end = select(KEYS, min(KEYS, ownKey + 1u), CAUSAL == 1u);
  let first = select(0u, ownKey + 1u - min(ownKey + 1u, WINDOW), WINDOW > 0u);
  attend(lane, index / QUERIES % HEADS, index * HEAD_DIM, index * VALUE_DIM, first, end, ownKey);
}
