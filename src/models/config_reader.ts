/**
 * Reads the fields of a configuration file, each checked.
 *
 * @module
 */
import { InvalidConfigError } from "../errors.ts";

/** Where a reader looks for fields. */
export interface ReaderOptions {
  /** Put before every name in lookups and errors. */
  readonly prefix?: string;
  /** Other names of fields, tried after the field's own. */
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
  /** Values of fields that are absent. */
  readonly defaults?: Readonly<Record<string, unknown>>;
}

/** Reads the fields of a configuration by name, each checked; the first bad one throws. */
export class ConfigReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #options: ReaderOptions;

  /** Reads from `fields`. */
  constructor(fields: Readonly<Record<string, unknown>>, options: ReaderOptions = {}) {
    this.#fields = fields;
    this.#options = options;
  }

  /** The same reader with values for absent fields. */
  withDefaults(defaults: Readonly<Record<string, unknown>>): ConfigReader {
    return new ConfigReader(this.#fields, { ...this.#options, defaults });
  }

  /** Whether the field is there and not null; a default does not count. */
  has(name: string): boolean {
    return this.#find(name).found;
  }

  /** A whole number of at least `min`. */
  int(name: string, fallback?: number, min = 1): number {
    const value = this.number(name, fallback);
    if (!Number.isInteger(value) || value < min || value > 2 ** 31) {
      this.#fail(name, `must be a whole number of at least ${min}, and is ${value}`);
    }
    return value;
  }

  /** A finite number above zero. */
  positive(name: string, fallback?: number): number {
    const value = this.number(name, fallback);
    if (!(value > 0)) this.#fail(name, `must be above zero, and is ${value}`);
    return value;
  }

  /** A finite number. */
  number(name: string, fallback?: number): number {
    const value = this.#value(name, fallback);
    if (typeof value !== "number" || !Number.isFinite(value)) {
      this.#fail(
        name,
        value === undefined ? "is missing" : `must be a number, and is ${JSON.stringify(value)}`,
      );
    }
    return value;
  }

  /** A string. */
  string(name: string, fallback?: string): string {
    const value = this.#value(name, fallback);
    if (typeof value !== "string") this.#fail(name, "must be a string");
    return value;
  }

  /** A boolean. */
  bool(name: string, fallback?: boolean): boolean {
    const value = this.#value(name, fallback);
    if (typeof value !== "boolean") this.#fail(name, "must be true or false");
    return value;
  }

  /** A nested object, or nothing. */
  object(name: string): ConfigReader | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) this.#fail(name, "must be an object");
    return new ConfigReader(value as Record<string, unknown>);
  }

  /** A list of finite numbers; nothing where the field is absent. */
  numbers(name: string): number[] | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const list = ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value;
    if (!Array.isArray(list) || !list.every(Number.isFinite)) this.#fail(name, "must be a list of numbers");
    return list;
  }

  /** A list of strings; nothing where the field is absent. */
  strings(name: string): string[] | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      this.#fail(name, "must be a list of strings");
    }
    return value;
  }

  /** One token id or a list of them; none where the field is absent. */
  ids(name: string): number[] {
    const value = this.#value(name);
    if (value === undefined) return [];
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((id) => Number.isInteger(id) && id >= 0)) {
      this.#fail(name, "must be a token id or a list of them");
    }
    return list;
  }

  /** Throws where a field says what this version cannot do. */
  refuse(name: string, when: boolean, what: string): void {
    if (when) this.#fail(name, what);
  }

  #find(name: string): { key: string; found: boolean } {
    const { prefix = "", aliases } = this.#options;
    const keys = [name, ...aliases?.[name] ?? []].map((key) => prefix + key);
    const key = keys.find((candidate) => (this.#fields[candidate] ?? undefined) !== undefined);
    return { key: key ?? keys[keys.length - 1], found: key !== undefined };
  }

  #value(name: string, fallback?: unknown): unknown {
    const { key, found } = this.#find(name);
    return found ? this.#fields[key] : this.#options.defaults?.[name] ?? fallback;
  }

  #fail(name: string, what: string): never {
    throw new InvalidConfigError(this.#find(name).key, what);
  }
}
