/** Conversations and saved sessions. @module */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Chat,
  InvalidArgumentError,
  load,
  type LoadOptions,
  type Model,
  TokenizerError,
} from "../../mod.ts";
import { InvalidFileError, SessionMismatchError } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { loadOn } from "../../src/load.ts";
import { embeddedModel } from "../../src/models/embedded/mod.ts";
import { PAGE_SIZE } from "../../src/nn/decoder.ts";
import { BACKEND_SOURCES, testOnBackends } from "../support/backends.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const SMOLLM2 = "models/smollm2-135m-instruct-q4_1.gguf";
const STORIES = "models/stories/";
const OPTIONS = {
  template: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: ",
  maxTokens: 12,
  temperature: 0,
  ignoreEos: true,
};
const OPENING = "Once upon a time there was a little dog who lived in a big house with a red door. ".repeat(
  3,
);

function loadStories(backend: Backend, options: LoadOptions = {}): Promise<Model> {
  return loadOn(() => Promise.resolve({ backend, report: [] }), undefined, options);
}

async function another(label: string): Promise<Backend> {
  const found = BACKEND_SOURCES.find((source) => source.label === label);
  assert(found);
  return await found.create();
}

async function savedChat(model: Model): Promise<{ chat: Chat; session: Uint8Array; length: number }> {
  const chat = model.chat({ ...OPTIONS, system: "Tell stories." });
  const { promptIds, ids } = await chat.send(OPENING).stats();
  // The last token of an answer that was cut is never fed back.
  return { chat, session: await chat.save(), length: promptIds.length + ids.length - 1 };
}

await testOnBackends(
  "a turn computes what is new in it, beside a page that was not full",
  async (backend) => {
    await using model = await loadStories(backend, { contextLength: 512 });
    const chat = model.chat(OPTIONS);
    let known: readonly number[] = [];
    for (const text of [OPENING, "And then?", "Why was that?"]) {
      const { promptIds, ids, reusedTokens, prefillTokens } = await chat.send(text).stats();
      assertEquals(promptIds.slice(0, known.length), known);
      assertEquals(reusedTokens, Math.max(Math.floor((known.length - 1) / PAGE_SIZE), 0) * PAGE_SIZE);
      assertEquals(prefillTokens, promptIds.length - reusedTokens);
      known = [...promptIds, ...ids];
    }
    assert(known.length > 4 * PAGE_SIZE);
    assertEquals(chat.messages.map(({ role }) => role), [
      "user",
      "assistant",
      "user",
      "assistant",
      "user",
      "assistant",
    ]);
  },
);

testWithShared("a model's own template goes on from the tokens that were generated", [SMOLLM2], async () => {
  await using model = await load(sharedUrl(SMOLLM2), { contextLength: 512, maxSequences: 2 });
  const chat = model.chat({ system: "You are terse.", maxTokens: 24, temperature: 0 });
  const first = await chat.send("Name three animals that live in the sea.").stats();
  const { promptIds, reusedTokens } = await chat.send("Which of them is the largest?").stats();
  const known = [...first.promptIds, ...first.ids];
  assertEquals(promptIds.slice(0, known.length), known);
  assertEquals(reusedTokens, Math.floor((known.length - 1) / PAGE_SIZE) * PAGE_SIZE);
  const whole = await model.applyChatTemplate(chat.messages.slice(0, -1));
  assertEquals(model.tokenizer.decode(promptIds, { skipSpecial: false }), whole);
});

await testOnBackends("a restored session says what the saved one says", async (backend, _t, label) => {
  const turns = [{ temperature: 0 }, { temperature: 1, seed: 7 }];
  const goOn = async (chat: Chat): Promise<{ texts: string[]; reused: number }> => {
    const texts: string[] = [];
    let reused = -1;
    for (const options of turns) {
      const answer = chat.send("And then?", options);
      texts.push(await answer.text());
      if (reused < 0) reused = (await answer.stats()).reusedTokens;
      chat.undo();
    }
    return { texts, reused };
  };
  await using model = await loadStories(backend, { contextLength: 512 });
  const { chat, session, length } = await savedChat(model);
  const expected = await goOn(chat);
  assertEquals(expected.reused, Math.floor(length / PAGE_SIZE) * PAGE_SIZE);
  assert(expected.reused >= 2 * PAGE_SIZE);
  await using other = await loadStories(await another(label), { contextLength: 512 });
  const restored = await other.restoreChat(session, OPTIONS);
  assertEquals(restored.messages, chat.messages);
  assertEquals(await restored.save(), session);
  assertEquals(await goOn(restored), expected);
  assertEquals(other.usage.heldPages, 0);
});

