/**
 * Prints a Program so that people can read it.
 *
 * @module
 */
import { OPS } from "./ops.ts";
import { ABSENT, type Program, type Value } from "./program.ts";

/**
 * One line an op: `%12 f32[rows,64] = linear(%11, w:layers.0.q) {…}`.
 *
 * ```ts
 * import { Recorder } from "./recorder.ts";
 * import { explain } from "./explain.ts";
 * const g = new Recorder("double");
 * const x = g.input("x", "f32", [4]);
 * g.output("y", g.add(x, x));
 * console.log(explain(g.finish()));
 * ```
 */
export function explain(program: Program): string {
  const { capacity, values, ops } = program;
  const lines = [`program ${program.name} (rows ≤ ${capacity.rows}, outputs ≤ ${capacity.outputs})`];
  const bound = values.filter((value) => !["temp", "alias", "weight"].includes(value.kind));
  for (const value of bound) lines.push(`  ${value.kind} ${value.name}: ${typeText(value)}`);
  const weights = values.filter((value) => value.kind === "weight");
  if (weights.length > 0) lines.push(`  ${weights.length} weights`);
  for (const op of ops) {
    const inputs = op.inputs.map((id) => (id === ABSENT ? "–" : nameOf(program, id)));
    while (inputs.at(-1) === "–") inputs.pop();
    const outputs = op.outputs.map((id) => `${nameOf(program, id)} ${typeText(values[id])}`);
    const attrs = Object.entries(op.attrs)
      .filter(([key, value]) => OPS[op.name].defaults?.[key] !== value)
      .map(([key, value]) => `${key}: ${attrText(value)}`);
    const left = outputs.length > 0 ? `${outputs.join(", ")} = ` : "";
    lines.push(
      `  ${left}${op.name}(${inputs.join(", ")})${attrs.length > 0 ? ` {${attrs.join(", ")}}` : ""}`,
    );
  }
  return lines.join("\n");
}

function nameOf(program: Program, id: number): string {
  const value = program.values[id];
  if (value.kind === "temp") return `%${id}`;
  if (value.kind === "alias") return `${nameOf(program, value.aliasOf ?? id)}:[${value.shape}]`;
  return value.kind === "weight" ? `w:${value.name}` : value.name;
}

function typeText(value: Value): string {
  return `${value.dtype}[${value.shape}]`;
}

function attrText(value: unknown): string {
  if (!Array.isArray(value)) return `${value}`;
  return value.length > 6 ? `[${value.slice(0, 3)}, … ${value.length}]` : `[${value}]`;
}
