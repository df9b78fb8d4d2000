/**
 * What is done about a task whose tokens are more than the context holds.
 *
 * @module
 */
import { InvalidArgumentError } from "../errors.ts";
import { checkContext, type ContextOptions, outlivesContext, planContext } from "./context.ts";
import type { Member } from "./member.ts";
import type { StepRunner } from "./task.ts";

/**
 * Checks that a runner can do what these options ask for.
 *
 * @throws {InvalidArgumentError} where an option is out of range, or the model cannot.
 * @throws {UnsupportedOpError} where the backend cannot.
 */
export function checkContextOptions({ context, contextLength }: StepRunner, options: ContextOptions): void {
  checkContext(options, context?.positions ?? "learned", contextLength);
  if (outlivesContext(options)) context?.check();
}

/**
 * Makes room for a token where the context is full. It happens at the same token each time that a text is computed,
 * whatever else is going on, so a sequence that loses its pages gets the same ones again.
 *
 * @returns Whether it could be done in place; if not, the sequence must give up its pages and begin anew.
 * @throws {SequenceLengthExceededError} where the options do not let it.
 */
export function makeRoom(member: Member, { context, contextLength, pool }: StepRunner): boolean {
  const { task, sequence } = member;
  const length = task.tokens.length - member.skipped;
  if (length <= contextLength) return true;
  const options = task.context ?? {};
  const outlives = outlivesContext(options);
  if (outlives && sequence.length < contextLength) return true;
  const plan = planContext(
    { pages: sequence.pages, length: sequence.length, isShared: (page) => pool.shared(page) },
    outlives ? 1 : length - sequence.length,
    contextLength,
    options,
    context?.positions ?? "learned",
  );
  if (!plan) return true;
  if (!context) throw new InvalidArgumentError("the runner cannot make room in a full context");
  if (!context.apply(sequence, plan)) return false;
  member.skip(plan);
  return true;
}
