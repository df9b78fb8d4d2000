/** Every op case on every backend of this machine, compared with the reference. @module */
import { createReferenceBackend } from "../../src/backends/reference/mod.ts";
import { UnsupportedOpError } from "../../src/errors.ts";
import type { Packed } from "../support/rig.ts";
import { testOnBackends } from "../support/backends.ts";
import { compare, type OpCase, runCase } from "./case.ts";
import { CASE_FAMILIES } from "./cases/mod.ts";

const expectations = new Map<OpCase, Promise<Map<string, Packed>>>();

function expected(opCase: OpCase): Promise<Map<string, Packed>> {
  let results = expectations.get(opCase);
  if (!results) expectations.set(opCase, results = runCase(createReferenceBackend(), opCase));
  return results;
}

await testOnBackends("conformance", async (backend, t, label) => {
  const unsupported: string[] = [];
  let count = 0;
  for (const [family, cases] of Object.entries(CASE_FAMILIES)) {
    await t.step(`${family}: ${cases.length} cases`, async () => {
      const faults: string[] = [];
      for (const opCase of cases) {
        count++;
        try {
          const fault = compare(opCase, backend, await expected(opCase), await runCase(backend, opCase));
          if (fault) faults.push(`${opCase.name}: ${fault}`);
        } catch (error) {
          if (error instanceof UnsupportedOpError) unsupported.push(opCase.name);
          else faults.push(`${opCase.name}: ${error instanceof Error ? error.stack : error}`);
        }
      }
      if (faults.length > 0) {
        throw new Error(`${faults.length} of ${cases.length} cases differ\n${faults.join("\n")}`);
      }
    });
  }
  if (unsupported.length > 0) {
    console.log(`${label}: ${unsupported.length} of ${count} cases unsupported: ${unsupported.join("; ")}`);
  }
});
