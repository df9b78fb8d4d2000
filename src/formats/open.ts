/**
 * Opens a model, whatever it is: the format is told by the content, never by a file's name.
 *
 * @module
 */

import { InvalidFileError } from "../errors.ts";
import { decodePath } from "./byte_source.ts";
import { diskFolder, type Folder, splitPath, urlFolder } from "./folder.ts";
import { isForge } from "./forge_layout.ts";
import { isGguf } from "./gguf_types.ts";
import type { ModelFile } from "./model_file.ts";
import { asUrl, type ByteSource, openSource, type SourceLike } from "./source.ts";
import { kindOfPath, pathOf } from "./source_file.ts";

/** Opens a file of one format; `beside` is where its companions are, if that is known. */
type Open = (source: ByteSource, beside?: { folder: Folder; file: string }) => Promise<ModelFile>;

/** A format that a single file can be in. */
interface Format {
  /** Whether the first bytes are those of the format. */
  matches(head: Uint8Array): boolean;
  /** Loads what opens it. */
  load(): Promise<Open>;
}

/** The formats, in the order in which they are tried. */
const FORMATS: readonly Format[] = [
  { matches: isGguf, load: async () => (await import("./gguf.ts")).openGguf },
  { matches: isForge, load: async () => (await import("./forge.ts")).openForge },
  {
    // Safetensors: the header, a JSON object, stands behind its length.
    matches: (head) => head[8] === 0x7b,
    load: async () => (await import("./huggingface.ts")).openSafetensors,
  },
];

/** Files that people take for models, by their first characters, and what to do with each. */
const MISTAKES: readonly (readonly [start: string, advice: string])[] = [
  ["version https://git-lfs", 'this is a Git LFS pointer and not the file itself; run "git lfs pull"'],
  ["<", "this is a web page; check the URL"],
  ["PK", "this is a PyTorch or ZIP file; convert it to safetensors"],
  ["ggjt", "this is a GGML file from before GGUF; convert it to GGUF"],
  ["tjgg", "this is a GGML file from before GGUF; convert it to GGUF"],
  ["lmgg", "this is a GGML file from before GGUF; convert it to GGUF"],
];

/**
 * Opens a model: a `.gguf`, `.safetensors` or `.forge` file, a folder in Hugging Face layout, or the bytes of a file. Only
 * headers are read; close the result when its tensors are no longer wanted.
 *
 * Throws an {@linkcode InvalidFileError} that names file, tensor and offset where something is damaged, an
 * `UnknownDTypeError` for a tensor that cannot be read, and a `PermissionError` where reading is not allowed.
 */
export async function openModelFile(source: SourceLike): Promise<ModelFile> {
  const url = asUrl(source);
  if (url && url.protocol !== "file:") {
    if (url.pathname.endsWith("/")) return await openFolder(urlFolder(url));
    if (!/^https?:$/.test(url.protocol)) return await openFile(await openSource(url));
    const { file } = splitPath(decodePath(url));
    return await openFile(await openSource(url), { folder: urlFolder(url), file });
  }
  if (url || typeof source === "string") {
    const path = url ? pathOf(url) : source as string;
    if (await kindOfPath(path) === "folder") return await openFolder(diskFolder(path));
    const { folder, file } = splitPath(path);
    return await openFile(await openSource(path), { folder: diskFolder(folder), file });
  }
  return await openFile(await openSource(source));
}

async function openFolder(folder: Folder): Promise<ModelFile> {
  return await (await import("./huggingface.ts")).openFolder(folder);
}

async function openFile(source: ByteSource, beside?: { folder: Folder; file: string }): Promise<ModelFile> {
  let head: Uint8Array;
  try {
    head = await source.read(0, Math.min(source.size, 32));
    if (head.length === 0) throw new InvalidFileError("the file is empty", { file: source.name });
  } catch (error) {
    source.close();
    throw error;
  }
  const format = FORMATS.find((format) => format.matches(head));
  if (format) return await (await format.load())(source, beside);
  source.close();
  throw unknownFormat(source, head);
}

function unknownFormat(source: ByteSource, head: Uint8Array): InvalidFileError {
  const start = String.fromCharCode(...head);
  const mistake = MISTAKES.find(([prefix]) => start.startsWith(prefix));
  return new InvalidFileError(
    mistake?.[1] ??
      "the file is neither GGUF nor safetensors nor forge; check that it is a model and complete",
    { file: source.name, offset: 0 },
  );
}
