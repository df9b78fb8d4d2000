/**
 * A decoder's tensors as files of the other naming have them: renamed, fused or split, turned, with rotary rows in that
 * naming's order and norms with its offset. All of it follows from the table of names and the two configurations.
 *
 * @module
 */
import type { WeightSource } from "../backends/backend.ts";
import { UnsupportedModelError } from "../errors.ts";
import type { ModelMetadata, RowCut, WeightEntry, WeightPlace } from "../models/architecture.ts";
import type { DecoderConfig } from "../models/config.ts";
import { byteLength, isQuantized } from "../tensor/dtype.ts";
import { elementCount } from "../tensor/shape.ts";
import { joined, type Run, weightSource } from "../weight_source.ts";
import type { LocatedWeight } from "../weights.ts";
import { columnsOf, mapped, type Matrix, reorderHeads, tensorOf } from "./matrix.ts";

/** A tensor of the new file and the weight that it holds, or the first of them. */
export interface RenamedTensor extends Matrix {
  /** Name of the weight in Programs. */
  readonly weight: string;
}

/** What a renaming goes from and to. */
export interface Renaming {
  /** The weights as they were found. */
  readonly located: readonly LocatedWeight[];
  /** The configuration that the source's weights are made for. */
  readonly from: DecoderConfig;
  /** The configuration as the new file will be read. */
  readonly to: DecoderConfig;
  /** All weights by the table of the new file's family. */
  readonly entries: readonly WeightEntry[];
  /** Naming of the new file. */
  readonly naming: ModelMetadata["naming"];
}

/** A tensor of the new file while its weights are gathered. */
interface Target {
  readonly weight: string;
  readonly shape: readonly number[];
  readonly transposed: boolean;
  readonly parts: { rows?: RowCut; source: WeightSource }[];
}

/** All tensors of the new file. */
export function renamed(renaming: Renaming): RenamedTensor[] {
  const { located, entries } = renaming;
  const found = new Set(located.map(({ spec }) => spec.name));
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const targets = new Map<string, Target>();
  for (const weight of located) {
    const { name } = weight.spec;
    const place = writtenPlace(byName.get(name), name, renaming, found);
    addWeight(targets, place, name, changed(weight, renaming));
  }
  return [...targets].map(([name, target]) => {
    const { shape, source } = assemble(name, target);
    return { name, shape, source, weight: target.weight };
  });
}

/** The place that the new file uses for a weight. */
function writtenPlace(
  entry: WeightEntry | undefined,
  name: string,
  { naming, to }: Renaming,
  found: ReadonlySet<string>,
): WeightPlace {
  const places = entry?.places.filter(({ written }) => written === naming) ?? [];
  // Two norms side by side have names of their own; a single one, or one after the other, has the plain name.
  const norms = /^(layers\.\d+)\.(attention|feedForward)Norm\.(weight|bias)$/.exec(name);
  const twoNorms = norms !== null && to.parallelResidual && found.has(`${norms[1]}.feedForwardNorm.weight`);
  const place = norms && !twoNorms ? places.at(-1) : places[0];
  if (place) return place;
  throw new UnsupportedModelError(
    `files of ${naming} have no name for the weight ${name} of ${to.architecture}`,
  );
}

/** The weight as the new file's configuration wants it. */
function changed({ spec, source }: LocatedWeight, { from, to }: Renaming): WeightSource {
  const rows = spec.shape[0];
  const columns = spec.shape[1] ?? 1;
  const scaled = scaleFactor(spec.name, from, to);
  const isNorm = /[nN]orm\.weight$/.test(spec.name);
  const [before, after] = isNorm ? [from.norm.weightOffset, to.norm.weightOffset] : [0, 0];
  let result = source;
  if (scaled !== 1 || before !== after) {
    result = mapped(result, columns, (x) => (x + before) * scaled - after);
  }
  if (/\.(query|key)\.(weight|bias)$/.test(spec.name) && from.rope && to.rope) {
    if (from.rope.interleaved !== to.rope.interleaved) {
      result = reorderHeads(result, from.headDim, rows, to.rope.interleaved ? "interleaved" : "halves");
    }
  }
  return result;
}

/**
 * Factor that makes up for a scale of attention scores which the new file cannot say: on the queries, or on their norm
 * where each head has one.
 */
function scaleFactor(name: string, from: DecoderConfig, to: DecoderConfig): number {
  const factor = from.attentionScale / to.attentionScale;
  if (Math.abs(factor - 1) < 1e-6) return 1;
  const carrier = from.qkNorm ? /\.queryNorm\.weight$/ : /\.query\.(weight|bias)$/;
  return carrier.test(name) ? factor : 1;
}

function addWeight(
  targets: Map<string, Target>,
  place: WeightPlace,
  weight: string,
  source: WeightSource,
): void {
  const { tensors, shape, rows } = place;
  const transposed = place.transposed ?? false;
  const each = source.byteLength / tensors.length;
  tensors.forEach((name, i) => {
    const target = targets.get(name) ?? { weight, shape, transposed, parts: [] };
    targets.set(name, target);
    const part = tensors.length === 1
      ? source
      : joined(source.dtype, [{ source, offset: i * each, length: each }]);
    if (target.parts.some(({ rows: other }) => !rows || !other || other.offset === rows.offset)) {
      throw new UnsupportedModelError(
        `two weights would be the tensor ${name}; the format cannot hold this model`,
      );
    }
    target.parts.push({ rows, source: part });
  });
}

/** One tensor out of its parts. */
function assemble(name: string, { shape, transposed, parts }: Target): Omit<Matrix, "name"> {
  // The shape before it is turned.
  const upright = transposed ? shape.toReversed() : shape;
  const columns = upright.length === 1 ? 1 : columnsOf(upright);
  const dtypes = new Set(parts.map(({ source }) => source.dtype));
  const like = dtypes.size === 1
    ? parts
    : parts.map(({ rows, source }) => ({ rows, source: mapped(source, columns, (x) => x) }));
  const { dtype } = like[0].source;
  const bytes = like.reduce((sum, { source }) => sum + source.byteLength, 0);
  if (bytes !== byteLength(dtype, elementCount(shape))) {
    throw new UnsupportedModelError(
      `some of the weights that make up ${name} are missing; the format needs all`,
    );
  }
  const source = like.length === 1 && !like[0].rows
    ? like[0].source
    : joined(dtype, runsInOrder(like, byteLength(dtype, columns)));
  if (!transposed || isQuantized(dtype)) return { shape: upright, source };
  const place = { tensors: [name], shape: upright, transposed: true };
  return { shape, source: weightSource(place, [tensorOf({ name, shape: upright, source })]) };
}

/** The runs of rows of all parts, in the order of the tensor that they make up. */
function runsInOrder(parts: Target["parts"], rowBytes: number): Run[] {
  return parts.flatMap(({ rows, source }) => {
    if (!rows) return [{ at: 0, source, offset: 0, length: source.byteLength }];
    return Array.from({ length: rows.count }, (_, i) => ({
      at: rows.offset + i * rows.stride,
      source,
      offset: i * rows.length * rowBytes,
      length: rows.length * rowBytes,
    }));
  }).sort((a, b) => a.at - b.at);
}
