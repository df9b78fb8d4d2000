// writeKv: rows of keys and values to their slots in the paged caches [pages, kvHeads, pageSize, headDim]. An invocation
// writes one word of a cache: an F32, or two F16.
//! include lib/grid.wgsl

override KV_HEADS: u32 = 1u;
override PAGE_SIZE: u32 = 1u;
override KEY_DIM: u32 = 1u;
override VALUE_DIM: u32 = 1u;
override KEYS_HALF: u32 = 0u;
override VALUES_HALF: u32 = 0u;

@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> slots: array<i32>;
@group(0) @binding(4) var<storage, read_write> keyCache: array<u32>;
@group(0) @binding(5) var<storage, read_write> valueCache: array<u32>;

// Place in a cache of an element of a row, in elements.
fn cacheIndex(slot: u32, element: u32, headDim: u32) -> u32 {
  let page = slot / PAGE_SIZE;
  let line = (page * KV_HEADS + element / headDim) * PAGE_SIZE + slot % PAGE_SIZE;
  return line * headDim + element % headDim;
}

@compute @workgroup_size(64)
fn writeKv(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups) * 64u + lane;
  let keyWords = KV_HEADS * KEY_DIM >> KEYS_HALF;
  let words = keyWords + (KV_HEADS * VALUE_DIM >> VALUES_HALF);
  let row = index / words;
  if (row >= count.x) {
    return;
  }
  // A row without a slot is not kept.
  if (slots[row] < 0) {
    return;
  }
  let word = index % words;
  let slot = u32(slots[row]);
  if (word < keyWords) {
    let element = word << KEYS_HALF;
    let source = row * KV_HEADS * KEY_DIM + element;
    let place = cacheIndex(slot, element, KEY_DIM);
    if (KEYS_HALF == 1u) {
      keyCache[place / 2u] = pack2x16float(vec2(k[source], k[source + 1u]));
    } else {
      keyCache[place] = bitcast<u32>(k[source]);
    }
  } else {
    let element = (word - keyWords) << VALUES_HALF;
    let source = row * KV_HEADS * VALUE_DIM + element;
    let place = cacheIndex(slot, element, VALUE_DIM);
    if (VALUES_HALF == 1u) {
      valueCache[place / 2u] = pack2x16float(vec2(v[source], v[source + 1u]));
    } else {
      valueCache[place] = bitcast<u32>(v[source]);
    }
  }
}
