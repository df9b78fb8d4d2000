import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidFileError, LLMForgeError, UnknownDTypeError } from "../errors.ts";
import { buildGguf, type GgufArray, type GgufOptions } from "../../tests/support/build_gguf.ts";
import { ByteWriter } from "./byte_writer.ts";
import { dequantize } from "../tensor/quantize.ts";
import type { ByteSource } from "./byte_source.ts";
import { openGguf } from "./gguf.ts";
import type { ModelFile } from "./model_file.ts";
import { openSource } from "./source.ts";

const open = async (bytes: Uint8Array): Promise<ModelFile> => await openGguf(await openSource(bytes));

const ramp = (n: number) => Float32Array.from({ length: n }, (_, i) => i - n / 2);

/** A small file with something of everything. */
const SMALL: GgufOptions = {
  metadata: {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "tokenizer.ggml.tokens": ["<s>", "Ġa", "b"],
    "tokenizer.ggml.scores": [0.5, -1.5, 2.25],
  },
  tensors: [
    { name: "norm", dtype: "f32", shape: [4], data: ramp(4) },
    { name: "weight", dtype: "q8_0", shape: [2, 32], data: ramp(64) },
  ],
};

Deno.test("reads tensors with their shapes outermost first", async () => {
  const file = await open(buildGguf(SMALL));
  assertEquals(file.format, "gguf");
  assertEquals([...file.tensors.keys()], ["norm", "weight"]);
  const weight = file.tensors.get("weight")!;
  assertEquals([weight.dtype, weight.shape, weight.byteLength], ["q8_0", [2, 32], 68]);
  const bytes = await weight.source.read(weight.offset, weight.byteLength);
  const values = dequantize("q8_0", bytes, new Float32Array(64));
  assert(values.every((v, i) => Math.abs(v - ramp(64)[i]) < 0.2));
  file.close();
});

Deno.test("reads every type of metadata value", async () => {
  const nested: GgufArray = {
    of: "array",
    values: [{ of: "u8", values: [1, 2] }, { of: "string", values: ["x"] }],
  };
  const { metadata } = await open(buildGguf({
    metadata: {
      u8: { type: "u8", value: 255 },
      i8: { type: "i8", value: -128 },
      u16: { type: "u16", value: 65535 },
      i16: { type: "i16", value: -32768 },
      u32: 4294967295,
      i32: -2147483648,
      f32: 0.25,
      f64: { type: "f64", value: Math.PI },
      yes: true,
      no: false,
      text: "Grüße 👋",
      empty: "",
      small64: { type: "u64", value: 2n ** 53n - 1n },
      large64: { type: "u64", value: 2n ** 64n - 1n },
      negative64: { type: "i64", value: -5n },
      large: { of: "u64", values: [1n, 2n ** 60n] },
      bytes: { of: "u8", values: [1, 2, 255] },
      halves: { of: "i16", values: [-1, 300] },
      floats: [1.5, -2.5],
      doubles: { of: "f64", values: [Math.E] },
      flags: [true, false],
      words: ["a", "", "ß"],
      nothing: { of: "string", values: [] },
      nested,
    },
  }));
  assertEquals({ ...metadata }, {
    u8: 255,
    i8: -128,
    u16: 65535,
    i16: -32768,
    u32: 4294967295,
    i32: -2147483648,
    f32: 0.25,
    f64: Math.PI,
    yes: true,
    no: false,
    text: "Grüße 👋",
    empty: "",
    small64: 2 ** 53 - 1,
    large64: 2n ** 64n - 1n,
    negative64: -5,
    large: [1, 2n ** 60n],
    bytes: Uint8Array.of(1, 2, 255),
    halves: Int16Array.of(-1, 300),
    floats: Float32Array.of(1.5, -2.5),
    doubles: Float64Array.of(Math.E),
    flags: [true, false],
    words: ["a", "", "ß"],
    nothing: [],
    nested: [Uint8Array.of(1, 2), ["x"]],
  });
});

