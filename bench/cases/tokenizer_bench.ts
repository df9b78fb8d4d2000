/** Tokenizers: preparing, encoding and decoding. SmolLM2's is there where `../shared` is. @module */
import { openModelFile } from "../../src/formats/open.ts";
import { modelTokenizer } from "../../src/model_files.ts";
import { embeddedModel } from "../../src/models/embedded/mod.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import type { SourceLike } from "../../src/formats/source.ts";
import { sharedUrl } from "../../tests/support/shared.ts";
import { exists } from "../support/options.ts";

const PARAGRAPH =
  "Once upon a time there was a small boat that wanted to see the sea. Every morning the river carried leaves, " +
  "twigs and, in 1994, one red shoe past it; every evening the boat asked: “How far is it?” Nobody knew. The heron " +
  "said 12.5 miles, the otter said it wasn't far at all, and the fish (who had never been asked before) said nothing. ";
/** About 1,300 characters, then 21,000. */
const TEXTS = { short: PARAGRAPH.repeat(4), long: PARAGRAPH.repeat(64) };

async function openTokenizer(source: SourceLike): Promise<Tokenizer> {
  const file = await openModelFile(source);
  try {
    const tokenizer = await modelTokenizer(file);
    if (tokenizer === undefined) throw new Error(`${file.name} has no tokenizer`);
    return tokenizer;
  } finally {
    file.close();
  }
}

async function benchTokenizer(name: string, source: () => SourceLike): Promise<void> {
  Deno.bench({ name: `${name}: open and prepare`, group: "tokenizer, prepare" }, async () => {
    await (await openTokenizer(source())).prepare();
  });
  const tokenizer = await openTokenizer(source());
  await tokenizer.prepare();
  for (const [length, text] of Object.entries(TEXTS)) {
    const ids = tokenizer.encode(text);
    const size = `${length}, ${text.length} characters, ${ids.length} tokens`;
    Deno.bench({ name: `${name}: encode ${size}`, group: `tokenizer, encode ${length}` }, () => {
      tokenizer.encode(text);
    });
    Deno.bench({ name: `${name}: decode ${size}`, group: `tokenizer, decode ${length}` }, () => {
      tokenizer.decode(ids);
    });
    Deno.bench({ name: `${name}: stream ${size}`, group: `tokenizer, decode ${length}` }, () => {
      const stream = tokenizer.stream();
      for (const id of ids) stream.push(id);
      stream.flush();
    });
  }
}

await benchTokenizer("stories", embeddedModel);
const smollm2 = sharedUrl("models/smollm2-135m-instruct-q4_1.gguf");
if (exists(smollm2)) await benchTokenizer("smollm2", () => smollm2);
