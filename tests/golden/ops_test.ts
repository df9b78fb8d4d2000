/** Single ops against PyTorch: every forward case of `ops.json` through tensors, on every backend of this machine. @module */
import { assert, assertEquals } from "@std/assert";
import type { Backend } from "../../src/backends/backend.ts";
import { LLMForgeError, UnsupportedOpError } from "../../src/errors.ts";
import { alibiSlopes } from "../../src/nn/alibi.ts";
import { Tensor } from "../../src/eager/tensor.ts";
import { testOnBackends } from "../support/backends.ts";
import {
  decodeNumbers,
  type GoldenArray,
  type GoldenCase,
  type GoldenParams,
  OPS_GOLDEN,
} from "./ops_golden.ts";

/** Operands by name, after the views that the parameters ask for. */
type Operands = Readonly<Record<string, Tensor>>;

/** How each golden op reads in tensors. */
const COMPUTE: Readonly<Record<string, (operands: Operands, params: GoldenParams) => Tensor>> = {
  matmul: ({ a, b }) => a.matmul(b),
  add: ({ a, b }) => a.add(b),
  sub: ({ a, b }) => a.sub(b),
  mul: ({ a, b }) => a.mul(b),
  div: ({ a, b }) => a.div(b),
  softmax: ({ x }, { dim }) => x.softmax(dim),
  log_softmax: ({ x }, { dim }) => x.logSoftmax(dim),
  layer_norm: ({ x, weight, bias }, { eps }) => x.layerNorm(weight, bias, eps),
  rms_norm: ({ x, weight }, { eps, weight_offset }) => x.rmsNorm(weight, eps, weight_offset),
  gelu: ({ x }, { approximate }) => x.gelu(approximate),
  silu: ({ x }) => x.silu(),
  relu: ({ x }) => x.relu(),
  sigmoid: ({ x }) => x.sigmoid(),
  tanh: ({ x }) => x.tanh(),
  quick_gelu: ({ x }) => x.quickGelu(),
  linear: ({ x, weight, bias }) => x.linear(weight, bias),
  embedding: ({ ids, weight }) => weight.embed(ids),
  attention: ({ q, k, v, key_mask, slopes }, { scale, causal, past, softcap, window }) =>
    Tensor.op("attention", [q, k, v, key_mask, slopes], {
      scale: scale ?? q.shape[3] ** -0.5,
      causal,
      past: past ?? 0,
      softcap: softcap ?? 0,
      window: window ?? 0,
    })[0],
  rope: ({ x, positions }, { theta, rotary_dim, interleaved }) => {
    const [batch, heads, tokens, headDim] = x.shape;
    const inverseFrequencies = Array.from(
      { length: rotary_dim / 2 },
      (_, i) => theta ** ((-2 * i) / rotary_dim),
    );
    const [table] = Tensor.op("ropeTable", [positions], { inverseFrequencies });
    // [batch, heads, tokens, headDim] to rows of tokens and back
    const rows = x.permute([0, 2, 1, 3]).reshape([batch * tokens, heads * headDim]);
    const [rotated] = Tensor.op("rope", [rows, table], { heads, interleaved });
    return rotated.reshape([batch, tokens, heads, headDim]).permute([0, 2, 1, 3]);
  },
  swiglu: ({ x, gate, up, down }) => x.linear(gate).silu().mul(x.linear(up)).linear(down),
  geglu: ({ x, gate, up, down }, { approximate }) =>
    x.linear(gate).gelu(approximate).mul(x.linear(up)).linear(down),
  permute: ({ x }, { dims }) => x.permute(dims),
  transpose: ({ x }, { dim0, dim1 }) => x.transpose(dim0, dim1),
  reshape: ({ x }, { shape }) => x.reshape(shape),
  reshape_after_permute: ({ x }, { dims, shape }) => x.permute(dims).reshape(shape),
  slice_contiguous: ({ x }, { starts, ends, steps }) =>
    x.slice(starts.map((start, axis) => [start, ends[axis], steps[axis]])).contiguous(),
  add_noncontiguous: ({ x, b }) => x.add(b),
  softmax_noncontiguous: ({ x }, { dim }) => x.softmax(dim),
  sum: ({ x }, { dim, keepdim }) => x.sum(dim, { keepDim: keepdim }),
  mean: ({ x }, { dim, keepdim }) => x.mean(dim, { keepDim: keepdim }),
  max: ({ x }, { dim, keepdim }) => x.max(dim, { keepDim: keepdim }),
  argmax: ({ x }, { dim }) => x.argmax(dim),
  concat: ({ a, b }, { dim }) => a.concat(b, dim),
};