Deno.test("a session can be restored where nothing is kept, and is computed again there", async () => {
  await using model = await load();
  const { chat, session } = await savedChat(model);
  await using other = await load(undefined, { prefixCache: false });
  const restored = await other.restoreChat(session, OPTIONS);
  assertEquals(other.usage.heldPages, 0);
  assertEquals(await restored.send("And then?").text(), await chat.send("And then?").text());
});

Deno.test("a session of another backend, cache or other weights is refused", async () => {
  await using model = await load(undefined, { backend: "wasm" });
  const { session } = await savedChat(model);
  const changed = embeddedModel().slice();
  changed[changed.length >> 1] ^= 0x11;
  const others: [string, Promise<Model>][] = [
    ["another type of KV cache", load(undefined, { backend: "wasm", kv: "f32" })],
    ["another backend", load(undefined, { backend: "reference" })],
    ["other weights", load(changed, { backend: "wasm" })],
  ];
  for (const [says, loading] of others) {
    await using other = await loading;
    await assertRejects(() => other.restoreChat(session, OPTIONS), SessionMismatchError, says);
    assertEquals(other.usage.keptPages, 0);
  }
  session[session.length - 9] ^= 1;
  await assertRejects(() => model.restoreChat(session, OPTIONS), InvalidFileError, "checksum");
});

testWithShared("a session of another quantization or model is refused", [STORIES], async () => {
  const quantized = () => load(sharedUrl(STORIES), { quantize: "q8_0", kv: "f16", backend: "wasm" });
  await using model = await quantized();
  const { session } = await savedChat(model);
  await using same = await quantized();
  assert(await same.restoreChat(session, OPTIONS));
  const others = [
    load(sharedUrl(STORIES), { quantize: "q4_0", kv: "f16", backend: "wasm" }),
    load(sharedUrl(STORIES), { kv: "f16", backend: "wasm" }),
    load(undefined, { kv: "f16", backend: "wasm", contextLength: 256 }),
  ];
  for (const loading of others) {
    await using other = await loading;
    await assertRejects(
      () => other.restoreChat(session, OPTIONS),
      SessionMismatchError,
      "another model or quant",
    );
  }
});

Deno.test("who stops an answer keeps what was said so far", async () => {
  await using model = await load();
  const chat = model.chat(OPTIONS);
  let said = "";
  for await (const { text } of chat.send("Once")) {
    said += text;
    if (said.length > 10) break;
  }
  assertEquals(chat.messages, [{ role: "user", content: "Once" }, { role: "assistant", content: said }]);
  const stopper = new AbortController();
  const answer = chat.send("Then", { signal: stopper.signal });
  for await (const _ of answer) stopper.abort();
  assertEquals((await answer.stats()).finishReason, "abort");
  assertEquals(chat.messages.length, 4);
  const before = chat.messages;
  await chat.send("Then", { signal: AbortSignal.abort() }).text();
  assertEquals(chat.messages, before);
  assertEquals(model.usage.heldPages, 0);
});

Deno.test("an answer that fails leaves the history as it was", async () => {
  await using model = await load(undefined, { contextLength: 64 });
  const chat = model.chat(OPTIONS);
  await chat.send("Once").text();
  const before = chat.messages;
  await assertRejects(() => chat.send(OPENING).text(), Error, "64");
  assertEquals(chat.messages, before);
  assert((await chat.send("Then").text()).length > 0);
});

Deno.test("one answer at a time, and it is read once", async () => {
  await using model = await load();
  const chat = model.chat(OPTIONS);
  const reading = chat.send("Once")[Symbol.asyncIterator]();
  await reading.next();
  await assertRejects(() => chat.send("Then").text(), InvalidArgumentError, "still being read");
  await assertRejects(() => chat.save(), InvalidArgumentError, "still being read");
  assertThrows(() => chat.messages = [], InvalidArgumentError, "still being read");
  await reading.return?.();
  const answer = chat.send("Then");
  await answer.text();
  assertThrows(() => answer[Symbol.asyncIterator](), InvalidArgumentError, "once");
});

Deno.test("history is data", async () => {
  await using model = await load();
  const chat = model.chat({ ...OPTIONS, system: "Be brief.", messages: [{ role: "user", content: "Hi" }] });
  assertEquals(chat.messages.map(({ role }) => role), ["system", "user"]);
  assertEquals([chat.undo(), chat.undo()], ["Hi", undefined]);
  assertEquals(chat.messages, [{ role: "system", content: "Be brief." }]);
  assertThrows(
    () => model.chat({ ...OPTIONS, messages: [{ role: "robot", content: "" }] }),
    InvalidArgumentError,
  );
  assertThrows(() => chat.messages = [{ role: "robot", content: "" }], InvalidArgumentError, "robot");
});

Deno.test("a model without a template says what to do", async () => {
  await using model = await load();
  assertThrows(() => model.chat(), TokenizerError, "no chat template; give chat one");
  await assertRejects(() => model.restoreChat(new Uint8Array()), TokenizerError, "no chat template");
});
