/**
 * What a conversation needs, from a model and its template or another one.
 *
 * @module
 */
import { TokenizerError } from "../errors.ts";
import { type ChatMessage, ChatTemplate } from "../tokenizer/chat_template.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatSource } from "./chat.ts";

/** The parts of a model that a conversation uses. */
export interface ChatModel extends Pick<ChatSource, "generate"> {
  /** Name for people. */
  readonly name: string;
  /** Its tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Writes a conversation by the model's own template. */
  applyChatTemplate(messages: readonly ChatMessage[]): Promise<string>;
}

/**
 * The source of a conversation.
 *
 * @throws {TokenizerError} where the model has no template and none is given.
 */
export function chatSource(
  model: ChatModel,
  template: string | undefined,
  save: ChatSource["save"],
): ChatSource {
  const { name, tokenizer } = model;
  if (template === undefined && tokenizer.chatTemplate === undefined) {
    throw new TokenizerError(
      `${name} has no chat template; give chat one (template, --chat-template), or use a plain prompt`,
    );
  }
  const bosToken = tokenizer.bosId === undefined ? "" : tokenizer.piece(tokenizer.bosId);
  const given = template === undefined ? undefined : new ChatTemplate(template);
  return {
    tokenizer,
    render: (messages) =>
      given ? given.render(messages, { bos_token: bosToken }) : model.applyChatTemplate(messages),
    generate: (ids, options) => model.generate(ids, options),
    save,
  };
}
