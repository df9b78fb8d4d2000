/**
 * From the generated modules to instances of the core. Only the build that is asked for is imported.
 *
 * @module
 */
import type { SharedInstance } from "./team.ts";

/** The kernels of a build. */
export type Kernels = "simd" | "relaxed";

/** An instance with a memory of its own. */
export async function instantiate(kernels: Kernels): Promise<WebAssembly.Instance> {
  const { DEFLATED } = kernels === "relaxed"
    ? await import("./generated/relaxed.gen.ts")
    : await import("./generated/simd.gen.ts");
  // At once: about 1 ms, and half of what it takes asynchronously.
  return new WebAssembly.Instance(new WebAssembly.Module(await inflate(DEFLATED)));
}

/** Pages that a build with threads starts with: what `tools/build_wasm.ts` links, and one that wasm-bindgen adds. */
const INITIAL_PAGES = 33;
/** 4 GiB, all that 32 bits can address. Address space is set aside for it, and no memory. */
const MAXIMUM_PAGES = 65536;

/** An instance over a new memory that workers can share. */
export async function instantiateShared(kernels: Kernels): Promise<SharedInstance> {
  const { DEFLATED } = kernels === "relaxed"
    ? await import("./generated/relaxed_threads.gen.ts")
    : await import("./generated/simd_threads.gen.ts");
  const module = new WebAssembly.Module(await inflate(DEFLATED));
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAXIMUM_PAGES, shared: true });
  const [wanted] = WebAssembly.Module.imports(module);
  const imports = { [wanted.module]: { [wanted.name]: memory } };
  const instance = new WebAssembly.Instance(module, imports);
  const exports = instance.exports as SharedInstance["exports"];
  exports.__wbindgen_start();
  return { module, imports, memory, instance, exports };
}

/** The bytes of a build, from base64 of what was deflated. */
export async function inflate(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([decodeBase64(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  // Engines before 2025.
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
