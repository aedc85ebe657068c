/** The projection to an L1 ball and the box [0, 1] by sorting, in plain f64. */

/** An image, one next to which a point of the ball around it is looked for, and the ball's radius. */
export interface Sought {
  readonly center: readonly number[];
  readonly x: readonly number[];
  readonly radius: number;
}

/** -1, 0 or 1 each. */
export const signs = (v: readonly number[]): number[] => v.map(Math.sign);
/** L1 length. */
export const lengthOf = (v: readonly number[]): number =>
  v.reduce((sum, d) => sum + Math.abs(d), 0);
/** a - b */
export const minus = (a: readonly number[], b: readonly number[]): number[] =>
  a.map((v, i) => v - (b[i] ?? NaN));

/** Sizes of the changes, and how large they may be in [0, 1]. */
export function sizesOf(
  { center, x }: Pick<Sought, "center" | "x">,
): { size: number[]; room: number[] } {
  const change = minus(x, center);
  return {
    size: change.map(Math.abs),
    room: change.map((d, i) => d > 0 ? 1 - (center[i] ?? NaN) : center[i] ?? NaN),
  };
}

/**
 * The exact projection, by sorting: from 0 on, the common amount by which sizes are shortened grows, and at its
 * bends a pixel begins to be shortened, when it leaves its border, or ends to be, when it is back.
 */
export function exactly({ center, x, radius }: Sought): number[] {
  const { size, room } = sizesOf({ center, x });
  const bends = size.flatMap((s, i) => [
    { at: Math.max(0, s - (room[i] ?? NaN)), pixels: 1 },
    { at: s, pixels: -1 },
  ]).sort((a, b) => a.at - b.at);
  let [sum, amount, pixels] = [0, 0, 0];
  size.forEach((s, i) => sum += Math.min(s, room[i] ?? NaN));
  for (const bend of bends) {
    if (sum <= radius) break;
    const reached = sum - (bend.at - amount) * pixels;
    if (reached <= radius && pixels > 0) {
      amount += (sum - radius) / pixels;
      sum = radius;
      break;
    }
    [sum, amount, pixels] = [reached, bend.at, pixels + bend.pixels];
  }
  const side = signs(minus(x, center));
  return size.map((s, i) => {
    const kept = Math.min(Math.max(s - amount, 0), room[i] ?? NaN);
    return (center[i] ?? NaN) + (side[i] ?? NaN) * kept;
  });
}
