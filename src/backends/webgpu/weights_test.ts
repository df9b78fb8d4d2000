import { assertEquals } from "@std/assert";
import { quantize } from "../../tensor/quantize.ts";
import { packedLayout, splitBlocks } from "./weights.ts";

Deno.test("a quantized weight takes what its blocks take, up to a word", () => {
  assertEquals(packedLayout("q8_0", 96), { format: 6, scalesAt: 24, bytes: 3 * 34 });
  assertEquals(packedLayout("q4_0", 64), { format: 7, scalesAt: 8, bytes: 2 * 18 });
  assertEquals(packedLayout("q4_1", 64), { format: 8, scalesAt: 8, bytes: 2 * 20 });
  assertEquals(packedLayout("q5_1", 64), { format: 10, scalesAt: 10, bytes: 2 * 24 });
  assertEquals(packedLayout("bf16", 5), { format: 2, scalesAt: 0, bytes: 10 });
});

Deno.test("scales and quants of blocks are taken apart in order", () => {
  const blocks = quantize("q4_1", Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)));
  const { quants, scales } = splitBlocks("q4_1", blocks);
  assertEquals(scales, Uint8Array.of(...blocks.subarray(0, 4), ...blocks.subarray(20, 24)));
  assertEquals(quants, Uint8Array.of(...blocks.subarray(4, 20), ...blocks.subarray(24, 40)));
});

Deno.test("the fifth bits stand behind the quants of their block", () => {
  const block = quantize("q5_0", Float32Array.from({ length: 32 }, (_, i) => i - 16));
  const { quants } = splitBlocks("q5_0", block);
  assertEquals(quants, Uint8Array.of(...block.subarray(6), ...block.subarray(2, 6)));
});
