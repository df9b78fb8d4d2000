// Attention of one query over keys first … end - 1, online softmax. The file that includes this says where keys lie:
//   fn rowOf(key: u32, kvHead: u32) -> u32    row of the key and its value in `keys` and `values`
//   fn isVisible(key: u32) -> bool            whether the key may be read at all
// A workgroup takes one query of one head: a lane scores one key of a tile of 64, then sums one element (or a few) of
// the values. Tiles start at multiples of 64, so that the order of a sum depends on the keys' positions only.

//! include lib/q8_page.wgsl

override HEADS: u32 = 1u;
override KV_HEADS: u32 = 1u;
override HEAD_DIM: u32 = 1u;
override VALUE_DIM: u32 = 1u;
override SCALE: f32 = 1.0;
override SOFTCAP: f32 = 0.0;
override HAS_SLOPES: u32 = 0u;
// Whether keys and values are F16, two to a word, or F32; in Q8 are both or none.
override KEYS_HALF: u32 = 0u;
override VALUES_HALF: u32 = 0u;
override IS_Q8: u32 = 0u;

// Elements of a value that a lane sums: VALUE_DIM is at most 64 times as many.
const MAX_OWNED: u32 = 8u;
const LOWEST: f32 = -3.4028234e38;

@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<u32>;
@group(0) @binding(4) var<storage, read> slopes: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> shares: array<f32, LANES>;

fn keyElement(index: u32) -> f32 {
  if (KEYS_HALF == 1u) {
    return widenF16(halfOf(keys[index / 2u], index));
  }
  return bitcast<f32>(keys[index]);
}

fn q8Value(row: u32, channel: u32) -> f32 {
  let block = channel / BLOCK;
  let blocks = blocksOf(VALUE_DIM);
  let word = values[quantsAt(row, block, blocks) + channel % BLOCK / 4u];
  let scale = scaleAt(row, block, blocks);
  return widenF16Exactly(halfOf(values[scale / 2u], scale)) * quantOf(word, channel);
}

fn valueElement(row: u32, channel: u32) -> f32 {
  if (IS_Q8 == 1u) {
    return q8Value(row, channel);
  }
  let index = row * VALUE_DIM + channel;
  if (VALUES_HALF == 1u) {
    return widenF16(halfOf(values[index / 2u], index));
  }
  return bitcast<f32>(values[index]);
}

fn q8Product(row: u32, queryAt: u32) -> f32 {
  let blocks = blocksOf(HEAD_DIM);
  var sum = 0.0;
  for (var block = 0u; block < blocks; block++) {
    let quants = quantsAt(row, block, blocks);
    let queries = queryAt + block * BLOCK;
    var part = 0.0;
    for (var d = 0u; d < min(BLOCK, HEAD_DIM - block * BLOCK); d++) {
      part = fma(q[queries + d], quantOf(keys[quants + d / 4u], d), part);
    }
    let scale = scaleAt(row, block, blocks);
    sum = fma(widenF16Exactly(halfOf(keys[scale / 2u], scale)), part, sum);
  }
  return sum;
}

// The query times the key in that row.
fn productOf(row: u32, queryAt: u32) -> f32 {
  if (IS_Q8 == 1u) {
    return q8Product(row, queryAt);
  }
  var sum = 0.0;
  for (var d = 0u; d < HEAD_DIM; d++) {
    sum = fma(q[queryAt + d], keyElement(row * HEAD_DIM + d), sum);
  }
  return sum;
}

fn scoreOf(key: u32, head: u32, queryAt: u32, ownKey: u32) -> f32 {
  var score = productOf(rowOf(key, head * KV_HEADS / HEADS), queryAt) * SCALE;
  if (SOFTCAP > 0.0) {
    score = SOFTCAP * tanhOf(score / SOFTCAP);
  }
  if (HAS_SLOPES == 1u) {
    score += slopes[head] * (f32(key) - f32(ownKey));
  }
  return score;
}

// queryAt and resultAt are in elements; ownKey is the position of the query itself among the keys.
fn attend(lane: u32, head: u32, queryAt: u32, resultAt: u32, first: u32, end: u32, ownKey: u32) {
  var largest = LOWEST;
  var total = 0.0;
  var owned: array<f32, MAX_OWNED>;
  for (var tile = first / LANES * LANES; tile < end; tile += LANES) {
    let key = tile + lane;
    var score = LOWEST;
    var isSeen = false;
    if (key >= first && key < end) {
      isSeen = isVisible(key);
    }
    if (isSeen) {
      score = scoreOf(key, head, queryAt, ownKey);
    }
    let larger = largerOf(largest, foldMax(lane, score));
    let shrink = exp(largest - larger);
    largest = larger;
    let share = select(0.0, exp(score - larger), isSeen);
    shares[lane] = share;
    total = total * shrink + foldSum(lane, share);
    for (var i = 0u; i < MAX_OWNED; i++) {
      owned[i] *= shrink;
    }
    for (var j = 0u; j < min(LANES, end - tile); j++) {
      // What is not seen is not read either: its page may be gone.
      if (shares[j] != 0.0) {
        let row = rowOf(tile + j, head * KV_HEADS / HEADS);
        for (var i = 0u; i < MAX_OWNED; i++) {
          let d = i * LANES + lane;
          if (d < VALUE_DIM) {
            owned[i] = fma(shares[j], valueElement(row, d), owned[i]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < MAX_OWNED; i++) {
    let d = i * LANES + lane;
    if (d < VALUE_DIM) {
      // A query that sees no key gives zeros.
      out[resultAt + d] = select(owned[i] / total, 0.0, total == 0.0);
    }
  }
}
