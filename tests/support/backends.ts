/**
 * The backends that tests run on. One that this machine lacks is named and skipped, unless `LLMFORGE_REQUIRE` (a comma
 * list such as `wasm,native`) asks for it: then its absence is a failure.
 *
 * @module
 */
import type { Backend, BackendName } from "../../src/backends/backend.ts";
import { BackendUnavailableError } from "../../src/errors.ts";

/** A way to make a backend. */
export interface BackendSource {
  /** Name for people: the backend and its build. */
  readonly label: string;
  /** Name of the backend. */
  readonly name: BackendName;
  /** Makes a fresh one. */
  create(): Promise<Backend>;
}

/** A backend that is there, or why it is not. */
export type ProbedBackend = BackendSource & { readonly missing?: unknown };

/** Imports at run time, so that a backend which is not built does not break the tests of the others. */
function source(name: BackendName, label: string, factory: string, options?: unknown): BackendSource {
  return {
    label,
    name,
    async create() {
      const module = await import(`../../src/backends/${name}/mod.ts`);
      return await module[factory](options);
    },
  };
}

/** Every backend and build. */
export const BACKEND_SOURCES: readonly BackendSource[] = [
  source("reference", "reference", "createReferenceBackend"),
  source("wasm", "wasm simd", "createWasmBackend", { build: "simd" }),
  source("wasm", "wasm simd, 3 threads", "createWasmBackend", { build: "simd", threads: 3, partWork: 0 }),
  source("wasm", "wasm relaxed", "createWasmBackend", { build: "relaxed" }),
  source("wasm", "wasm relaxed, 1 thread", "createWasmBackend", { build: "relaxed", threads: 1 }),
  source("wasm", "wasm relaxed, 2 threads", "createWasmBackend", {
    build: "relaxed",
    threads: 2,
    partWork: 0,
  }),
  source("native", "native", "createNativeBackend"),
  source("native", "native, 1 thread", "createNativeBackend", { threads: 1, partWork: 0 }),
  source("native", "native, 2 threads", "createNativeBackend", { threads: 2, partWork: 0 }),
  source("native", "native, 3 threads", "createNativeBackend", { threads: 3, partWork: 0 }),
  source("webgpu", "webgpu", "createWebGpuBackend"),
];

let probed: Promise<ProbedBackend[]> | undefined;

/** Tries every backend once in this process. */
export function probeBackends(): Promise<ProbedBackend[]> {
  return probed ??= (async () => {
    const found: ProbedBackend[] = [];
    for (const candidate of BACKEND_SOURCES) {
      try {
        const backend = await candidate.create();
        backend[Symbol.dispose]();
        found.push(candidate);
      } catch (missing) {
        found.push({ ...candidate, missing });
      }
    }
    return found;
  })();
}

/** A missing backend may be skipped: the module or the device is not there. Any other fault of it is a failure. */
function mayBeSkipped(missing: unknown): boolean {
  return missing instanceof BackendUnavailableError || /Module not found/.test(`${missing}`);
}

function required(): string[] {
  const granted =
    Deno.permissions.querySync({ name: "env", variable: "LLMFORGE_REQUIRE" }).state === "granted";
  return (granted ? Deno.env.get("LLMFORGE_REQUIRE") ?? "" : "").split(",").map((name) => name.trim());
}

/** Registers a test for each backend whose name `accepts` takes; the backend is made and freed around it. */
export async function testOnBackends(
  name: string,
  run: (backend: Backend, t: Deno.TestContext, label: string) => Promise<void>,
  accepts: (name: BackendName) => boolean = () => true,
): Promise<void> {
  for (const probe of (await probeBackends()).filter((candidate) => accepts(candidate.name))) {
    const { label, missing } = probe;
    if (missing === undefined) {
      Deno.test(`${name} on ${label}`, async (t) => {
        using backend = await probe.create();
        await run(backend, t, label);
      });
    } else {
      const [reason] = `${missing instanceof Error ? missing.message : missing}`.split("\n");
      Deno.test({
        name: `${name} on ${label}: skipped, ${reason}`,
        ignore: mayBeSkipped(missing) && !required().includes(probe.name),
        fn: () => {
          throw missing;
        },
      });
    }
  }
}
