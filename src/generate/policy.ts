/**
 * The scheduling policy: from what every sequence needs, and the pages that are free, to what the next step holds.
 * Pure, so that fairness can be tested by itself.
 *
 * @module
 */
import { PAGE_SIZE } from "../nn/decoder.ts";
import { pagesFor } from "./pages.ts";
import type { StepCapacity, Want } from "./task.ts";

/** What is known of a sequence. */
export interface Candidate {
  /** Place in the order in which sequences came. */
  readonly arrival: number;
  /** Tokens in the cache. */
  readonly cached: number;
  /** Tokens that are known and not in the cache. */
  readonly pending: number;
  /** How many of the pending tokens come before the first whose output is wanted. */
  readonly silent: number;
  /** Whether it wants to be in the step. */
  readonly wants: Want;
  /** Pages that it holds. */
  readonly pages: number;
  /** Pages that come free if it loses them. */
  readonly solePages: number;
  /** Number of the last step that it was in. */
  readonly served: number;
}

/** A sequence's part of the step. */
export interface PlannedEntry<C> {
  /** The sequence. */
  readonly candidate: C;
  /** How many of its pending tokens. */
  readonly tokens: number;
}

/** What the next step holds. */
export interface StepPlan<C> {
  /** Sequences of the step. */
  readonly entries: readonly PlannedEntry<C>[];
  /** Sequences that lose their pages first; their tokens are computed again later. */
  readonly preempted: readonly C[];
  /** Sequences for which the whole cache is too small. */
  readonly exhausted: readonly C[];
}

/** Decides on the next step. Where nobody waits there is none. */
export function planStep<C extends Candidate>(
  candidates: readonly C[],
  capacity: StepCapacity,
  freePages: number,
): StepPlan<C> {
  const lone = candidates.length === 1 ? candidates[0] : undefined;
  if (lone?.wants === "now" && decodes(lone) && pagesFor(lone.cached + 1) <= lone.pages) {
    // What nearly every step of a single stream is: it need not cost more than that.
    return { entries: [{ candidate: lone, tokens: 1 }], preempted: [], exhausted: [] };
  }
  if (!candidates.some(({ wants }) => wants === "now")) return { entries: [], preempted: [], exhausted: [] };
  const budget = new PageBudget(candidates, freePages);
  const willing = candidates.filter(({ wants }) => wants !== "no");
  const running = longestUnserved(willing.filter(({ pages }) => pages > 0)).slice(0, capacity.sequences);
  const entries = new Map<C, number>();
  for (const candidate of byArrival(running.filter(decodes))) {
    if (budget.give(candidate, 1) === 1) entries.set(candidate, 1);
  }
  const prompts = [
    ...running.filter((candidate) => !decodes(candidate)),
    ...admitted(willing, running, capacity, budget),
  ];
  const rows = entries.size > 0 ? Math.min(capacity.mixedRows, capacity.rows - entries.size) : capacity.rows;
  const outputs = capacity.outputs - entries.size - prompts.length;
  for (const [candidate, share] of shares(prompts, rows, outputs)) {
    const tokens = budget.give(candidate, share);
    if (tokens > 0) entries.set(candidate, tokens);
  }
  return {
    entries: [...entries].filter(([candidate]) => !budget.preempted.has(candidate))
      .map(([candidate, tokens]) => ({ candidate, tokens })),
    preempted: [...budget.preempted],
    exhausted: budget.exhausted,
  };
}

/** Whether it adds the token that it has chosen last. */
function decodes({ pending }: Candidate): boolean {
  return pending === 1;
}

function byArrival<C extends Candidate>(candidates: readonly C[]): C[] {
  return candidates.toSorted((a, b) => a.arrival - b.arrival);
}

function longestUnserved<C extends Candidate>(candidates: readonly C[]): C[] {
  return candidates.toSorted((a, b) => a.served - b.served || a.arrival - b.arrival);
}

/**
 * Sequences without pages that may start: in order of arrival, so that none is passed over for ever, and only where all
 * prompts under way fit, with a page to grow for each sequence that runs.
 */
function admitted<C extends Candidate>(
  willing: readonly C[],
  running: readonly C[],
  { sequences }: StepCapacity,
  budget: PageBudget<C>,
): C[] {
  const chosen: C[] = [];
  let promised = 0;
  for (const { pages, cached, pending } of running) promised += pagesFor(cached + pending) - pages + 1;
  for (const candidate of byArrival(willing.filter(({ pages }) => pages === 0))) {
    if (running.length + chosen.length >= sequences) break;
    promised += pagesFor(candidate.pending) + 1;
    const first = running.length + chosen.length === 0;
    if (!first && promised > budget.available) break;
    chosen.push(candidate);
  }
  return chosen;
}

/** Shares rows out evenly; what a short prompt leaves goes to the longer ones. */
function* shares<C extends Candidate>(
  prompts: readonly C[],
  rows: number,
  outputs: number,
): Generator<[C, number]> {
  const served = longestUnserved(prompts).slice(0, rows);
  const ascending = served.toSorted((a, b) => a.pending - b.pending || a.arrival - b.arrival);
  for (const [i, candidate] of ascending.entries()) {
    // One output is set aside for each sequence; who wants more of them takes what is left.
    const { pending, silent } = candidate;
    const share = Math.min(pending, Math.floor(rows / (ascending.length - i)), silent + outputs + 1);
    outputs -= Math.max(share - silent - 1, 0);
    rows -= share;
    yield [candidate, share];
  }
}

/** Hands out pages, and takes them from others where none is free. */
class PageBudget<C extends Candidate> {
  readonly #holders: Set<C>;
  #free: number;
  readonly preempted = new Set<C>();
  readonly exhausted: C[] = [];

  constructor(candidates: readonly C[], freePages: number) {
    this.#holders = new Set(candidates.filter(({ pages }) => pages > 0));
    this.#free = freePages;
  }

  /** Pages that are free, or held by sequences that do not want to run. */
  get available(): number {
    let pages = this.#free;
    for (const { wants, solePages } of this.#holders) if (wants === "no") pages += solePages;
    return pages;
  }

  /** Gives pages for so many more tokens; how many tokens there is room for. */
  give(candidate: C, tokens: number): number {
    if (this.preempted.has(candidate)) return 0;
    const { cached, pages } = candidate;
    const missing = (): number => pagesFor(cached + tokens) - pages - this.#free;
    while (missing() > 0) {
      const victim = this.#victim(candidate);
      if (victim === undefined) break;
      this.#holders.delete(victim);
      this.preempted.add(victim);
      this.#free += victim.solePages;
    }
    const room = (pages + this.#free) * PAGE_SIZE - cached;
    const given = Math.min(tokens, room);
    if (given > 0) {
      this.#free -= Math.max(pagesFor(cached + given) - pages, 0);
      this.#holders.add(candidate);
      return given;
    }
    const alone = [...this.#holders].every((holder) => holder === candidate);
    if (alone) this.exhausted.push(candidate);
    return 0;
  }

  /** Who loses its pages: who does not want to run, for the longest time; else the youngest that came later. */
  #victim(candidate: C): C | undefined {
    const others = [...this.#holders].filter((other) => other !== candidate && other.pages > 0);
    const [idle] = longestUnserved(others.filter(({ wants }) => wants === "no"));
    return idle ?? byArrival(others.filter(({ arrival }) => arrival > candidate.arrival)).at(-1);
  }
}
