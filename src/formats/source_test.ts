import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { InvalidArgumentError, InvalidFileError, PermissionError } from "../errors.ts";
import { openSource, type SourceLike } from "./source.ts";

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

/** `CONTENT` as a stream of chunks of the given lengths, and the rest. */
function stream(...lengths: number[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      let at = 0;
      for (const length of [...lengths, CONTENT.length]) {
        controller.enqueue(CONTENT.subarray(at, at + length));
        at = Math.min(at + length, CONTENT.length);
      }
      controller.close();
    },
  });
}

async function withFile(action: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: " ä#%.bin" });
  try {
    await Deno.writeFile(path, CONTENT);
    await action(path);
  } finally {
    await Deno.remove(path);
  }
}

/** Reads parts of a source that holds `CONTENT`, and past its end, and closes it. */
async function checkSource(from: SourceLike): Promise<void> {
  const source = await openSource(from);
  assertEquals(source.size, CONTENT.length);
  for (const [offset, length] of [[0, 1000], [0, 0], [1000, 0], [999, 1], [10, 500], [300, 1]]) {
    const expected = CONTENT.slice(offset, offset + length);
    assertEquals((await source.read(offset, length)).slice(), expected);
    if (!source.readSync) continue;
    const into = new Uint8Array(length);
    source.readSync(offset, into);
    assertEquals(into, expected);
  }
  const error = await assertRejects(() => source.read(990, 11), InvalidFileError, "truncated");
  assertEquals([error.file, error.offset], [source.name, 990]);
  for (const [offset, length] of [[-1, 1], [0, -1], [0.5, 1], [0, NaN], [2 ** 60, 1]]) {
    await assertRejects(() => source.read(offset, length), InvalidArgumentError);
  }
  if (source.readSync) {
    assertThrows(() => source.readSync!(999, new Uint8Array(2)), InvalidFileError, "truncated");
  }
  source.close();
  source.close();
  await assertRejects(() => source.read(0, 1), InvalidArgumentError, "closed");
}

Deno.test("reads bytes", () => checkSource(CONTENT));
Deno.test("reads a view of bytes", () => checkSource(Uint8Array.of(9, ...CONTENT, 9).subarray(1, 1001)));
Deno.test("reads a Node Buffer", () => checkSource(Buffer.from(CONTENT)));
Deno.test("reads an ArrayBuffer", () => checkSource(CONTENT.buffer));
Deno.test("reads a Blob", () => checkSource(new Blob([CONTENT])));
Deno.test("reads a stream of one chunk", () => checkSource(stream()));
Deno.test("reads a stream of many chunks", () => checkSource(stream(1, 0, 300, 10, 1)));
Deno.test("reads a path", () => withFile(checkSource));
Deno.test("reads a file URL", () =>
  withFile((path) => {
    const url = new URL("file:///");
    url.pathname = path.replaceAll("%", "%25");
    return checkSource(url).then(() => checkSource(url.href));
  }));
Deno.test("reads a data URL", () =>
  checkSource(`data:application/octet-stream;base64,${CONTENT.toBase64()}`));

Deno.test("a copy of a Node Buffer's bytes is a copy", async () => {
  const source = await openSource(Buffer.from(CONTENT));
  const copy = (await source.read(3, 4)).slice();
  assertEquals([copy.byteOffset, copy.buffer.byteLength], [0, 4]);
});

Deno.test("a part of a stream is a view where it lies in one chunk", async () => {
  const source = await openSource(stream(400));
  assertEquals((await source.read(10, 5)).buffer, CONTENT.buffer);
});

Deno.test("a stream gives the same bytes however it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(200), { maxLength: 10 }),
      fc.nat(1000),
      fc.nat(1000),
      async (lengths, a, b) => {
        const source = await openSource(stream(...lengths));
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        assertEquals((await source.read(from, to - from)).slice(), CONTENT.slice(from, to));
      },
    ),
    { seed: 5, numRuns: 200 },
  );
});

Deno.test("many reads of a file at once do not disturb each other", () =>
  withFile(async (path) => {
    const source = await openSource(path);
    const parts = await Promise.all(Array.from({ length: 100 }, (_, i) => source.read(10 * i, 10)));
    assertEquals(parts.flatMap((part) => [...part]), [...CONTENT]);
    assertEquals(source.path, path);
    source.close();
  }));