Deno.test("a large vocabulary is decoded on first access, exactly", async () => {
  const words = Array.from({ length: 2000 }, (_, i) => ["", `t${i}`, `Ġ${i}`, `日${i}`, `👋${i}`][i % 5]);
  const { metadata } = await open(buildGguf({ metadata: { words } }));
  assertEquals(metadata["words"], words);
  assert(metadata["words"] === metadata["words"], "it is decoded once");
});

Deno.test("strings of a large vocabulary can be had one by one, before and after all are decoded", async () => {
  const words = Array.from({ length: 2000 }, (_, i) => ["", `t${i}`, `Ġ${i}`, `日${i}`, `👋${i}`][i % 5]);
  const { packedStrings } = await open(buildGguf({ metadata: { words } }));
  const packed = packedStrings?.get("words");
  assert(packed);
  for (const index of [1999, 0, 3, 4, 2000, -1]) assertEquals(packed.at(index), words[index]);
  assertEquals([...packed], words);
  for (const index of [1999, 0, 3, 4, 2000, -1]) assertEquals(packed.at(index), words[index]);
});

Deno.test("a vocabulary with broken UTF-8 names the string, even where neighbours would complete it", async () => {
  const w = new ByteWriter().bytes(new TextEncoder().encode("GGUF")).u32(3).u64(0).u64(1);
  w.u64(1).u8(0x6b).u32(9).u32(8).u64(300);
  for (let i = 0; i < 300; i++) {
    if (i === 7) w.u64(1).u8(0xc4);
    else if (i === 8) w.u64(1).u8(0xa0);
    else w.u64(1).u8(0x61);
  }
  const { metadata, packedStrings } = await open(w.finish());
  assertStringIncludes(assertThrows(() => metadata["k"], InvalidFileError).message, "string 7 is not UTF-8");
  const packed = packedStrings?.get("k");
  assertEquals(packed?.at(6), "a");
  assertStringIncludes(
    assertThrows(() => packed?.at(8), InvalidFileError).message,
    "string 8 is not UTF-8",
  );
});

Deno.test("keys that every object has are no metadata and may be metadata", async () => {
  const { metadata } = await open(buildGguf({ metadata: [["__proto__", "p"], ["constructor", "c"]] }));
  assertEquals([metadata["__proto__"], metadata["constructor"], metadata["toString"]], ["p", "c", undefined]);
});

Deno.test("versions 2 and 3 and other alignments are read", async () => {
  for (const alignment of [1, 8, 64]) {
    const file = await open(buildGguf({ ...SMALL, version: 2, alignment }));
    const { offset, source } = file.tensors.get("norm")!;
    assertEquals(offset % alignment, 0);
    assertEquals(await source.read(offset, 16), new Uint8Array(ramp(4).buffer));
  }
});

Deno.test("a file without tensors or metadata is sound", async () => {
  const file = await open(buildGguf());
  assertEquals([file.tensors.size, Object.keys(file.metadata).length], [0, 0]);
});

Deno.test("the header is read in growing pieces and the data not at all", async () => {
  const words = Array.from({ length: 60_000 }, (_, i) => `token ${i}`);
  const bytes = buildGguf({
    metadata: { words },
    tensors: [{ name: "big", dtype: "i8", shape: [1 << 23], data: new Uint8Array(1 << 23) }],
  });
  let end = 0;
  let total = 0;
  const memory = await openSource(bytes);
  const source: ByteSource = {
    ...memory,
    read(offset, length) {
      end = Math.max(end, offset + length);
      total += length;
      return memory.read(offset, length);
    },
  };
  const file = await openGguf(source);
  assertEquals((file.metadata["words"] as string[]).at(-1), "token 59999");
  const header = bytes.length - (1 << 23);
  assert(end < 2 * header, `read up to ${end} for a header of ${header}`);
  assertEquals(total, end, "no byte is read twice");
});

