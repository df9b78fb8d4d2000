/**
 * What happens at the end of the context, as a plan over the pages of a sequence: which stay, which go, and by how much
 * the keys of those that stay are turned. Nothing here touches a cache.
 *
 * @module
 */
import { InvalidArgumentError, SequenceLengthExceededError } from "../errors.ts";
import { PAGE_SIZE } from "../nn/decoder.ts";

/**
 * What happens when the context is full: `"error"` fails, `"slide"` drops as few of the oldest pages as will do, and
 * `"shift"` half of them, so that it happens seldom. Both keep the first tokens.
 */
export type ContextPolicy = "error" | "slide" | "shift";

/** All of them. */
export const CONTEXT_POLICIES: readonly ContextPolicy[] = ["error", "slide", "shift"];

/** Options of what happens when the context is full. */
export interface ContextOptions {
  /** What happens. Default: `"error"`. */
  readonly contextFull?: ContextPolicy;
  /**
   * First tokens that stay, rounded up to whole pages: attention rests on them whatever they say (Xiao et al.,
   * "Efficient Streaming Language Models with Attention Sinks", 2023). Default: 4.
   */
  readonly keep?: number;
}

/**
 * How a model knows where a token stands: by turning keys, by the distance of a key in the page table (ALiBi, and
 * relative biases), or by something that was added to the token before anything was computed, and that cannot be changed any more.
 */
export type PositionKind = "rotary" | "alibi" | "learned";

/** A sequence as far as its pages go. */
export interface PageList {
  /** Its pages, in order. */
  readonly pages: readonly number[];
  /** Tokens in them. */
  readonly length: number;
  /** Whether another sequence or the prefix cache has the page too. */
  isShared(page: number): boolean;
}

/** A page that stays. */
export interface KeptPage {
  /** The page. */
  readonly page: number;
  /**
   * Positions that its keys are moved by, 0 or negative: turned as by a rotary embedding of that position, without the
   * factor of YaRN, which is in them already.
   */
  readonly ropeShift: number;
  /** It is shared and would be changed: a copy takes its place. */
  readonly copy: boolean;
}

/** What becomes of a sequence. Its tokens' positions are their indices again afterwards. */
export interface ContextPlan {
  /** Pages that stay, in their order. */
  readonly kept: readonly KeptPage[];
  /** Pages that are given back, before any is copied. */
  readonly dropped: readonly number[];
  /** Index of the first token that goes. */
  readonly from: number;
  /** Index of the first token after it that stays. */
  readonly to: number;
  /** Tokens that stay. */
  readonly length: number;
}

/** Whether a sequence of these options goes on when its context is full. */
export function outlivesContext({ contextFull = "error" }: ContextOptions = {}): boolean {
  return contextFull !== "error";
}

/**
 * Checks what a model can do when its context, of `max` tokens, is full.
 *
 * @throws {InvalidArgumentError} where an option is out of range, the model's positions cannot be moved, or what stays
 * leaves no room.
 */
export function checkContext(
  { contextFull = "error", keep = 4 }: ContextOptions,
  positions: PositionKind,
  max: number,
): void {
  if (!CONTEXT_POLICIES.includes(contextFull)) {
    throw new InvalidArgumentError(`contextFull must be "error", "slide" or "shift", not ${contextFull}`);
  }
  if (!Number.isInteger(keep) || keep < 0) {
    throw new InvalidArgumentError(`keep must be a whole number of at least 0, not ${keep}`);
  }
  if (contextFull !== "error" && positions === "learned") {
    throw new InvalidArgumentError(
      `this model learned its positions, which cannot be moved; leave contextFull at "error" and start a new text instead`,
    );
  }
  const least = (Math.ceil(keep / PAGE_SIZE) + 1) * PAGE_SIZE + 1;
  if (contextFull !== "error" && max < least) {
    throw new InvalidArgumentError(
      `to ${contextFull} and keep ${keep} tokens needs a context of at least ${least} tokens, not ${max}; ` +
        "load a longer one or keep fewer",
    );
  }
}

/**
 * Makes room for `wanted` more tokens in a context of `max`; nothing where there is room.
 *
 * @throws {SequenceLengthExceededError} where the policy is `"error"`, or what must stay leaves no room.
 */
export function planContext(
  sequence: PageList,
  wanted: number,
  max: number,
  { contextFull = "error", keep = 4 }: ContextOptions,
  positions: PositionKind,
): ContextPlan | undefined {
  const { pages, length, isShared } = sequence;
  const excess = length + wanted - max;
  if (excess <= 0) return undefined;
  const first = Math.ceil(keep / PAGE_SIZE);
  const needed = Math.ceil(excess / PAGE_SIZE);
  // The last page stays: without the latest tokens the text would begin anew.
  const most = Math.ceil(length / PAGE_SIZE) - first - 1;
  if (contextFull === "error" || needed > most) {
    throw new SequenceLengthExceededError({ max, actual: length + wanted });
  }
  const count = contextFull === "shift" ? Math.max(needed, Math.floor(most / 2)) : needed;
  const moved = count * PAGE_SIZE;
  const ropeShift = positions === "rotary" ? -moved : 0;
  const kept = (page: number, shift: number): KeptPage => ({
    page,
    ropeShift: shift,
    copy: shift !== 0 && isShared(page),
  });
  return {
    kept: [
      ...pages.slice(0, first).map((page) => kept(page, 0)),
      ...pages.slice(first + count).map((page) => kept(page, ropeShift)),
    ],
    dropped: pages.slice(first, first + count),
    from: first * PAGE_SIZE,
    to: first * PAGE_SIZE + moved,
    length: length - moved,
  };
}
