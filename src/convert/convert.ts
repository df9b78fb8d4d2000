/**
 * Converts models between formats, quantizing on the way. Tensors pass through a piece at a time.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { WriteOptions } from "../formats/byte_sink.ts";
import { openModelFile } from "../formats/open.ts";
import type { ModelFile } from "../formats/model_file.ts";
import type { SourceLike } from "../formats/source.ts";
import { pathOf } from "../formats/source_file.ts";
import type { DType } from "../tensor/dtype.ts";
import type { QuantKind } from "./quant_kinds.ts";
import { checkKind } from "./quantize_plan.ts";
import { planConversion } from "./plan.ts";
import { type ModelFormat, TARGETS } from "./targets.ts";

/** Options of `convert`. */
export interface ConvertOptions {
  /** Format of the result. Default: told by the target's ending; a folder is `safetensors`. */
  to?: ModelFormat;
  /** Dtype of the matrices. Default: each as it is. */
  quantize?: QuantKind;
  /** Largest file of a model in safetensors, in bytes; larger ones are cut. Default: 5·10⁹. */
  shardBytes?: number;
  /** Ends the conversion; nothing is left of it then. */
  signal?: AbortSignal;
  /** Told of the bytes of tensors written so far. */
  onProgress?: (progress: { written: number; total: number }) => void;
}

/** What was written. */
export interface Conversion {
  /** Its format. */
  readonly format: ModelFormat;
  /** Tensors written. */
  readonly tensors: number;
  /** Bytes that they take. */
  readonly bytes: number;
  /** Tensors whose rows are no whole blocks of the dtype that was asked for, and what they got. */
  readonly fallbacks: readonly { readonly tensor: string; readonly dtype: DType }[];
  /** Tensors of the source that the new file has no place for. */
  readonly dropped: readonly string[];
}

/** Largest file of a model in safetensors, as Hugging Face cuts them. */
const SHARD_BYTES = 5e9;

/**
 * Converts a model: from GGUF, safetensors or forge to any of them, and to another dtype where `quantize` says so.
 * Names, order of rows and configuration follow the format: GGUF as llama.cpp reads it, safetensors as a folder that
 * transformers reads. A `.forge` file keeps whatever its source has. The target appears whole or not at all.
 *
 * ```ts
 * import { convert, load } from "@llmforge/llmforge";
 * const folder = new URL("tests/fixtures/models/llama/", import.meta.resolve("@llmforge/llmforge"));
 * const target = await Deno.makeTempFile({ suffix: ".gguf" });
 * const { tensors } = await convert(folder, target, { quantize: "q8_0" });
 * await using model = await load(target);
 * console.log(tensors, model.config.layers);
 * ```
 *
 * @throws {UnsupportedModelError} where the new format cannot say what the model is.
 * @throws {DTypeError} where there is no conversion to the dtype.
 * @throws {InvalidFileError} where the source is damaged or the target cannot be written.
 */
export async function convert(
  source: SourceLike,
  target: string | URL,
  options: ConvertOptions = {},
): Promise<Conversion> {
  const path = typeof target === "string" ? target : pathOf(target);
  if (path === "") throw new InvalidArgumentError("the target is empty; give the path of a file or folder");
  const file = await openModelFile(source);
  try {
    return await convertFile(file, path, options);
  } finally {
    file.close();
  }
}

/** As `convert`, from an open file. */
export async function convertFile(
  file: ModelFile,
  path: string,
  { to = formatOf(path), quantize, shardBytes = SHARD_BYTES, signal, onProgress }: ConvertOptions = {},
): Promise<Conversion> {
  if (!Object.hasOwn(TARGETS, to)) {
    throw new InvalidArgumentError(
      `the format ${to} is not known; known are ${Object.keys(TARGETS).join(", ")}`,
    );
  }
  if (quantize !== undefined) checkKind(quantize);
  if (!(shardBytes > 0)) throw new InvalidArgumentError(`shardBytes must be above 0, not ${shardBytes}`);
  signal?.throwIfAborted();
  const naming = TARGETS[to].naming ?? file.naming;
  const plan = await planConversion(file, naming, quantize);
  const total = plan.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let written = 0;
  const write: WriteOptions = {
    signal,
    onBytes(bytes) {
      written += bytes;
      onProgress?.({ written, total });
    },
  };
  await TARGETS[to].write(plan, { path, shardBytes, ...write });
  const { tensors, fallbacks, dropped } = plan;
  return { format: to, tensors: tensors.length, bytes: total, fallbacks, dropped };
}

function formatOf(path: string): ModelFormat {
  if (path.endsWith(".gguf")) return "gguf";
  return path.endsWith(".forge") ? "forge" : "safetensors";
}
