/**
 * Work on as many images at once as the GPU can hold.
 *
 * @module
 */
import { MemoryError } from "../../base/errors.ts";
import type { Reporter } from "../../base/reporter.ts";

/**
 * Makes something for `count` images at once, or for half as many, and so on down to one, until the GPU
 * can hold it.
 *
 * @param told what is added to the note on each halving
 * @throws MemoryError when even one image is too much
 */
export async function halving<T>(
  count: number,
  make: (count: number) => Promise<T>,
  reporter: Reporter,
  told = "",
): Promise<T> {
  for (let n = count;;) {
    try {
      return await make(n);
    } catch (error) {
      if (!(error instanceof MemoryError) || n === 1) throw error;
      n = Math.ceil(n / 2);
      reporter.note(`${error.message.split(";")[0]}: going on with ${n} images at once${told}`);
    }
  }
}
