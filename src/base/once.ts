/**
 * What is made when it is first asked for, and kept.
 *
 * @module
 */

/** A function that makes its value at the first call and gives the same one, or the same error, ever after. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}
