/**
 * Every error that LLMForge throws on purpose: one base class, a stable `code`, the facts as fields, and a message
 * that says what is wrong and what to do.
 *
 * @module
 */

/** The base of all errors thrown on purpose; `code` is stable and safe to switch on. */
export class LLMForgeError extends Error {
  /** Stable identifier such as `"INVALID_CONFIG"`. */
  readonly code: string;

  /** Creates an error with a stable `code`. */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** An argument or option is outside what is allowed. */
export class InvalidArgumentError extends LLMForgeError {
  /** Creates the error; `message` says which argument and what it must be. */
  constructor(message: string, options?: ErrorOptions) {
    super("INVALID_ARGUMENT", message, options);
  }
}

/** Two shapes do not fit the operation, or a shape is malformed. */
export class ShapeError extends LLMForgeError {
  /** Creates the error; `message` names the operation and the shapes. */
  constructor(message: string) {
    super("SHAPE", message);
  }
}

/** An index is outside a tensor, a vocabulary or a buffer. */
export class OutOfBoundsError extends LLMForgeError {
  /** Creates the error; `message` names the index and the bound. */
  constructor(message: string) {
    super("OUT_OF_BOUNDS", message);
  }
}

/** The operation is not defined for this dtype. */
export class DTypeError extends LLMForgeError {
  /** Creates the error; `message` names the dtype and the operation. */
  constructor(message: string) {
    super("DTYPE", message);
  }
}

/** A file names a dtype that this version cannot read. */
export class UnknownDTypeError extends LLMForgeError {
  /** The dtype as the file wrote it: a name or a number. */
  readonly dtype: string | number;

  /** Creates the error for the dtype as it stands in the file. */
  constructor(dtype: string | number, where: string) {
    super(
      "UNKNOWN_DTYPE",
      `${where} has the unknown dtype ${JSON.stringify(dtype)}; convert it to a supported one`,
    );
    this.dtype = dtype;
  }
}

/** A saved session was computed by something else than the model that is to go on with it. */
export class SessionMismatchError extends LLMForgeError {
  /** Creates the error; `reason` says with what it was saved. */
  constructor(reason: string) {
    super(
      "SESSION_MISMATCH",
      `the session was saved with ${reason}; restore it where it was saved, or begin a chat with its messages`,
    );
  }
}

/** Where in a file something is wrong. */
export interface FilePlace {
  /** Name or path of the file as the caller gave it. */
  file: string;
  /** Tensor or metadata key concerned. */
  tensor?: string;
  /** Byte offset in the file. */
  offset?: number;
}

/** A model file is damaged, truncated or inconsistent. */
export class InvalidFileError extends LLMForgeError {
  /** Name or path of the file as the caller gave it. */
  readonly file: string;
  /** Tensor or metadata key concerned, where one is. */
  readonly tensor?: string;
  /** Byte offset in the file, where it is known. */
  readonly offset?: number;

  /** Creates the error; the place becomes part of the message. */
  constructor(what: string, place: FilePlace, options?: ErrorOptions) {
    const tensor = place.tensor === undefined ? "" : `, ${JSON.stringify(place.tensor)}`;
    const offset = place.offset === undefined ? "" : ` at byte ${place.offset}`;
    super("INVALID_FILE", `${place.file}${tensor}${offset}: ${what}`, options);
    this.file = place.file;
    this.tensor = place.tensor;
    this.offset = place.offset;
  }
}

/** There is no model of that name on this machine. */
export class ModelNotFoundError extends LLMForgeError {
  /** Creates the error; `message` says where it was looked for and what to do. */
  constructor(message: string, options?: ErrorOptions) {
    super("MODEL_NOT_FOUND", message, options);
  }
}

/** A model configuration is missing a field, or a field has an impossible value. */
export class InvalidConfigError extends LLMForgeError {
  /** The field concerned, as the file names it. */
  readonly field: string;

