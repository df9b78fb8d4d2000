/**
 * An option of the command line as data, in the words of `commander`. Plain command lines are read without that library,
 * which brings half of Node's modules with it; `commander.ts` makes its options out of these.
 *
 * @module
 */

/** The value of an option is not one that it can have; the message is a sentence without its full stop. */
export class OptionValueError extends Error {}

/** Makes a value out of a text; `earlier` is what the same option gave before. */
export type ParseValue = (text: string, earlier: unknown) => unknown;

/** An option. */
export class Option {
  /** As the help shows it: `--name` or `--name <value>`. */
  readonly flags: string;
  /** What it does, in a line. */
  readonly description: string;
  /** Its name with the dashes before it. */
  readonly long: string;
  /** Whether a value follows it. */
  readonly takesValue: boolean;
  /** The values that it can have, where those are few. */
  values?: readonly string[];
  /** Makes its value. */
  parseValue?: ParseValue;
  /** Whether it must be there. */
  mandatory = false;
  /** Key of the option that it cannot stand beside. */
  conflict?: string;
  /** Its value where it is not there. */
  defaultValue?: unknown;

  /** An option without a check on its value. */
  constructor(flags: string, description: string) {
    this.flags = flags;
    this.description = description;
    this.long = flags.split(" ")[0];
    this.takesValue = flags.includes("<");
  }

  /** Whether it turns something off, as `--no-color` does. */
  get negated(): boolean {
    return this.long.startsWith("--no-");
  }

  /** Its key among the parsed options: `maxTokens` for `--max-tokens`, `color` for `--no-color`. */
  get key(): string {
    return this.long.slice(this.negated ? 5 : 2).replace(
      /-(.)/g,
      (_, letter: string) => letter.toUpperCase(),
    );
  }

  /** Only these values. */
  choices(values: readonly string[]): this {
    this.values = values;
    return this;
  }

  /** Its value comes out of this, which throws an {@linkcode OptionValueError} for a text that is none. */
  argParser<T>(parse: (text: string, earlier: T | undefined) => T): this {
    this.parseValue = parse as ParseValue;
    return this;
  }

  /** It must be there. */
  makeOptionMandatory(): this {
    this.mandatory = true;
    return this;
  }

  /** Not beside the option of this key. */
  conflicts(key: string): this {
    this.conflict = key;
    return this;
  }

  /** Its value where it is not there. */
  default(value: unknown): this {
    this.defaultValue = value;
    return this;
  }
}
