/**
 * The ABI of the core over a loaded library.
 *
 * @module
 */
import type { CoreAbi } from "../core/abi.ts";

/** The C symbols of `native/src/lib.rs`. */
export const SYMBOLS = {
  llmforge_alloc: { parameters: ["usize"], result: "usize" },
  llmforge_free: { parameters: ["usize", "usize"], result: "void" },
  llmforge_weight_bytes: { parameters: ["u32", "usize", "usize"], result: "usize" },
  llmforge_weight_create: { parameters: ["u32", "usize", "usize"], result: "usize" },
  llmforge_weight_write: { parameters: ["usize", "usize", "usize", "usize"], result: "u32" },
  llmforge_weight_free: { parameters: ["usize"], result: "void" },
  llmforge_program_create: { parameters: ["usize", "usize", "usize", "usize"], result: "usize" },
  llmforge_program_step: { parameters: ["usize"], result: "usize" },
  llmforge_program_bytes: { parameters: ["usize"], result: "usize" },
  llmforge_program_run: { parameters: ["usize"], result: "u32" },
  llmforge_program_free: { parameters: ["usize"], result: "void" },
  llmforge_last_error: { parameters: [], result: "usize" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The ABI over a loaded library. Addresses fit a number: user space ends below 2^53. */
export function nativeAbi(library: Deno.DynamicLibrary<typeof SYMBOLS>): CoreAbi {
  const { symbols } = library;
  return {
    alloc: (bytes) => Number(symbols.llmforge_alloc(BigInt(bytes))),
    free: (address, bytes) => symbols.llmforge_free(BigInt(address), BigInt(bytes)),
    weightBytes: (dtype, rows, columns) =>
      Number(symbols.llmforge_weight_bytes(dtype, BigInt(rows), BigInt(columns))),
    weightCreate: (dtype, rows, columns) =>
      Number(symbols.llmforge_weight_create(dtype, BigInt(rows), BigInt(columns))),
    weightWrite: (weight, firstRow, address, bytes) =>
      symbols.llmforge_weight_write(BigInt(weight), BigInt(firstRow), BigInt(address), BigInt(bytes)),
    weightFree: (weight) => symbols.llmforge_weight_free(BigInt(weight)),
    programCreate: (blob, bytes, bindings, count) =>
      Number(symbols.llmforge_program_create(BigInt(blob), BigInt(bytes), BigInt(bindings), BigInt(count))),
    programStep: (program) => Number(symbols.llmforge_program_step(BigInt(program))),
    programBytes: (program) => Number(symbols.llmforge_program_bytes(BigInt(program))),
    programRun: (program) => symbols.llmforge_program_run(BigInt(program)),
    programFree: (program) => symbols.llmforge_program_free(BigInt(program)),
    lastError: () => Number(symbols.llmforge_last_error()),
    view(address, bytes) {
      const pointer = Deno.UnsafePointer.create(BigInt(address));
      if (pointer === null || bytes === 0) return new Uint8Array(0);
      return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes));
    },
    close: () => library.close(),
  };
}
