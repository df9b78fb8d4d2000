// ropeShift: turns the keys of whole pages of a cache [pages, kvHeads, pageSize, headDim]. An invocation turns one key, all
// of it, because two F16 share a word and need not be of one pair.
//! include lib/grid.wgsl

// Rotated pairs of a key.
override PAIRS: u32 = 1u;
override HEAD_DIM: u32 = 2u;
// Keys of a page, of all heads.
override KEYS: u32 = 1u;
override INTERLEAVED: u32 = 0u;
override HALF: u32 = 0u;

// [rows, 2·PAIRS], cosines first.
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> pages: array<i32>;
@group(0) @binding(3) var<storage, read_write> keys: array<u32>;

fn element(index: u32) -> f32 {
  if (HALF == 0u) {
    return bitcast<f32>(keys[index]);
  }
  let word = unpack2x16float(keys[index / 2u]);
  return select(word.x, word.y, index % 2u == 1u);
}

fn setElement(index: u32, value: f32) {
  if (HALF == 0u) {
    keys[index] = bitcast<u32>(value);
    return;
  }
  let bits = pack2x16float(vec2(value, 0.0)) & 0xffffu;
  let word = keys[index / 2u];
  keys[index / 2u] = select((word & 0xffff0000u) | bits, (word & 0xffffu) | (bits << 16u), index % 2u == 1u);
}

@compute @workgroup_size(64)
fn ropeShift(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  let row = index / KEYS;
  if (row >= count.x) {
    return;
  }
  // A row without a page turns nothing.
  if (pages[row] < 0) {
    return;
  }
  let key = (u32(pages[row]) * KEYS + index % KEYS) * HEAD_DIM;
  for (var pair = 0u; pair < PAIRS; pair++) {
    let first = key + select(pair, 2u * pair, INTERLEAVED == 1u);
    let second = first + select(PAIRS, 1u, INTERLEAVED == 1u);
    let cosine = table[row * 2u * PAIRS + pair];
    let sine = table[row * 2u * PAIRS + PAIRS + pair];
    let a = element(first);
    let b = element(second);
    setElement(first, a * cosine - b * sine);
    setElement(second, b * cosine + a * sine);
  }
}
