/**
 * What an architecture is: its names, its configuration, the names of its weights, and the Program of one step.
 *
 * @module
 */
import type { DecoderInputs } from "../nn/decoder.ts";
import type { Recorder, Ref } from "../program/recorder.ts";
import type { DType } from "../tensor/dtype.ts";
import type { DecoderConfig } from "./config.ts";

/** What a file says about its model, whatever its format. */
export interface ModelMetadata {
  /** Names follow GGUF or Hugging Face. */
  readonly naming: "gguf" | "hugging_face";
  /** GGUF metadata, or the fields of `config.json`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Shape of a tensor, where the file has it. */
  shapeOf(tensor: string): readonly number[] | undefined;
  /** Elements of a small tensor that the file carries beside the weights, already read. */
  readonly smallTensors: ReadonlyMap<string, Float32Array>;
}

/** Rows of a tensor: `count` runs of `length` rows, the first at `offset`, `stride` rows from start to start. */
export interface RowCut {
  /** First row. */
  readonly offset: number;
  /** Rows of a run. */
  readonly length: number;
  /** Rows from the start of a run to the start of the next. */
  readonly stride: number;
  /** Runs. */
  readonly count: number;
}

/** One way in which a file may hold a weight. */
export interface WeightPlace {
  /** Tensors whose rows follow one another; mostly one. */
  readonly tensors: readonly string[];
  /** Shape that each of them must have. */
  readonly shape: readonly number[];
  /** The rows of the weight, where it is cut from a larger tensor. */
  readonly rows?: RowCut;
  /** Stored as `[in, out]`. `rows` then are those of the turned tensor. A quantized matrix never is. */
  readonly transposed?: boolean;
  /** Converted files of this naming may use it; absent in places that are only read. */
  readonly written?: ModelMetadata["naming"];
}

/** How the files of an architecture say what they hold. */
export interface FileRules {
  /** GGUF `general.architecture`; null where GGUF has none for the family. */
  readonly gguf: string | null;
  /** Names of `config.json` fields where they are not llama's. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  /** `config.json` says which layers have the window even where all of them do. */
  readonly layerTypes: boolean;
  /** Fields of `config.json` that only this family has; `has` tells whether there is such a weight. */
  huggingFace?(config: DecoderConfig, has: (weight: string) => boolean): Record<string, unknown>;
}

/** A weight: its name, its shape, and where a file may hold it. */
export interface WeightEntry {
  /** Name in the Program. */
  readonly name: string;
  /** Shape in the Program. */
  readonly shape: readonly number[];
  /** Where it may be; the first whose tensors are in the file counts. */
  readonly places: readonly WeightPlace[];
  /** The file may lack it (a bias). */
  readonly optional?: boolean;
}

/** Gives the value of a weight, or nothing where an optional one is absent from the file. */
export interface Weights {
  /** The weight by its name in the Program. */
  get(name: string): Ref;
  /** As `get`, for a weight that the file may lack. */
  find(name: string): Ref | undefined;
}

/** The weights of a file by their names in the Program, before they are uploaded. */
export type WeightTypes = ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly number[] }>;

/** One architecture: a file in this folder. */
export interface Architecture {
  /** `model_type`, GGUF `general.architecture` and Hugging Face class names that mean it. */
  readonly ids: readonly string[];
  /** How its files are written; absent where they are only read. */
  readonly files?: FileRules;
  /** Small tensors to read before the configuration is made (rotary factors). */
  readonly smallTensors?: readonly string[];
  /** Reads and checks the configuration. */
  config(metadata: ModelMetadata): DecoderConfig;
  /** All weights, with their names in files. */
  weights(config: DecoderConfig): WeightEntry[];
  /**
   * Records one step; gives the final hidden states before the head: those of `inputs.outputRows`, [outputs, hidden], or
   * without them those of all rows, [rows, hidden].
   */
  build(g: Recorder, weights: Weights, config: DecoderConfig, inputs: DecoderInputs): Ref;
  /** As `build`, for the encoder of an encoder–decoder; `config` is that of `encoderConfig`. */
  encode?(g: Recorder, weights: Weights, config: DecoderConfig, inputs: DecoderInputs): Ref;
}
