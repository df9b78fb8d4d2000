/**
 * Wrong usage of the command line.
 *
 * @module
 */

/** The command line is wrong: the program ends with exit code 2. */
export class UsageError extends Error {
  /** Creates the error; `message` says what is wrong and what to write instead. */
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}
