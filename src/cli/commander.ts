/**
 * Our options as `commander` has them.
 *
 * @module
 */
import * as commander from "commander";
import { type Option, OptionValueError } from "./option.ts";

/** An option that knows its key. */
class KeyedOption extends commander.Option {
  readonly #key: string;

  constructor(key: string, flags: string, description: string) {
    super(flags, description);
    this.#key = key;
  }

  override attributeName(): string {
    return this.#key;
  }
}

/** The same option for `commander`. */
export function commanderOption(option: Option): commander.Option {
  const { flags, description, values, parseValue, mandatory, conflict, defaultValue } = option;
  const made = new KeyedOption(option.key, flags, description).makeOptionMandatory(mandatory);
  if (values) made.choices(values);
  if (parseValue) {
    made.argParser((text, earlier) => {
      try {
        return parseValue(text, earlier);
      } catch (error) {
        if (!(error instanceof OptionValueError)) throw error;
        throw new commander.InvalidArgumentError(error.message);
      }
    });
  }
  if (conflict !== undefined) made.conflicts(conflict);
  if (defaultValue !== undefined) made.default(defaultValue);
  return made;
}