Deno.test("a file that became shorter is truncated", () =>
  withFile(async (path) => {
    const source = await openSource(path);
    await Deno.truncate(path, 500);
    const error = await assertRejects(() => source.read(400, 200), InvalidFileError, "became shorter");
    assertEquals(error.offset, 500);
    source.close();
  }));

Deno.test("a stream that fails is an invalid file", async () => {
  const failing = new ReadableStream<Uint8Array>({
    start: (controller) => controller.error(new Error("line cut")),
  });
  await assertRejects(() => openSource(failing), InvalidFileError, "line cut");
  const text = new ReadableStream({ start: (controller) => controller.enqueue("text") });
  await assertRejects(() => openSource(text), InvalidArgumentError, "Uint8Array");
});

Deno.test("what is no file is named", async () => {
  await assertRejects(
    () => openSource("no/such/file.gguf"),
    InvalidFileError,
    "no/such/file.gguf: there is no such file",
  );
  await assertRejects(
    () => openSource(import.meta.filename + "/x"),
    InvalidFileError,
    "there is no such file",
  );
  await assertRejects(() => openSource("."), InvalidFileError, "this is a folder");
  await assertRejects(() => openSource(""), InvalidFileError, "not a path");
  await assertRejects(() => openSource("a\0b"), InvalidFileError, "not a path");
  await assertRejects(() => openSource("http://"), InvalidArgumentError, "is not a URL");
  await assertRejects(() => openSource("file:///%zz"), InvalidArgumentError, "broken %-escape");
  await assertRejects(() => openSource(42 as unknown as string), InvalidArgumentError, "must be a path");
});

Deno.test(
  "a missing permission is an error and never a question",
  { permissions: { read: false } },
  async () => {
    await assertRejects(() => openSource("model.gguf"), PermissionError, "run with -R");
    await assertRejects(() => openSource("http://localhost:1/model.gguf"), PermissionError, "run with -N");
  },
);

/** A server of `CONTENT`, and how many bytes it sent. */
function serve(
  handle: (request: Request) => Response | undefined,
): { url: string; sent: () => number } & AsyncDisposable {
  let sent = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const response = handle(request);
    if (response) return response;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "");
    assert(range);
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]) + 1, CONTENT.length)];
    sent += to - from;
    return new Response(CONTENT.slice(from, to), {
      status: 206,
      headers: { "content-range": `bytes ${from}-${to - 1}/${CONTENT.length}` },
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/m.bin?token=secret`,
    sent: () => sent,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("reads a URL in ranges", async () => {
  await using server = serve(() => undefined);
  await checkSource(server.url);
  assertEquals((await openSource(server.url)).name.includes("secret"), false);
});

Deno.test("reads a URL whole where the server knows no ranges", async () => {
  let requests = 0;
  await using server = serve(() => {
    requests++;
    return new Response(CONTENT);
  });
  await checkSource(server.url);
  assertEquals(requests, 1);
});

Deno.test("reads only the ranges of a large file that are asked for", async () => {
  const large = 10_000_000;
  let sent = 0;
  await using server = serve((request) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "")!.map(Number);
    sent += to + 1 - from;
    return new Response(new Uint8Array(to + 1 - from).fill(from % 256), {
      status: 206,
      headers: { "content-range": `bytes ${from}-${to}/${large}` },
    });
  });
  const source = await openSource(server.url);
  assertEquals(await source.read(9_000_001, 3), new Uint8Array(3).fill(9_000_001 % 256));
  assert(sent < 300_000);
});

Deno.test("what a server does wrong is an invalid file", async () => {
  const ranged = (bytes: number, total: number) =>
    new Response(CONTENT.slice(0, bytes), {
      status: 206,
      headers: { "content-range": `bytes 0-${bytes - 1}/${total}` },
    });
  for (
    const [response, message] of [
      [() => new Response("gone", { status: 404 }), "answered 404"],
      [() => new Response("gone", { status: 500 }), "answered 500"],
      [() => ranged(900, 1000), "truncated: 900 bytes instead of 1000"],
    ] as const
  ) {
    await using server = serve(response);
    await assertRejects(() => openSource(server.url), InvalidFileError, message);
  }
  let requests = 0;
  await using server = serve(() => {
    requests++;
    return requests === 1 ? ranged(1000, 1000) : ranged(10, 999);
  });
  const source = await openSource(server.url);
  assertEquals((await source.read(5, 5)).length, 5);
  await assertRejects(() => openSource("http://127.0.0.1:1/"), InvalidFileError, "cannot be fetched");
});
