import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvalidFileError } from "../errors.ts";
import { crc32 } from "../formats/crc32.ts";
import { readSession, type Session, writeSession } from "./session_file.ts";

const SESSION: Session = {
  origin: { model: 1, probe: 2, backend: "wasm", cache: "f32", pageBytes: 8 },
  messages: [{ role: "user", content: "Hi" }],
  ids: [1, 2, 3],
  text: "Hi ☺",
  pages: Uint8Array.from({ length: 16 }, (_, i) => i),
};

Deno.test("a session reads as it was written, wherever its bytes are", () => {
  const bytes = writeSession(SESSION);
  const moved = new Uint8Array(bytes.length + 3).subarray(3);
  moved.set(bytes);
  assertEquals(readSession(bytes), SESSION);
  assertEquals(readSession(moved), SESSION);
});

Deno.test("a session with any bit flipped, cut short or made longer is refused", () => {
  const bytes = writeSession(SESSION);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    assertThrows(() => readSession(flipped), InvalidFileError);
  }
  for (let length = 0; length < bytes.length; length++) {
    assertThrows(() => readSession(bytes.subarray(0, length)), InvalidFileError);
  }
  assertThrows(() => readSession(new Uint8Array([...bytes, 0])), InvalidFileError);
});

Deno.test("another version is refused as such", () => {
  const bytes = writeSession(SESSION);
  bytes[8] = 2;
  assertThrows(() => readSession(bytes), InvalidFileError, "its version is 2");
});

/** A session whose header is another one, with a checksum that is right. */
function withHeader(header: unknown, length?: number): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(16 + json.length + 4);
  bytes.set(writeSession(SESSION).subarray(0, 8));
  const view = new DataView(bytes.buffer);
  view.setUint32(8, 1, true);
  view.setUint32(12, length ?? json.length, true);
  bytes.set(json, 16);
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)), true);
  return bytes;
}

Deno.test("every field of the header is checked, whatever the checksum says", () => {
  const { pages: _, ...header } = SESSION;
  assertEquals(readSession(withHeader(header)).ids, SESSION.ids);
  assertThrows(
    () => readSession(withHeader(header, 2 ** 32 - 1)),
    InvalidFileError,
    "longer than the session",
  );
  assertThrows(() => readSession(withHeader(header, 3)), InvalidFileError, "cannot be read");
  const fields: [object, string][] = [
    [header, "ids"],
    [header, "text"],
    [header, "messages"],
    [header, "origin"],
    ...Object.keys(header.origin).map((name): [object, string] => [header.origin, name]),
  ];
  for (const [owner, name] of fields) {
    for (const value of [undefined, null, -1, 0.5, { a: 1 }, [-1], [{ role: "robot" }], [0.5]]) {
      const changed = { ...owner, [name]: value };
      const whole = owner === header ? changed : { ...header, origin: changed };
      assertThrows(() => readSession(withHeader(whole)), InvalidFileError, "cannot be read");
    }
  }
});

Deno.test("any header at all is read or refused", () => {
  fc.assert(fc.property(fc.json(), (json) => {
    try {
      assert(readSession(withHeader(JSON.parse(json))));
    } catch (error) {
      assert(error instanceof InvalidFileError);
    }
  }));
});
