/**
 * What every file format gives: named tensors in a source, metadata, and the JSON files that come with a model.
 *
 * @module
 */

import type { DType } from "../tensor/dtype.ts";
import type { ByteSource } from "./byte_source.ts";
import type { MetadataPair } from "./gguf_values.ts";
import type { PackedStrings } from "./packed_strings.ts";

/** A metadata value: plain, an array of strings or the like, or numbers as a typed array. */
export type MetadataValue =
  | number
  | bigint
  | boolean
  | string
  | MetadataNumbers
  | readonly MetadataValue[];

/** Arrays of numbers; 64-bit integers are plain arrays of numbers, with a bigint where a number would not be exact. */
export type MetadataNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** One tensor: what it is and where its bytes lie. */
export interface TensorInfo {
  /** Name in the file. */
  readonly name: string;
  /** Element type. */
  readonly dtype: DType;
  /** Dimensions, outermost first, as in PyTorch: `[out, in]`. */
  readonly shape: readonly number[];
  /** Bytes that the elements take. */
  readonly byteLength: number;
  /** Where they start in `source`; need not be aligned. */
  readonly offset: number;
  /** The file that holds them. */
  readonly source: ByteSource;
}

/** An open model, checked: every tensor lies inside its file and overlaps no other. */
export interface ModelFile {
  /** How the tensors are stored. */
  readonly format: "gguf" | "safetensors" | "forge";
  /** Names and shapes of tensors, and the configuration, follow GGUF or Hugging Face. */
  readonly naming: "gguf" | "hugging_face";
  /** Path, URL or description, as errors name it. */
  readonly name: string;
  /** Size of the file, or of all shards together, in bytes. */
  readonly bytes: number;
  /** Metadata in the file, by key; no prototype. */
  readonly metadata: Readonly<Record<string, MetadataValue>>;
  /** Large arrays of strings in the metadata, by key, for who does not want all of the strings. */
  readonly packedStrings?: ReadonlyMap<string, PackedStrings>;
  /** All tensors by name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Metadata in GGUF's own words, as they stand in the file; absent in files with other metadata. */
  readonly metadataPairs?: () => Promise<readonly MetadataPair[]>;
  /** Reads all bytes and throws where a checksum is wrong; absent in formats without checksums. */
  readonly verify?: (signal?: AbortSignal) => Promise<void>;
  /** `config.json` of a folder in Hugging Face layout. */
  readonly config?: Record<string, unknown>;
  /** `generation_config.json`, where there is one. */
  readonly generationConfig?: Record<string, unknown>;
  /** `1_Pooling/config.json` of sentence embedders, where there is one. */
  readonly poolingConfig?: Record<string, unknown>;
  /** Reads `tokenizer.json`; absent where there is none. */
  readonly tokenizerJson?: () => Promise<unknown>;
  /** Reads `tokenizer_config.json`; absent where there is none. */
  readonly tokenizerConfig?: () => Promise<unknown>;
  /** Reads `chat_template.jinja`, which wins over the template in `tokenizer_config.json`; absent where there is none. */
  readonly chatTemplate?: () => Promise<string>;
  /** Closes all files. */
  close(): void;
}
