/**
 * Where to cut a row by its keys, without sorting it: a radix selection, linear in the length whatever the keys are.
 *
 * @module
 */

/** What stays: everything whose key is above `key`, and the first `ties` of those equal to it. */
export interface Cut {
  /** The key at the cut. */
  readonly key: number;
  /** How many of that key stay, in order of their indices. */
  readonly ties: number;
}

/** The first look puts keys into buckets of this width, by their distance from the highest key. */
const WIDTH = 1 / 64;
const BUCKETS = 2 ** 12;
/** After that the 32 bits of a key are looked at in three digits, highest first. */
const DIGITS = [{ shift: 21, mask: 2 ** 11 - 1 }, { shift: 10, mask: 2 ** 11 - 1 }, {
  shift: 0,
  mask: 2 ** 10 - 1,
}];
/** The bits of -0. */
const NEGATIVE_ZERO = -0x80000000;
const sums = new Float64Array(BUCKETS);
const counts = new Uint32Array(BUCKETS);
/** Indices of the keys that are still in question. All cuts share the room. */
let members = new Uint32Array();

/**
 * The cut after which the elements of the highest keys have shares that first sum to at least `target`; at least one
 * element stays. Every element has a share of 1 where there are no `shares`. `highest` is the highest key; keys must
 * not be NaN.
 */
export function cutAt(
  keys: Float32Array,
  length: number,
  highest: number,
  target: number,
  shares?: Float64Array,
): Cut {
  // So that the distance of an infinite key is a number.
  const top = Math.min(highest, Number.MAX_VALUE);
  countAll(keys, length, top, shares);
  const first = lastBucket(target, BUCKETS);
  let rest = target - first.before;
  let size = gather(keys, length, top, first.bucket);
  const bits = new Int32Array(keys.buffer, keys.byteOffset, length);
  for (const { shift, mask } of DIGITS) {
    if (size === 1) break;
    const digit = (i: number): number => mask - ((ordered(bits[i]) >>> shift) & mask);
    countMembers(size, digit, shares);
    const { bucket, before } = lastBucket(rest, mask + 1);
    rest -= before;
    let left = 0;
    for (let at = 0; at < size; at++) if (digit(members[at]) === bucket) members[left++] = members[at];
    size = left;
  }
  let ties = 0;
  for (; ties < size && (ties === 0 || rest > 0); ties++) {
    rest -= shares ? shares[members[ties]] : 1;
  }
  return { key: keys[members[0]], ties };
}

/** The bits of a float as an unsigned number in the order of the floats; -0 is 0. */
function ordered(bits: number): number {
  return bits === NEGATIVE_ZERO ? 0x80000000 : (bits ^ ((bits >> 31) | 0x80000000)) >>> 0;
}

/** Bucket of a key: that of distance 0 first. */
function bucketOf(key: number, highest: number): number {
  return Math.min((highest - key) * (1 / WIDTH), BUCKETS - 1) | 0;
}

function countAll(keys: Float32Array, length: number, highest: number, shares?: Float64Array): void {
  counts.fill(0);
  if (!shares) {
    for (let i = 0; i < length; i++) counts[bucketOf(keys[i], highest)]++;
    sums.set(counts);
    return;
  }
  sums.fill(0);
  for (let i = 0; i < length; i++) {
    const bucket = bucketOf(keys[i], highest);
    counts[bucket]++;
    sums[bucket] += shares[i];
  }
}

function countMembers(size: number, digit: (i: number) => number, shares?: Float64Array): void {
  counts.fill(0);
  sums.fill(0);
  for (let at = 0; at < size; at++) {
    const i = members[at];
    const bucket = digit(i);
    counts[bucket]++;
    sums[bucket] += shares ? shares[i] : 1;
  }
}

/**
 * The bucket in which the running sum reaches the target, and the sum of those before it. Where none does, because of
 * rounding or of a target above the whole, it is the last that is not empty.
 */
function lastBucket(target: number, buckets: number): { bucket: number; before: number } {
  let bucket = -1;
  let before = 0;
  let sum = 0;
  for (let at = 0; at < buckets && (bucket < 0 || sum < target); at++) {
    if (counts[at] === 0) continue;
    bucket = at;
    before = sum;
    sum += sums[at];
  }
  return { bucket, before };
}

/** Writes the indices of the keys in a bucket to `members`; gives their number. */
function gather(keys: Float32Array, length: number, highest: number, bucket: number): number {
  const size = counts[bucket];
  // One more, for the writes behind the last.
  if (members.length <= size) members = new Uint32Array(length + 1);
  const from = bucket === 0 ? -Infinity : bucket;
  // No distance is beyond the last bucket, not even an infinite one.
  const to = bucket === BUCKETS - 1 ? NaN : bucket + 1;
  for (let i = 0, n = 0; n < size && i < length; i++) {
    const distance = (highest - keys[i]) * (1 / WIDTH);
    members[n] = i;
    // No branch: which ones are in the bucket is hard to foretell for a processor.
    n += Number(distance >= from) - Number(distance >= to);
  }
  return size;
}
