/**
 * The op table: a row an op, with its code, attributes, shape and dtype rule, and for a fused op its lowering to
 * simpler ops. Backends, the recorder and the binary encoding all read this one table.
 *
 * Shapes are written outermost first. "T" below stands for a row count, which may be a step count.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { broadcastShapes, normalizeAxis } from "../tensor/shape.ts";
import type { Attrs, AttrValue, ValueType } from "./program.ts";
import {
  broadcastDims,
  cachedHeadDim,
  checkLinear,
  checkRelativeBias,
  checkScores,
  checkSlopes,
  f32,
  fixed,
  i32,
  need,
  same,
  text,
} from "./shape_rules.ts";

/** How an attribute is checked and encoded. `enum` attributes list their choices in the order of their codes. */
export type AttrKind = "i32" | "f32" | "bool" | "i32s" | "f64s" | readonly string[];

/** What the lowering of a fused op may call: records a base op and gives its outputs. */
export type RecordOp<Ref> = (name: OpName, inputs: readonly (Ref | undefined)[], attrs?: Attrs) => Ref[];

/** One row of the op table. */
export interface OpRow {
  /** Number in encoded Programs; never reused. */
  readonly code: number;
  /** Names of the inputs, in order; a trailing `?` marks one that may be absent. */
  readonly inputs: readonly string[];
  /** Attributes in the order in which they are encoded. */
  readonly attrs: Readonly<Record<string, AttrKind>>;
  /** Default values of attributes that may be left out. */
  readonly defaults?: Attrs;
  /** Inputs (by position) that the op writes to: caches. */
  readonly mutates?: readonly number[];
  /** Inputs (by position) that are packed weights of any dtype, `[out, in]`. */
  readonly packed?: readonly number[];
  /** Checks the inputs and gives the types of the outputs. */
  infer(inputs: readonly (ValueType | undefined)[], attrs: Attrs): ValueType[];
  /** The same computation in simpler ops; only fused ops have it. */
  lower?<Ref>(record: RecordOp<Ref>, inputs: readonly (Ref | undefined)[], attrs: Attrs): Ref[];
}

/** The activation functions; `gelu` is the exact one (erf), `geluTanh` its tanh approximation. */
export const ACTIVATIONS = ["gelu", "geluTanh", "quickGelu", "silu", "relu", "sigmoid", "tanh"] as const;
/** Name of an activation function. */
export type Activation = typeof ACTIVATIONS[number];

/** The reductions over one axis. */
export const REDUCTIONS = ["sum", "mean", "max"] as const;
/** Name of a reduction. */
export type Reduction = typeof REDUCTIONS[number];

/** Largest rank of a strided copy or a broadcast. */
export const MAX_RANK = 6;

const binary = (code: number): OpRow => ({
  code,
  inputs: ["a", "b"],
  attrs: {},
  infer([a, b]) {
    const [x, y] = [need("elementwise", a, "f32"), need("elementwise", b, "f32")];
    return [f32(broadcastDims("elementwise", x, y))];
  },
});

/** Name of an op. */
export type OpName =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "activation"
  | "gatedActivation"
  | "reduce"
  | "argmax"
  | "softmax"
  | "topK"
  | "layerNorm"
  | "rmsNorm"
  | "addRmsNorm"
  | "matmul"
  | "linear"
  | "linearGroup"
  | "matmulExperts"
  | "embed"
  | "gatherRows"
  | "copy"
  | "concat"
  | "ropeTable"
  | "rope"
  | "writeKv"
  | "pagedAttention"
  | "attention"
  | "ropeShift";

