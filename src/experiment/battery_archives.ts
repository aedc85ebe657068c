/**
 * What a battery's folder keeps for pictures: of every out-domain image each member's scores, and those images
 * on which the members differ most.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import type { NamedArray } from "../checkpoint/safetensors.ts";
import {
  type BatterySide,
  pictured,
  type ReadyMember,
  type TurnedScores,
} from "../evaluate/battery.ts";
import { attemptsOf, type Sides } from "./battery_figures.ts";

type Arrays = ReadonlyMap<string, NamedArray>;

/** The out-domain images that were attacked, and which of their set they are. */
interface OutDomain {
  readonly set: ImageSet;
  readonly numbers: ArrayLike<number>;
}

/** Images in the picture. */
const most = 6;

/** The archives: `battery` with the scores, `examples` with the images. */
export function batteryArchives(
  { clean, sides }: {
    readonly clean: Readonly<Record<BatterySide, TurnedScores>>;
    readonly sides: Sides;
  },
  attacked: OutDomain,
  members: readonly ReadyMember[],
): Record<string, Arrays> {
  const scores = (["out", "in"] as const).flatMap((side) =>
    Object.keys(clean[side]).map((name): [string, NamedArray] => {
      const attempts = attemptsOf(clean[side], sides[side], members, name, () => true);
      const [{ scores: first } = { scores: new Float64Array() }] = attempts;
      const data = new Float32Array(attempts.length * first.length);
      attempts.forEach(({ scores }, k) => data.set(scores, k * first.length));
      return [`${side}.${name}`, { shape: [attempts.length, first.length], data }];
    })
  );
  return { battery: new Map(scores), examples: examplesOf(clean.out, sides, attacked, members) };
}

/**
 * Images `[M, 1 + members, C, H, W]`, clean first, on which the score that pictures are chosen by differs most between the
 * members: each as the run of its member left it that is the worst by that score.
 */
function examplesOf(
  clean: TurnedScores,
  { out }: Sides,
  { set: { shape, images, count }, numbers }: OutDomain,
  members: readonly ReadyMember[],
): Arrays {
  const size = shape.reduce((a, b) => a * b, 1);
  const of = attemptsOf(clean, out, members, pictured, () => true).slice(1);
  const places = out.map(({ index }) => new Map([...index].map((image, at) => [image, at])));
  const held = (image: number): boolean =>
    out.every(({ examples }, k) =>
      ((places[k]?.get(image) ?? Infinity) + 1) * size <= examples.length
    );
  const spread = (image: number): number => {
    const values = of.map(({ scores }) => scores[image] ?? 0);
    return Math.max(...values) - Math.min(...values);
  };
  const index = Array.from({ length: out.length > 1 ? count : 0 }, (_, i) => i).filter(held)
    .toSorted((a, b) => spread(b) - spread(a)).slice(0, most);
  const columns = 1 + out.length;
  const data = new Float32Array(index.length * columns * size);
  index.forEach((image, row) => {
    const at = row * columns * size;
    data.set(
      Float32Array.from(images.subarray(image * size, (image + 1) * size), (v) => v / 255),
      at,
    );
    out.forEach(({ examples }, k) => {
      const from = (places[k]?.get(image) ?? 0) * size;
      data.set(examples.subarray(from, from + size), at + (k + 1) * size);
    });
  });
  return new Map([
    ["index", { shape: [index.length], data: Uint32Array.from(index, (i) => numbers[i] ?? i) }],
    // Where they are among those that were attacked, whose scores are kept.
    ["place", { shape: [index.length], data: Uint32Array.from(index) }],
    ["images", { shape: [index.length, columns, ...shape], data }],
  ]);
}
