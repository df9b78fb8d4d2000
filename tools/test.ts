/**
 * Runs everything that this machine can run and ends in one line, `N passed, N failed, N skipped`.
 *
 *     deno task test [-- ARGUMENTS FOR deno test]
 *
 * @module
 */

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const total: Counts = { passed: 0, failed: 0, skipped: 0 };

/** Runs a command, shows what it prints, and gives exit code and output. */
async function run(command: string, args: string[]): Promise<{ code: number; output: string }> {
  const child = new Deno.Command(command, { args, stdout: "piped", stderr: "piped" }).spawn();
  const parts: string[] = [];
  const relay = async (stream: ReadableStream<Uint8Array>, to: typeof Deno.stdout): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      to.writeSync(bytes);
      parts.push(decoder.decode(bytes, { stream: true }));
    }
  };
  const [{ code }] = await Promise.all([
    child.status,
    relay(child.stdout, Deno.stdout),
    relay(child.stderr, Deno.stderr),
  ]);
  // deno-lint-ignore no-control-regex -- colour codes
  return { code, output: parts.join("").replaceAll(/\x1b\[[0-9;]*m/g, "") };
}

/** Adds up the counts in every line that matches; a failing command without such a line counts as one failure. */
function count({ code, output }: { code: number; output: string }, pattern: RegExp): void {
  const before = total.failed;
  for (const { groups } of output.matchAll(pattern)) {
    total.passed += Number(groups?.passed ?? 0);
    total.failed += Number(groups?.failed ?? 0);
    total.skipped += Number(groups?.skipped ?? 0);
  }
  if (code !== 0 && total.failed === before) total.failed++;
}

const DENO_LINE =
  /^(?:ok|FAILED) \| (?<passed>\d+) passed(?: \([^)]*\))? \| (?<failed>\d+) failed(?: \([^)]*\))?(?: \| (?<skipped>\d+) ignored)?/gm;
const CARGO_LINE = /^test result: .*?(?<passed>\d+) passed; (?<failed>\d+) failed; (?<skipped>\d+) ignored/gm;

async function hasCargo(): Promise<boolean> {
  try {
    return (await new Deno.Command("cargo", { args: ["--version"], stdout: "null", stderr: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const files = Deno.args.length > 0
  ? Deno.args
  : ["--doc", "docs/generation.md", "mod.ts", "tensor.ts", "src", "tests", "bench/runner"];
count(await run(Deno.execPath(), ["test", "-A", ...files]), DENO_LINE);
if (Deno.args.length === 0) {
  if (await hasCargo()) {
    count(await run("cargo", ["test", "--release", "--quiet", "-p", "llmforge-core"]), CARGO_LINE);
  } else {
    total.skipped++;
    console.log("skipped: the tests of core/, because cargo is not installed");
  }
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
Deno.exit(total.failed > 0 ? 1 : 0);
