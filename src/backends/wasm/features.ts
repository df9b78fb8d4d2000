/**
 * What the WebAssembly engine can do, asked of it with the smallest modules that use the feature.
 *
 * @module
 */

/** Starts a module of one function that gives a v128. */
const HEAD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10];

/** Whether the engine has 128-bit SIMD: `i8x16.popcnt(i8x16.splat(0))`. */
export function hasSimd(): boolean {
  return WebAssembly.validate(new Uint8Array([...HEAD, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]));
}

/** Whether the engine has relaxed SIMD: `i8x16.relaxed_swizzle(i8x16.splat(1), i8x16.splat(2))`. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(
    new Uint8Array([...HEAD, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11]),
  );
}
