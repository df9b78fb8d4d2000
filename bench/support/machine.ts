/**
 * What a figure depends on beside the code: the processor, the runtime and the commit.
 *
 * @module
 */
import { cpus } from "node:os";

/** A machine as far as speed is concerned. Two with the same description may be compared. */
export interface Machine {
  /** Model of the processor, with family and model number where the name says little. */
  readonly cpu: string;
  /** Logical cores. */
  readonly cores: number;
  /** Operating system and instruction set. */
  readonly platform: string;
  /** Those instruction sets of the processor that kernels make use of. */
  readonly flags: readonly string[];
}

/** The state of the source. */
export interface Revision {
  /** Commit, or nothing where there is no repository. */
  readonly commit?: string;
  /** Whether files differ from that commit. */
  readonly changed: boolean;
}

/** Flags of `/proc/cpuinfo` that decide which kernels run, x86 first, then ARM. */
const FLAGS = [
  ...["f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"],
  ...["asimd", "asimddp", "i8mm", "bf16", "sve", "sve2"],
];

/** Describes this machine. */
export function describeMachine(): Machine {
  const info = procCpuInfo();
  const name = cpus()[0]?.model.trim() || info.get("model name") || "unknown processor";
  const [family, model] = [info.get("cpu family"), info.get("model")];
  const known = new Set((info.get("flags") ?? info.get("Features") ?? "").split(" "));
  return {
    cpu: family && model ? `${name} (family ${family}, model ${model})` : name,
    cores: navigator.hardwareConcurrency,
    platform: `${Deno.build.os} ${Deno.build.arch}`,
    flags: FLAGS.filter((flag) => known.has(flag)),
  };
}

/** A file name for the machine: `amd-epyc-family-25-model-17-2-cores`. */
export function machineSlug({ cpu, cores }: Machine): string {
  const words = `${cpu} ${cores} cores`.toLowerCase().replaceAll(/\((r|tm)\)/g, "");
  return words.replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
}

/** Versions of the runtime. */
export function describeRuntime(): string {
  return `deno ${Deno.version.deno}, v8 ${Deno.version.v8}`;
}

/** The commit of the source, and whether it was changed since; the history of benchmarks does not count. */
export async function describeRevision(): Promise<Revision> {
  const commit = await git("rev-parse", "--short=12", "HEAD");
  if (commit === undefined) return { changed: false };
  const changes = await git("--no-optional-locks", "status", "--porcelain", "--", ".", ":!bench/history");
  return { commit, changed: changes !== "" };
}

async function git(...args: string[]): Promise<string | undefined> {
  try {
    const cwd = new URL("../../", import.meta.url);
    const { success, stdout } = await new Deno.Command("git", { args, cwd, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The first processor of `/proc/cpuinfo`; empty where there is none. */
function procCpuInfo(): ReadonlyMap<string, string> {
  try {
    const [first] = Deno.readTextFileSync("/proc/cpuinfo").split("\n\n");
    return new Map(
      first.split("\n").map((line) => line.split(":").map((part) => part.trim()) as [string, string]),
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}
