/**
 * Lines over one axis, with the intervals of their points: named at their ends where there is room, else in a
 * list beside the charts.
 *
 * @module
 */
import type { Estimate } from "../measure/detection.ts";
import { type Chart, type LegendEntry, palette, shapes } from "./charts.ts";

/** A value, its ends where it has an interval; null where there is none. */
export type Value = number | { readonly [End in keyof Estimate]: number | null } | null;

/** A line of one series. */
export interface Line {
  /** What it is of: a shape each. */
  readonly series: string;
  /** What has the same colour as others of it; the series itself when not given. */
  readonly group?: string;
  /** What tells lines of one series apart, such as the seed. */
  readonly detail?: string | number;
  readonly points: readonly (readonly [x: number, y: Value])[];
}

/** How lines are to be drawn. */
export interface Axes {
  readonly title: string;
  readonly alt: string;
  /** Short: Vega takes texts for wider than they are, and shifts a chart whose axis has a long name. */
  readonly x: string;
  readonly y: string;
  /** A share or an area, from 0 to 1: the axis shows all of it. */
  readonly share?: boolean;
  /** How numbers at the y axis are written: shares in percent when not given. */
  readonly format?: "%" | ".1f";
  /** Whether x counts something. */
  readonly whole?: boolean;
  /** Where x is marked; where it suits when not given. */
  readonly ticks?: readonly number[];
  /** End of the y axis, for charts that are to be compared; the largest value when not given. */
  readonly top?: number;
}

/** Height of a chart of lines, in pixels of its own. */
const height = 230;

/** Longest name that is set at a line's end. */
const longestLabel = 16;

/** Pixels between labels, and of a letter and a mark at most. */
const label = { gap: 15, letter: 7.2, mark: 22 } as const;

/** Width of what the axes enclose, about. */
const inner = 380;

/** The largest value of lines, their intervals included; 1 where there is none. */
export function topOf(all: readonly Line[]): number {
  const values = all.flatMap(({ points }) => points.flatMap(([, y]) => highest(y) ?? []));
  const most = Math.max(0, ...values);
  return most === 0 ? 1 : most;
}

/** Lines over one axis, a mark a series and a colour a group of them, with the intervals of their points. */
export function lines(all: readonly Line[], axes: Axes): Chart {
  const { title, alt, share = false, ticks } = axes;
  const top = share ? 1 : 1.04 * (axes.top ?? topOf(all));
  const legend = legendOf(all);
  const room = ticks && roomAtEnds(legend);
  const { x, y, color, shape } = channelsOf(all, axes, { top, legend, room: room ?? 0 });
  const values = all.flatMap(pointsOf);
  return {
    title,
    alt,
    height,
    ...(room === undefined ? { legend } : {}),
    layer: [
      {
        data: { values: values.filter(({ low, high }) => low !== null && high !== null) },
        mark: { type: "rule", strokeWidth: 2, opacity: 0.55 },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
      },
      {
        data: { values },
        mark: { type: "line", point: { size: 45 } },
        encoding: { x, y, color, shape, detail: { field: "detail", type: "nominal" } },
      },
      ...(room === undefined ? [] : endLabels(all, top, { x, y, color, shape })),
    ],
  };
}

interface Channel<Type> {
  readonly field: string;
  readonly type: Type;
}

interface Channels {
  readonly x: Channel<"quantitative">;
  readonly y: Channel<"quantitative">;
  readonly color: Channel<"nominal">;
  readonly shape: Channel<"nominal">;
}