/** Ops that are functions of the host alone. */
const HOST_OPS = new Set(["cast", "quantize", "alibi_slopes"]);

function tensorOf({ dtype, shape, data }: GoldenArray): Tensor {
  const numbers = decodeNumbers(data);
  return Tensor.from(dtype === "i32" ? Int32Array.from(numbers) : numbers, shape);
}

function operands({ inputs, params }: GoldenCase): Operands {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, array]) => {
      let tensor = tensorOf(array);
      const [dims, ranges] = [params[`transpose_${name}`], params[`slice_${name}`]];
      if (dims) tensor = tensor.permute(dims);
      if (ranges) tensor = tensor.slice(ranges);
      return [name, tensor];
    }),
  );
}

/** Elements that the case's note leaves open. */
function mayDiffer(golden: GoldenCase, input: number, actual: number): boolean {
  if (golden.name === "all_neg_inf_row") return actual === 0;
  return golden.note?.startsWith("informative") === true && Math.abs(input) === Infinity;
}

function check(golden: GoldenCase, shape: readonly number[], actual: ArrayLike<number>): void {
  const { y } = golden.outputs;
  assertEquals([...shape], [...y.shape]);
  const expected = decodeNumbers(y.data);
  const inputs = golden.inputs.x ? decodeNumbers(golden.inputs.x.data) : [];
  assertEquals(actual.length, expected.length);
  expected.forEach((value, i) => {
    if (Object.is(actual[i], value) || mayDiffer(golden, inputs[i], actual[i])) return;
    const limit = golden.tol * Math.max(1, Math.abs(value));
    assert(
      Math.abs(actual[i] - value) <= limit,
      `element ${i} is ${actual[i]} and should be ${value} ± ${limit}`,
    );
  });
}

async function runGolden(golden: GoldenCase, backend: Backend): Promise<void> {
  const compute = COMPUTE[golden.op];
  if (!compute) throw new Error(`no way to compute ${golden.op}`);
  if (!golden.error) {
    const result = compute(operands(golden), golden.params);
    return check(golden, result.shape, await result.data(backend));
  }
  try {
    await compute(operands(golden), golden.params).data(backend);
  } catch (error) {
    assert(error instanceof LLMForgeError, `not a typed error: ${error}`);
    const wanted = golden.op === "embedding" ? "OUT_OF_BOUNDS" : "SHAPE";
    assertEquals(error.code, wanted, error.message);
    return;
  }
  throw new Error("an error was expected");
}

const forward = OPS_GOLDEN.filter(({ op }) => !op.startsWith("grad_") && op !== "adamw" && !HOST_OPS.has(op));

await testOnBackends(`golden ops: ${forward.length} cases`, async (backend, _, label) => {
  const faults: string[] = [];
  const unsupported: string[] = [];
  for (const golden of forward) {
    try {
      await runGolden(golden, backend);
    } catch (error) {
      const name = `${golden.op} ${golden.name}`;
      if (error instanceof UnsupportedOpError) unsupported.push(name);
      else faults.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (unsupported.length > 0) console.log(`${label}: unsupported: ${unsupported.join("; ")}`);
  if (faults.length > 0) throw new Error(`${faults.length} cases differ\n${faults.join("\n")}`);
});

Deno.test("golden ops: ALiBi slopes", () => {
  for (const golden of OPS_GOLDEN.filter(({ op }) => op === "alibi_slopes")) {
    const slopes = alibiSlopes(golden.params.heads);
    check(golden, [slopes.length], slopes);
  }
});
