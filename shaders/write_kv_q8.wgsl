// writeKv into caches in Q8 (lib/q8_page.wgsl). An invocation rounds one block of a row's keys or values.
//! include lib/grid.wgsl
//! include lib/q8_page.wgsl
//! include lib/q8_write.wgsl

override KV_HEADS: u32 = 1u;
override KEY_DIM: u32 = 1u;
override VALUE_DIM: u32 = 1u;

@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> slots: array<i32>;
// Atomic, because two scales share a word.
@group(0) @binding(4) var<storage, read_write> keyCache: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> valueCache: array<atomic<u32>>;

// What this invocation rounds: where the head's numbers begin, how many there are, and whether they are keys.
var<private> source: u32;
var<private> width: u32;
var<private> isKey: bool;

fn channelOf(channel: u32) -> f32 {
  if (channel >= width) {
    return 0.0;
  }
  if (isKey) {
    return k[source + channel];
  }
  return v[source + channel];
}

fn storeQuants(word: u32, quants: u32) {
  if (isKey) {
    atomicStore(&keyCache[word], quants);
  } else {
    atomicStore(&valueCache[word], quants);
  }
}

fn storeScale(half: u32, scale: u32) {
  let shift = 16u * (half & 1u);
  if (isKey) {
    atomicAnd(&keyCache[half / 2u], 0xffff0000u >> shift);
    atomicOr(&keyCache[half / 2u], scale << shift);
  } else {
    atomicAnd(&valueCache[half / 2u], 0xffff0000u >> shift);
    atomicOr(&valueCache[half / 2u], scale << shift);
  }
}

@compute @workgroup_size(64)
fn writeKvQ8(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  let keyBlocks = KV_HEADS * blocksOf(KEY_DIM);
  let all = keyBlocks + KV_HEADS * blocksOf(VALUE_DIM);
  let row = index / all;
  if (row >= count.x) {
    return;
  }
  // A row without a slot is not kept.
  if (slots[row] < 0) {
    return;
  }
  let slot = u32(slots[row]);
  isKey = index % all < keyBlocks;
  width = select(VALUE_DIM, KEY_DIM, isKey);
  let blocks = blocksOf(width);
  let own = index % all - select(keyBlocks, 0u, isKey);
  let head = own / blocks;
  source = (row * KV_HEADS + head) * width;
  let line = (slot / PAGE_SIZE * KV_HEADS + head) * PAGE_SIZE + slot % PAGE_SIZE;
  let block = own % blocks;
  roundBlock(block * BLOCK, quantsAt(line, block, blocks), scaleAt(line, block, blocks));
}
