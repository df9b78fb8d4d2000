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
 * The caller fills the step fields `tokens`, `positions`, `slots`, `lengths`, `sequences`, `pageTable`, `outputRows`, and
 * where the model has an encoder `crossLengths` and `crossPageTable`.
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
  const built = architecture.build(g, weights, config, inputs);
  const hidden = scaled(g, built, "logitScale", config.logitScale);
  const head = weights.get(config.tiedHead ? "embedding.weight" : "head.weight");
  const logits = softcap(g, g.linear(hidden, head, weights.find("head.bias")), config.logitSoftcap);
  g.output("logits", logits);
  g.output("argmax", g.argmax(logits));
  return g.finish();
}

/** cap·tanh(x/cap). */
function softcap(g: Recorder, x: Ref, cap: number): Ref {
  if (cap === 0) return x;
  return scaled(g, g.activation(scaled(g, x, "softcap.inverse", 1 / cap), "tanh"), "softcap", cap);
}

/** factor·x; the name is that of the factor in the Program. */
function scaled(g: Recorder, x: Ref, name: string, factor: number): Ref {
  return factor === 1 ? x : g.mul(x, g.constant(name, Float32Array.of(factor), [1]));
}

/** The weights of a file, declared in the Program as they are asked for. */
export function declaredWeights(g: Recorder, types: WeightTypes): Weights {
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
