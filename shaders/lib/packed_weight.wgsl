// A packed weight [out, in] as words, in the layouts of src/backends/webgpu/weights.ts. Quantized ones are blocks of
// 32 along a row: all quants first, then, from word SCALES on, the scale of each block.

// Code of the dtype (src/tensor/dtype.ts).
override FORMAT: u32 = 0u;
const F32: u32 = 0u;
const F16: u32 = 1u;
const BF16: u32 = 2u;
const Q8_0: u32 = 6u;
const Q4_0: u32 = 7u;
const Q4_1: u32 = 8u;
const Q5_0: u32 = 9u;
const Q5_1: u32 = 10u;

// Input features: elements of a row.
override IN: u32 = 1u;
override SCALES: u32 = 0u;

@group(0) @binding(1) var<storage, read> weight: array<u32>;

// One element of a plain weight.
fn plainElement(index: u32) -> f32 {
  switch FORMAT {
    case F32: { return bitcast<f32>(weight[index]); }
    case F16: { return widenF16(halfOf(weight[index / 2u], index)); }
    default: { return widenBf16(halfOf(weight[index / 2u], index)); }
  }
}

// Scale and minimum of a block: an element is x·quant + y.
fn blockScale(block: u32) -> vec2<f32> {
  switch FORMAT {
    case Q8_0, Q4_0, Q5_0: {
      return vec2(widenF16Exactly(halfOf(weight[SCALES + block / 2u], block)), 0.0);
    }
    case Q4_1, Q5_1: {
      let pair = weight[SCALES + block];
      return vec2(widenF16Exactly(pair & 0xffffu), widenF16Exactly(pair >> 16u));
    }
    default: { return vec2(1.0, 0.0); }
  }
}

fn bytesOf(word: u32) -> vec4<u32> {
  return (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(0xffu);
}

// Byte j of a block holds element j in its low half and element j + 16 in its high one.
fn nibbles(block: u32, words: u32, quad: u32) -> vec4<u32> {
  return bytesOf((weight[block * words + (quad & 3u)] >> (quad & 4u)) & 0x0f0f0f0fu);
}

fn fifthBits(block: u32, quad: u32) -> vec4<u32> {
  let four = weight[block * 5u + 4u] >> (4u * quad);
  return ((vec4(four) >> vec4(0u, 1u, 2u, 3u)) & vec4(1u)) * 16u;
}

// Elements 4·quad … 4·quad + 3 of a block, before scale and minimum. For plain weights a block is 32 elements of a row
// whose length is a multiple of 4, and `first` is the index of its first element.
fn blockQuad(block: u32, first: u32, quad: u32) -> vec4<f32> {
  switch FORMAT {
    case F32: {
      let at = first + 4u * quad;
      return bitcast<vec4<f32>>(vec4(weight[at], weight[at + 1u], weight[at + 2u], weight[at + 3u]));
    }
    case F16: {
      let at = first / 2u + 2u * quad;
      return vec4(unpack2x16float(weight[at]), unpack2x16float(weight[at + 1u]));
    }
    case BF16: {
      let at = first / 2u + 2u * quad;
      let pairs = vec4(weight[at] << 16u, weight[at], weight[at + 1u] << 16u, weight[at + 1u]);
      return bitcast<vec4<f32>>(pairs & vec4(0xffff0000u));
    }
    case Q8_0: {
      let word = vec4(bitcast<i32>(weight[block * 8u + quad]));
      return vec4<f32>((word << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
    }
    case Q4_0: { return vec4<f32>(nibbles(block, 4u, quad)) - 8.0; }
    case Q4_1: { return vec4<f32>(nibbles(block, 4u, quad)); }
    case Q5_0: { return vec4<f32>(nibbles(block, 5u, quad) + fifthBits(block, quad)) - 16.0; }
    default: { return vec4<f32>(nibbles(block, 5u, quad) + fifthBits(block, quad)); }
  }
}
