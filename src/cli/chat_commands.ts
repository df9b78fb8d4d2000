/**
 * What can be typed in a chat beside what is said: `/help`, `/save FILE` and so on.
 *
 * @module
 */
import type { Chat } from "../chat/chat.ts";
import { InvalidArgumentError, InvalidFileError, PermissionError } from "../errors.ts";

/** A conversation that commands work on. */
export interface ChatRoom {
  /** The conversation; `/load` puts another one in its place. */
  chat: Chat;
  /** Goes on with a saved one. */
  restore(session: Uint8Array): Promise<Chat>;
  /** Says something to the person. */
  note(line: string): void;
}

/** What is to happen next: something is said, the chat ends, or neither. */
export interface Outcome {
  /** Said to the model. */
  readonly say?: string;
  /** The chat ends. */
  readonly exit?: boolean;
}

/** A command. */
interface ChatCommand {
  /** What it is given, for people; nothing where it takes nothing. */
  readonly argument?: string;
  /** What it does. */
  readonly help: string;
  /** Does it. */
  run(room: ChatRoom, argument: string): Outcome | void | Promise<Outcome | void>;
}

const COMMANDS: Readonly<Record<string, ChatCommand>> = {
  help: {
    help: "show this",
    run: ({ note }) => note(HELP),
  },
  reset: {
    help: "forget what was said, but not the instructions",
    run({ chat }) {
      chat.messages = chat.messages.filter(({ role }) => role === "system");
    },
  },
  system: {
    argument: "TEXT",
    help: "other instructions, in place of the first ones",
    run({ chat }, content) {
      const others = chat.messages.slice(chat.messages.at(0)?.role === "system" ? 1 : 0);
      chat.messages = [{ role: "system", content }, ...others];
    },
  },
  undo: {
    help: "take the last turn back",
    run: ({ chat }) => void lastTurn(chat),
  },
  retry: {
    help: "ask for another answer to the last turn",
    run: ({ chat }) => ({ say: lastTurn(chat) }),
  },
  save: {
    argument: "FILE",
    help: "save the chat, with what was computed for it",
    run: async ({ chat }, path) =>
      await withFile(path, "-W", async () => Deno.writeFile(path, await chat.save())),
  },
  load: {
    argument: "FILE",
    help: "go on with a chat that was saved",
    async run(room, path) {
      const bytes = await withFile(path, "-R", () => Deno.readFile(path));
      room.chat = await room.restore(bytes);
      room.note(`${room.chat.messages.length} messages`);
    },
  },
  exit: {
    help: "end, as Ctrl-D does",
    run: () => ({ exit: true }),
  },
};

const HELP: string = [
  ...Object.entries(COMMANDS).map(([name, { argument = "", help }]) =>
    `${`/${name} ${argument}`.padEnd(14)} ${help}`
  ),
  `${"//TEXT".padEnd(14)} say something that begins with a slash`,
  'A line that ends in \\ goes on in the next; lines between two lines of """ are one turn.',
  "Ctrl-C stops an answer, and ends the chat where there is none.",
].join("\n");

/**
 * Does what a turn says that begins with a slash; all others are for the model.
 *
 * @throws {InvalidArgumentError} where there is no such command, or its argument is missing.
 */
export async function runTurn(room: ChatRoom, turn: string): Promise<Outcome> {
  if (!turn.startsWith("/")) return { say: turn };
  if (turn.startsWith("//")) return { say: turn.slice(1) };
  const [, name, argument] = /^\/(\S*)\s*([^]*)$/.exec(turn.trimEnd()) ?? [];
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    throw new InvalidArgumentError(`there is no command /${name}, /help shows those that there are`);
  }
  if ((command.argument !== undefined) !== (argument !== "")) {
    throw new InvalidArgumentError(
      `write /${name}${command.argument === undefined ? " alone" : ` ${command.argument}`}`,
    );
  }
  return await command.run(room, argument) ?? {};
}

function lastTurn(chat: Chat): string {
  const said = chat.undo();
  if (said === undefined) {
    throw new InvalidArgumentError("nothing was said yet, there is no turn to take back");
  }
  return said;
}

async function withFile<T>(file: string, flag: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw new PermissionError(file, flag, { cause });
    if (!(cause instanceof Error) || !(cause.name in Deno.errors)) throw cause;
    throw new InvalidFileError(`${cause.message}; name another file`, { file }, { cause });
  }
}
