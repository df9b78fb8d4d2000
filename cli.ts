/**
 * The command line: `deno run cli.ts "Once upon a time"`, and `deno run cli.ts --help` for the rest.
 *
 * @module
 */
import { main } from "./src/cli/main.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
