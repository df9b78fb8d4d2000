/**
 * Our options as `commander` has them.
 *
 * @module
 */
import * as commander from "commander";
import { InvalidArgumentError, type Option } from "./option.ts";

/** The same option for `commander`. */
export function commanderOption(option: Option): commander.Option {
  const { flags, description, values, parseValue, mandatory, conflict, defaultValue } = option;
  const made = new commander.Option(flags, description).makeOptionMandatory(mandatory);
  if (values) made.choices(values);
  if (parseValue) {
    made.argParser((text, earlier) => {
      try {
        return parseValue(text, earlier);
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error;
        throw new commander.InvalidArgumentError(error.message);
      }
    });
  }
  if (conflict !== undefined) made.conflicts(conflict);
  if (defaultValue !== undefined) made.default(defaultValue);
  return made;
}
