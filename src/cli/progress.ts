/**
 * The bar that shows how far a long loading or conversion has come.
 *
 * @module
 */
import { formatBytes } from "./format.ts";

/** The part of `cli-progress` that is used; its own types would bring Node's into every check. */
interface CliProgress {
  SingleBar: new (options: Readonly<Record<string, unknown>>, preset: unknown) => SingleBar;
  Presets: Readonly<Record<"shades_classic", unknown>>;
}

/** A bar of `cli-progress`. */
interface SingleBar {
  start(total: number, value: number): void;
  update(value: number): void;
  stop(): void;
}

/** A loading that is shorter than this, in milliseconds, gets no bar. */
const PATIENCE = 300;

/** A progress bar on standard error, where that is a terminal; `cli-progress` is imported when a bar is wanted. */
export class LoadProgress {
  readonly #enabled: boolean;
  readonly #started = performance.now();
  #bar?: SingleBar;
  readonly #what: string;
  #importing = false;
  #stopped = false;

  /** A bar that is never shown where not `enabled`; `what` says what is going on. */
  constructor(enabled: boolean, what = "loading") {
    this.#what = what;
    this.#enabled = enabled && Deno.stderr.isTerminal();
  }

  /** Shows how many of the bytes are there. */
  update(loaded: number, total: number): void {
    if (!this.#enabled || performance.now() - this.#started < PATIENCE) return;
    if (!this.#importing) {
      this.#importing = true;
      this.#create(total).catch(() => undefined);
    }
    this.#bar?.update(loaded);
  }

  /** Takes the bar away. */
  stop(): void {
    this.#stopped = true;
    this.#bar?.stop();
  }

  async #create(total: number): Promise<void> {
    const { default: progress }: { default: CliProgress } = await import("cli-progress");
    if (this.#stopped) return;
    this.#bar = new progress.SingleBar({
      format: `${this.#what} {bar} {percentage}% of ${formatBytes(total)}`,
      clearOnComplete: true,
      hideCursor: true,
    }, progress.Presets.shades_classic);
    this.#bar.start(total, 0);
  }
}
