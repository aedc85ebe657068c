/**
 * The charts of the reports, each from plain numbers.
 *
 * @module
 */
import { confidences, type Predictions } from "../measure/metrics.ts";
import { type Chart, inks, palette } from "./charts.ts";

/** Images as their answers are told apart. */
export type Ink = keyof typeof inks;

const percent = (title: string): object => ({
  title,
  axis: { format: "%", tickCount: 5 },
});

function scale(names: readonly Ink[]): { domain: string[]; range: string[] } {
  return { domain: [...names], range: names.map((name) => inks[name]) };
}

/** The two are told apart where there are two. */
const legendFor = (names: readonly unknown[]): object => names.length > 1 ? {} : { legend: null };

/** Bins of the histogram. */
const bins = 20;

/** How often each confidence occurs. */
export function histogram(answers: Readonly<Partial<Record<Ink, Predictions>>>): Chart {
  const sets = Object.entries(answers) as [Ink, Predictions][];
  const values = sets.flatMap(([image, predictions], set) =>
    sharesByConfidence(predictions).map((share, bin) => ({
      image,
      share,
      from: (bin + set / sets.length) / bins,
      to: (bin + (set + 1) / sets.length) / bins,
    }))
  );
  const names = sets.map(([name]) => name);
  return {
    title: "Largest confidence of each image",
    alt: `Share of the images by the model's largest confidence, in ${bins} steps from 0 to 1` +
      (names.length > 1 ? ", clean and attacked" : "") +
      ". What lies right of the dashed line at 0.9 is taken for something known.",
    layer: [
      {
        data: { values },
        mark: "rect",
        encoding: {
          x: {
            field: "from",
            type: "quantitative",
            scale: { domain: [0, 1] },
            title: "confidence (0 to 1)",
          },
          x2: { field: "to" },
          y: { field: "share", type: "quantitative", ...percent("share of the images") },
          y2: { datum: 0 },
          color: { field: "image", scale: scale(names), ...legendFor(names) },
        },
      },
      threshold("x"),
    ],
  };
}

/** Shares of the rows, of those that are numbers, by their largest confidence. */
function sharesByConfidence(predictions: Predictions): number[] {
  const counts = new Array<number>(bins).fill(0);
  let valid = 0;
  for (const largest of confidences(predictions)) {
    if (Number.isNaN(largest)) continue;
    const bin = Math.min(bins - 1, Math.floor(largest * bins));
    counts[bin] = (counts[bin] ?? 0) + 1;
    valid++;
  }
  return counts.map((count) => count / Math.max(valid, 1));
}

/** A dashed line at the confidence that the paper's tables ask for. */
function threshold(channel: "x" | "y"): Chart["layer"][number] {
  return {
    data: { values: [{}] },
    mark: { type: "rule", strokeDash: [4, 3], color: "currentColor", opacity: 0.6 },
    encoding: { [channel]: { datum: 0.9 } },
  };
}

/** Shares of images that are rejected, by the confidence that is asked for. */
export function rejectionCurve(
  rates: Readonly<Partial<Record<Ink, Readonly<Record<string, number>>>>>,
): Chart {
  const sets = Object.entries(rates) as [Ink, Readonly<Record<string, number>>][];
  const values = sets.flatMap(([image, by]) =>
    Object.entries(by).map(([tau, share]) => ({ image, tau: Number(tau), share }))
  );
  const names = sets.map(([name]) => name);
  return {
    title: "Rejected images",
    alt: `Share of the images whose largest confidence is at most tau, which are rejected, ` +
      `against tau${names.length > 1 ? `: ${names.join(", ")}` : ""}.`,
    data: { values },
    layer: [{
      mark: { type: "line", point: { size: 40 } },
      encoding: {
        x: {
          field: "tau",
          type: "quantitative",
          scale: { domain: [0, 1] },
          title: "threshold tau (0 to 1)",
        },
        y: {
          field: "share",
          type: "quantitative",
          scale: { domain: [0, 1] },
          ...percent("share rejected"),
        },
        color: { field: "image", scale: scale(names), ...legendFor(names) },
      },
    }],
  };
}

