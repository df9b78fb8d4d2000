/**
 * The options that say how the next token is chosen. Flags are named as in llama.cpp where it has them.
 *
 * @module
 */
import { Option, OptionValueError } from "./option.ts";
import { type NumericOption, RANGES, type SamplingOptions } from "../sampling/options.ts";
import { number, texts, whole } from "./values.ts";

/** Flag, option of the library, help. */
const NUMBERS: readonly (readonly [flag: string, name: NumericOption, help: string])[] = [
  ["--temperature <t>", "temperature", "0 always takes the likeliest token; default: the model's, or 0"],
  ["--top-k <k>", "topK", "keep the k likeliest tokens"],
  ["--top-p <p>", "topP", "keep the likeliest tokens that make up this probability"],
  ["--min-p <p>", "minP", "keep tokens at least this likely beside the likeliest"],
  ["--typical-p <p>", "typicalP", "keep tokens of typical surprise that make up this probability"],
  ["--top-n-sigma <n>", "topNSigma", "keep tokens within n standard deviations of the highest logit"],
  ["--xtc-probability <p>", "xtcProbability", "how often to leave out the top choices"],
  ["--xtc-threshold <p>", "xtcThreshold", "top choices are tokens this likely; default: 0.1"],
  ["--repetition-penalty <r>", "repetitionPenalty", "above 1: tokens that were seen become less likely"],
  ["--presence-penalty <n>", "presencePenalty", "what a token loses for being there"],
  ["--frequency-penalty <n>", "frequencyPenalty", "what a token loses each time that it is there"],
  ["--repeat-last-n <n>", "repetitionWindow", "tokens that these penalties look back; default: 64"],
  [
    "--dry-multiplier <n>",
    "dryMultiplier",
    "above 0: repeating earlier text costs the more the longer it is",
  ],
  ["--dry-base <n>", "dryBase", "growth of that with each token; default: 1.75"],
  ["--dry-allowed-length <n>", "dryAllowedLength", "shorter repetitions are free; default: 2"],
  ["--dry-penalty-last-n <n>", "dryWindow", "tokens that DRY looks back; default: all"],
  ["--dynatemp-range <t>", "dynamicTemperatureRange", "let the temperature move by up to this"],
  ["--dynatemp-exp <n>", "dynamicTemperatureExponent", "bends how it follows the entropy; default: 1"],
  ["--mirostat <version>", "mirostat", "1 or 2: hold the surprise instead of cutting off"],
  ["--mirostat-ent <n>", "mirostatTau", "surprise in bits that mirostat steers to; default: 5"],
  ["--mirostat-lr <n>", "mirostatEta", "how fast mirostat steers; default: 0.1"],
];

/** An option under the name that the library has for it. */
class NamedOption extends Option {
  readonly #name: keyof SamplingOptions;

  constructor(flags: string, name: keyof SamplingOptions, help: string) {
    super(flags, help);
    this.#name = name;
  }

  override get key(): string {
    return this.#name;
  }
}

const OTHERS: readonly (keyof SamplingOptions)[] = ["drySequenceBreakers", "logitBias", "seed"];

/** Makes the options. */
export function samplingOptions(): Option[] {
  return [
    ...NUMBERS.map(([flag, name, help]) => {
      const { min, max, whole: isWhole } = RANGES[name];
      return new NamedOption(flag, name, help).argParser(isWhole ? whole(min, max) : number(min, max));
    }),
    new NamedOption(
      "--dry-sequence-breaker <text>",
      "drySequenceBreakers",
      "no repetition reaches across this; may be repeated",
    ).argParser(texts),
    new NamedOption("--logit-bias <id+bias>", "logitBias", "such as 15+1 or 15-inf; may be repeated")
      .argParser(biases),
    new NamedOption("--seed <n>", "seed", "the same seed draws the same tokens").argParser(whole(0)),
  ];
}

/** Those of a command's options that say how tokens are chosen. */
export function chosenSampling(options: SamplingOptions): SamplingOptions {
  const names = [...NUMBERS.map(([, name]) => name), ...OTHERS];
  return Object.fromEntries(names.map((name) => [name, options[name]]));
}

/** Parses `ID+BIAS` or `ID-BIAS`. */
function biases(text: string, earlier: Record<number, number> = {}): Record<number, number> {
  const [, id, sign, size] = /^(\d+)([+-])(\d+\.?\d*|\.\d+|inf)$/.exec(text) ?? [];
  if (id === undefined) {
    throw new OptionValueError("It must be a token id and a bias such as 15+1 or 15-inf");
  }
  const bias = size === "inf" ? Infinity : Number(size);
  return { ...earlier, [id]: sign === "+" ? bias : -bias };
}
