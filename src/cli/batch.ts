/**
 * `batch`: a file of prompts to a file of results, in the same order. A job that was stopped goes on where it was.
 *
 * @module
 */
import { BackendError, LLMForgeError } from "../errors.ts";
import { together } from "../generate/together.ts";
import type { Model } from "../model.ts";
import { BatchInput, type BatchLine } from "./batch_input.ts";
import { BatchOutput } from "./batch_output.ts";
import { type BatchRequest, idOf, parseRequest } from "./batch_request.ts";
import { plural } from "./format.ts";
import { EXIT_INTERRUPTED } from "./interrupt.ts";
import { openModel } from "./open_model.ts";
import type { GenerationOptions, ModelOptions } from "./options.ts";
import { note, printJson } from "./output.ts";
import { Progress } from "./progress.ts";

/** Options of `batch`: those of a generation are for lines that do not say otherwise. */
export interface BatchOptions extends ModelOptions, GenerationOptions {}

/** Results that may wait for an earlier one, for each sequence of a step. */
const AHEAD = 4;

/** Runs it; gives the exit code. */
export async function batch(
  inputPath: string,
  outputPath: string,
  options: BatchOptions,
  signal: AbortSignal,
): Promise<number> {
  using input = await BatchInput.open(inputPath);
  using output = await BatchOutput.open(outputPath);
  const done = output.lines;
  await input.skip(output.ids, outputPath);
  const { model: opened } = await openModel(options.model, options, signal, {
    lazyTokenizer: true,
    batch: true,
  });
  await using model = opened;
  const { maxSequences } = model;
  const progress = new Progress(
    options.quiet !== true && options.json !== true,
    "generating {bar} {percentage}%",
  );
  try {
    await together(maxSequences, signal, async (stop) => {
      stop.addEventListener("abort", () => output.stop(), { once: true });
      for (let line; !stop.aborted && (line = await input.next());) {
        await output.room(line.index, maxSequences * AHEAD);
        if (stop.aborted) return;
        const result = await complete(model, line, options, stop);
        // What was cut short is done again by the next run.
        if (stop.aborted) return;
        output.add(line.index, result);
        progress.update(input.consumed, input.size);
      }
    });
  } finally {
    progress.stop();
  }
  const { lines, failed: errors } = output;
  if (options.json) printJson({ lines, resumed: done, failed: errors, output: outputPath });
  else if (!options.quiet) {
    note(
      `${outputPath}: ${plural(lines, "line")}${
        done > 0 ? `, ${done} of them from before` : ""
      }, ${errors} failed`,
    );
  }
  return signal.aborted ? EXIT_INTERRUPTED : 0;
}

/** The result of a line: an error of its own does not end the others. */
async function complete(
  model: Model,
  { index, text }: BatchLine,
  defaults: GenerationOptions,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  try {
    const request: BatchRequest = parseRequest(text, defaults);
    // Drawn without a seed, a job that goes on would not give what an undisturbed one gives.
    const generation = model.generate(await promptOf(model, request), {
      seed: index,
      ...request.options,
      signal,
    });
    const said = await generation.text();
    const { ids, finishReason } = await generation.stats();
    return { index, id: request.id, text: said, ids, finish_reason: finishReason };
  } catch (error) {
    // A broken backend is no fault of the line: the next run does it again.
    if (error instanceof BackendError) throw error;
    if (!(error instanceof LLMForgeError) && !(error instanceof SyntaxError)) throw error;
    const code = error instanceof LLMForgeError ? error.code : "INVALID_JSON";
    return { index, id: idOf(text), error: { code, message: error.message } };
  }
}

async function promptOf(
  model: Model,
  { prompt, messages }: BatchRequest,
): Promise<string | readonly number[]> {
  if (messages === undefined) return prompt;
  await model.tokenizer.prepare();
  const text = await model.applyChatTemplate(messages);
  // The template writes the special tokens itself.
  return model.tokenizer.encode(text, { addSpecial: false, parseSpecial: true });
}
