/**
 * Which images of its training set a model learns from, and which choose its best epoch where these are held out.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { UserError } from "../base/errors.ts";
import { Random } from "../nn/mod.ts";

/** Numbers of images in a training set. */
export interface Parts {
  /** Those that the model learns from, rising. */
  readonly learn: Uint32Array;
  /** Those held out to choose the best epoch by; none where it is chosen on the test set. */
  readonly held: Uint32Array;
}

/** Images that are held out where the best epoch is not chosen on the test set. */
export function heldOut({ count }: Pick<ImageSet, "count">): number {
  return Math.max(1, Math.floor(count / 10));
}

/**
 * All images to learn from, or all but every tenth, at random by the seed of the training.
 *
 * @param selection of the training's procedure
 * @throws UserError when none is left to learn from
 */
export function partsFor(selection: unknown, seed: number, set: Pick<ImageSet, "count">): Parts {
  if (selection !== "validation") {
    const learn = Uint32Array.from({ length: set.count }, (_, i) => i);
    return { learn, held: new Uint32Array() };
  }
  const order = new Random(seed).fork("validation").permutation(set.count);
  const held = heldOut(set);
  if (held >= set.count) {
    throw new UserError(
      `Cannot hold out images to choose the best epoch by: there ${
        set.count === 1 ? "is one image" : "are no images"
      } to learn from; use a larger --limit, or --selection test`,
    );
  }
  return { learn: order.subarray(held).toSorted(), held: order.subarray(0, held) };
}