/** Confidence in each class, before and after. */
export function classBars(before: readonly number[], after: readonly number[], alt: string): Chart {
  const of = (image: Ink, row: readonly number[]): object[] =>
    row.map((confidence, at) => ({ image, class: String(at), confidence }));
  const names = ["clean", "attacked"] as const;
  return {
    title: "",
    alt,
    height: 110,
    layer: [
      {
        data: { values: [...of("clean", before), ...of("attacked", after)] },
        mark: "bar",
        encoding: {
          x: {
            field: "class",
            type: "nominal",
            sort: null,
            title: "class",
            axis: { labelAngle: 0, ticks: false },
          },
          xOffset: { field: "image", sort: [...names] },
          y: {
            field: "confidence",
            type: "quantitative",
            scale: { domain: [0, 1] },
            title: "confidence",
            axis: { values: [0, 0.5, 1], format: "~r" },
          },
          color: { field: "image", scale: scale(names), legend: null },
        },
      },
      threshold("y"),
    ],
  };
}

/** A line of one series. */
export interface Line {
  readonly series: string;
  /** What tells lines of one series apart, such as the seed. */
  readonly detail?: string | number;
  readonly points: readonly (readonly [x: number, y: number | null])[];
}

/** How lines are to be drawn. */
export interface Axes {
  readonly title: string;
  readonly alt: string;
  /** Short: Vega takes texts for wider than they are, and shifts a chart whose axis has a long name. */
  readonly x: string;
  readonly y: string;
  /** A share, from 0 to 1. */
  readonly share?: boolean;
  /** Whether x counts something. */
  readonly whole?: boolean;
  /** Where x is marked; where it suits when not given. */
  readonly ticks?: readonly number[];
}

/** Lines over one axis, a colour and a mark a series. */
export function lines(all: readonly Line[], axes: Axes): Chart {
  const { title, alt, x, y, share = false, whole = false, ticks } = axes;
  const values = all.flatMap(({ series, detail = "", points }) =>
    points.filter((point) => point[1] !== null).map(([x, y]) => ({ series, detail, x, y }))
  );
  const names = [...new Set(all.map(({ series }) => series))];
  const range = names.map((_, i) => palette[i % palette.length] ?? "");
  return {
    title,
    alt,
    data: { values },
    layer: [{
      mark: { type: "line", point: { size: 45 } },
      encoding: {
        x: {
          field: "x",
          type: "quantitative",
          title: x,
          axis: {
            ...(whole ? { format: "d", tickMinStep: 1 } : {}),
            ...(ticks ? { values: [...ticks], format: "~r" } : {}),
          },
        },
        y: {
          field: "y",
          type: "quantitative",
          title: y,
          ...(share ? percent(y) : {}),
        },
        color: {
          field: "series",
          type: "nominal",
          scale: { domain: names, range },
          ...(names.length > 1 ? { legend: { columns: 1 } } : { legend: null }),
        },
        shape: {
          field: "series",
          type: "nominal",
          scale: { domain: names },
          ...(names.length > 1 ? { legend: { columns: 1 } } : { legend: null }),
        },
        detail: { field: "detail", type: "nominal" },
      },
    }],
  };
}

/** A bar before and one after for each run, the runs below each other, each under its name. */
export function pairBars(
  runs: readonly { readonly label: string; readonly clean: number; readonly attacked: number }[],
  { title, alt, x }: Pick<Axes, "title" | "alt" | "x">,
): Chart {
  const names = ["clean", "attacked"] as const;
  const values = runs.flatMap(({ label, ...of }) =>
    names.map((image) => ({ label, image, value: of[image] }))
  );
  const rows = {
    y: { field: "label", type: "nominal" as const, sort: null, axis: null },
    yOffset: { field: "image", sort: ["name", ...names] },
  };
  return {
    title,
    alt,
    height: 46 * runs.length,
    layer: [
      {
        data: { values },
        mark: "bar",
        encoding: {
          ...rows,
          x: { field: "value", type: "quantitative", title: x },
          color: { field: "image", scale: scale(names) },
        },
      },
      {
        data: { values: runs.map(({ label }) => ({ label, image: "name" })) },
        mark: { type: "text", align: "left", color: "currentColor", limit: 560 },
        encoding: { ...rows, x: { datum: 0 }, text: { field: "label" } },
      },
    ],
  };
}
