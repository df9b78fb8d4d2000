import { assertEquals, assertThrows } from "@std/assert";
import { InvalidArgumentError, OutOfBoundsError } from "../errors.ts";
import { Recorder } from "./recorder.ts";
import { STEP_HEADER_WORDS, stepLayout, StepRecord } from "./step.ts";

function program() {
  const g = new Recorder("test", { rows: 6, outputs: 2 });
  g.step("ids", "i32", ["rows"]);
  g.step("table", "i32", [2, 3]);
  g.step("bias", "f32", ["outputs"]);
  return g.finish();
}

Deno.test("fields stand one after another at full capacity", () => {
  const { words, fields } = stepLayout(program());
  assertEquals([...fields.values()].map((field) => field.offset), [4, 10, 16]);
  assertEquals(words, STEP_HEADER_WORDS + 6 + 6 + 2);
});

Deno.test("fields are filled in place", () => {
  const step = new StepRecord(program());
  step.setCounts(3, 1);
  step.ints("ids").set([7, 8, 9]);
  step.floats("bias").set([1]);
  assertEquals([...step.words.subarray(0, 7)], [3, 1, 0, 0, 7, 8, 9]);
  assertEquals(step.words[16], 0x3f800000);
  assertEquals([step.rows, step.outputs], [3, 1]);
});

Deno.test("counts beyond the capacity and unknown fields are refused", () => {
  const step = new StepRecord(program());
  assertThrows(() => step.setCounts(7, 0), OutOfBoundsError);
  assertThrows(() => step.setCounts(1, 3), OutOfBoundsError);
  assertThrows(() => step.setCounts(-1, 0), OutOfBoundsError);
  assertThrows(() => step.ints("nothing"), InvalidArgumentError);
});
