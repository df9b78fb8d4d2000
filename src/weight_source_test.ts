import { assertEquals, assertThrows } from "@std/assert";
import { DTypeError } from "./errors.ts";
import type { TensorInfo } from "./formats/model_file.ts";
import { memorySource } from "./formats/source_memory.ts";
import type { WeightPlace } from "./models/architecture.ts";
import { byteLength, type DType } from "./tensor/dtype.ts";
import { elementCount } from "./tensor/shape.ts";
import { weightSource } from "./weight_source.ts";

/** A tensor whose every byte tells where it stands, at an odd place in its file. */
function tensor(name: string, dtype: DType, shape: readonly number[]): TensorInfo {
  const length = byteLength(dtype, elementCount(shape));
  const bytes = Uint8Array.from({ length: length + 3 }, (_, i) => (i * 7 + name.length) % 251);
  return { name, dtype, shape, byteLength: length, offset: 3, source: memorySource([bytes], name) };
}

function rowsOf({ source, offset, byteLength: length }: TensorInfo, rows: number): Promise<Uint8Array[]> {
  const size = length / rows;
  return Promise.all(Array.from({ length: rows }, (_, i) => source.read(offset + i * size, size)));
}

const concat = (parts: readonly Uint8Array[]): number[] => parts.flatMap((part) => [...part]);

/** Every byte, read in pieces of several lengths, at once where the source can. */
async function check(place: WeightPlace, tensors: readonly TensorInfo[], expected: readonly number[]) {
  for (const blockBytes of [1, 40, 1 << 20]) {
    const source = weightSource(place, tensors, blockBytes);
    assertEquals(source.byteLength, expected.length);
    for (const length of [1, 6, 17, expected.length]) {
      for (let at = 0; at < expected.length; at += length) {
        const piece = expected.slice(at, at + length);
        assertEquals([...await source.read(at, piece.length)], piece);
        const into = new Uint8Array(piece.length);
        source.readSync?.(at, into);
        if (source.readSync) assertEquals([...into], piece);
      }
    }
  }
}

Deno.test("a tensor as it is", async () => {
  const whole = tensor("whole", "q8_0", [4, 32]);
  await check({ tensors: ["whole"], shape: [4, 32] }, [whole], concat(await rowsOf(whole, 4)));
});

Deno.test("rows are cut out of a fused tensor, a bias too", async () => {
  const rows = { offset: 1, length: 2, stride: 4, count: 3 };
  for (
    const fused of [
      tensor("matrix", "f16", [12, 5]),
      tensor("quants", "q4_0", [12, 64]),
      tensor("bias", "f32", [12]),
    ]
  ) {
    const all = await rowsOf(fused, 12);
    const wanted = [1, 2, 5, 6, 9, 10].map((row) => all[row]);
    await check({ tensors: [fused.name], shape: fused.shape, rows }, [fused], concat(wanted));
  }
});

Deno.test("tensors follow one another", async () => {
  const experts = ["a", "ab", "abc"].map((name) => tensor(name, "f32", [3, 2]));
  const all = await Promise.all(experts.map((expert) => rowsOf(expert, 3)));
  await check({ tensors: ["a", "ab", "abc"], shape: [3, 2] }, experts, concat(all.flat()));
});

Deno.test("a matrix is turned, whole and in blocks, and rows are cut out of it", async () => {
  const stored = tensor("turned", "f16", [5, 9]);
  const all = await rowsOf(stored, 5);
  const column = (i: number): Uint8Array =>
    Uint8Array.from(all.flatMap((row) => [row[2 * i], row[2 * i + 1]]));
  const place = { tensors: ["turned"], shape: [5, 9], transposed: true };
  await check(place, [stored], concat([...Array(9).keys()].map(column)));
  const rows = { offset: 3, length: 3, stride: 9, count: 1 };
  await check({ ...place, rows }, [stored], concat([3, 4, 5].map(column)));
});

Deno.test("quantized matrices cannot be turned", () => {
  const place = { tensors: ["q"], shape: [32, 32], transposed: true };
  assertThrows(() => weightSource(place, [tensor("q", "q8_0", [32, 32])]), DTypeError, "convert");
});
