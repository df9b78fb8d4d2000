/**
 * The Program that reads whole sequences in one step: an encoder, or a decoder whose hidden states are wanted.
 *
 * @module
 */
import { type CacheDType, type CrossCacheConfig, crossCaches, decoderInputs } from "../nn/decoder.ts";
import { linear } from "../nn/linear.ts";
import type { Program } from "../program/program.ts";
import { Recorder, type Ref } from "../program/recorder.ts";
import type { Architecture, Weights, WeightTypes } from "./architecture.ts";
import { type DecoderConfig, encoderConfig } from "./config.ts";
import { declaredWeights } from "./decoder_program.ts";

/** Bounds of one encoder Program. */
export interface EncoderShape {
  /** Rows (tokens of all sequences) of a step. */
  readonly rows: number;
  /** Sequences of a step. */
  readonly sequences: number;
  /** Pages for the keys and values of one layer. */
  readonly pages: number;
  /** Pages of the longest sequence. */
  readonly maxPages: number;
  /** Element type of keys and values. */
  readonly dtype: CacheDType;
  /** The cache that a decoder will read. */
  readonly cross?: CrossCacheConfig;
}

/**
 * Records one step. Outputs: `hidden`, f32 [rows, hidden]; with a pooler `pooled`, f32 [outputs, hidden]; with a
 * classification head too `scores`, f32 [outputs, labels]. Where there is a decoder to read them, the keys and values of
 * its layers go to the cross caches.
 * The caller fills the step fields of a decoder's Program, and `tokenTypes` and `crossSlots` where they are there.
 * `outputRows` is the first row of each sequence. `lengths` says what a row sees: in an encoder the whole sequence.
 */
export function encoderProgram(
  architecture: Architecture,
  config: DecoderConfig,
  types: WeightTypes,
  shape: EncoderShape,
): Program {
  const { rows, sequences, pages, maxPages, dtype, cross } = shape;
  const g = new Recorder(`${config.architecture}/encode/${rows}`, { rows, outputs: sequences });
  const stack = encoderConfig(config);
  const cache = { pages, maxPages, sequences, dtype, shared: true };
  const { outputRows, ...inputs } = decoderInputs(g, stack, cache);
  const weights = declaredWeights(g, types);
  const build = architecture.encode ?? architecture.build;
  const hidden = build(g, weights, stack, inputs);
  if (cross) writeCross(g, weights, config, hidden, { cross, dtype });
  recordHeads(g, weights, hidden, outputRows);
  g.output("hidden", hidden);
  return g.finish();
}

/** Keys and values of every decoder layer, from the encoder's output. */
function writeCross(
  g: Recorder,
  w: Weights,
  c: DecoderConfig,
  hidden: Ref,
  { cross, dtype }: { readonly cross: CrossCacheConfig; readonly dtype: CacheDType },
): void {
  const slots = g.step("crossSlots", "i32", ["rows"]);
  const cache = crossCaches(g, c, cross, dtype);
  for (let layer = 0; layer < c.layers; layer++) {
    const project = (role: string): Ref => {
      const name = `layers.${layer}.${role}`;
      return linear(g, hidden, { weight: w.get(`${name}.weight`), bias: w.find(`${name}.bias`) });
    };
    const { keys, values } = cache(layer);
    g.record("writeKv", [project("crossKey"), project("crossValue"), slots, keys, values]);
  }
}

/** tanh(pooler · first token), and the classifier's scores of that; without a pooler, of the first token itself. */
function recordHeads(g: Recorder, w: Weights, hidden: Ref, outputRows: Ref): void {
  const [pooler, classifier] = ["pooler", "classifier"].map((role) => {
    const weight = w.find(`${role}.weight`);
    return weight && { weight, bias: w.find(`${role}.bias`) };
  });
  if (!pooler && !classifier) return;
  const first = g.gatherRows(hidden, outputRows);
  const pooled = pooler ? g.activation(linear(g, first, pooler), "tanh") : first;
  if (classifier) g.output("scores", linear(g, pooled, classifier));
  if (pooler) g.output("pooled", pooled);
}
