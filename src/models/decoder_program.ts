/**
 * The Program of one decoder step: the architecture's blocks between the embedding and the logits.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";
import { type CacheConfig, decoderInputs } from "../nn/decoder.ts";
import type { Program } from "../program/program.ts";
import { Recorder, type Ref } from "../program/recorder.ts";
import type { Architecture, Weights, WeightTypes } from "./architecture.ts";
import type { DecoderConfig } from "./config.ts";

/** Bounds of one decoder Program. */
export interface DecoderShape {
  /** Rows of a step. */
  readonly rows: number;
  /** Rows of a step whose logits are computed. */
  readonly outputs: number;
  /** The KV cache. */
  readonly cache: CacheConfig;
}

/**
 * Records one step. Outputs: `logits`, f32 [outputs, vocabulary], and `argmax`, i32 [outputs].
 * The caller fills the step fields `tokens`, `positions`, `slots`, `lengths`, `sequences`, `pageTable`, `outputRows`.
 */
export function decoderProgram(
  architecture: Architecture,
  config: DecoderConfig,
  types: WeightTypes,
  shape: DecoderShape,
): Program {
  const g = new Recorder(`${config.architecture}/${shape.rows}`, {
    rows: shape.rows,
    outputs: shape.outputs,
  });
  const inputs = decoderInputs(g, config, shape.cache);
  const weights = declaredWeights(g, types);
  const hidden = g.gatherRows(architecture.build(g, weights, config, inputs), inputs.outputRows);
  const head = weights.get(config.tiedHead ? "embedding.weight" : "head.weight");
  const logits = softcap(g, g.linear(hidden, head, weights.find("head.bias")), config.logitSoftcap);
  g.output("logits", logits);
  g.output("argmax", g.argmax(logits));
  return g.finish();
}

/** cap·tanh(x/cap). */
function softcap(g: Recorder, x: Ref, cap: number): Ref {
  if (cap === 0) return x;
  const scale = (name: string, factor: number): Ref => g.constant(name, Float32Array.of(factor), [1]);
  return g.mul(
    g.activation(g.mul(x, scale("softcap.inverse", 1 / cap)), "tanh"),
    scale("softcap", cap),
  );
}

function declaredWeights(g: Recorder, types: WeightTypes): Weights {
  const find = (name: string): Ref | undefined => {
    const type = types.get(name);
    return type && g.weight(name, type.dtype, type.shape);
  };
  return {
    find,
    get(name) {
      const ref = find(name);
      if (!ref) throw new InvalidConfigError("architecture", `the Program needs the weight ${name}`);
      return ref;
    },
  };
}