/** What stands for what, the same in every layer. */
function channelsOf(
  all: readonly Line[],
  { x, y, share = false, format = "%", whole = false, ticks }: Axes,
  { top, legend, room }: {
    readonly top: number;
    readonly legend: readonly LegendEntry[];
    readonly room: number;
  },
): Channels {
  const domain = legend.map(({ label }) => label);
  const ends = room > 0
    ? { scale: { domain: [0, lastOf(all) / (1 - room / inner)], nice: false } }
    : {};
  const details: Readonly<Record<keyof Channels, object>> = {
    x: {
      title: x,
      ...ends,
      axis: {
        ...(whole ? { format: "d", tickMinStep: 1 } : {}),
        ...(ticks ? { values: [...ticks], format: "~r" } : {}),
      },
    },
    y: {
      title: y,
      scale: { domain: [0, top], nice: false },
      ...(share ? { axis: { format, tickCount: 5 } } : {}),
    },
    color: { scale: { domain, range: legend.map(({ color }) => color) }, legend: null },
    shape: { scale: { domain, range: legend.map(({ shape }) => shape) }, legend: null },
  };
  return {
    x: { field: "x", type: "quantitative", ...details.x },
    y: { field: "y", type: "quantitative", ...details.y },
    color: { field: "series", type: "nominal", ...details.color },
    shape: { field: "series", type: "nominal", ...details.shape },
  };
}

/** Where the longest line ends. */
function lastOf(all: readonly Line[]): number {
  return Math.max(...all.flatMap(({ points }) => points.map(([x]) => x)));
}

/** Each series once, with its mark and the colour of its group; none where there is one alone. */
function legendOf(all: readonly Line[]): readonly LegendEntry[] {
  const first = new Map(all.map(({ series, group = series }) => [series, group]));
  const groups = [...new Set(first.values())];
  return [...first].map(([label, group], i) => ({
    label,
    color: palette[groups.indexOf(group) % palette.length] ?? palette[0],
    shape: shapes[i % shapes.length] ?? shapes[0],
  }));
}

/** Pixels that names at the lines' ends take; undefined where they had better stand in a list. */
function roomAtEnds(legend: readonly LegendEntry[]): number | undefined {
  const names = legend.map(({ label }) => label);
  const longest = Math.max(...names.map((name) => name.length));
  const fit = names.length * label.gap <= height && longest <= longestLabel;
  if (!fit) return undefined;
  return names.length < 2 ? 0 : longest * label.letter + label.mark;
}

interface Drawn {
  readonly series: string;
  readonly detail: string | number;
  readonly x: number;
  readonly y: number;
  readonly low: number | null;
  readonly high: number | null;
}

function pointsOf({ series, detail = "", points }: Line): Drawn[] {
  return points.flatMap(([x, value]): Drawn[] => {
    const { value: y, low, high } = typeof value === "object" && value !== null
      ? value
      : { value, low: null, high: null };
    return y === null || Number.isNaN(y) ? [] : [{ series, detail, x, y, low, high }];
  });
}

function highest(value: Value): number | null {
  if (typeof value === "number" || value === null) return value;
  return value.high ?? value.value;
}

/** The names at the lines' last points, moved apart where they would stand in each other. */
function endLabels(
  all: readonly Line[],
  top: number,
  { x, y, color, shape }: Channels,
): Chart["layer"] {
  const ends = all.flatMap((line) => pointsOf(line).sort((a, b) => a.x - b.x).at(-1) ?? []);
  if (ends.length < 2) return [];
  const places = apart(ends.map(({ y }) => height * (1 - y / top)), label.gap, height);
  const values = ends.map(({ series }, i) => ({
    series,
    x: lastOf(all),
    y: top * (1 - (places[i] ?? 0) / height),
  }));
  return [
    {
      data: { values },
      mark: { type: "point", filled: true, size: 45, xOffset: 12, opacity: 1 },
      encoding: { x, y, color, shape },
    },
    {
      data: { values },
      mark: { type: "text", align: "left", dx: 19, color: "currentColor", fontSize: 12 },
      encoding: { x, y, text: { field: "series" } },
    },
  ];
}

/**
 * Places on an axis that keep a distance, in the order they were in, and stay within it.
 *
 * @param gap between neighbours; all have room
 * @returns one a place given, in its order
 */
export function apart(places: readonly number[], gap: number, end: number): number[] {
  const order = places.map((_, i) => i).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const moved = [...places];
  let free = -Infinity;
  for (const i of order) {
    moved[i] = Math.max(free, moved[i] ?? 0);
    free = (moved[i] ?? 0) + gap;
  }
  let last = end + gap;
  for (const i of order.toReversed()) {
    moved[i] = Math.min(last - gap, moved[i] ?? 0);
    last = moved[i] ?? 0;
  }
  return moved;
}
