/**
 * The charts of the reports, each from plain numbers.
 *
 * @module
 */
import type { Estimate } from "../measure/detection.ts";
import { shareEstimate } from "../measure/intervals.ts";
import { confidences, type Predictions } from "../measure/metrics.ts";
import { type FigureKind, shown } from "../measure/shown.ts";
import { type Chart, inks } from "./charts.ts";
import type { Axes } from "./lines.ts";

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

/** A bin of the reliability diagram; null for what an empty one has none of. */
export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly confidence: number | null;
  readonly accuracy: number | null;
}

/** Accuracy by confidence with its intervals, beside how many images each bin holds; empty bins are left out. */
export function reliability(bins: readonly Bin[]): [accuracy: Chart, counts: Chart] {
  const filled = bins.flatMap(({ accuracy, confidence, ...bin }) =>
    bin.count === 0 || accuracy === null || confidence === null ? [] : [{
      ...bin,
      ...shareEstimate(Math.round(accuracy * bin.count), bin.count),
      confidence,
    }]
  );
  return [accuracyByConfidence(filled), imagesByConfidence(filled)];
}

type Filled = Pick<Bin, "from" | "to" | "count"> & Estimate & { readonly confidence: number };

/** The same for both, which are to be compared. */
const confidenceAxis = {
  type: "quantitative" as const,
  scale: { domain: [0, 1] },
  title: "confidence (0 to 1)",
};

function accuracyByConfidence(bins: readonly Filled[]): Chart {
  const x = { field: "confidence", ...confidenceAxis };
  const y = { type: "quantitative" as const, scale: { domain: [0, 1] }, ...percent("accuracy") };
  const color = inks["in-domain"];
  return {
    title: "Reliability in-domain",
    alt:
      "Accuracy of in-domain images by the mean confidence of their bin, with 95 % intervals; below the " +
      "dashed diagonal the model is surer than it is right.",
    layer: [
      {
        data: { values: [{ confidence: 0, value: 0 }, { confidence: 1, value: 1 }] },
        mark: { type: "line", strokeDash: [4, 3], color: "currentColor", opacity: 0.6 },
        encoding: { x, y: { field: "value", ...y } },
      },
      {
        data: { values: [...bins] },
        mark: { type: "rule", strokeWidth: 2, opacity: 0.55, color },
        encoding: { x, y: { field: "low", ...y }, y2: { field: "high" } },
      },
      {
        data: { values: [...bins] },
        mark: { type: "line", point: { size: 45, color }, color },
        encoding: { x, y: { field: "value", ...y } },
      },
    ],
  };
}

function imagesByConfidence(bins: readonly Filled[]): Chart {
  const values = bins.map((bin) => ({ ...bin, middle: (bin.from + bin.to) / 2 }));
  const most = Math.max(1, ...bins.map(({ count }) => count));
  const y = {
    field: "count",
    type: "quantitative" as const,
    title: "images",
    // Room for the number above the highest bar.
    scale: { domain: [0, 1.08 * most], nice: false },
  };
  return {
    title: "Images behind each point",
    alt:
      "How many in-domain images each bin of the confidence holds; bins without one are left out.",
    layer: [
      {
        data: { values },
        mark: { type: "rect", color: inks["in-domain"], stroke: "none" },
        encoding: {
          x: { field: "from", ...confidenceAxis },
          x2: { field: "to" },
          y,
          y2: { datum: 0 },
        },
      },
      {
        data: { values },
        mark: { type: "text", dy: -7, fontSize: 10, color: "currentColor" },
        encoding: { x: { field: "middle", ...confidenceAxis }, y, text: { field: "count" } },
      },
    ],
  };
}

/** A bar before and one after for each run, the runs below each other, each under its name. */
export function pairBars(
  runs: readonly {
    readonly label: string;
    readonly clean: number | null;
    readonly attacked: number | null;
  }[],
  { title, alt, x, share = false, kind }:
    & Pick<Axes, "title" | "alt" | "x" | "share">
    & { readonly kind: FigureKind },
): Chart {
  const names = ["clean", "attacked"] as const;
  const values = runs.flatMap(({ label, ...of }) =>
    names.flatMap((image) => {
      const value = of[image];
      return value === null ? [] : [{ label, image, value, text: shown(value, kind) }];
    })
  );
  const most = share ? 1 : Math.max(0.1, ...values.map(({ value }) => value));
  const rows = {
    y: { field: "label", type: "nominal" as const, sort: null, axis: null },
    yOffset: { field: "image", sort: ["name", ...names] },
  };
  // Room for the number behind the longest bar.
  const scaled = { scale: { domain: [0, 1.16 * most], nice: false } };
  const measured = { field: "value", type: "quantitative" as const, title: x, ...scaled };
  return {
    title,
    alt,
    height: 54 * runs.length,
    layer: [
      {
        data: { values },
        mark: "bar",
        encoding: { ...rows, x: measured, color: { field: "image", scale: scale(names) } },
      },
      {
        data: { values },
        mark: { type: "text", align: "left", dx: 4, fontSize: 11, color: "currentColor" },
        encoding: { ...rows, x: measured, text: { field: "text" } },
      },
      {
        data: { values: runs.map(({ label }) => ({ label, image: "name" })) },
        mark: { type: "text", align: "left", color: "currentColor", limit: 560 },
        encoding: { ...rows, x: { datum: 0 }, text: { field: "label" } },
      },
    ],
  };
}
