import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createReferenceBackend } from "../backends/reference/mod.ts";
import { DTypeError, InvalidArgumentError, OutOfBoundsError, ShapeError } from "../errors.ts";
import { quantize } from "../tensor/quantize.ts";
import { setDefaultBackend, Tensor } from "./tensor.ts";

const backend = createReferenceBackend();

/** 0, 1, 2, … in a shape. */
function counting(...shape: number[]): Tensor {
  return Tensor.from(Array.from({ length: shape.reduce((n, dim) => n * dim, 1) }, (_, i) => i), shape);
}

const numbers = async (tensor: Tensor): Promise<number[]> => [...await tensor.data(backend)];

Deno.test("operations are recorded and computed when asked for", async () => {
  const a = Tensor.from([1, 2, 3, 4], [2, 2]);
  const y = a.matmul(a.transpose()).add(1).mul(2).sub(a).div(2);
  assertEquals(y.shape, [2, 2]);
  assertEquals(await numbers(y), [5.5, 11, 10.5, 24]);
});

Deno.test("what is computed once is kept", async () => {
  const before = backend.memory.used;
  const y = counting(3).add(1);
  const first = await y.data(backend);
  first[0] = 99;
  assertEquals([...await y.data()], [1, 2, 3]);
  assertEquals(await numbers(y.mul(y)), [1, 4, 9]);
  assertEquals(backend.memory.used, before);
});

Deno.test("shapes and dtypes are checked at once", () => {
  const a = counting(3, 4);
  assertThrows(() => a.matmul(counting(5, 4)), ShapeError);
  assertThrows(() => a.add(counting(3)), ShapeError);
  assertThrows(() => a.add(a.argmax()), DTypeError);
  assertThrows(() => a.softmax(2), OutOfBoundsError);
  assertThrows(() => Tensor.from([1, 2, 3], [2, 2]), ShapeError);
  assertThrows(() => Tensor.from([], [-1]), ShapeError);
  assertThrows(() => Tensor.fromBytes("q4_0", new Uint8Array(18), [2, 16]), DTypeError);
  assertThrows(() => Tensor.fromBytes("q4_0", new Uint8Array(17), [32]), ShapeError);
});

Deno.test("views share elements until a copy is needed", async () => {
  const x = counting(2, 3, 4);
  const turned = x.permute([2, 0, 1]);
  assertEquals([turned.shape, turned.strides], [[4, 2, 3], [1, 12, 4]]);
  assertEquals(await numbers(turned.slice([[1, 2], undefined, [0, 3, 2]])), [1, 9, 13, 21]);
  assertEquals(turned.contiguous().strides, [6, 3, 1]);
  assert(x.contiguous() === x);
  assertEquals(await numbers(x.slice([[1, 2]]).reshape([3, 4]).slice([[1, 2]])), [16, 17, 18, 19]);
  assertEquals(await numbers(turned.reshape([8, 3]).slice([[0, 1]])), [0, 4, 8]);
  assertThrows(() => x.slice([[0, 3]]), OutOfBoundsError);
  assertThrows(() => x.permute([0, 0, 1]), ShapeError);
  assertThrows(() => x.reshape([5, 5]), ShapeError);
  assertThrows(() => x.reshape([-1, -1]), ShapeError);
});

