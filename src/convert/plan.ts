/**
 * What a converted file will hold, before any of it is written: tensors with their dtypes, configuration, tokenizer.
 *
 * @module
 */
import { metadataPair } from "../formats/gguf_values.ts";
import type { ModelFile } from "../formats/model_file.ts";
import type { TensorOut } from "../formats/tensor_out.ts";
import type { ModelMetadata } from "../models/architecture.ts";
import { type DType, isQuantized } from "../tensor/dtype.ts";
import { type Content, type NamedTensor, ownContent } from "./content.ts";
import { tensorOut } from "./matrix.ts";
import type { QuantKind } from "./quant_kinds.ts";
import { chooseDType, isKept } from "./quantize_plan.ts";
import { translatedContent } from "./translate.ts";

/** What a converted file will hold. */
export interface Plan extends Pick<Content, "pairs" | "files" | "strings" | "dropped"> {
  /** Its naming. */
  readonly naming: ModelMetadata["naming"];
  /** Its tensors. */
  readonly tensors: readonly TensorOut[];
  /** Tensors that got another dtype than was asked for, because their rows are no whole blocks of it. */
  readonly fallbacks: readonly { readonly tensor: string; readonly dtype: DType }[];
}

/** Plans the conversion of a file to a naming, and to a dtype where one is given. */
export async function planConversion(
  file: ModelFile,
  naming: ModelMetadata["naming"],
  kind?: QuantKind,
): Promise<Plan> {
  const content = file.naming === naming ? await ownContent(file) : await translatedContent(file);
  const fallbacks: { tensor: string; dtype: DType }[] = [];
  const tensors = content.tensors.map((tensor) => {
    const { name, shape, weight } = tensor;
    if (kind === undefined) return tensorOut(tensor, asFormat(tensor, naming));
    const choice = chooseDType({ weight, shape }, kind, content.tiedHead);
    if (!choice) return tensorOut(tensor, asFormat(tensor, naming));
    if (!choice.fits) fallbacks.push({ tensor: name, dtype: choice.dtype });
    return tensorOut(tensor, choice.dtype);
  });
  const { pairs, extra, files, strings, dropped } = content;
  return {
    naming,
    tensors: [...tensors, ...extra],
    pairs: naming === "gguf" ? withFileType(pairs, tensors) : [],
    files,
    strings,
    fallbacks,
    dropped,
  };
}

/** The dtype of a tensor that is not quantized: llama.cpp takes vectors and routers in F32 only. */
function asFormat({ source: { dtype }, shape, weight }: NamedTensor, naming: ModelMetadata["naming"]): DType {
  const half = dtype === "f16" || dtype === "bf16";
  return naming === "gguf" && half && (shape.length < 2 || isKept(weight)) ? "f32" : dtype;
}

/** `general.file_type`, by the dtype that most bytes are in (llama.cpp, `llama_ftype`). */
const FILE_TYPES: Readonly<Partial<Record<string, number>>> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q4_k: 14,
  q5_k: 16,
  q6_k: 18,
  bf16: 32,
};

function withFileType(pairs: Content["pairs"], tensors: readonly TensorOut[]): Content["pairs"] {
  const bytes = new Map<DType, number>();
  for (const { dtype, byteLength } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  const [most] = [...bytes].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype);
  const type = FILE_TYPES[most];
  const own = [
    ...(type === undefined ? [] : [metadataPair("general.file_type", type)]),
    ...(tensors.some(({ dtype }) => isQuantized(dtype))
      ? [metadataPair("general.quantization_version", 2)]
      : []),
  ];
  const replaced = ["general.file_type", "general.quantization_version"];
  return [...pairs.filter(({ key }) => !replaced.includes(key)), ...own];
}
