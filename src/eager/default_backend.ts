/**
 * Which backend computes tensors that are not told one. Nothing here knows a backend: whoever does sets a way to make
 * one.
 *
 * @module
 */
import type { Backend } from "../backends/backend.ts";
import { InvalidArgumentError } from "../errors.ts";

/** Makes or picks a backend. */
export type BackendFactory = () => Backend | Promise<Backend>;

let factory: BackendFactory | undefined;
let made: Promise<Backend> | undefined;

/** Sets how the default backend is made; it is made at the first need, once. The caller owns what the factory makes. */
export function setDefaultBackend(make: BackendFactory | undefined): void {
  factory = make;
  made = undefined;
}

/** The default backend. */
export async function defaultBackend(): Promise<Backend> {
  if (!factory) {
    throw new InvalidArgumentError("no backend computes this tensor; pass one, or call setDefaultBackend");
  }
  const make = factory;
  made ??= (async () => await make())();
  try {
    return await made;
  } catch (error) {
    made = undefined;
    throw error;
  }
}