Deno.test("I32 and half-precision views are copied on the host", async () => {
  const ids = Tensor.from(Int32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
  assertEquals(await ids.transpose().data(), Int32Array.of(1, 4, 2, 5, 3, 6));
  const half = counting(2, 3).cast("f16").transpose();
  assertEquals(half.dtype, "f16");
  assertEquals([...await half.data()], [0, 3, 1, 4, 2, 5]);
});

Deno.test("reductions go over one axis or everything", async () => {
  const x = counting(2, 3);
  assertEquals(await numbers(x.sum(0)), [3, 5, 7]);
  assertEquals(await numbers(x.mean(-1, { keepDim: true })), [1, 4]);
  assertEquals(x.mean(-1, { keepDim: true }).shape, [2, 1]);
  assertEquals([await x.sum().item(backend), await x.max().item(backend), x.sum().shape], [15, 5, []]);
  assertEquals(x.transpose().sum(undefined, { keepDim: true }).shape, [1, 1]);
  assertEquals(await x.argmax().data(backend), Int32Array.of(2, 2));
  assertEquals(await x.argmax(0).data(backend), Int32Array.of(1, 1, 1));
  await assertRejects(() => x.item(backend), ShapeError);
});

Deno.test("weights of any dtype meet F32 rows", async () => {
  const x = counting(2, 32);
  const weight = Tensor.fromBytes("q8_0", quantize("q8_0", new Float32Array(64).fill(0.5)), [2, 32]);
  const [a, , b] = await numbers(x.linear(weight, Tensor.from([0, 100])));
  assert(Math.abs(a - 248) < 0.1 && Math.abs(b - 760) < 0.3);
  const computed = counting(2, 32).mul(0).add(1);
  assertEquals(await numbers(x.linear(computed)), [496, 496, 1520, 1520]);
  assertEquals(await numbers(x.linear(computed.slice([[0, 1]]).cast("bf16"))), [496, 1520]);
});

Deno.test("embeddings refuse ids that have no row", async () => {
  const table = counting(3, 2);
  const ids = Tensor.from(Int32Array.of(2, 0), [2, 1]);
  assertEquals(await numbers(table.embed(ids)), [4, 5, 0, 1]);
  assertThrows(() => table.embed(Tensor.from(Int32Array.of(3))), OutOfBoundsError);
  assertThrows(() => table.embed(Tensor.from(Int32Array.of(-1))), OutOfBoundsError);
});

Deno.test("casts round on the host, and go both ways", async () => {
  const x = Tensor.from([1 / 3, 65504, -2.7]);
  assertEquals([...await x.cast("bf16").data()], [0.333984375, 65536, -2.703125]);
  assertEquals([...await x.cast("f16").data()], [0.333251953125, 65504, -2.69921875]);
  assertEquals(await x.cast("i32").data(), Int32Array.of(0, 65504, -2));
  assertEquals(await numbers(x.cast("f16").cast("f32").mul(2)), [0.66650390625, 131008, -5.3984375]);
  assertEquals(await numbers(counting(3).add(1).cast("f16").cast("f32").add(1)), [2, 3, 4]);
  assertThrows(() => x.cast("q8_0"), DTypeError);
});

Deno.test("a quantized view that cuts blocks has no copy", async () => {
  const matrix = Tensor.from(new Float32Array(128).fill(1), [2, 64]).cast("q4_0");
  assertThrows(() => matrix.transpose().contiguous(), DTypeError);
  assertThrows(() => matrix.reshape([8, 16]), DTypeError);
  assertEquals((await matrix.slice([[0, 2], [32, 64]]).contiguous().bytes()).length, 36);
});

Deno.test("activations and norms", async () => {
  const x = Tensor.from([-1, 0, 2]);
  const near = async (tensor: Tensor, expected: number[]): Promise<void> =>
    (await numbers(tensor)).forEach((value, i) => assert(Math.abs(value - expected[i]) < 1e-6));
  await near(x.gelu(), [-0.158655254, 0, 1.954499736]);
  await near(x.gelu("tanh"), [-0.158808009, 0, 1.954597694]);
  await near(x.silu(), [-0.268941421, 0, 1.761594156]);
  await near(x.rmsNorm(undefined, 0), [-0.774596669, 0, 1.549193338]);
  await near(x.layerNorm(undefined, undefined, 0), [-1.069044968, -0.267261242, 1.336306210]);
  await near(x.softmax(), [0.042010066, 0.114195195, 0.843794734]);
  await near(x.logSoftmax(), [-3.169846, -2.169846, -0.169846]);
});

Deno.test("long chains and shared parts are computed once, without recursion", async () => {
  let x = Tensor.from([1]);
  for (let i = 0; i < 3000; i++) x = x.add(x).mul(0.5);
  assertEquals(await numbers(x), [1]);
});

Deno.test("law: concatenated slices are the whole", async () => {
  const cuts = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 5 }));
  await fc.assert(fc.asyncProperty(cuts, async ([rows, cut]) => {
    const x = counting(rows, 5);
    const joined = x.slice([undefined, [0, cut]]).concat(x.slice([undefined, [cut, 5]]), 1);
    assertEquals(await numbers(joined), await numbers(x));
  }));
});

Deno.test("the default backend is made at the first need, once", async () => {
  await assertRejects(() => counting(2).add(1).data(), InvalidArgumentError, "setDefaultBackend");
  let made = 0;
  setDefaultBackend(() => {
    made++;
    return createReferenceBackend();
  });
  try {
    assertEquals([...await counting(2).data()], [0, 1]);
    assertEquals(made, 0);
    assertEquals([...await counting(2).add(1).data(), ...await counting(2).add(2).data()], [1, 2, 2, 3]);
    assertEquals(made, 1);
  } finally {
    setDefaultBackend(undefined);
  }
});
