/**
 * `convert`: a model in another format, or quantized.
 *
 * @module
 */
import { convert } from "../convert/convert.ts";
import type { QuantKind } from "../convert/quant_kinds.ts";
import { namedModel } from "../from_pretrained.ts";
import type { ModelFormat } from "../convert/targets.ts";
import { formatBytes } from "./format.ts";
import type { CommonOptions } from "./options.ts";
import { note, print, printJson } from "./output.ts";
import { Progress } from "./progress.ts";

/** Options of `convert`. */
export interface ConvertCommandOptions extends CommonOptions {
  /** Format of the result. */
  to?: ModelFormat;
  /** Dtype of the matrices. */
  quant?: QuantKind;
}

/** Tensors that are named in a message; of more, their number. */
const NAMED = 4;

/** Runs it; gives the exit code. */
export async function convertModel(
  source: string,
  target: string,
  { to, quant, json, quiet }: ConvertCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const progress = new Progress(quiet !== true && json !== true, "converting {bar} {percentage}% of {bytes}");
  const started = performance.now();
  let result;
  try {
    result = await convert(await namedModel(source), target, {
      to,
      quantize: quant,
      signal,
      onProgress: ({ written, total }) => progress.update(written, total),
    });
  } finally {
    progress.stop();
  }
  const { format, tensors, bytes, fallbacks, dropped } = result;
  if (quiet !== true && json !== true) {
    const names = fallbacks.map(({ tensor, dtype }) => `${tensor} (${dtype})`);
    if (names.length > 0) note(`rows that are no whole blocks of ${quant}: ${list(names)}`);
    if (dropped.length > 0) note(`left out, the format has no place for them: ${list(dropped)}`);
  }
  if (json) printJson({ target, ...result });
  else {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    print(`${target}: ${format}, ${tensors} tensors, ${formatBytes(bytes)}, in ${seconds} s\n`);
  }
  return 0;
}

function list(names: readonly string[]): string {
  const rest = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
