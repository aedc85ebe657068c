/**
 * Figures for people: one rounding everywhere, on the terminal and on pages alike.
 *
 * @module
 */
import type { ScoreAttacks } from "./results.ts";

/** Digits behind the point, by what a figure is. */
const digits = {
  accuracy: 4,
  entropy: 3,
  /** A share of images, 0 to 1. */
  share: 3,
  /** An area under a curve, 0 to 1. */
  area: 3,
  brier: 5,
  nll: 4,
  loss: 4,
  calibration: 4,
  /** Mean of logarithms. */
  log: 3,
  /** A change of a pixel, of 1. */
  pixel: 4,
  /** Whatever stands beside the paper's tables, which have two digits. */
  paper: 2,
  count: 0,
} as const;

/** What a figure is. */
export type FigureKind = keyof typeof digits;

/** What stands for a figure that no image gave. */
export const noNumber = "no number";

/** A figure, with zero without a sign; what no valid row gave is "no number". */
export function shown(value: number | null | undefined, kind: FigureKind): string {
  if (value === null || value === undefined || Number.isNaN(value)) return noNumber;
  return unsigned(value.toFixed(digits[kind]));
}

/** What stands for a figure that asks for labels, of images that have none. */
export const noLabels = "–";

/**
 * A figure that asks for labels.
 *
 * @param areThere whether there are any; not where it is null when not given
 */
export function ofLabels(
  value: number | null,
  kind: FigureKind,
  areThere: boolean = value !== null,
): string {
  return areThere ? shown(value, kind) : noLabels;
}

/** What a figure changed by, with its sign; zero has none. */
export function signed(by: number | null, kind: FigureKind): string {
  const text = shown(by, kind);
  return Number(text) > 0 ? `+${text}` : text;
}

/** A figure before, after, and what it changed by. */
export function changed(
  before: number | null | undefined,
  after: number | null | undefined,
  kind: FigureKind,
): [before: string, after: string, change: string] {
  const known = typeof before === "number" && typeof after === "number";
  return [shown(before, kind), shown(after, kind), signed(known ? after - before : null, kind)];
}

/** A figure with the ends of its interval: `0.970 [0.965, 0.974]`; without them where there are none. */
export function withInterval(
  { value, low, high }: {
    readonly value: number | null;
    readonly low: number | null;
    readonly high: number | null;
  },
  kind: FigureKind = "area",
): string {
  if (low === null || high === null) return shown(value, kind);
  return `${shown(value, kind)} [${shown(low, kind)}, ${shown(high, kind)}]`;
}

/** A mean with half of the width of its interval, where there is one: `1.21 ± 0.05`. */
export function withSpread(
  mean: number | null,
  halfWidth: number | null,
  kind: FigureKind,
  sign = "±",
): string {
  return shown(mean, kind) + (halfWidth === null ? "" : ` ${sign} ${shown(halfWidth, kind)}`);
}

/** A share, 0 to 1, in percent. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Three digits behind the point; what they cannot show, of either sign, as less than they can. */
export function round(value: number): string {
  if (!Number.isFinite(value)) return noNumber;
  if (value === 0) return "0.000";
  return Math.abs(value) < 0.0005 ? "less than 0.001" : value.toFixed(3);
}

/** A setting, as somebody would type it: without the zeros at its end. */
export function plain(value: number, most = 4): string {
  return String(Number(value.toFixed(most)));
}

/** A number of unknown size with four digits that matter. */
export function brief(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/** `1 epoch`, `20 epochs`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** `200 out-domain images`, `200 out-domain images and 60 in-domain images`: those that scores are attacked on. */
export function attackedImages({ images }: Pick<ScoreAttacks, "images">): string {
  if (images.in === 0) return counted(images.out, "out-domain image");
  if (images.out === 0) return counted(images.in, "in-domain image");
  return `${counted(images.out, "out-domain image")} and ${counted(images.in, "in-domain image")}`;
}

function unsigned(text: string): string {
  return text.replace(/^-(0\.?0*)$/, "$1");
}

/**
 * A radius: as it is, or where its digits run on, as the fraction of 255 that it is, as those of 8/255 do, else by six
 * digits, as those of 0.1 in f32 do.
 */
export function shownRadius(epsilon: number): string {
  if (`${epsilon}`.length <= 8) return `${epsilon}`;
  const levels = Math.round(epsilon * 255);
  return levels / 255 === epsilon ? `${levels}/255` : `${Number(epsilon.toPrecision(6))}`;
}
