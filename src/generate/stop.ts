/**
 * Stop strings: finds the first one in streamed text and never lets a part of one out.
 *
 * @module
 */

/** Watches streamed text for stop strings. */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = "";

  /** Watches for any of `stops`; empty strings are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  /** Takes more text; gives what is safe to show, and whether a stop string was found (it is never shown). */
  push(text: string): { text: string; stopped: boolean } {
    if (this.#stops.length === 0) return { text, stopped: false };
    const all = this.#held + text;
    const found = this.#first(all);
    if (found !== undefined) {
      this.#held = "";
      return { text: all.slice(0, found), stopped: true };
    }
    const keep = Math.max(...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - keep);
    return { text: all.slice(0, all.length - keep), stopped: false };
  }

  /** Where the stop string begins that is complete first, so that it does not matter how the text was cut. */
  #first(text: string): number | undefined {
    let [start, end] = [Infinity, Infinity];
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at < 0 || at + stop.length > end) continue;
      start = at + stop.length < end ? at : Math.min(start, at);
      end = at + stop.length;
    }
    return end === Infinity ? undefined : start;
  }

  /** What was held back, once no more text comes. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
