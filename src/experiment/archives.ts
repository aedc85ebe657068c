/**
 * What is kept of an attack besides its figures: answers to every image, and images to look at.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import type { NamedArray } from "../checkpoint/safetensors.ts";
import { entropies } from "../measure/metrics.ts";
import type { Attacked } from "../evaluate/attack_set.ts";
import type { Answers } from "../measure/answers.ts";

/** Leading images of which the most telling are kept. */
export const shownImages = 500;

/** How many of the most successful, of the least successful, and of the first. */
const each = 6;

type Arrays = ReadonlyMap<string, NamedArray>;

/** `[N, C]` logarithms of confidences by name. */
export function answersArchive(answers: Readonly<Record<string, Answers>>): Arrays {
  return new Map(
    Object.entries(answers).map(([name, { predictions }]) => [name, {
      shape: [predictions.logProbabilities.length / predictions.classes, predictions.classes],
      data: predictions.logProbabilities,
    }]),
  );
}

/** The archives of an attack's folder. */
export function attackArchives(
  saveImages: boolean,
  { attacked, outDomain }: { readonly attacked: Attacked; readonly outDomain: ImageSet },
): Record<string, Arrays> {
  const { clean, adversarial, distance, gradient } = attacked;
  const slope = gradient?.slope;
  return {
    predictions: new Map([
      ...answersArchive({ clean, adversarial }),
      ["distance", { shape: [distance.length], data: distance }],
      ...slope ? [["slope", { shape: [slope.length], data: slope }] as const] : [],
    ]),
    examples: examplesArchive(attacked, outDomain),
    ...(saveImages ? { adversarial: imagesArchive(attacked, outDomain) } : {}),
  };
}

/** All images that were kept, as they were attacked (the first copy, where there are several). */
function imagesArchive({ examples }: Attacked, { shape }: ImageSet): Arrays {
  const rows = examples.clean.length / shape.reduce((a, b) => a * b, 1);
  return new Map([
    ["clean", { shape: [rows, ...shape], data: examples.clean }],
    ["adversarial", { shape: [rows, ...shape], data: examples.adversarial }],
  ]);
}

/**
 * A few images of those that were kept: `index` says which they are, `label` their class in the out-domain set, `kind` why they were chosen: 0 the
 * entropy fell most, 1 it fell least, 2 they come first.
 */
function examplesArchive(
  { examples, clean, adversarial }: Attacked,
  { shape, labels }: ImageSet,
): Arrays {
  const size = shape.reduce((a, b) => a * b, 1);
  const rows = examples.clean.length / size;
  const [before, after] = [entropies(clean.predictions), entropies(adversarial.predictions)];
  const drop = (i: number): number => ((before[i] ?? 0) - (after[i] ?? 0)) || 0;
  const order = Array.from({ length: rows }, (_, i) => i).sort((a, b) =>
    drop(b) - drop(a) || a - b
  );
  const least = order.toReversed().slice(0, each);
  const first = Array.from({ length: Math.min(each, rows) }, (_, i) => i);
  const chosen = [order.slice(0, each), least, first];
  const index = chosen.flat();
  const pick = (from: Float32Array): NamedArray => {
    const data = new Float32Array(index.length * size);
    index.forEach((i, to) => data.set(from.subarray(i * size, (i + 1) * size), to * size));
    return { shape: [index.length, ...shape], data };
  };
  return new Map([
    ["index", { shape: [index.length], data: Float32Array.from(index) }],
    ["label", { shape: [index.length], data: Float32Array.from(index, (i) => labels[i] ?? NaN) }],
    ["kind", {
      shape: [index.length],
      data: Float32Array.from(chosen.flatMap((of, kind) => of.map(() => kind))),
    }],
    ["clean", pick(examples.clean)],
    ["adversarial", pick(examples.adversarial)],
  ]);
}
