/**
 * The ABI of the core over a WASM instance.
 *
 * @module
 */
import type { CoreAbi } from "../core/abi.ts";

type Export = (...args: number[]) => number;

/** The ABI over an instance of one of the generated modules, and its memory. */
export function wasmAbi(
  instance: WebAssembly.Instance,
  memory: WebAssembly.Memory = instance.exports.memory as WebAssembly.Memory,
): CoreAbi {
  const get = (name: string): Export => instance.exports[name] as Export;
  // Addresses above 2 GiB come out as negative numbers.
  const unsigned = (name: string): Export => {
    const call = get(name);
    return (...args) => call(...args) >>> 0;
  };
  return {
    alloc: unsigned("alloc"),
    free: get("free"),
    weightBytes: unsigned("weight_bytes"),
    weightCreate: unsigned("weight_create"),
    weightWrite: get("weight_write"),
    weightFree: get("weight_free"),
    programCreate: unsigned("program_create"),
    programStep: unsigned("program_step"),
    programBytes: unsigned("program_bytes"),
    programRun: get("program_run"),
    programRegions: unsigned("program_regions"),
    programRegionOp: unsigned("program_region_op"),
    programRunRegion: get("program_run_region"),
    programFree: get("program_free"),
    lastError: unsigned("last_error"),
    // Shared memory gives shared views; nothing that is done with them minds.
    view: (address, bytes) => new Uint8Array(memory.buffer as ArrayBuffer, address, bytes),
    close: () => {},
  };
}
