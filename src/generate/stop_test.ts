import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { StopMatcher } from "./stop.ts";

/** All that is shown of a text that comes in parts. */
function shown(stops: string[], parts: string[]): { text: string; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  let text = "";
  for (const part of parts) {
    const result = matcher.push(part);
    text += result.text;
    if (result.stopped) return { text, stopped: true };
  }
  return { text: text + matcher.flush(), stopped: false };
}

/** The same for the whole text at once, by the definition: up to the stop string that is complete first. */
function expected(stops: string[], text: string): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const ended = stops.filter((stop) => stop !== "" && text.slice(0, end).endsWith(stop));
    if (ended.length > 0) {
      const longest = Math.max(...ended.map((stop) => stop.length));
      return { text: text.slice(0, end - longest), stopped: true };
    }
  }
  return { text, stopped: false };
}

const letters = (maxLength: number) =>
  fc.array(fc.constantFrom("a", "b", "c"), { maxLength }).map((array) => array.join(""));

Deno.test("the text ends before the first stop string, however it is cut into parts", () => {
  fc.assert(
    fc.property(
      fc.array(letters(4), { maxLength: 4 }),
      fc.array(letters(6), { maxLength: 12 }),
      (stops, parts) => {
        const result = shown(stops, parts);
        assertEquals(result, expected(stops, parts.join("")));
        for (const stop of stops) assert(stop === "" || !result.text.includes(stop));
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("text that cannot become a stop string is not held back", () => {
  const matcher = new StopMatcher(["END"]);
  assertEquals(matcher.push("the E"), { text: "the ", stopped: false });
  assertEquals(matcher.push("ast"), { text: "East", stopped: false });
  assertEquals(matcher.push(" EN"), { text: " ", stopped: false });
  assertEquals(matcher.push("D of it"), { text: "", stopped: true });
});

Deno.test("what was held back comes out at the end", () => {
  const matcher = new StopMatcher(["END"]);
  assertEquals(matcher.push("EN").text, "");
  assertEquals(matcher.flush(), "EN");
  assertEquals(matcher.flush(), "");
});
