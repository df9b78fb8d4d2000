// Rounding of blocks of 32 to Q8, into pages of lib/q8_page.wgsl. The file that includes this says what is rounded, and
// where to:
//   fn channelOf(channel: u32) -> f32            a number; 0 behind the last
//   fn storeQuants(word: u32, quants: u32)
//   fn storeScale(half: u32, scale: u32)         the other half of the word belongs to another invocation

// F16 bits of a number that is not negative, to nearest, half to even; pack2x16float may round either way.
fn narrowScale(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if (bits < 0x38800000u) {
    // Subnormal halves are multiples of 2^-24.
    return u32(round(x * 16777216.0));
  }
  return min(((bits + 0xfffu + ((bits >> 13u) & 1u)) >> 13u) - 0x1c000u, 0x7c00u);
}

// A scale is the greatest magnitude / 127, a quant x / scale, half away from zero.
fn roundBlock(first: u32, quants: u32, scale: u32) {
  var greatest = 0.0;
  for (var i = 0u; i < BLOCK; i++) {
    let magnitude = abs(channelOf(first + i));
    if (magnitude > greatest) {
      greatest = magnitude;
    }
  }
  let step = greatest / 127.0;
  let inverse = select(1.0 / step, 0.0, step == 0.0);
  storeScale(scale, narrowScale(step));
  for (var word = 0u; word < 8u; word++) {
    var packed = 0u;
    for (var i = 0u; i < 4u; i++) {
      let x = channelOf(first + 4u * word + i) * inverse;
      let quant = i32(sign(x) * floor(abs(x) + 0.5));
      packed |= (bitcast<u32>(quant) & 0xffu) << (8u * i);
    }
    storeQuants(quants + word, packed);
  }
}
