import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { InvalidFileError, LLMForgeError, UnknownDTypeError } from "../errors.ts";
import { assembleSafetensors, buildSafetensors } from "../../tests/support/build_safetensors.ts";
import { QUANTIZED_KEY, readSafetensors, type SafetensorsContent } from "./safetensors.ts";
import { openSource } from "./source.ts";

const read = async (bytes: Uint8Array): Promise<SafetensorsContent> =>
  await readSafetensors(await openSource(bytes));

const SMALL = buildSafetensors({
  "a.weight": { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  "b": { dtype: "BF16", shape: [2], data: Float32Array.of(1, -2) },
  "c": { dtype: "F16", shape: [], data: Float32Array.of(0.5) },
}, { format: "pt" });

Deno.test("reads tensors and metadata", async () => {
  const { tensors, metadata } = await read(SMALL);
  assertEquals({ ...metadata }, { format: "pt" });
  assertEquals(
    [...tensors.values()].map(({ name, dtype, shape, byteLength }) => ({ name, dtype, shape, byteLength })),
    [
      { name: "a.weight", dtype: "f32", shape: [2, 3], byteLength: 24 },
      { name: "b", dtype: "bf16", shape: [2], byteLength: 4 },
      { name: "c", dtype: "f16", shape: [], byteLength: 2 },
    ],
  );
  const { source, offset, byteLength } = tensors.get("a.weight")!;
  assertEquals(
    new Float32Array((await source.read(offset, byteLength)).slice().buffer),
    Float32Array.of(1, 2, 3, 4, 5, 6),
  );
});

Deno.test("holes between tensors are allowed, and integers are read", async () => {
  const header = JSON.stringify({
    x: { dtype: "I32", shape: [1], data_offsets: [8, 12] },
    y: { dtype: "U8", shape: [3], data_offsets: [0, 3] },
    z: { dtype: "I8", shape: [1], data_offsets: [20, 21] },
  });
  const { tensors } = await read(assembleSafetensors(header, new Uint8Array(21)));
  assertEquals([...tensors.values()].map((t) => t.dtype), ["i32", "u8", "i8"]);
});

Deno.test("a buffer that no model reads does not need a dtype that can be read", async () => {
  const header = JSON.stringify({
    "embeddings.position_ids": { dtype: "BOOL", shape: [1, 16], data_offsets: [0, 16] },
    w: { dtype: "F32", shape: [1], data_offsets: [16, 20] },
  });
  assertEquals([...(await read(assembleSafetensors(header, new Uint8Array(20)))).tensors.keys()], ["w"]);
  await assertRejects(
    () => read(assembleSafetensors(header, new Uint8Array(19))),
    InvalidFileError,
    "truncated",
  );
});

Deno.test("names a dtype that cannot be read", async () => {
  for (const dtype of ["BOOL", "F8_E4M3", "f32", "toString", "__proto__"]) {
    const header = JSON.stringify({ w: { dtype, shape: [1], data_offsets: [0, 8] } });
    const error = await assertRejects(
      () => read(assembleSafetensors(header, new Uint8Array(8))),
      UnknownDTypeError,
      '<bytes>, tensor "w",',
    );
    assertEquals(error.dtype, dtype);
  }
});

Deno.test("blocks of a dtype that no weight has are refused by name", async () => {
  for (const dtype of ["q16", "q9"]) {
    const bytes = buildSafetensors(
      { w: { dtype: "U8", shape: [1, 132], data: new Uint8Array(132) } },
      { [QUANTIZED_KEY]: JSON.stringify({ w: dtype }) },
    );
    const error = await assertRejects(() => read(bytes), UnknownDTypeError);
    assertEquals(error.dtype, dtype);
  }
});

/** A file with the one tensor `w`, an F32 of one element but for what `entry` changes, and 64 bytes of data. */
const one = (entry: Record<string, unknown>) =>
  assembleSafetensors(
    JSON.stringify({ w: { dtype: "F32", shape: [1], data_offsets: [0, 4], ...entry } }),
    new Uint8Array(64),
  );

const entry = (start: number, end: number) => ({
  dtype: "U8",
  shape: [end - start],
  data_offsets: [start, end],
});

/** What is wrong, the file, and what the error says. */
const DAMAGED: readonly [string, Uint8Array, string][] = [
  ["an empty file", new Uint8Array(), "truncated"],
  ["a file of 7 bytes", new Uint8Array(7), "truncated"],
  ["a header longer than the file", assembleSafetensors("{}", undefined, 3), "its header ends at byte 11"],
  [
    "a header of 100,000,001 bytes",
    assembleSafetensors("{}", undefined, 100_000_001),
    "is more than 100000000",
  ],
  ["a header of 2^63 bytes", assembleSafetensors("{}", undefined, 2n ** 63n), "9223372036854775808 bytes"],
  ["an empty header", assembleSafetensors(""), "not JSON"],
  ["JSON that ends early", assembleSafetensors('{"w":{"dtype"'), "not JSON"],
  ["JSON that is an array", assembleSafetensors("[]"), "the JSON is not an object"],
  ["JSON that is null", assembleSafetensors("null"), "the JSON is not an object"],
  ["JSON nested very deep", assembleSafetensors("[".repeat(1e5)), "not JSON"],
  ["broken UTF-8", assembleSafetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), "not UTF-8"],
  ["an entry that is no object", assembleSafetensors('{"w":1}'), "entry is not an object"],
  ["metadata that is no object", assembleSafetensors('{"__metadata__":[]}'), "metadata is not an object"],
  ["metadata that is no text", assembleSafetensors('{"__metadata__":{"a":1}}'), '"a" is not text'],
  ["no dtype", one({ dtype: undefined }), "no dtype"],
  ["no shape", one({ shape: 1 }), "no shape"],
  ["no offsets", one({ data_offsets: undefined }), "are not a start and an end"],
  ["three offsets", one({ data_offsets: [0, 4, 8] }), "are not a start and an end"],
  ["offsets that run backwards", one({ data_offsets: [8, 4] }), "are not a start and an end"],
  ["offsets below zero", one({ data_offsets: [-4, 0] }), "are not a start and an end"],
  ["offsets with a fraction", one({ data_offsets: [0.5, 4.5] }), "are not a start and an end"],
  ["offsets as text", one({ data_offsets: ["0", "4"] }), "are not a start and an end"],
  ["offsets that do not fit the shape", one({ data_offsets: [0, 8] }), "span 8 bytes and F32 [1] takes 4"],
  ["offsets beyond the file", one({ data_offsets: [64, 68] }), "truncated"],
  ["offsets far beyond the file", one({ data_offsets: [2 ** 50, 2 ** 50 + 4] }), "truncated"],
  ["dimension 0", one({ shape: [0], data_offsets: [0, 0] }), "dimension 0 is not a positive integer"],
  ["dimension -1", one({ shape: [-1] }), "dimension -1 is not a positive integer"],
  ["dimension 1.5", one({ shape: [1.5] }), "dimension 1.5 is not a positive integer"],
  ["a dimension as text", one({ shape: ["1"] }), 'dimension "1" is not a positive integer'],
  ["too many elements", one({ shape: [2 ** 40, 2 ** 40] }), "more elements than any file holds"],
  ["9 dimensions", one({ shape: Array(9).fill(1) }), "9 dimensions are more than 8"],
  [
    "overlapping tensors",
    assembleSafetensors(JSON.stringify({ a: entry(0, 8), b: entry(7, 9) }), new Uint8Array(9)),
    'overlaps "a"',
  ],
  [
    "a tensor inside another",
    assembleSafetensors(
      JSON.stringify({ a: entry(0, 9), b: entry(2, 4), c: entry(4, 6) }),
      new Uint8Array(9),
    ),
    'overlaps "a"',
  ],
  [
    "a name twice",
    assembleSafetensors(
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
      new Uint8Array(2),
    ),
    '"a" at byte 8: the tensor occurs twice',
  ],
];