/** The op table. */
export const OPS: Readonly<Record<OpName, OpRow>> = {
  /** a + b, broadcasting. */
  add: binary(1),
  /** a - b, broadcasting. */
  sub: binary(2),
  /** a * b, broadcasting. */
  mul: binary(3),
  /** a / b, broadcasting. */
  div: binary(4),
  /** kind(x), elementwise. */
  activation: {
    code: 10,
    inputs: ["x"],
    attrs: { kind: ACTIVATIONS },
    infer: ([x]) => [f32(need("activation", x, "f32").shape)],
  },
  /** kind(gate) * up, elementwise: the middle of SwiGLU and GeGLU. */
  gatedActivation: {
    code: 11,
    inputs: ["gate", "up"],
    attrs: { kind: ACTIVATIONS },
    infer([gate, up]) {
      const [g, u] = [need("gatedActivation", gate, "f32"), need("gatedActivation", up, "f32")];
      if (g.shape.join() !== u.shape.join()) {
        throw new ShapeError(`gatedActivation: ${text(g)} and ${text(u)} differ`);
      }
      return [f32(g.shape)];
    },
    lower(record, [gate, up], attrs) {
      const [activated] = record("activation", [gate], attrs);
      return record("mul", [activated, up]);
    },
  },
  /** Sum, mean or maximum over one axis. */
  reduce: {
    code: 20,
    inputs: ["x"],
    attrs: { kind: REDUCTIONS, axis: "i32", keepDim: "bool" },
    defaults: { axis: -1, keepDim: false },
    infer([x], attrs) {
      const { shape } = need("reduce", x, "f32");
      const axis = normalizeAxis(attrs.axis as number, shape.length);
      const out = attrs.keepDim
        ? shape.map((d, i) => (i === axis ? 1 : d))
        : shape.filter((_, i) => i !== axis);
      return [f32(out)];
    },
  },
  /** Position of the first maximum along the last axis. NaN never wins, unless every element is NaN: then 0. */
  argmax: {
    code: 21,
    inputs: ["x"],
    attrs: {},
    infer: ([x]) => [i32(need("argmax", x, "f32").shape.slice(0, -1))],
  },
  /** Softmax over one axis, or its logarithm. A row of only -inf gives NaN, as in PyTorch. */
  softmax: {
    code: 22,
    inputs: ["x"],
    attrs: { axis: "i32", log: "bool" },
    defaults: { axis: -1, log: false },
    infer([x], attrs) {
      const { shape } = need("softmax", x, "f32");
      normalizeAxis(attrs.axis as number, shape.length);
      return [f32(shape)];
    },
  },
  /**
   * The k highest elements along the last axis, from the highest down, and their positions; of equals the first comes
   * first, NaN counts as -inf. x: [..., T, n]. Outputs: values [..., T, k], positions as I32.
   */
  topK: {
    code: 23,
    inputs: ["x"],
    attrs: { k: "i32" },
    infer([x], attrs) {
      const { shape } = need("topK", x, "f32");
      const [k, width] = [attrs.k as number, shape[shape.length - 1] as number];
      if (shape.length < 2 || k < 1 || k > width) {
        throw new ShapeError(`topK: ${k} of [${shape}]: there must be rows, and k within a row`);
      }
      const out = [...shape.slice(0, -1), k];
      return [f32(out), i32(out)];
    },
  },
  /** Layer norm over the last axis, variance in two passes. */
  layerNorm: {
    code: 30,
    inputs: ["x", "weight?", "bias?"],
    attrs: { eps: "f32" },
    infer([x, weight, bias]) {
      const { shape } = need("layerNorm", x, "f32");
      for (const vector of [weight, bias]) {
        if (vector) {
          same("layerNorm", need("layerNorm", vector, "f32", 1).shape[0], shape[shape.length - 1], "widths");
        }
      }
      return [f32(shape)];
    },
  },
  /** RMS norm over the last axis: x / sqrt(mean(x²) + eps) * (weight + weightOffset). */
  rmsNorm: {
    code: 31,
    inputs: ["x", "weight?"],
    attrs: { eps: "f32", weightOffset: "f32" },
    defaults: { weightOffset: 0 },
    infer([x, weight]) {
      const { shape } = need("rmsNorm", x, "f32");
      if (weight) {
        same("rmsNorm", need("rmsNorm", weight, "f32", 1).shape[0], shape[shape.length - 1], "widths");
      }
      return [f32(shape)];
    },
  },
  /** sum = a + b; normed = rmsNorm(sum): the residual connection and the norm after it. Outputs: sum, normed. */
  addRmsNorm: {
    code: 32,
    inputs: ["a", "b", "weight?"],
    attrs: { eps: "f32", weightOffset: "f32" },
    defaults: { weightOffset: 0 },
    infer([a, b, weight]) {
      const x = need("addRmsNorm", a, "f32");
      if (x.shape.join() !== need("addRmsNorm", b, "f32").shape.join()) {
        throw new ShapeError(`addRmsNorm: ${text(x)} and ${text(b as ValueType)} differ`);
      }
      const [normed] = OPS.rmsNorm.infer([x, weight], {});
      return [f32(x.shape), normed];
    },
    lower(record, [a, b, weight], attrs) {
      const [sum] = record("add", [a, b]);
      const [normed] = record("rmsNorm", [sum, weight], attrs);
      return [sum, normed];
    },
  },
  /** Matrix product of F32 tensors with broadcast batch dimensions; vectors as in PyTorch's `matmul`. */
  matmul: {
    code: 40,
    inputs: ["a", "b"],
    attrs: {},
    infer([a, b]) {
      const [x, y] = [fixed("matmul", need("matmul", a, "f32")), fixed("matmul", need("matmul", b, "f32"))];
      if (x.length === 0 || y.length === 0) throw new ShapeError("matmul: a scalar cannot be multiplied");
      const rows = x.length === 1 ? [] : [x[x.length - 2]];
      const columns = y.length === 1 ? [] : [y[y.length - 1]];
      same("matmul", x[x.length - 1], y[Math.max(y.length - 2, 0)], `inner dimensions of [${x}] and [${y}]`);
      const batch = broadcastShapes(x.slice(0, -2), y.slice(0, -2), "matmul");
      return [f32([...batch, ...rows, ...columns])];
    },
  },
  /** x · weightᵀ + bias. x: [..., in], weight: [out, in] of any dtype, bias: [out]. */
  linear: {
    code: 41,
    inputs: ["x", "weight", "bias?"],
    attrs: {},
    packed: [1],
    infer: ([x, w, b]) => [checkLinear("linear", need("linear", x, "f32"), w, b)],
  },
  /** Two or three linears of one input: QKV, or gate and up. An output for each weight. */
  linearGroup: {
    code: 42,
    inputs: ["x", "weight0", "weight1", "weight2?", "bias0?", "bias1?", "bias2?"],
    attrs: {},
    packed: [1, 2, 3],
    infer([x, w0, w1, w2, b0, b1, b2]) {
      const input = need("linearGroup", x, "f32");
      const pairs = [[w0, b0], [w1, b1], ...(w2 ? [[w2, b2]] : [])];
      return pairs.map(([w, b]) => checkLinear("linearGroup", input, w, b));
    },
    lower(record, [x, w0, w1, w2, b0, b1, b2]) {
      const pairs = [[w0, b0], [w1, b1], ...(w2 === undefined ? [] : [[w2, b2]])];
      return pairs.map(([w, b]) => record("linear", [x, w, b])[0]);
    },
  },
  /**
   * Rows times the experts that they chose. weight: [experts·out, in], one expert after another; ids: i32 [T, used];
   * x: [T, in], or [T, used, in] where each expert of a row reads a row of its own. Gives [T, used, out].
   */
  matmulExperts: {
    code: 43,
    inputs: ["x", "weight", "ids"],
    attrs: { experts: "i32" },
    packed: [1],
    infer([x, weight, ids], attrs) {
      const input = need("matmulExperts", x, "f32");
      const chosen = need("matmulExperts", ids, "i32", 2);
      const experts = attrs.experts as number;
      const [...rows] = checkLinear("matmulExperts", input, weight, undefined).shape;
      const out = (rows.pop() as number) / experts;
      if (!Number.isInteger(out)) {
        throw new ShapeError(`matmulExperts: ${experts} experts do not share the weight`);
      }
      const expected = input.shape.length === 3 ? chosen.shape : chosen.shape.slice(0, 1);
      same("matmulExperts", rows.join(), expected.join(), "rows of x and ids");
      return [f32([...chosen.shape, out])];
    },
  },
  /** Rows of a weight by token id, widened to F32. ids: [...], weight: [vocabulary, width]. */
  embed: {
    code: 50,
    inputs: ["ids", "weight"],
    attrs: { scale: "f32" },
    defaults: { scale: 1 },
    packed: [1],
    infer([ids, weight]) {
      if (!weight || weight.shape.length !== 2) {
        throw new ShapeError("embed: the weight must be [vocabulary, width]");
      }
      return [f32([...need("embed", ids, "i32").shape, weight.shape[1]])];
    },
  },
  /** Rows of x by index. x: [T, width], indexes: [M]; gives [M, width]. */
  gatherRows: {
    code: 51,
    inputs: ["x", "indexes"],
    attrs: {},
    infer([x, indexes]) {
      const rows = need("gatherRows", x, "f32", 2);
      return [f32([need("gatherRows", indexes, "i32", 1).shape[0], rows.shape[1]])];
    },
  },
  /** A contiguous copy of a strided view: out[i…] = x[offset + Σ i·strides]. Strides and offset in elements. */
  copy: {
    code: 52,
    inputs: ["x"],
    attrs: { offset: "i32", shape: "i32s", strides: "i32s" },
    infer([x], attrs) {
      const count = fixed("copy", need("copy", x, "f32")).reduce((product, dim) => product * dim, 1);
      const [shape, strides] = [attrs.shape as readonly number[], attrs.strides as readonly number[]];
      if (shape.length !== strides.length || shape.length > MAX_RANK) {
        throw new ShapeError(
          `copy: shape [${shape}] and strides [${strides}] must have one rank of at most ${MAX_RANK}`,
        );
      }
      let [low, high] = [attrs.offset as number, attrs.offset as number];
      strides.forEach((stride, i) => {
        const reach = stride * (shape[i] - 1);
        if (reach < 0) low += reach;
        else high += reach;
      });
      if (!shape.includes(0) && (low < 0 || high >= count)) {
        throw new ShapeError(
          `copy: a view [${shape}] with strides [${strides}] leaves its ${count} elements`,
        );
      }
      return [f32(shape)];
    },
  },
  /** Joins two tensors along an axis. */
  concat: {
    code: 53,
    inputs: ["a", "b"],
    attrs: { axis: "i32" },
    infer([a, b], attrs) {
      const [x, y] = [fixed("concat", need("concat", a, "f32")), fixed("concat", need("concat", b, "f32"))];
      if (x.length !== y.length) throw new ShapeError(`concat: [${x}] and [${y}] differ in rank`);
      const axis = normalizeAxis(attrs.axis as number, x.length);
      x.forEach((dim, i) => i === axis || same("concat", dim, y[i], `dimensions ${i}`));
      return [f32(x.map((dim, i) => (i === axis ? dim + y[i] : dim)))];
    },
  },
  /**
   * Cosines and sines of rotary angles position·inverseFrequencies[i], each times `scale`.
   * positions: i32 [T]; gives [T, 2·n] with the n cosines first. Angles are exact to F64.
   */
  ropeTable: {
    code: 60,
    inputs: ["positions"],
    attrs: { inverseFrequencies: "f64s", scale: "f32" },
    defaults: { scale: 1 },
    infer([positions], attrs) {
      const n = (attrs.inverseFrequencies as readonly number[]).length;
      return [f32([need("ropeTable", positions, "i32", 1).shape[0], 2 * n])];
    },
  },
  /**
   * Rotates the first 2·n of every head's elements; the rest passes through. x: [T, heads·headDim], table: [T, 2·n].
   * Pairs are (i, i+n), or neighbours (2i, 2i+1) where interleaved.
   */
  rope: {
    code: 61,
    inputs: ["x", "table"],
    attrs: { heads: "i32", interleaved: "bool" },
    defaults: { interleaved: false },
    infer([x, table], attrs) {
      const [value, angles] = [need("rope", x, "f32", 2), need("rope", table, "f32", 2)];
      same("rope", value.shape[0], angles.shape[0], "rows of x and table");
      const headDim = (value.shape[1] as number) / (attrs.heads as number);
      if (!Number.isInteger(headDim) || (angles.shape[1] as number) > headDim) {
        throw new ShapeError(
          `rope: ${text(value)} does not hold ${attrs.heads} heads of at least ${angles.shape[1]}`,
        );
      }
      return [f32(value.shape)];
    },
  },
  /**
   * Writes rows of keys and values to their slots in the paged cache. k, v: [T, kvHeads·headDim]; slots: i32 [T],
   * page·pageSize + offset, a negative one writes nothing; caches: [pages, kvHeads, pageSize, headDim] of F32, F16,
   * Q16 or Q8_0. In Q16 and Q8_0 the last dimension is rounded up to whole blocks, and each head of a row is quantized by
   * itself.
   * Pages follow one another; how the elements stand inside a page is up to the backend. No outputs.
   */
  writeKv: {
    code: 62,
    inputs: ["k", "v", "slots", "keyCache", "valueCache"],
    attrs: {},
    mutates: [3, 4],
    infer([k, v, slots, keyCache, valueCache]) {
      const [key, value] = [need("writeKv", k, "f32", 2), need("writeKv", v, "f32", 2)];
      same("writeKv", need("writeKv", slots, "i32", 1).shape[0], key.shape[0], "rows of slots and keys");
      cachedHeadDim("writeKv", keyCache, key);
      cachedHeadDim("writeKv", valueCache, value);
      return [];
    },
  },
  /**
   * Attention of each row over its sequence's pages. q: [T, heads·headDim]; lengths: i32 [T], keys that the row sees:
   * up to itself where it is causal, all of the sequence where it is not; sequences: i32 [T], the row's line of
   * pageTable: i32 [sequences, maxPages]; positions: i32 [T], where the row itself stands among the keys, by default
   * at the last one that it sees. slopes: [heads], ALiBi: slope·(key - position) is added after the softcap. bias:
   * [2·D + 1, heads], relative bias: row clamp(key - position, -D, D) + D is added there too. softcap and window are off
   * at 0. Query head h reads KV head floor(h·kvHeads/heads). A row that sees no key gives zeros.
   */
  pagedAttention: {
    code: 63,
    inputs: [
      "q",
      "keyCache",
      "valueCache",
      "lengths",
      "sequences",
      "pageTable",
      "slopes?",
      "bias?",
      "positions?",
    ],
    attrs: { heads: "i32", scale: "f32", softcap: "f32", window: "i32" },
    defaults: { softcap: 0, window: 0 },
    infer([q, keyCache, valueCache, lengths, sequences, pageTable, slopes, bias, positions], attrs) {
      const query = need("pagedAttention", q, "f32", 2);
      const heads = attrs.heads as number;
      const headDim = cachedHeadDim("pagedAttention", keyCache, query, heads);
      if (keyCache?.shape.length !== 4 || valueCache?.shape.length !== 4) {
        throw new ShapeError("pagedAttention: a cache must be [pages, kvHeads, pageSize, headDim]");
      }
      const [, kvHeads, , width] = fixed("pagedAttention", keyCache);
      if (heads % kvHeads !== 0) {
        throw new ShapeError(`pagedAttention: ${heads} heads are no multiple of ${kvHeads}`);
      }
      for (const perRow of [lengths, sequences, ...(positions ? [positions] : [])]) {
        same("pagedAttention", need("pagedAttention", perRow, "i32", 1).shape[0], query.shape[0], "rows");
      }
      need("pagedAttention", pageTable, "i32", 2);
      checkSlopes("pagedAttention", slopes, heads);
      checkRelativeBias("pagedAttention", bias, heads);
      // Rows of blocks say no more of a head than that it fits.
      const [, , , valueWidth] = fixed("pagedAttention", valueCache);
      return [f32([query.shape[0], heads * (valueWidth === width ? headDim : valueWidth)])];
    },
  },
  /**
   * Dense attention. q: [B, heads, T, headDim], k and v: [B, kvHeads, S, headDim]. mask: 0 hides a key, f32 [B, S], or
   * [B, heads, T, S] for each score by itself, where the first three may be 1. bias: of that second shape, added to the
   * scores after the softcap; -inf hides a key too. slopes: [heads], ALiBi. Causal: query t sees keys up to t + past;
   * window counts the token itself. A query that sees no key gives zeros.
   */
  attention: {
    code: 64,
    inputs: ["q", "k", "v", "mask?", "slopes?", "bias?"],
    attrs: { causal: "bool", past: "i32", scale: "f32", softcap: "f32", window: "i32" },
    defaults: { causal: false, past: 0, softcap: 0, window: 0 },
    infer([q, k, v, mask, slopes, bias]) {
      const [b, heads, t, d] = fixed("attention", need("attention", q, "f32", 4));
      const [kb, kvHeads, s, kd] = fixed("attention", need("attention", k, "f32", 4));
      const value = fixed("attention", need("attention", v, "f32", 4));
      same("attention", b, kb, "batches");
      same("attention", d, kd, "head widths of q and k");
      same("attention", [kb, kvHeads, s].join(), value.slice(0, 3).join(), "shapes of k and v");
      if (heads % kvHeads !== 0) {
        throw new ShapeError(`attention: ${heads} heads are no multiple of ${kvHeads}`);
      }
      if (mask && mask.shape.length !== 4) {
        same("attention", need("attention", mask, "f32", 2).shape.join(), [b, s].join(), "mask and keys");
      } else checkScores("attention", mask, [b, heads, t, s]);
      checkScores("attention", bias, [b, heads, t, s]);
      checkSlopes("attention", slopes, heads);
      return [f32([b, heads, t, value[3]])];
    },
  },
  /**
   * Turns the keys of whole pages, which moves their tokens to other positions. table: [T, 2·n], the cosines and sines
   * of each page's turn; pages: i32 [T], all different, a negative one turns nothing; keyCache: [pages, kvHeads,
   * pageSize, headDim] of F32, F16, Q16 or Q8_0, to which `rope` came before with pairs of the same kind. No outputs.
   */
  ropeShift: {
    code: 65,
    inputs: ["table", "pages", "keyCache"],
    attrs: { interleaved: "bool" },
    defaults: { interleaved: false },
    mutates: [2],
    infer([table, pages, keyCache]) {
      const angles = need("ropeShift", table, "f32", 2);
      same(
        "ropeShift",
        need("ropeShift", pages, "i32", 1).shape[0],
        angles.shape[0],
        "rows of pages and table",
      );
      if (keyCache?.shape.length !== 4) {
        throw new ShapeError("ropeShift: a cache must be [pages, kvHeads, pageSize, headDim]");
      }
      const width = angles.shape[1] as number;
      const [, , , headDim] = fixed("ropeShift", keyCache);
      if (width % 2 !== 0 || width > headDim) {
        throw new ShapeError(`ropeShift: keys of ${headDim} do not hold the pairs of ${text(angles)}`);
      }
      return [];
    },
  },
};

