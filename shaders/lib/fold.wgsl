// Sums and maxima over the 64 lanes of a workgroup, always in the same tree: the order of a sum is fixed.
// workgroupUniformLoad waits before and after, so that `lanes` is free again once a fold returns.

const LANES: u32 = 64u;
var<workgroup> lanes: array<f32, LANES>;

fn foldSum(lane: u32, value: f32) -> f32 {
  lanes[lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      lanes[lane] += lanes[lane + half];
    }
  }
  return workgroupUniformLoad(&lanes[0]);
}

// NaN wins, as in PyTorch.
fn largerOf(a: f32, b: f32) -> f32 {
  return select(b, a, a > b || isNan(a));
}

fn foldMax(lane: u32, value: f32) -> f32 {
  lanes[lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      lanes[lane] = largerOf(lanes[lane], lanes[lane + half]);
    }
  }
  return workgroupUniformLoad(&lanes[0]);
}
