// reduce, softmax and argmax: each works on lines along one axis, and a workgroup takes one line.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/fold.wgsl

// Elements of a line, unless lines run along the outermost dimension, which may be a step count.
override LENGTH: u32 = 1u;
// Distance between neighbours in a line: the product of the dimensions after the axis.
override INNER: u32 = 1u;
// Lines for each step row, or lines in all where they run along the rows.
override LINES: u32 = 1u;
override ALONG_ROWS: u32 = 0u;
// reduce: position in REDUCTIONS. softmax: 1 for its logarithm.
override KIND: u32 = 0u;
const SUM: u32 = 0u;
const MEAN: u32 = 1u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> positions: array<i32>;

fn lengthOf() -> u32 {
  return select(LENGTH, count.x, ALONG_ROWS == 1u);
}

fn lineCount() -> u32 {
  return select(count.x * LINES, LINES, ALONG_ROWS == 1u);
}

fn startOf(line: u32) -> u32 {
  return line / INNER * lengthOf() * INNER + line % INNER;
}

fn lineSum(lane: u32, start: u32) -> f32 {
  var sum = 0.0;
  for (var i = lane; i < lengthOf(); i += LANES) {
    sum += x[start + i * INNER];
  }
  return foldSum(lane, sum);
}

fn lineMax(lane: u32, start: u32) -> f32 {
  // Starting from an element of the line, not from a constant, is right for lines of -inf too.
  var largest = x[start];
  for (var i = lane; i < lengthOf(); i += LANES) {
    largest = largerOf(largest, x[start + i * INNER]);
  }
  return foldMax(lane, largest);
}

@compute @workgroup_size(64)
fn reduce(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let line = workgroupIndex(workgroup, workgroups);
  if (line >= lineCount()) {
    return;
  }
  var result = 0.0;
  switch KIND {
    case SUM: { result = lineSum(lane, startOf(line)); }
    case MEAN: { result = lineSum(lane, startOf(line)) / f32(lengthOf()); }
    default: { result = lineMax(lane, startOf(line)); }
  }
  if (lane == 0u) {
    out[line] = result;
  }
}

@compute @workgroup_size(64)
fn softmax(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let line = workgroupIndex(workgroup, workgroups);
  if (line >= lineCount()) {
    return;
  }
  let start = startOf(line);
  let largest = lineMax(lane, start);
  var sum = 0.0;
  for (var i = lane; i < lengthOf(); i += LANES) {
    sum += exp(x[start + i * INNER] - largest);
  }
  let total = foldSum(lane, sum);
  for (var i = lane; i < lengthOf(); i += LANES) {
    let at = start + i * INNER;
    if (KIND == 1u) {
      out[at] = x[at] - largest - log(total);
    } else {
      out[at] = exp(x[at] - largest) / total;
    }
  }
}

const NONE: u32 = 0xffffffffu;
var<workgroup> candidates: array<u32, LANES>;

// Whether the element at `a` comes before that at `b`: larger, or as large and earlier.
fn beats(start: u32, a: u32, b: u32) -> bool {
  if (a == NONE || b == NONE) {
    return b == NONE;
  }
  let left = x[start + a];
  let right = x[start + b];
  return left > right || (left == right && a < b);
}

@compute @workgroup_size(64)
fn argmax(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let line = workgroupIndex(workgroup, workgroups);
  if (line >= lineCount()) {
    return;
  }
  let start = startOf(line);
  var best = NONE;
  for (var i = lane; i < lengthOf(); i += LANES) {
    if (!isNan(x[start + i]) && beats(start, i, best)) {
      best = i;
    }
  }
  candidates[lane] = best;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half && beats(start, candidates[lane + half], candidates[lane])) {
      candidates[lane] = candidates[lane + half];
    }
  }
  if (lane == 0u) {
    // NONE is left where every element is NaN.
    positions[line] = select(i32(candidates[0]), 0, candidates[0] == NONE);
  }
}