/** All op names. */
export const OP_NAMES: readonly OpName[] = Object.keys(OPS) as OpName[];

/** Fills in defaults, and checks that every attribute is there and of its kind. */
export function completeAttrs(name: OpName, attrs: Attrs): Attrs {
  const row = OPS[name];
  const complete: Record<string, AttrValue> = {};
  for (const [key, kind] of Object.entries(row.attrs)) {
    const value = attrs[key] ?? row.defaults?.[key];
    if (value === undefined) throw new ShapeError(`${name}: the attribute ${key} is missing`);
    if (!fits(kind, value)) {
      throw new ShapeError(`${name}: the attribute ${key} cannot be ${JSON.stringify(value)}`);
    }
    complete[key] = value;
  }
  const unknown = Object.keys(attrs).find((key) => !(key in row.attrs));
  if (unknown !== undefined) throw new ShapeError(`${name}: there is no attribute ${unknown}`);
  return complete;
}

function fits(kind: AttrKind, value: AttrValue): boolean {
  if (kind === "bool") return typeof value === "boolean";
  if (kind === "i32") return Number.isInteger(value);
  if (kind === "f32") return typeof value === "number";
  if (kind === "i32s") return Array.isArray(value) && value.every(Number.isInteger);
  if (kind === "f64s") return Array.isArray(value) && value.every((x) => typeof x === "number");
  return kind.includes(value as string);
}
