/**
 * Glyph outlines to 28x28 grey images like notMNIST's: white on black, anti-aliased, each glyph
 * stretched both ways until its bounding box is the image.
 *
 * @module
 */

/** One step of an outline, in font units with y up or down, as opentype.js gives it. */
export type OutlineCommand =
  | (Point & { readonly type: "M" })
  | (Point & { readonly type: "L" })
  | (Point & { readonly type: "Q"; readonly x1: number; readonly y1: number })
  | (Point & {
    readonly type: "C";
    readonly x1: number;
    readonly y1: number;
    readonly x2: number;
    readonly y2: number;
  })
  | { readonly type: "Z" };

interface Point {
  readonly x: number;
  readonly y: number;
}

/** A directed straight piece of an outline. */
interface Segment {
  readonly from: Point;
  readonly to: Point;
}

/** Side of the images, pixels. */
export const side = 28;

const linesPerPixel = 16;
const segmentsPerCurve = 16;

/**
 * Draws an outline whose y points down, [28, 28], 0 (black) to 255 (white): the share of each
 * pixel that lies inside by the non-zero winding rule, exact along x and taken on 16 lines a pixel
 * along y. `undefined` for an outline that encloses nothing, such as a space.
 */
export function rasterize(outline: readonly OutlineCommand[]): Uint8Array | undefined {
  const segments = stretch(flatten(outline));
  if (segments === undefined) return undefined;
  const image = new Uint8Array(side * side);
  for (let row = 0; row < side; row++) {
    const cover = new Float64Array(side);
    for (let line = 0; line < linesPerPixel; line++) {
      addLine(cover, segments, row + (line + 0.5) / linesPerPixel);
    }
    cover.forEach((sum, column) => {
      image[row * side + column] = Math.round(255 * Math.min(1, sum / linesPerPixel));
    });
  }
  return image.some((level) => level > 0) ? image : undefined;
}

/** Adds to each pixel of a row how much of the line at height `y` lies inside. */
function addLine(cover: Float64Array, segments: readonly Segment[], y: number): void {
  const crossings: { x: number; turn: number }[] = [];
  for (const { from, to } of segments) {
    if ((from.y <= y) === (to.y <= y)) continue;
    const x = from.x + (to.x - from.x) * (y - from.y) / (to.y - from.y);
    crossings.push({ x, turn: from.y < to.y ? 1 : -1 });
  }
  crossings.sort((a, b) => a.x - b.x);
  let winding = 0;
  let start = 0;
  for (const { x, turn } of crossings) {
    if (winding === 0) start = x;
    winding += turn;
    if (winding === 0) addSpan(cover, start, x);
  }
}

/** Adds the overlap of [start, end] with each pixel of a row. */
function addSpan(cover: Float64Array, start: number, end: number): void {
  for (let column = Math.max(0, Math.floor(start)); column < Math.min(side, end); column++) {
    const overlap = Math.min(end, column + 1) - Math.max(start, column);
    cover[column] = (cover[column] ?? 0) + Math.max(0, overlap);
  }
}

/** Maps the bounding box to the image; `undefined` when the box has no area. */
function stretch(segments: readonly Segment[]): Segment[] | undefined {
  const points = segments.flatMap(({ from, to }) => [from, to]);
  const [left, right] = range(points.map(({ x }) => x));
  const [top, bottom] = range(points.map(({ y }) => y));
  if (!(right > left && bottom > top)) return undefined;
  const place = ({ x, y }: Point): Point => ({
    x: side * (x - left) / (right - left),
    y: side * (y - top) / (bottom - top),
  });
  return segments.map(({ from, to }) => ({ from: place(from), to: place(to) }));
}

function range(values: readonly number[]): [least: number, greatest: number] {
  return values.reduce<[number, number]>(
    ([least, greatest], value) => [Math.min(least, value), Math.max(greatest, value)],
    [Infinity, -Infinity],
  );
}

/** Straight pieces in place of curves, with every contour closed. */
function flatten(outline: readonly OutlineCommand[]): Segment[] {
  const segments: Segment[] = [];
  let start: Point = { x: 0, y: 0 };
  let at = start;
  const lineTo = (to: Point): void => {
    segments.push({ from: at, to });
    at = to;
  };
  for (const command of outline) {
    if (command.type === "M") {
      lineTo(start);
      start = at = { x: command.x, y: command.y };
    } else if (command.type === "L") {
      lineTo({ x: command.x, y: command.y });
    } else if (command.type === "Z") {
      lineTo(start);
    } else {
      const from = at;
      for (let step = 1; step <= segmentsPerCurve; step++) {
        lineTo(pointOnCurve(from, command, step / segmentsPerCurve));
      }
    }
  }
  lineTo(start);
  return segments.filter(({ from, to }) => from.x !== to.x || from.y !== to.y);
}

/** The point of a quadratic or cubic Bézier curve at `t` in 0..1. */
function pointOnCurve(
  from: Point,
  curve: Extract<OutlineCommand, { type: "Q" | "C" }>,
  t: number,
): Point {
  const s = 1 - t;
  if (curve.type === "Q") {
    const at = (a: number, b: number, c: number): number => s * s * a + 2 * s * t * b + t * t * c;
    return { x: at(from.x, curve.x1, curve.x), y: at(from.y, curve.y1, curve.y) };
  }
  const at = (a: number, b: number, c: number, d: number): number =>
    s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d;
  return {
    x: at(from.x, curve.x1, curve.x2, curve.x),
    y: at(from.y, curve.y1, curve.y2, curve.y),
  };
}
