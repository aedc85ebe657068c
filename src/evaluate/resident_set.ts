/**
 * A data set resident on the device as bytes; batches are gathered there by index.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { gatherImages, gatherRows, Parameter, reshape, type Tensor } from "../nn/mod.ts";

/** Images and labels as parameters: uploaded once, shared by programs. */
export class ResidentSet {
  /** N, the number of images. */
  readonly count: number;
  readonly #bytes: Parameter;
  readonly #labels: Parameter;
  readonly #numbers: Parameter | undefined;

  /**
   * Packs the pixels four to a word; they reach the device when a program first reads them.
   *
   * @param numbers of the images in the set that they were chosen from; their places when not given
   */
  constructor(readonly set: ImageSet, numbers?: ArrayLike<number>) {
    this.count = set.count;
    const words = new Uint32Array(Math.ceil(set.images.length / 4));
    new Uint8Array(words.buffer).set(set.images);
    this.#bytes = new Parameter([words.length], words);
    this.#labels = new Parameter([set.count, 1], Float32Array.from(set.labels));
    this.#numbers = numbers && new Parameter([set.count, 1], Float32Array.from(numbers));
  }

  /** The parameters that hold it, to be released when it is no longer needed. */
  get parameters(): readonly Parameter[] {
    return [this.#bytes, this.#labels, ...this.#numbers ? [this.#numbers] : []];
  }

  /** Pixels in [0, 1], `[B, C, H, W]`, of the images at `index` `[B]`. */
  images(index: Tensor): Tensor {
    return gatherImages(this.#bytes.tensor, index, this.set.shape);
  }

  /** Numbers `[B]` of the images at `index` `[B]` in the set that they were chosen from. */
  numbers(index: Tensor): Tensor {
    return this.#numbers ? reshape(gatherRows(this.#numbers.tensor, index), index.shape) : index;
  }

  /** Class indices `[B]` of the images at `index` `[B]`. */
  labels(index: Tensor): Tensor {
    return reshape(gatherRows(this.#labels.tensor, index), index.shape);
  }
}

/** Indices of `size` images of `count`, evenly spread: all of them where there are no more. */
export function evenSample(count: number, size: number): Uint32Array {
  const n = Math.min(count, size);
  return Uint32Array.from({ length: n }, (_, i) => Math.floor(i * count / n));
}

/** A set of some images of another. Its hash stays that of the whole. */
export function chosen(set: ImageSet, index: ArrayLike<number>): ImageSet {
  const size = set.images.length / set.count;
  const images = new Uint8Array(index.length * size);
  const labels = new Uint16Array(index.length);
  Array.from(index).forEach((from, to) => {
    images.set(set.images.subarray(from * size, (from + 1) * size), to * size);
    labels[to] = set.labels[from] ?? 0;
  });
  const { prepared } = set;
  return {
    ...set,
    images,
    labels,
    count: index.length,
    ...prepared && { prepared: Uint8Array.from(index, (from) => prepared[from] ?? 0) },
  };
}

/**
 * Splits `0 .. count - 1` into batches of one size; the last is filled up with its own last index.
 *
 * @returns for each batch its indices and how many of them count
 */
export function* batches(
  count: number,
  size: number,
): Generator<{ index: Float32Array; valid: number }> {
  for (let start = 0; start < count; start += size) {
    const index = Float32Array.from({ length: size }, (_, i) => Math.min(start + i, count - 1));
    yield { index, valid: Math.min(size, count - start) };
  }
}
