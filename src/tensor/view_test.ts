import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DTypeError, OutOfBoundsError, ShapeError } from "../errors.ts";
import { quantize } from "./quantize.ts";
import { elementCount } from "./shape.ts";
import {
  copyView,
  elementOffsets,
  inBlocks,
  isContiguous,
  permuteView,
  sliceView,
  transposeView,
  wholeView,
} from "./view.ts";

Deno.test("permute and transpose move strides, not elements", () => {
  const view = permuteView(wholeView([2, 3, 4]), [2, 0, -2]);
  assertEquals(view, { shape: [4, 2, 3], strides: [1, 12, 4], offset: 0 });
  assertEquals(transposeView(wholeView([2, 3, 4]), -1, 0).strides, [1, 4, 12]);
  assertEquals(transposeView(wholeView([2, 3]), 1, 1).strides, [3, 1]);
});

Deno.test("a permutation names each dimension once", () => {
  assertThrows(() => permuteView(wholeView([2, 3, 4]), [0, 0, 1]), ShapeError);
  assertThrows(() => permuteView(wholeView([2, 3, 4]), [0, 1]), ShapeError);
  assertThrows(() => permuteView(wholeView([2, 3, 4]), [0, 1, 3]), OutOfBoundsError);
});

Deno.test("slices have bounds and steps", () => {
  const view = sliceView(wholeView([5, 7]), [[1, 4], [0, 7, 3]]);
  assertEquals(view, { shape: [3, 3], strides: [7, 3], offset: 7 });
  assertEquals([...elementOffsets(view)], [7, 10, 13, 14, 17, 20, 21, 24, 27]);
  assertEquals(sliceView(wholeView([5, 7]), [undefined, [7, 7]]).shape, [5, 0]);
  for (const range of [[-1, 2], [0, 6], [3, 2], [0, 5, 0], [0.5, 2]] as const) {
    assertThrows(() => sliceView(wholeView([5, 7]), [range]), OutOfBoundsError);
  }
  assertThrows(() => sliceView(wholeView([5]), [undefined, [0, 1]]), ShapeError);
});

Deno.test("a slice of the outermost rows is contiguous, a column is not", () => {
  assertEquals(isContiguous(sliceView(wholeView([5, 7]), [[2, 4]])), true);
  assertEquals(isContiguous(sliceView(wholeView([5, 7]), [undefined, [2, 4]])), false);
  assertEquals(isContiguous(permuteView(wholeView([1, 7]), [1, 0])), true);
  assertEquals(isContiguous(permuteView(wholeView([0, 7]), [1, 0])), true);
});

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });

Deno.test("law: a permutation and its inverse give the elements in order", () => {
  const permuted = shapes.chain((shape) =>
    fc.tuple(fc.constant(shape), fc.shuffledSubarray(shape.map((_, i) => i), { minLength: shape.length }))
  );
  fc.assert(fc.property(permuted, ([shape, dims]) => {
    const inverse = dims.map((_, axis) => dims.indexOf(axis));
    const back = permuteView(permuteView(wholeView(shape), dims), inverse);
    assertEquals(back, wholeView(shape));
    const seen = [...elementOffsets(permuteView(wholeView(shape), dims))].sort((a, b) => a - b);
    assertEquals(seen, Array.from({ length: elementCount(shape) }, (_, i) => i));
  }));
});

Deno.test("a view of whole blocks is copied, one that cuts them is refused", () => {
  const values = Float32Array.from({ length: 4 * 64 }, (_, i) => i / 64);
  const bytes = quantize("q8_0", values);
  const rows = sliceView(wholeView([4, 64]), [[0, 4, 2], [32, 64]]);
  assertEquals(inBlocks("q8_0", rows), { shape: [2, 1], strides: [4, 1], offset: 1 });
  const wanted = [1, 5].flatMap((block) => [...bytes.subarray(block * 34, (block + 1) * 34)]);
  assertEquals([...copyView("q8_0", bytes, rows)], wanted);
  for (
    const cut of [
      transposeView(wholeView([4, 64]), 0, 1),
      sliceView(wholeView([4, 64]), [undefined, [16, 48]]),
      sliceView(wholeView([4, 64]), [undefined, [0, 64, 2]]),
      sliceView(wholeView([4, 64]), [undefined, [0, 16]]),
    ]
  ) assertThrows(() => copyView("q8_0", bytes, cut), DTypeError);
});
