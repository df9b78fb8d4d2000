/**
 * `chat`: a conversation, turn by turn, from a terminal or a pipe.
 *
 * @module
 */
import type { Chat, ChatOptions } from "../chat/chat.ts";
import { type ChatRoom, runTurn } from "./chat_commands.ts";
import { fileArgument } from "./input.ts";
import { EXIT_INTERRUPTED, interceptInterrupts } from "./interrupt.ts";
import { modelArgument, openModel } from "./open_model.ts";
import type { GenerationOptions, ModelOptions } from "./options.ts";
import { ask, note, print, printJson } from "./output.ts";
import { noteError } from "./report.ts";
import { chosenSampling } from "./sampling_options.ts";
import { linesOf, TurnReader } from "./turns.ts";

/** Options of `chat`. */
export interface ChatCommandOptions extends ModelOptions, GenerationOptions {
  /** Instructions. */
  system?: string;
  /** File of a template. */
  chatTemplate?: string;
}

/** Runs it; gives the exit code. */
export async function chat(
  argument: string | undefined,
  options: ChatCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const source = modelArgument(argument, options.model);
  const { chatTemplate } = options;
  const template = chatTemplate === undefined ? undefined : await fileArgument(chatTemplate, signal);
  // Half of the cache is kept for later turns, so there must be two contexts for one to be kept.
  const opened = await openModel(source, options, signal, { lazyTokenizer: false, sequences: 2 });
  await using model = opened.model;
  const { maxTokens, ignoreEos, stop } = options;
  const chatOptions: ChatOptions = { template, maxTokens, ignoreEos, stop, ...chosenSampling(options) };
  const room: ChatRoom = {
    chat: model.chat({ ...chatOptions, system: options.system }),
    restore: (session) => model.restoreChat(session, chatOptions),
    note,
  };
  return await converse(room, options, signal);
}

async function converse(room: ChatRoom, options: ChatCommandOptions, signal: AbortSignal): Promise<number> {
  const typed = Deno.stdin.isTerminal();
  const prompted = typed && !options.quiet;
  const reader = new TurnReader();
  const lines = linesOf(Deno.stdin.readable);
  const interrupted = new Promise<undefined>((resolve) =>
    signal.addEventListener("abort", () => resolve(undefined), { once: true })
  );
  if (prompted) note("/help shows the commands, Ctrl-D ends the chat");
  while (!signal.aborted) {
    if (prompted) ask(reader.open ? "… " : "> ");
    const line = await Promise.race([lines.next(), interrupted]);
    if (line === undefined) break;
    const turn = line.done ? reader.flush() : reader.push(line.value);
    if (turn !== undefined && turn.trim() !== "") {
      try {
        const { say, exit } = await runTurn(room, turn);
        if (say !== undefined) await answer(room.chat, say, options.json === true, signal);
        if (exit) return 0;
      } catch (error) {
        // Who types can do something else; who has piped a text in has to know that something went wrong.
        if (!typed) throw error;
        noteError(error);
      }
    }
    if (line.done) {
      if (prompted) note("");
      return 0;
    }
  }
  return EXIT_INTERRUPTED;
}

/** Shows an answer as it comes; the first Ctrl-C stops it, the second one everything. */
async function answer(chat: Chat, text: string, json: boolean, signal: AbortSignal): Promise<void> {
  const stopper = new AbortController();
  using _intercepted = interceptInterrupts(() => {
    if (stopper.signal.aborted) return false;
    stopper.abort();
    return true;
  });
  const said = chat.send(text, { signal: AbortSignal.any([signal, stopper.signal]) });
  let shown = "";
  for await (const chunk of said) {
    shown += chunk.text;
    if (!json) print(chunk.text);
  }
  if (!json) return print(shown.endsWith("\n") ? "" : "\n");
  const { ids, finishReason, promptIds, prefillTokens, reusedTokens } = await said.stats();
  printJson({
    text: shown,
    ids,
    prompt_ids: promptIds,
    finish_reason: finishReason,
    timings: { prefill_tokens: prefillTokens, reused_tokens: reusedTokens },
  });
}
