/**
 * Builds the WASM modules and writes them, deflated and as base64 in TypeScript modules, to `src/backends/wasm/generated/`.
 *
 *     deno run -A tools/build_wasm.ts            build and write
 *     deno run -A tools/build_wasm.ts --check    build, and fail where the committed files differ
 *     deno run -A tools/build_wasm.ts simd …     only these builds
 *
 * The tools come from `$LLMFORGE_TOOLS` (see `.ci/install-tools`); Debian's `rustc-web` has the wasm32 target. The
 * bytes are the same whatever folder the clone and the caches lie in.
 *
 * @module
 */
import { inflate } from "../src/backends/wasm/load.ts";

/** One build of the same crate. */
interface Build {
  readonly name: string;
  readonly targetFeatures: string;
  readonly cargo: readonly string[];
  readonly linkArgs: readonly string[];
  readonly wasmOpt: readonly string[];
  /** What the module imports. */
  readonly imports: readonly string[];
}

const KERNELS: readonly Build[] = [
  { name: "simd", targetFeatures: "+simd128", cargo: [], linkArgs: [], wasmOpt: [], imports: [] },
  {
    name: "relaxed",
    targetFeatures: "+simd128,+relaxed-simd",
    cargo: ["--features", "relaxed"],
    linkArgs: [],
    wasmOpt: ["--enable-relaxed-simd"],
    imports: [],
  },
];

/** Must be as in `src/backends/wasm/load.ts`. The data and the stack of the main thread lie there. */
const INITIAL_MEMORY = 2 << 20;

/** What wasm-bindgen needs to give each thread a stack and thread-local variables of its own. */
const THREAD_EXPORTS = ["__wasm_init_tls", "__tls_size", "__tls_align", "__tls_base", "__heap_base"];

/** The same build over a memory that the host brings and shares with its workers. */
function withThreads(build: Build): Build {
  return {
    name: `${build.name}_threads`,
    targetFeatures: `${build.targetFeatures},+atomics,+bulk-memory,+mutable-globals`,
    cargo: build.cargo,
    linkArgs: [
      "--shared-memory",
      "--import-memory",
      `--initial-memory=${INITIAL_MEMORY}`,
      `--max-memory=${2 ** 32}`,
      ...THREAD_EXPORTS.map((name) => `--export=${name}`),
    ],
    wasmOpt: [...build.wasmOpt, "--enable-threads"],
    imports: ["memory"],
  };
}

const BUILDS: readonly Build[] = [...KERNELS, ...KERNELS.map(withThreads)];

/** Without these, wasm-bindgen has the module import a function that fills a table which nobody uses. */
const NO_REFERENCES = "-reference-types,-multivalue";

const WASM_OPT = [
  "--enable-simd",
  "--enable-bulk-memory",
  "--enable-bulk-memory-opt",
  "--enable-mutable-globals",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  // Higher levels move loads and made the quantized matmul loops up to 40 % slower under V8.
  "-O1",
];

/** What puts values in place of calls of `pinned` (`core/src/simd/wasm.rs`), and inlines nothing else; what moves operations is through. */
const UNPIN = [
  "--inlining",
  "--always-inline-max-function-size=1",
  "--flexible-inline-max-function-size=0",
  "--one-caller-inline-max-function-size=0",
];

const root = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const home = Deno.env.get("HOME") ?? "";
const cacheHome = Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`;
const tools = Deno.env.get("LLMFORGE_TOOLS") ?? `${cacheHome}/llmforge-tools`;
const cargoHome = Deno.env.get("CARGO_HOME") ?? `${home}/.cargo`;
const generated = `${root}/src/backends/wasm/generated`;

async function run(command: string, args: readonly string[], env: Record<string, string>): Promise<void> {
  const { success } = await new Deno.Command(command, {
    args: [...args],
    cwd: `${root}/wasm`,
    env,
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
}

/** Builds one variant and gives its bytes. */
async function build(
  { name, targetFeatures, cargo, linkArgs, wasmOpt, imports }: Build,
): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir({ prefix: "llmforge-wasm-" });
  try {
    const env = {
      // Debian's toolchain before any other.
      PATH: `/usr/bin:${tools}/bin:${Deno.env.get("PATH")}`,
      CARGO_TARGET_DIR: `${Deno.env.get("CARGO_TARGET_DIR") ?? `${root}/target`}/wasm-${name}`,
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld-19",
      CARGO_UNSTABLE_BUILD_STD: "std,panic_abort",
      RUSTC_BOOTSTRAP: "1",
      RUSTFLAGS: [
        `-Ctarget-feature=${targetFeatures},${NO_REFERENCES}`,
        "-Zlocation-detail=none",
        `--remap-path-prefix=${cargoHome}=/cargo`,
        ...linkArgs.map((argument) => `-Clink-arg=${argument}`),
      ].join(" "),
    };
    const pack = ["build", "--release", "--target", "web", "--mode", "force", "--no-typescript", "--no-pack"];
    await run("wasm-pack", [...pack, "--out-dir", folder, "--", "--locked", ...cargo], env);
    const [raw, optimized] = [`${folder}/llmforge_wasm_bg.wasm`, `${folder}/optimized.wasm`];
    await run("wasm-opt", [...wasmOpt, ...WASM_OPT, ...UNPIN, raw, "-o", optimized], env);
    const bytes = await Deno.readFile(optimized);
    const imported = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).map((entry) => entry.name);
    if (imported.join() !== imports.join()) throw new Error(`the module imports ${imported}, not ${imports}`);
    return bytes;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The module: what is loaded from the module graph is text, and all builds are part of the graph. */
async function moduleText(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const deflated = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return `// Generated by tools/build_wasm.ts; do not edit.
/** The ${name} build of the core: ${bytes.length} bytes of WASM, deflated, in base64. */
export const DEFLATED: string =
  "${(await new Response(deflated).bytes()).toBase64()}";
`;
}

/** The bytes of a committed module; none where there is no such file. Deflate has many ways to say the same. */
async function committedBytes(path: string): Promise<Uint8Array> {
  try {
    const { DEFLATED } = await import(`file://${path}`);
    return await inflate(DEFLATED);
  } catch (error) {
    if (error instanceof TypeError) return new Uint8Array();
    throw error;
  }
}

const check = Deno.args.includes("--check");
const chosen = Deno.args.filter((argument) => !argument.startsWith("--"));
await Deno.mkdir(generated, { recursive: true });
for (const variant of BUILDS.filter(({ name }) => chosen.length === 0 || chosen.includes(name))) {
  const bytes = await build(variant);
  const path = `${generated}/${variant.name}.gen.ts`;
  if (!check) {
    await Deno.writeTextFile(path, await moduleText(variant.name, bytes));
    console.log(`${variant.name}: ${bytes.length} bytes`);
  } else if ((await committedBytes(path)).toBase64() === bytes.toBase64()) {
    console.log(`${variant.name}: the committed file is up to date`);
  } else {
    console.error(`${variant.name}: ${path} is not what its sources give; run deno task build`);
    Deno.exitCode = 1;
  }
}