Deno.test("closing the model closes the file, and a failed open too", async () => {
  for (const bytes of [buildGguf(SMALL), buildGguf({ ...SMALL, version: 9 })]) {
    let closed = 0;
    const memory = await openSource(bytes);
    const source: ByteSource = { ...memory, close: () => void closed++ };
    await openGguf(source).then((file) => file.close(), () => {});
    assertEquals(closed, 1);
  }
});

const f32 = (name: string, shape: (number | bigint)[], offset?: number | bigint, values = 8) => ({
  name,
  dtype: "f32" as const,
  shape,
  offset,
  data: new Float32Array(values),
});

/** Start of a file whose only pair is an array, of what follows. */
const arrayHead = () =>
  new ByteWriter().bytes(new TextEncoder().encode("GGUF")).u32(3).u64(0).u64(1).u64(1).u8(0x6b).u32(9);

const nest = (depth: number) => {
  const w = arrayHead();
  for (let i = 0; i < depth; i++) w.u32(9).u64(1);
  return w.u32(0).u64(0).finish();
};

const pairHead = () => new ByteWriter().bytes(new TextEncoder().encode("GGUF")).u32(3).u64(0).u64(1);

/** What is wrong, the file, and what the error says. */
const DAMAGED: readonly [string, Uint8Array, string][] = [
  ["wrong magic", buildGguf({ ...SMALL, magic: "GGUX" }), 'does not start with "GGUF"'],
  ["version 1", buildGguf({ ...SMALL, version: 1 }), "GGUF version 1 cannot be read"],
  ["version 4", buildGguf({ ...SMALL, version: 4 }), "GGUF version 4 cannot be read"],
  ["big-endian", buildGguf({ ...SMALL, version: 0x03000000 }), "big-endian"],
  [
    "2^60 tensors",
    buildGguf({ ...SMALL, tensorCount: 2n ** 60n }),
    "1152921504606846976 tensors are more than",
  ],
  ["2^63 pairs", buildGguf({ ...SMALL, metadataCount: 2n ** 63n }), "9223372036854775808 metadata pairs"],
  ["a key of 2^63 bytes", pairHead().u64(2n ** 63n).u64(0).finish(), "9223372036854775808 bytes of text"],
  ["a text of 2^63 bytes", pairHead().u64(1).u8(0x6b).u32(8).u64(2n ** 63n).finish(), "bytes of text"],
  ["an array of 2^62", arrayHead().u32(4).u64(2n ** 62n).u64(0).finish(), "array elements are more than"],
  ["2^40 strings", arrayHead().u32(8).u64(2n ** 40n).u64(0).finish(), "1099511627776 strings are more than"],
  ["one string too many", arrayHead().u32(8).u64(2).u64(0).finish(), "2 strings are more than"],
  ["an unknown value type", pairHead().u64(1).u8(0x6b).u32(13).u64(0).finish(), "the unknown type 13"],
  ["an unknown element type", arrayHead().u32(99).u64(0).finish(), "unknown element type 99"],
  ["a bool of 2", pairHead().u64(1).u8(0x6b).u32(7).u8(2).finish(), "a bool is 2"],
  ["broken UTF-8", pairHead().u64(1).u8(0xff).u32(7).u8(1).finish(), "not UTF-8"],
  ["arrays nested too deep", nest(5), "nested more than 4 deep"],
  ["arrays nested far too deep", nest(100_000), "nested more than 4 deep"],
  [
    "a key twice",
    buildGguf({ metadata: [["a", 1], ["a", 2]] }),
    '"a" at byte 41: the metadata key occurs twice',
  ],
  ["alignment 0", buildGguf({ metadata: { "general.alignment": 0 } }), "alignment 0 is not a power of two"],
  [
    "alignment 24",
    buildGguf({ metadata: { "general.alignment": 24 } }),
    "alignment 24 is not a power of two",
  ],
  ["alignment 0.5", buildGguf({ metadata: { "general.alignment": 0.5 } }), "alignment 0.5 is not"],
  ["alignment as text", buildGguf({ metadata: { "general.alignment": "32" } }), "alignment 32 is not"],
  ["a tensor twice", buildGguf({ tensors: [f32("a", [8]), f32("a", [8])] }), "the tensor occurs twice"],
  ["9 dimensions", buildGguf({ tensors: [f32("a", Array(9).fill(1))] }), "9 dimensions are more than 8"],
  ["dimension 0", buildGguf({ tensors: [f32("a", [0, 8])] }), "dimension 0 is not a positive integer"],
  ["dimension 2^64 - 1", buildGguf({ tensors: [f32("a", [2n ** 64n - 1n])] }), "is not a positive integer"],
  [
    "too many elements",
    buildGguf({ tensors: [f32("a", [2 ** 30, 2 ** 30])] }),
    "more elements than any file holds",
  ],
  [
    "a row of half a block",
    buildGguf({ tensors: [{ name: "q", dtype: "q4_0", shape: [2, 16], data: new Uint8Array(18) }] }),
    "rows of 16 elements are not whole blocks of q4_0 (32)",
  ],
  ["an offset that is not aligned", buildGguf({ tensors: [f32("a", [4], 4)] }), "4 is not a multiple of 32"],
  [
    "an offset beyond the file",
    buildGguf({ tensors: [f32("a", [8], 2 ** 40)] }),
    "beyond the end of the file",
  ],
  ["an offset of 2^63", buildGguf({ tensors: [f32("a", [8], 2n ** 63n)] }), "beyond the end of the file"],
  ["a tensor longer than the file", buildGguf({ tensors: [f32("a", [9])] }), "the file is truncated"],
  ["overlapping tensors", buildGguf({ tensors: [f32("a", [8]), f32("b", [8], 0)] }), 'overlaps "a"'],
  ["one of several parts", buildGguf({ metadata: { "split.count": 3 } }), "one of 3 parts"],
];

