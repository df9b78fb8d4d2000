/**
 * A team of workers that compute in one shared memory.
 *
 * @module
 */
import type { TeamAbi, TeamOptions } from "../core/abi.ts";

/**
 * What a worker runs: it joins the memory and works until the team is freed. One self-contained text, because a blob URL
 * needs no permission, and must not import anything either.
 */
const WORKER = `
onmessage = ({ data: { module, imports, memory, stack, team, member, fault, signal } }) => {
  try {
    const { exports } = new WebAssembly.Instance(module, imports);
    exports.__wbindgen_start(stack);
    postMessage("ready");
    exports.team_work(team, member);
  } catch (error) {
    const words = new Int32Array(memory.buffer);
    Atomics.store(words, fault >> 2, 1);
    Atomics.notify(words, signal >> 2);
    postMessage(String(error));
  }
  close();
};
`;

/** Bytes of a worker's stack. */
const STACK = 512 << 10;

/** Why threads cannot be used here; nothing where they can. */
export function threadsMissing(): string | undefined {
  if (typeof SharedArrayBuffer === "undefined") return "this page is not cross-origin isolated";
  if (typeof Worker === "undefined") return "this runtime has no web workers";
  if (typeof Atomics.waitAsync !== "function") return "this engine has no Atomics.waitAsync";
}

/** A module over a memory that was shared, as its instance on the calling thread sees it. */
export interface SharedInstance {
  /** The compiled module. */
  readonly module: WebAssembly.Module;
  /** What it imports: the memory. */
  readonly imports: WebAssembly.Imports;
  /** The memory. */
  readonly memory: WebAssembly.Memory;
  /** The instance on the calling thread. */
  readonly instance: WebAssembly.Instance;
  /** Exports of the instance on the calling thread. */
  readonly exports: Readonly<Record<string, (...args: number[]) => number>>;
}

/**
 * Starts the workers of a team.
 *
 * @throws {Error} where one cannot be started; none is left then.
 */
export async function startTeam(
  shared: SharedInstance,
  { threads, partWork }: TeamOptions,
): Promise<TeamAbi> {
  const { exports, memory } = shared;
  const team = exports.team_create(threads, partWork) >>> 0;
  const signal = exports.team_signal(team) >>> 0;
  const fault = exports.alloc(4) >>> 0;
  if (team === 0 || fault === 0) throw new Error("there is no memory for the threads");
  // The words stay where they are when memory grows: shared memory is never moved.
  const [signalWord, faultWord] = [signal, fault].map((at) => new Int32Array(memory.buffer, at, 1));
  const workers: Worker[] = [];
  let death = "a thread died; load the model again";
  const close = (): void => workers.forEach((worker) => worker.terminate());
  const die = (message: string): void => {
    death = `a thread died, load the model again (${message})`;
    close();
    Atomics.store(faultWord, 0, 1);
    Atomics.notify(signalWord, 0);
  };
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  try {
    const { module, imports } = shared;
    const ready = Array.from({ length: threads }, (_, member) => {
      const worker = new Worker(url, { type: "module" });
      workers.push(worker);
      worker.postMessage({ module, imports, memory, stack: STACK, team, member, fault, signal });
      return started(worker, die);
    });
    await Promise.all(ready);
  } catch (error) {
    close();
    throw error;
  } finally {
    URL.revokeObjectURL(url);
  }
  workers.forEach(letExit);
  return {
    threads,
    start: (program) => exports.team_start(team, program),
    follow: (program, copies, count) => exports.team_follow(team, program, copies, count),
    begun: () => exports.team_begun(team),
    finished: () => Atomics.load(signalWord, 0),
    status: () => exports.team_status(team),
    fault: () => Atomics.load(faultWord, 0) === 0 ? undefined : death,
    wait(seen) {
      try {
        // Not for ever: a thread may have died just before.
        Atomics.wait(signalWord, 0, seen, 100);
      } catch (error) {
        // The main thread of a browser may not sleep; the caller looks again and again.
        if (!(error instanceof TypeError)) throw error;
      }
    },
    async waitAsync(seen) {
      const waiting = Atomics.waitAsync(signalWord, 0, seen);
      if (!waiting.async) return false;
      // Neither the wait nor the workers keep the process alive; a timer does.
      const alive = setTimeout(() => {}, 2 ** 31 - 1);
      await waiting.value;
      clearTimeout(alive);
      return true;
    },
    free() {
      exports.team_free(team);
      close();
    },
  };
}

/** Waits until a worker is at work; from then on, `die` hears of its end. */
async function started(worker: Worker, die: (message: string) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (message: string): void => {
    die(message);
    reject(new Error(message));
  };
  worker.onmessage = ({ data }) => data === "ready" ? resolve() : fail(String(data));
  worker.onerror = (event) => {
    event.preventDefault();
    fail(event.message);
  };
  await promise;
}

/**
 * Lets the process end although a worker waits for work. Deno has that for the workers of `node:worker_threads`, under
 * a symbol without a name; where it is not found, a model that is left open keeps the process alive.
 */
function letExit(worker: Worker): void {
  if (typeof Deno === "undefined") return;
  const symbol = Object.getOwnPropertySymbols(Worker.prototype).find(({ description }) => !description);
  const unref: unknown = symbol && Reflect.get(worker, symbol);
  if (typeof unref === "function" && unref.length === 1) Reflect.apply(unref, worker, [false]);
}
