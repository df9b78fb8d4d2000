/**
 * Pages of sequences that have ended, kept for those that begin alike.
 *
 * @module
 */
import { PAGE_SIZE } from "../nn/decoder.ts";
import type { PagePool } from "./pages.ts";

/** A full page. What is in it depends on its tokens and on all before them, so pages form a tree. */
interface Node {
  readonly page: number;
  readonly key: string;
  readonly parent: Children;
  readonly children: Children;
}

/** The pages that may follow, by their tokens. */
type Children = Map<string, Node>;

/** Keeps full pages as long as nobody needs the room; the least recently used go first. */
export class PrefixCache {
  readonly #pool: PagePool;
  readonly #maxPages: number;
  readonly #root: Children = new Map();
  /** All pages by their number, the least recently used first; a page always comes after those that follow it. */
  readonly #order = new Map<number, Node>();

  /** A cache of at most `maxPages` pages of a pool, which takes them back when it has no others. */
  constructor(pool: PagePool, maxPages: number) {
    this.#pool = pool;
    this.#maxPages = maxPages;
    pool.onShortage = () => void this.#evict();
  }

  /** Pages that are kept. */
  get pages(): number {
    return this.#order.size;
  }

  /** The most pages that are kept. */
  get limit(): number {
    return this.#maxPages;
  }

  /** The pages of the longest known beginning of `tokens`, which has at most `most` tokens. */
  find(tokens: readonly number[], most: number): readonly number[] {
    const path = this.#path(tokens, Math.floor(most / PAGE_SIZE));
    this.#touch(path);
    return path.map(({ page }) => page);
  }

  /** Keeps the full pages of a sequence; those that are known with the same tokens are not kept twice. */
  add(tokens: readonly number[], pages: readonly number[], length: number): void {
    const count = Math.floor(length / PAGE_SIZE);
    const path = this.#path(tokens, count);
    while (path.length < count && (this.#order.size < this.#maxPages || this.#evict(path))) {
      const parent = path.at(-1)?.children ?? this.#root;
      const node = { page: pages[path.length], key: keyOf(tokens, path.length), parent, children: new Map() };
      parent.set(node.key, node);
      this.#order.set(node.page, node);
      this.#pool.keep(node.page);
      path.push(node);
    }
    this.#touch(path);
  }

  /** Forgets everything. */
  clear(): void {
    for (const page of this.#order.keys()) this.#pool.unkeep(page);
    this.#order.clear();
    this.#root.clear();
  }

  #path(tokens: readonly number[], count: number): Node[] {
    const path: Node[] = [];
    for (let children = this.#root; path.length < count;) {
      const node = children.get(keyOf(tokens, path.length));
      if (node === undefined) break;
      path.push(node);
      children = node.children;
    }
    return path;
  }

  /** Moves pages to the end of the order, the last of them first. */
  #touch(path: readonly Node[]): void {
    for (const node of path.toReversed()) {
      this.#order.delete(node.page);
      this.#order.set(node.page, node);
    }
  }

  /** Gives up the least recently used page that no sequence holds, and that is none of `but`; whether there was one. */
  #evict(but: readonly Node[] = []): boolean {
    for (const [page, node] of this.#order) {
      if (this.#pool.held(page) || but.includes(node)) continue;
      node.parent.delete(node.key);
      this.#forget(node);
      return true;
    }
    return false;
  }

  /** Forgets a page and those that follow it, which cannot be found without it: mostly there are none left. */
  #forget(node: Node): void {
    for (const child of node.children.values()) this.#forget(child);
    this.#order.delete(node.page);
    this.#pool.unkeep(node.page);
  }
}

function keyOf(tokens: readonly number[], page: number): string {
  return tokens.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).join();
}