for (const [what, bytes, message] of DAMAGED) {
  Deno.test(`refuses ${what}`, async () => {
    const error = await assertRejects(() => open(bytes), InvalidFileError, message);
    assertEquals(error.file, "<bytes>");
    assert(error.offset !== undefined, "the error says where");
  });
}

Deno.test("an error names file, tensor and offset", async () => {
  const error = await assertRejects(
    () => open(buildGguf({ tensors: [f32("blk.0", [4], 4)] })),
    InvalidFileError,
  );
  assertEquals([error.file, error.tensor, error.offset], ["<bytes>", "blk.0", 53]);
});

Deno.test("names a tensor type that cannot be read", async () => {
  for (const [type, dtype] of [[15, "Q8_K"], [4, 4], [1000, 1000]] as const) {
    const bytes = buildGguf({
      tensors: [{ name: "blk.0.w", dtype: type, shape: [256], data: new Uint8Array(292) }],
    });
    const error = await assertRejects(() => open(bytes), UnknownDTypeError, '<bytes>, tensor "blk.0.w",');
    assertEquals(error.dtype, dtype);
  }
});

Deno.test("a file cut off at any byte is refused", async () => {
  const bytes = buildGguf(SMALL);
  for (let length = 0; length < bytes.length; length++) {
    const error = await assertRejects(() => open(bytes.slice(0, length)), InvalidFileError);
    assert(/truncated|more than the rest|beyond the end/.test(error.message), error.message);
  }
});

Deno.test("a damaged file gives a typed error or a file that can be read", async () => {
  const sound = buildGguf(SMALL);
  const mutation = fc.record({ at: fc.nat(sound.length - 1), value: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      const bytes = sound.slice();
      for (const { at, value } of mutations) bytes[at] = value;
      try {
        const file = await open(bytes);
        void Object.values(file.metadata);
        for (const { source, offset, byteLength } of file.tensors.values()) {
          await source.read(offset, byteLength);
        }
      } catch (error) {
        if (!(error instanceof LLMForgeError)) throw error;
      }
    }),
    { seed: 3, numRuns: 2000 },
  );
});
