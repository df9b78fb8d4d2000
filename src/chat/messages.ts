/**
 * The history of a conversation as data, checked.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import type { ChatMessage } from "../tokenizer/chat_template.ts";

/** Who may speak in a chat. */
export const ROLES = ["system", "user", "assistant", "tool"] as const;

/**
 * A copy of messages that came from outside.
 *
 * @throws {InvalidArgumentError} where one has no known role or no text.
 */
export function checkedMessages(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages)) {
    throw new InvalidArgumentError("messages must be a list of { role, content }");
  }
  return messages.map(checkedMessage);
}

function checkedMessage(message: unknown, index: number): ChatMessage {
  const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
  const known = ROLES.find((name) => name === role);
  if (known === undefined) {
    throw new InvalidArgumentError(
      `message ${index} has the role ${JSON.stringify(role)}; it must be one of ${ROLES.join(", ")}`,
    );
  }
  if (typeof content !== "string") {
    throw new InvalidArgumentError(`message ${index} has no text; its content must be a string`);
  }
  return { role: known, content };
}
