import { assert, assertEquals } from "@std/assert";
import { ConfigReader } from "./config_reader.ts";
import { huggingFaceRope } from "./rope_config.ts";
import { inverseFrequencies, ropeScale } from "../nn/rope.ts";

interface RopeCase {
  name: string;
  config: { hidden_size: number; max_position_embeddings: number; rope_parameters: Record<string, unknown> };
  length: number;
  inverse_frequencies: number[];
  attention_factor: number;
}

const golden = JSON.parse(
  await Deno.readTextFile(new URL("../../tests/fixtures/rope/rope.json", import.meta.url)),
) as { cases: RopeCase[] };

/** What differs from the reference, relative to it; the reference computes in F32. */
function difference(rope: RopeCase, fields: Record<string, unknown>): number {
  const { hidden_size: headDim, max_position_embeddings: contextLength } = rope.config;
  const config = huggingFaceRope(new ConfigReader(fields), { headDim, contextLength, interleaved: false });
  const frequencies = inverseFrequencies(config, rope.length);
  assertEquals(frequencies.length, rope.inverse_frequencies.length);
  const pairs = rope.inverse_frequencies.map((expected, i) => [expected, frequencies[i]]);
  return [...pairs, [rope.attention_factor, ropeScale(config)]].reduce(
    (most, [expected, actual]) => Math.max(most, Math.abs(actual / expected - 1)),
    0,
  );
}

for (const rope of golden.cases) {
  Deno.test(`rope scaling as the reference has it: ${rope.name}`, () => {
    const { rope_parameters: parameters } = rope.config;
    assert(difference(rope, rope.config) < 1e-6);
    const { rope_theta: theta, partial_rotary_factor: fraction = 1, rope_type: type, ...scaling } =
      parameters;
    const older = {
      ...rope.config,
      rope_parameters: undefined,
      rope_theta: theta,
      partial_rotary_factor: fraction,
      rope_scaling: { type, ...scaling },
    };
    assert(difference(rope, older) < 1e-6, "as transformers 4 wrote it");
  });
}
