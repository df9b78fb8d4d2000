/** KV caches in blocks, Q16 and Q8: what they take, what they change, and all that handles pages. @module */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { InvalidArgumentError, load, type LoadOptions, type Model, SessionMismatchError } from "../../mod.ts";
import { createWasmBackend } from "../../src/backends/wasm/mod.ts";
import type { Backend, BackendName } from "../../src/backends/backend.ts";
import { loadOn } from "../../src/load.ts";
import type { CacheDType } from "../../src/nn/decoder.ts";
import { pageBytes } from "../../src/generate/pages.ts";
import { BACKEND_SOURCES, testOnBackends } from "../support/backends.ts";
import { runJson } from "../support/run_cli.ts";
import { sharedUrl, testWithShared } from "../support/shared.ts";

const SMOLLM2 = "models/smollm2-135m-instruct-q4_1.gguf";
const TEXT_IDS = "goldens/smollm2/text_ids.json";
const CHAT = {
  template: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: ",
  maxTokens: 16,
  temperature: 0,
  ignoreEos: true,
};
const PROMPT = Array.from({ length: 90 }, (_, i) => (i * 7919 + 17) % 500);

/** A type of cache: its option, and what is expected of it. */
interface CacheKind {
  readonly kv: "q16" | "q8";
  readonly dtype: CacheDType;
  /** Bytes of a token's head of 64, 80 and 20 channels. */
  readonly headBytes: readonly number[];
  /**
   * How far the perplexity may be from that of F16. Q16 is nearer to F32 than F16 is, but behind Q4_1 weights activations
   * are rounded to 8 bits, and whatever differs at all moves some over an edge: 0.13 % were measured.
   */
  readonly perplexity: number;
}

const KINDS: readonly CacheKind[] = [
  { kv: "q16", dtype: "q16", headBytes: [132, 264, 132], perplexity: 0.003 },
  { kv: "q8", dtype: "q8_0", headBytes: [68, 102, 34], perplexity: 0.005 },
];

/** The model built in, on a backend of the caller's. */
function loadWith(backend: Backend, options: LoadOptions): Promise<Model> {
  return loadOn(() => Promise.resolve({ backend, report: [] }), undefined, options);
}

/** Whether a backend has caches of the type. */
function hasCache(name: BackendName, kv: CacheKind["kv"]): boolean {
  return kv === "q8" || name !== "webgpu";
}

Deno.test("--kv q8: inspect plans what run takes", async () => {
  const flags = ["--kv", "q8", "--context", "256"];
  const [plan, result, f16] = await Promise.all([
    runJson(["inspect", ...flags]),
    runJson(["Once", ...flags, "--max-tokens", "2"]),
    runJson(["inspect", "--kv", "f16", "--context", "256"]),
  ]);
  assert(result.memory.kv % plan.memory.kv === 0);
  assert(plan.memory.kv < f16.memory.kv);
});

Deno.test("a type of cache that there is not is refused", async () => {
  await assertRejects(
    () => load(undefined, { kv: "q4" as "q8" }),
    InvalidArgumentError,
    '"q16" or "q8", not q4',
  );
});

