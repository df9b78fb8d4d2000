/**
 * The layout of the own format, `.forge` (docs/formats.md).
 *
 * @module
 */

/** The first eight bytes. The end tells apart a file that went through a conversion of line ends. */
export const FORGE_MAGIC: Uint8Array = Uint8Array.of(0x46, 0x4f, 0x52, 0x47, 0x45, 0x0d, 0x0a, 0x1a);

/** Whether the file starts as a forge file does. */
export function isForge(head: Uint8Array): boolean {
  return head.length >= 5 && FORGE_MAGIC.subarray(0, 5).every((byte, i) => head[i] === byte);
}

/** Version of the layout. */
export const FORGE_VERSION = 1;

/** Bytes of the fixed start. */
export const START_BYTES = 128;

/** Every section and every tensor starts at a multiple of this. */
export const FORGE_ALIGNMENT = 64;

/** The sections in the order in which they stand in the file. */
export const SECTIONS = ["config", "tokenizer", "tensors", "data"] as const;

/** Name of a section. */
export type SectionName = typeof SECTIONS[number];

/** Offset of a section's entry in the start: offset and length as 64-bit numbers, then the CRC-32. */
export function entryOffset(section: SectionName): number {
  return 16 + 24 * SECTIONS.indexOf(section);
}

/** Offset in the start of the CRC-32 of what comes before it. */
export const START_CRC_OFFSET = START_BYTES - 4;

/** Names of the parts of `config` and `tokenizer`: JSON files, or metadata pairs as GGUF has them behind their count. */
export const PARTS = {
  config: "config.json",
  generationConfig: "generation_config.json",
  pooling: "1_Pooling/config.json",
  metadata: "metadata.gguf",
  ggufTokenizer: "tokenizer.gguf",
  strings: "metadata.json",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  chatTemplate: "chat_template.jinja",
} as const;

/** Metadata keys that belong to the tokenizer section. */
export const TOKENIZER_KEYS = "tokenizer.";
