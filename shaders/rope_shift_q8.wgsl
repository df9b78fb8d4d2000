// ropeShift of keys in Q8 (lib/q8_page.wgsl). A workgroup turns one key: its lanes turn channels, then round blocks.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/q8_page.wgsl
//! include lib/q8_write.wgsl

// Rotated pairs of a key.
override PAIRS: u32 = 1u;
// In whole blocks, MAX_HEAD_DIM at most.
override HEAD_DIM: u32 = 32u;
// Keys of a page, of all heads.
override KEYS: u32 = 1u;
override INTERLEAVED: u32 = 0u;

const MAX_HEAD_DIM: u32 = 512u;

// [rows, 2·PAIRS], cosines first.
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> pages: array<i32>;
// Atomic, because two scales share a word.
@group(0) @binding(3) var<storage, read_write> keys: array<atomic<u32>>;

var<workgroup> key: array<f32, MAX_HEAD_DIM>;

fn channelOf(channel: u32) -> f32 {
  return key[channel];
}

fn storeQuants(word: u32, quants: u32) {
  atomicStore(&keys[word], quants);
}

fn storeScale(half: u32, scale: u32) {
  let shift = 16u * (half & 1u);
  atomicAnd(&keys[half / 2u], 0xffff0000u >> shift);
  atomicOr(&keys[half / 2u], scale << shift);
}

fn kept(line: u32, channel: u32) -> f32 {
  let block = channel / BLOCK;
  let blocks = blocksOf(HEAD_DIM);
  let quants = atomicLoad(&keys[quantsAt(line, block, blocks) + channel % BLOCK / 4u]);
  let half = scaleAt(line, block, blocks);
  return widenF16Exactly(halfOf(atomicLoad(&keys[half / 2u]), half)) * quantOf(quants, channel);
}

@compute @workgroup_size(64)
fn ropeShiftQ8(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups);
  let row = index / KEYS;
  if (row >= count.x) {
    return;
  }
  // A row without a page turns nothing.
  if (pages[row] < 0) {
    return;
  }
  let line = u32(pages[row]) * KEYS + index % KEYS;
  for (var pair = lane; pair < PAIRS; pair += 64u) {
    let first = select(pair, 2u * pair, INTERLEAVED == 1u);
    let second = first + select(PAIRS, 1u, INTERLEAVED == 1u);
    let cosine = table[row * 2u * PAIRS + pair];
    let sine = table[row * 2u * PAIRS + PAIRS + pair];
    let a = kept(line, first);
    let b = kept(line, second);
    key[first] = a * cosine - b * sine;
    key[second] = b * cosine + a * sine;
  }
  for (var channel = 2u * PAIRS + lane; channel < HEAD_DIM; channel += 64u) {
    key[channel] = kept(line, channel);
  }
  workgroupBarrier();
  let blocks = blocksOf(HEAD_DIM);
  if (lane < blocks) {
    roundBlock(lane * BLOCK, quantsAt(line, lane, blocks), scaleAt(line, lane, blocks));
  }
}