for (const [what, bytes, message] of DAMAGED) {
  Deno.test(`refuses ${what}`, async () => {
    assertEquals((await assertRejects(() => read(bytes), InvalidFileError, message)).file, "<bytes>");
  });
}

Deno.test("names that look like JSON are names", async () => {
  const odd = ['}{":', "\\", '"', "a:b", "{"];
  const header = JSON.stringify(Object.fromEntries(odd.map((name, i) => [name, entry(i, i + 1)])));
  assertEquals(
    [...(await read(assembleSafetensors(header, new Uint8Array(odd.length)))).tensors.keys()],
    odd,
  );
});

Deno.test("a file cut off at any byte is refused", async () => {
  for (let length = 0; length < SMALL.length; length++) {
    await assertRejects(() => read(SMALL.slice(0, length)), InvalidFileError, "truncated");
  }
});

Deno.test("a damaged file gives a typed error or a file that can be read", async () => {
  const mutation = fc.record({ at: fc.nat(SMALL.length - 1), value: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      const bytes = SMALL.slice();
      for (const { at, value } of mutations) bytes[at] = value;
      try {
        const { tensors } = await read(bytes);
        for (const { source, offset, byteLength } of tensors.values()) {
          assert((await source.read(offset, byteLength)).length === byteLength);
        }
      } catch (error) {
        if (!(error instanceof LLMForgeError)) throw error;
      }
    }),
    { seed: 4, numRuns: 2000 },
  );
});