  /** Creates the error for one field of the configuration. */
  constructor(field: string, message: string) {
    super("INVALID_CONFIG", `config field ${field}: ${message}`);
    this.field = field;
  }
}

/** The architecture is not one that this version knows. */
export class UnsupportedModelError extends LLMForgeError {
  /** Creates the error; `message` names the architecture and the known ones. */
  constructor(message: string) {
    super("UNSUPPORTED_MODEL", message);
  }
}

/** The context is full. */
export class SequenceLengthExceededError extends LLMForgeError {
  /** Longest sequence the context holds, in tokens. */
  readonly max: number;
  /** Length that was asked for, in tokens. */
  readonly actual: number;

  /** Creates the error from the two lengths, in tokens. */
  constructor({ max, actual }: { max: number; actual: number }) {
    super(
      "SEQUENCE_LENGTH_EXCEEDED",
      `the sequence needs ${actual} tokens and the context holds ${max}; shorten the prompt, lower maxTokens, ` +
        `load the model with a larger contextLength, or generate with contextFull`,
    );
    this.max = max;
    this.actual = actual;
  }
}

/** More is asked for at once than the model's queue holds. */
export class QueueFullError extends LLMForgeError {
  /** The most that may run and wait at once. */
  readonly max: number;

  /** Creates the error from the bound. */
  constructor({ max }: { max: number }) {
    super(
      "QUEUE_FULL",
      `${max} generations are running or waiting, and the queue is full; read those first, or load the model with a ` +
        `larger maxQueue`,
    );
    this.max = max;
  }
}

/** Planned memory is above the limit; nothing was allocated. */
export class OutOfMemoryError extends LLMForgeError {
  /** Bytes that were asked for. */
  readonly required: number;
  /** Bytes that can be had. */
  readonly available: number;

  /** Creates the error from the plan's bytes and the limit. */
  constructor({ required, available, what }: { required: number; available: number; what: string }) {
    super(
      "OUT_OF_MEMORY",
      `${what} needs ${required} bytes and ${available} can be had; use a smaller model, quantization or contextLength`,
    );
    this.required = required;
    this.available = available;
  }
}

/** A backend cannot be used on this machine. */
export class BackendUnavailableError extends LLMForgeError {
  /** Name of the backend. */
  readonly backend: string;

  /** Creates the error; `reason` says why and what would help. */
  constructor(backend: string, reason: string, options?: ErrorOptions) {
    super("BACKEND_UNAVAILABLE", `backend ${backend} cannot be used: ${reason}`, options);
    this.backend = backend;
  }
}

/** A backend has no kernel for an operation and the operation has no lowering. */
export class UnsupportedOpError extends LLMForgeError {
  /** Creates the error for an operation on a backend. */
  constructor(backend: string, op: string, dtypes: readonly string[]) {
    super(
      "UNSUPPORTED_OP",
      `backend ${backend} cannot run ${op} on ${dtypes.join(", ")}; choose another backend`,
    );
  }
}

/** A backend failed while it ran. */
export class BackendError extends LLMForgeError {
  /** Creates the error; `message` is what the backend reported. */
  constructor(backend: string, message: string, options?: ErrorOptions) {
    super("BACKEND", `backend ${backend}: ${message}`, options);
  }
}

/** An encoded Program is damaged or of another version. */
export class InvalidProgramError extends LLMForgeError {
  /** Creates the error; `message` says what is wrong with the Program. */
  constructor(message: string) {
    super("INVALID_PROGRAM", message);
  }
}

/** A tokenizer definition is damaged or of a kind that is not supported. */
export class TokenizerError extends LLMForgeError {
  /** Creates the error; `message` says what is wrong with the tokenizer. */
  constructor(message: string, options?: ErrorOptions) {
    super("TOKENIZER", message, options);
  }
}

/** A package that is fetched when it is first needed cannot be had. */
export class PackageError extends LLMForgeError {
  /** Creates the error for a package; `reason` is what the runtime said, `advice` what to do. */
  constructor(name: string, reason: string, advice: string, options?: ErrorOptions) {
    super("PACKAGE", `the package ${name} cannot be loaded: ${reason}; ${advice}`, options);
  }
}

/** A permission is missing for something that the caller asked for. */
export class PermissionError extends LLMForgeError {
  /** Creates the error; `flag` is the Deno flag that grants it, such as `"-R"`. */
  constructor(what: string, flag: string, options?: ErrorOptions) {
    super("PERMISSION", `${what} needs a permission; run with ${flag}`, options);
  }
}
