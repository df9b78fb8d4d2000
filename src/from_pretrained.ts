/**
 * Loads a model by the name that it has on the Hugging Face Hub, out of the Hub's cache on this machine.
 *
 * @module
 */
import { ModelNotFoundError, PermissionError } from "./errors.ts";
import { readText } from "./formats/json.ts";
import { asUrl } from "./formats/source.ts";
import { kindOfPath, openPath } from "./formats/source_file.ts";
import { load, type LoadOptions } from "./load.ts";
import type { Model } from "./model.ts";

/** Options of `fromPretrained`. */
export interface FromPretrainedOptions extends LoadOptions {
  /** Branch, tag or commit. Default: `"main"`. */
  revision?: string;
  /** Folder of the Hub's cache. Default: `$HF_HUB_CACHE`, `$HF_HOME/hub` or `~/.cache/huggingface/hub`. */
  cache?: string;
}

/**
 * Loads a model from a folder in Hugging Face layout, a file, or a Hub name such as `org/model` or `org/model:file.gguf`
 * whose files are in the Hub's cache already. Nothing is downloaded.
 *
 * ```ts
 * import { fromPretrained } from "@llmforge/llmforge";
 * const folder = new URL("tests/fixtures/models/llama/", import.meta.resolve("@llmforge/llmforge"));
 * await using model = await fromPretrained(folder);
 * console.log(model.config.architecture);
 * ```
 *
 * @throws {ModelNotFoundError} where there is neither such a path nor such a model in the cache.
 */
export async function fromPretrained(
  name: string | URL,
  options: FromPretrainedOptions = {},
): Promise<Model> {
  if (name instanceof URL || asUrl(name)) return await load(name, options);
  if (!HUB_NAME.test(name) || await kindOfPath(name)) return await load(name, options);
  return await load(await cachedModel(name, options), options);
}

/** `model` or `org/model`, and a file in it. */
const HUB_NAME = /^[\w.-]+(\/[\w.-]+)?(:[\w.-]+)?$/;

/** `org/model`, and a file in it; the ending of a model's file means a path. */
const QUALIFIED_NAME = /^\w[\w.-]*\/(?![\w.-]*\.(?:gguf|safetensors|forge)$)\w[\w.-]*(:[\w.-]+)?$/;

/**
 * Where the model that a command line names is: a path that exists wins over a Hub name, which is looked up in the cache.
 *
 * @throws {ModelNotFoundError} where there is neither.
 */
export async function namedModel(name: string): Promise<string> {
  return QUALIFIED_NAME.test(name) && !await kindOfPath(name) ? await cachedModel(name) : name;
}

/**
 * Path of a Hub model's snapshot in the cache, or of the file that is named behind a colon.
 *
 * @throws {ModelNotFoundError} where it is not there.
 */
export async function cachedModel(
  name: string,
  { revision = "main", cache }: Pick<FromPretrainedOptions, "revision" | "cache"> = {},
): Promise<string> {
  const [repository, file] = name.split(":");
  const hub = cache ?? await cacheFolder(name);
  const folder = `${hub}/models--${repository.replaceAll("/", "--")}`;
  const commit = await kindOfPath(`${folder}/refs/${revision}`) === "file"
    ? (await readText(await openPath(`${folder}/refs/${revision}`))).trim()
    : revision;
  const snapshot = `${folder}/snapshots/${commit}`;
  const path = file === undefined ? snapshot : `${snapshot}/${file}`;
  if (/^[\w.-]+$/.test(commit) && commit !== ".." && await kindOfPath(path)) return path;
  const download = [
    `hf download ${repository}`,
    ...file === undefined ? [] : [file],
    ...revision === "main" ? [] : ["--revision", revision],
    ...cache === undefined ? [] : ["--cache-dir", cache],
  ];
  throw new ModelNotFoundError(
    `there is no file or folder ${name}, nor is the Hub model ${name} at ${revision} in ${hub}, and ` +
      `nothing is downloaded here; run ${download.join(" ")} first`,
  );
}

/** What says where the Hub's cache is. */
const CACHE_VARIABLES = ["HF_HUB_CACHE", "HF_HOME", "HOME", "USERPROFILE"] as const;

/** The Hub's cache, as its own tools find it; `model` is what is looked for. */
async function cacheFolder(model: string): Promise<string> {
  const explicit = await variable("HF_HUB_CACHE", model);
  if (explicit) return explicit;
  const home = await variable("HF_HOME", model);
  if (home) return `${home}/hub`;
  const user = await variable("HOME", model) ?? await variable("USERPROFILE", model);
  if (!user) {
    throw new ModelNotFoundError(
      "there is no home folder here; set HF_HUB_CACHE, or give the cache's folder as `cache`",
    );
  }
  return `${user}/.cache/huggingface/hub`;
}

/** An environment variable; the runtime is never left to ask the user for the permission. */
async function variable(name: typeof CACHE_VARIABLES[number], model: string): Promise<string | undefined> {
  const { Deno: deno, process } = globalThis as {
    Deno?: Pick<typeof Deno, "env" | "permissions">;
    process?: { env: Record<string, string | undefined> };
  };
  if (!deno) return process?.env[name];
  const { state } = await deno.permissions.query({ name: "env", variable: name });
  if (state !== "granted") {
    throw new PermissionError(
      `there is no file or folder ${model}, and looking for it in the Hub's cache`,
      // All at once: a run for each would be a nuisance.
      `--allow-env=${CACHE_VARIABLES.join()}`,
    );
  }
  return deno.env.get(name);
}
