import { assert, assertEquals, assertRejects } from "@std/assert";
import { InvalidArgumentError } from "../errors.ts";
import { load } from "../load.ts";

const PROMPT = "Once upon a time";

Deno.test("searches beside generations change nobody's text", async () => {
  await using model = await load(undefined, { backend: "wasm" });
  const generate = () => model.generate(PROMPT, { maxTokens: 24, temperature: 0.9, seed: 3 }).text();
  const search = () => model.beamSearch("The little dog", { beams: 5, maxTokens: 20 });
  const draw = () => model.bestOf(PROMPT, { count: 3, maxTokens: 24, temperature: 0.9, seed: 2 });
  const [text, found, drawn] = [await generate(), await search(), await draw()];
  const together = await Promise.all([generate(), search(), draw(), search()]);
  assertEquals(together[0], text);
  assertEquals(together[1].beams, found.beams);
  assertEquals(together[2].beams, drawn.beams);
  assertEquals(together[3].beams, found.beams);
  assertEquals([found.beams.length, found.text, found.promptIds], [
    5,
    found.beams[0].text,
    model.tokenizer.encode("The little dog"),
  ]);
  // The second that is drawn has the seed of the generation.
  assert(drawn.beams.some((beam) => beam.text === text));
  const { heldPages, busy, idle } = model.usage;
  assertEquals([heldPages, busy, idle], [0, 0, 0]);
});

Deno.test("the token that ends a beam is part of it, and not of the text", async () => {
  await using model = await load(undefined, { backend: "wasm" });
  const ids = (await model.generate(PROMPT, { maxTokens: 6, temperature: 0 }).stats()).ids;
  const end = ids[3];
  const found = await model.beamSearch(PROMPT, { beams: 1, maxTokens: 6, eosIds: [end] });
  const length = ids.indexOf(end);
  assertEquals(found.beams[0].ids, ids.slice(0, length + 1));
  assertEquals([found.ids, found.finishReason], [ids.slice(0, length), "stop"]);
  assertEquals(found.text, await model.generate(PROMPT, { maxTokens: length, temperature: 0 }).text());
});

Deno.test("an aborted search leaves nothing behind, and one that cannot be is refused", async () => {
  await using model = await load(undefined, { backend: "wasm", maxSequences: 4 });
  const { beams } = await model.beamSearch(PROMPT, { maxTokens: 200, signal: AbortSignal.timeout(20) });
  assert(beams.every(({ finishReason }) => finishReason !== "length"));
  const { text } = await model.bestOf(PROMPT, { maxTokens: 9, signal: AbortSignal.abort() });
  assertEquals([text, model.usage.heldPages, model.usage.idle], ["", 0, 0]);
  for (const beams of [0, 1.5, 5]) {
    await assertRejects(() => model.beamSearch(PROMPT, { beams }), InvalidArgumentError, "beams");
  }
  await assertRejects(() => model.beamSearch(PROMPT, { maxTokens: 0 }), InvalidArgumentError, "maxTokens");
  await assertRejects(() => model.beamSearch(PROMPT, { lengthPenalty: NaN }), InvalidArgumentError);
  await assertRejects(() => model.bestOf(PROMPT, { count: 5 }), InvalidArgumentError, "count");
});
