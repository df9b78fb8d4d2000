/** The own format: what is written is read, what is damaged is told, and checksums find every changed byte. @module */
import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { InvalidFileError, LLMForgeError, UnknownDTypeError } from "../errors.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { MemorySink } from "./byte_sink.ts";
import { ByteWriter } from "./byte_writer.ts";
import { crc32 } from "./crc32.ts";
import { entryOffset, PARTS, START_CRC_OFFSET } from "./forge_layout.ts";
import { writeForge } from "./forge_writer.ts";
import { metadataPair, writePairs } from "./gguf_values.ts";
import { openModelFile } from "./open.ts";
import { tensorOfBytes } from "./tensor_out.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function forge(parts: { config?: Record<string, Uint8Array> } = {}): Promise<Uint8Array<ArrayBuffer>> {
  const sink = new MemorySink();
  await writeForge(sink, {
    config: parts.config ?? { [PARTS.config]: encode('{"model_type":"llama"}') },
    tokenizer: { [PARTS.tokenizer]: encode('{"model":{"vocab":{}}}') },
    tensors: [
      tensorOfBytes("a", "f32", [2, 3], new Uint8Array(24).fill(1)),
      tensorOfBytes("b", "q8_0", [2, 32], new Uint8Array(68).fill(2)),
      tensorOfBytes("scalar", "i8", [], new Uint8Array(1).fill(3)),
    ],
  });
  return sink.bytes;
}

/** Writes a section's checksum anew, and that of the start: a lie that only the content can give away. */
function sealed(bytes: Uint8Array<ArrayBuffer>, section: "config" | "tokenizer" | "tensors"): Uint8Array {
  const view = new DataView(bytes.buffer);
  const at = entryOffset(section);
  const [offset, length] = [Number(view.getBigUint64(at, true)), Number(view.getBigUint64(at + 8, true))];
  view.setUint32(at + 16, crc32(bytes.subarray(offset, offset + length)), true);
  view.setUint32(START_CRC_OFFSET, crc32(bytes.subarray(0, START_CRC_OFFSET)), true);
  return bytes;
}

/** Where the dtype code of the first tensor stands. */
function firstDType(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(new DataView(bytes.buffer).getBigUint64(entryOffset("tensors"), true)) + 8 + 8 + 1;
}

Deno.test("forge: tensors, their alignment and the JSON files come back", async () => {
  const file = await openModelFile(await forge());
  assertEquals([file.format, file.naming, file.config], ["forge", "hugging_face", { model_type: "llama" }]);
  assertEquals(await file.tokenizerJson?.(), { model: { vocab: {} } });
  assertEquals(
    [...file.tensors.values()].map(({ name, dtype, shape, offset }) => [name, dtype, shape, offset % 64]),
    [
      ["a", "f32", [2, 3], 0],
      ["b", "q8_0", [2, 32], 0],
      ["scalar", "i8", [], 0],
    ],
  );
  const { source, offset, byteLength } = file.tensors.get("b") ?? fail();
  assertEquals(await source.read(offset, byteLength), new Uint8Array(68).fill(2));
  await file.verify?.();
});

function fail(): never {
  throw new Error("the tensor is missing");
}

Deno.test("forge: metadata pairs come back with their types", async () => {
  const pairs = [metadataPair("general.architecture", "llama"), metadataPair("x", { type: "u64", value: 3 })];
  const w = new ByteWriter().u64(pairs.length);
  writePairs(w, pairs);
  const file = await openModelFile(await forge({ config: { [PARTS.metadata]: w.finish() } }));
  assertEquals([file.naming, file.metadata["general.architecture"]], ["gguf", "llama"]);
  assertEquals(await file.metadataPairs?.(), pairs);
});

Deno.test("forge: dtype codes are those of the dtype table, and others are refused", async () => {
  assertEquals(["f32", "f16", "bf16", "i8", "u8"].map((name) => DTYPES[name as "f32"].code), [0, 1, 2, 3, 4]);
  const bytes = await forge();
  for (const code of [999, DTYPES.q16.code]) {
    new DataView(bytes.buffer).setUint32(firstDType(bytes), code, true);
    const error = await assertRejects(() => openModelFile(sealed(bytes, "tensors")), UnknownDTypeError);
    assertEquals(error.dtype, code);
  }
});

Deno.test("forge: a changed byte is found, before the tensors at once and in them by verify", async () => {
  const sound = await forge();
  await fc.assert(
    fc.asyncProperty(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = sound.slice();
      bytes[at] ^= change;
      await assertRejects(async () => {
        const file = await openModelFile(bytes);
        await file.verify?.();
      }, LLMForgeError);
    }),
    { numRuns: 300 },
  );
});

Deno.test("forge: every shorter file is an error", async () => {
  const sound = await forge();
  for (let length = 0; length < sound.length; length += 7) {
    await assertRejects(async () => {
      const file = await openModelFile(sound.slice(0, length));
      await file.verify?.();
    }, InvalidFileError);
  }
});
