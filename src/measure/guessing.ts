/**
 * Whether a model knows its own images: without that, its uncertainty means nothing.
 *
 * @module
 */
import { percent } from "./shown.ts";
import { wilsonLow } from "./statistics.ts";

/** In-domain images, and how many of them are right. */
export interface Hits {
  readonly right: number;
  readonly count: number;
  readonly classes: number;
}

/** Standard deviations of the 99 % interval. */
const z = 2.576;

/**
 * Whether a model is better than guessing: whether `1 / classes` lies below the 99 % interval of its
 * accuracy.
 */
export function knows({ right, count, classes }: Hits): boolean {
  return wilsonLow(right, count, z) > 1 / classes;
}

/** What is to be said of a model that is no better than guessing, or may be none by so few images. */
export function guesses({ right, count, classes }: Hits): string {
  const better = right / count > 1 / classes;
  return `The model is ${better ? "not clearly" : "no"} better than guessing in-domain: ` +
    `${right} of ${count} images are right (${percent(right / count)}), ` +
    `guessing has ${percent(1 / classes)}` +
    (better
      ? ", too little apart for so few images; its uncertainty may mean nothing"
      : "; its uncertainty means nothing yet");
}
