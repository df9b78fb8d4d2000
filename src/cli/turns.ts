/**
 * What is typed in a conversation: lines to turns.
 *
 * @module
 */

/** A line that begins and ends a turn of many lines. */
const FENCE = '"""';

/** Puts lines together that make one turn: those between two lines of `"""`, and those that end in a backslash. */
export class TurnReader {
  #lines: string[] = [];
  #fenced = false;

  /** Whether a turn has begun and is not complete. */
  get open(): boolean {
    return this.#fenced || this.#lines.length > 0;
  }

  /** Takes a line; gives the turn that is complete with it. */
  push(line: string): string | undefined {
    if (line.trim() === FENCE && (this.#fenced || !this.open)) {
      this.#fenced = !this.#fenced;
      return this.#fenced ? undefined : this.flush();
    }
    const goesOn = this.#fenced || line.endsWith("\\");
    this.#lines.push(!this.#fenced && goesOn ? line.slice(0, -1) : line);
    return goesOn ? undefined : this.flush();
  }

  /** The end of the input: what there is of a turn. */
  flush(): string {
    const text = this.#lines.join("\n");
    this.#lines = [];
    this.#fenced = false;
    return text;
  }
}

/** The lines of a stream of UTF-8, without their ends. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
