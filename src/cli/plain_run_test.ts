/** Plain command lines are read as `commander` reads them. @module */
import { assert, assertEquals } from "@std/assert";
import { Command } from "commander";
import fc from "fast-check";
import { commanderOption } from "./commander.ts";
import { commonOptions } from "./options.ts";
import { readArguments } from "./plain_run.ts";
import { runOptions } from "./run_options.ts";

const OPTIONS = [...runOptions(), ...commonOptions()];

/** What `commander` makes of the arguments; nothing where it refuses them. */
function byCommander(args: readonly string[]): ReturnType<typeof readArguments> {
  const command = new Command("run").argument("[prompt]").exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} });
  for (const option of OPTIONS) command.addOption(commanderOption(option));
  try {
    command.parse([...args], { from: "user" });
  } catch {
    return undefined;
  }
  const [prompt] = command.args;
  return prompt === undefined ? { options: command.opts() } : { prompt, options: command.opts() };
}

Deno.test("what is read without commander is what commander reads", () => {
  const values = [
    "",
    "-",
    "-1",
    "0",
    "0.5",
    "1,2",
    "a story",
    "auto",
    "f16",
    "nonsense",
    "--",
    "-h",
    "--help",
  ];
  const word = fc.oneof(
    fc.constantFrom(...OPTIONS.map(({ long }) => long)),
    fc.constantFrom(...OPTIONS.map(({ long }) => `${long}=1`)),
    fc.constantFrom(...values),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (args) => {
      const read = readArguments(args, OPTIONS);
      if (!read) return;
      const { prompt, options } = read;
      assertEquals(prompt === undefined ? { options } : { prompt, options }, byCommander(args));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("the usual command lines are read without commander", () => {
  const lines = [
    [],
    ["Once upon a time"],
    ["--model", "a.gguf", "--prompt-ids", "1,2,3", "--max-tokens", "64", "--ignore-eos", "--json"],
    ["--stop", "a", "--stop", "b", "--temperature", "0.5", "--seed", "7", "--threads", "2", "-"],
  ];
  for (const line of lines) {
    const read = readArguments(line, OPTIONS);
    assert(read, line.join(" "));
    assertEquals(read.options, byCommander(line)?.options);
    assertEquals(read.prompt, byCommander(line)?.prompt);
  }
});

Deno.test("whatever is wrong or unusual is left to commander", () => {
  const lines = [
    ["a", "b"],
    ["--threads"],
    ["--threads", "0"],
    ["--backend", "abacus"],
    ["--colour"],
    ["--raw", "--system", "s"],
    ["--max-tokens=3"],
    ["--", "a"],
    ["-h"],
    ["--help"],
  ];
  for (const line of lines) assertEquals(readArguments(line, OPTIONS), undefined, line.join(" "));
});
