/**
 * What the checks of an attack found, in words.
 *
 * @module
 */
import type { CheckName } from "../measure/check.ts";
import type { ChecksResult } from "../measure/schema.ts";
import { counted, type FigureKind, percent, round, shown } from "../measure/shown.ts";
import { words } from "./words.ts";

type Figures = ChecksResult["results"][string]["figures"];

/** How far something fell: `falls by 1.007`, or `rises by 0.023` of what is below 0. */
export function fall(by: number | null): string {
  const fallen = by ?? NaN;
  return fallen <= -0.0005 ? `rises by ${round(-fallen)}` : `falls by ${round(fallen)}`;
}

/** How far something fell by two ways: the verb is said again only where it is another. */
export function falls(first: number | null, by: string, second: number | null): string {
  const [one, other] = [fall(first), fall(second)];
  const verb = (text: string): string => text.split(" ")[0] ?? "";
  const rest = verb(one) === verb(other) ? other.replace(/^\w+ /, "") : `it ${other}`;
  return `${one}, ${by} ${rest}`;
}

/** A share in percent; what was not measured is no number. */
function inPercent(share: number | null | undefined): string {
  return typeof share === "number" ? percent(share) : shown(share, "share");
}

/** How many images do not what every image should. */
function failing({ share = null, images = null }: Figures): string {
  if (images === 0) return "no image fails";
  return `${counted(images ?? NaN, "image")} (${inPercent(share)}) ${
    images === 1 ? "fails" : "fail"
  }`;
}

/** How far something is beyond its bounds, and how far it may be. */
function beyond(what: string): (figures: Figures) => string {
  return ({ largest, allowed, share = null }) => {
    const most = `${what} ${shown(largest, "pixel")} at most, allowed is ${
      shown(allowed, "pixel")
    }`;
    return share === 0 ? most : `${most}; beyond it: ${inPercent(share)} of the images`;
  };
}

const found: Readonly<Record<CheckName, (figures: Figures, effect: string) => string>> = {
  zeroGradient: failing,
  finiteGradient: failing,
  ball: beyond("changes of"),
  box: (figures) =>
    figures["largest"] === 0 ? "no pixel leaves them" : beyond("beyond them by")(figures),
  loss: ({ before, after }) => `from ${shown(before, "share")} to ${shown(after, "share")}`,
  control: ({ attack = null, noise = null, margin = null }, effect) =>
    `the ${effect} ${falls(attack, "under noise", noise)}; the attack's fall must be larger by ${
      round(margin ?? NaN)
    }`,
  epsilon: ({ full = null, half = null }, effect) =>
    `the ${effect} ${falls(full, "at half the radius", half)}`,
  convergence: ({ full = null, stronger = null, auroc, aurocStronger }, effect) =>
    `the ${effect} ${falls(full, "under the stronger attack", stronger)}` +
    (auroc === undefined
      ? ""
      : `; AUROC is ${shown(auroc, "area")}, and there ${shown(aurocStronger, "area")}`),
  accuracy: ({ accuracy, chance, images = null }) =>
    `${inPercent(accuracy)} of ${counted(images ?? NaN, "image")} are right, by guessing ${
      inPercent(chance)
    }`,
  randomAnswers: ({ apart, allowed }) =>
    `confidences differ by ${brief(apart)} at most, allowed is ${brief(allowed)}`,
  atRest: ({ share, allowed }) =>
    `${inPercent(share)} of its way is in the last tenth of the steps, allowed are ${
      inPercent(allowed)
    }`,
  unbounded: ({ attack = null, unbounded = null }) =>
    `the loss ${falls(attack, "without a bound", unbounded)}`,
  maskedGradient: ({ attack = null, square = null }) =>
    `the loss ${falls(attack, "by the search", square)}`,
};

/** A number of unknown size. */
function brief(value: number | null | undefined): string {
  return typeof value === "number" ? String(Number(value.toPrecision(2))) : shown(value, "share");
}

/**
 * What a check found, in a line; of a check that nobody knows its figures by their names.
 *
 * @param effect what an attack's effect is the fall of: the entropy, or the loss
 */
export function checkFound(check: string, figures: Figures, effect: string): string {
  if (Object.hasOwn(found, check)) return found[check as CheckName](figures, effect);
  // Counts are whole, everything else is measured.
  const kind = (of: string): FigureKind => of === "images" ? "count" : "share";
  return Object.entries(figures).map(([of, value]) => `${words(of)}: ${shown(value, kind(of))}`)
    .join(", ");
}
