/**
 * The figures of a result: what is the same whenever the same run is made again.
 *
 * @module
 */

/** Fields of documents that say when, how fast, where or on what, not what came out. */
const circumstances = new Set([
  "seconds",
  "imagesPerSecond",
  "path",
  "checkpoints",
  "run",
  "adapter",
  "versions",
]);

/** A document without its circumstances. */
export function figuresOf(document: unknown): unknown {
  if (Array.isArray(document)) return document.map(figuresOf);
  if (typeof document !== "object" || document === null) return document;
  return Object.fromEntries(
    Object.entries(document).filter(([key]) => !circumstances.has(key))
      .map(([key, value]) => [key, figuresOf(value)]),
  );
}

/** A figure that is not what it was. */
export interface Difference {
  /** Where in the document, as `adversarial.entropy`. */
  readonly figure: string;
  readonly before: unknown;
  readonly now: unknown;
  /** How far apart, where both are numbers. */
  readonly by: number | null;
}

/**
 * Every figure that differs.
 *
 * @param tolerance numbers may differ by so much, relative to `max(1, |before|)`; 0: not in a bit. Where they may, digests of
 * what was fitted are left out: they are of such numbers
 */
export function differences(before: unknown, now: unknown, tolerance: number): Difference[] {
  const [a, b] = [flatten(before), flatten(now)];
  const found: Difference[] = [];
  for (const figure of new Set([...a.keys(), ...b.keys()])) {
    const [x, y] = [a.get(figure), b.get(figure)];
    if (x === y || tolerance > 0 && figure.endsWith(".digest")) continue;
    const numbers = typeof x === "number" && typeof y === "number";
    const by = numbers ? Math.abs(y - x) : null;
    if (numbers && by !== null && by <= tolerance * Math.max(1, Math.abs(x))) continue;
    found.push({ figure, before: x, now: y, by });
  }
  return found;
}

/** Leaves of a document by their paths. */
export function flatten(value: unknown, path = ""): Map<string, unknown> {
  if (typeof value !== "object" || value === null) return new Map([[path, value]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [
      ...flatten(inner, path === "" ? key : `${path}.${key}`),
    ]),
  );
}
