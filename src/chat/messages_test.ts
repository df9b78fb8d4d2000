import { assertEquals, assertThrows } from "@std/assert";
import { InvalidArgumentError } from "../errors.ts";
import { checkedMessages } from "./messages.ts";

Deno.test("messages are copied without what else is in them", () => {
  const messages = [{ role: "user", content: "Hi", id: 7 }];
  assertEquals(checkedMessages(messages), [{ role: "user", content: "Hi" }]);
});

Deno.test("messages of unknown roles or without text are refused by name", () => {
  const wrong: [unknown, string][] = [
    ["Hi", "a list"],
    [[{ role: "robot", content: "Hi" }], '"robot"; it must be one of system, user, assistant, tool'],
    [[{ content: "Hi" }], "message 0"],
    [[null], "message 0"],
    [[{ role: "user", content: "Hi" }, { role: "user", content: 7 }], "message 1 has no text"],
  ];
  for (const [messages, says] of wrong) {
    assertThrows(() => checkedMessages(messages), InvalidArgumentError, says);
  }
});