for (const { kv, dtype, headBytes, perplexity } of KINDS) {
  Deno.test(`a page in ${kv} has whole blocks for every head of a token`, async () => {
    await using model = await load();
    const bytes = [[3, 64], [2, 80], [1, 20]].map(([kvHeads, headDim]) =>
      pageBytes({ ...model.config, kvHeads, headDim }, dtype)
    );
    assertEquals(bytes, [3, 2, 1].map((kvHeads, i) => 32 * kvHeads * headBytes[i]));
  });

  await testOnBackends(`logits of a ${kv} cache are near those of F32`, async (backend) => {
    await using model = await loadWith(backend, { kv });
    await using exact = await load(undefined, { backend: "reference", kv: "f32" });
    const [rounded, expected] = [await model.logits(PROMPT), await exact.logits(PROMPT)];
    const power = (x: Float32Array): number => x.reduce((sum, value) => sum + value * value, 0);
    // Q8 is off by 1/254 of the greatest of a block at most, and so are activations where weights are quantized.
    assert(power(rounded.map((x, i) => x - expected[i])) < 1e-3 * power(expected));
  }, (name) => hasCache(name, kv));

  await testOnBackends(
    `a ${kv} session goes on as it was, and the context moves`,
    async (backend, _t, label) => {
      const options = { kv, contextLength: 256 } as const;
      await using model = await loadWith(backend, options);
      const chat = model.chat(CHAT);
      await chat.send("Once upon a time there was a little dog who lived in a big house. ".repeat(3)).text();
      const session = await chat.save();
      const source = BACKEND_SOURCES.find((candidate) => candidate.label === label);
      assert(source);
      await using same = await loadWith(await source.create(), options);
      const restored = await same.restoreChat(session, CHAT);
      assert(same.usage.keptPages > 0);
      assertEquals(await restored.save(), session);
      assertEquals(await restored.send("And then?").text(), await chat.send("And then?").text());
      for (const contextFull of ["slide", "shift"] as const) {
        const long = { maxTokens: 260, temperature: 0, ignoreEos: true, contextFull } as const;
        assertEquals((await model.generate(PROMPT, long).stats()).ids.length, 260);
      }
      assertEquals(model.usage.heldPages, 0);
    },
    (name) => name !== "reference" && hasCache(name, kv),
  );

  Deno.test(`a session in ${kv} is refused by a cache of another type, and the other way round`, async () => {
    await using quantized = await load(undefined, { backend: "wasm", kv });
    await using half = await load(undefined, { backend: "wasm", kv: "f16" });
    for (const [from, to] of [[quantized, half], [half, quantized]]) {
      const chat = from.chat(CHAT);
      await chat.send("Once upon a time there was a little dog.").text();
      const session = await chat.save();
      await assertRejects(
        () => to.restoreChat(session, CHAT),
        SessionMismatchError,
        "another type of KV cache",
      );
    }
  });

  for (const build of ["simd", "relaxed"] as const) {
    Deno.test(`the bits of a ${kv} cache do not depend on threads or on who shares the step (wasm ${build})`, async () => {
      const results = [];
      for (const threads of [0, 1, 3]) {
        const backend = await createWasmBackend({ build, threads, partWork: 0 });
        await using model = await loadWith(backend, { kv });
        const logits = await model.logits(PROMPT);
        const asked = ["Once upon a time", "The dog", "A"].map((text) =>
          model.generate(text, { maxTokens: 24, temperature: 0, ignoreEos: true })
        );
        const together = await Promise.all(asked.map((generation) => generation.text()));
        const alone = await model.generate("The dog", { maxTokens: 24, temperature: 0, ignoreEos: true })
          .text();
        assertEquals(alone, together[1]);
        results.push({ bits: new Uint8Array(logits.buffer), together });
      }
      for (const result of results.slice(1)) assertEquals(result, results[0]);
    });
  }

  Deno.test(`beams fork partly filled pages of a ${kv} cache: their scores are those of their tokens`, async () => {
    await using model = await load(undefined, { backend: "wasm", kv });
    const { beams } = await model.beamSearch(PROMPT, { beams: 3, maxTokens: 6 });
    assertEquals(beams.length, 3);
    for (const { ids, score } of beams) {
      let sum = 0;
      for (const [i, id] of ids.entries()) {
        const logits = await model.logits([...PROMPT, ...ids.slice(0, i)]);
        const most = logits.reduce((a, b) => Math.max(a, b));
        sum += logits[id] - most - Math.log(logits.reduce((total, x) => total + Math.exp(x - most), 0));
      }
      assertAlmostEquals(score, sum / ids.length, 1e-4);
    }
    assertEquals(model.usage.heldPages, 0);
  });

  testWithShared(`SmolLM2 in ${kv} has the perplexity of F16 within ${100 * perplexity} %`, [
    SMOLLM2,
    TEXT_IDS,
  ], async () => {
    const stored: number[] | { ids: number[] } = JSON.parse(await Deno.readTextFile(sharedUrl(TEXT_IDS)));
    const ids = (Array.isArray(stored) ? stored : stored.ids).slice(0, 1024);
    const score = async (kv: "f16" | CacheKind["kv"]): Promise<number> => {
      await using model = await load(sharedUrl(SMOLLM2), { backend: "wasm", kv });
      return (await model.score(ids)).perplexity;
    };
    const ratio = await score(kv) / await score("f16");
    assert(Math.abs(ratio - 1) < perplexity, `the ratio is ${ratio}`);
  });
}
