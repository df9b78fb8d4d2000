// What is run once at start-up and compared with the known result: a count from a uniform, an override, a fold over the
// workgroup, and both 16-bit floats.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/fold.wgsl

override FACTOR: f32 = 1.0;

@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn knownAnswer(@builtin(local_invocation_index) lane: u32) {
  let sum = foldSum(lane, f32(lane) * FACTOR);
  let largest = foldMax(lane, f32(words[lane] & 0xffu));
  if (lane >= count.x) {
    return;
  }
  switch lane {
    case 0u: { out[lane] = sum; }
    case 1u: { out[lane] = largest; }
    case 2u: { out[lane] = widenF16(halfOf(words[0], 1u)); }
    case 3u: { out[lane] = widenBf16(halfOf(words[1], 1u)); }
    case 4u: { out[lane] = tanhOf(FACTOR); }
    default: { out[lane] = f32(words[lane] & 0xffu); }
  }
}
