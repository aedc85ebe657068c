/**
 * What a battery's figures mean, for the terminal and for pages.
 *
 * @module
 */
import type { BatteryResult, BatteryScore } from "../experiment/battery_document.ts";
import { listed } from "../experiment/seeds.ts";
import { shown } from "../measure/shown.ts";
import { shortScoreName, subjectTitle } from "./words.ts";

/** What a battery reads of its result. */
export interface BatteryFigures
  extends Pick<BatteryResult, "mode" | "model" | "accuracy" | "scores"> {
  readonly battery: Pick<BatteryResult["battery"], "on" | "mode">;
  readonly attacked: BatteryResult["attacked"];
}

/** Which score holds best, and what is left of it. */
export function batteryVerdict(figures: Omit<BatteryFigures, "accuracy" | "attacked">): string {
  const { battery, scores } = figures;
  const { on } = battery;
  const left = ({ columns }: BatteryScore): number => columns[on]?.auroc.value ?? 0;
  const held = Object.entries(scores).toSorted(([, a], [, b]) => left(b) - left(a));
  const [[best, found] = []] = held;
  const worst = held.at(-1);
  if (!best || !found || !worst) return `${subjectTitle(figures)} has no score`;
  const area = (of: BatteryScore, column: "clean" | typeof on): string =>
    shown(of.columns[column]?.auroc.value ?? null, "area");
  const where = {
    both: "both sets are",
    out: "out-domain images are",
    in: "in-domain images are",
  } as const;
  const partly = battery.mode === "threshold"
    ? " (attacked no further than its threshold, so AUROC may be lower still)"
    : "";
  const chance = left(found) <= 0.5
    ? "None of its scores tells attacked images better than guessing"
    : `Of ${subjectTitle(figures)}'s scores ${shortScoreName(best)} holds best`;
  return `${chance}: AUROC by ${shortScoreName(best)} goes from ${area(found, "clean")} to ${
    area(found, on)
  } where ${where[on]} at their worst${
    worst[0] === best
      ? ""
      : `, by ${shortScoreName(worst[0])} from ${area(worst[1], "clean")} to ${area(worst[1], on)}`
  }${partly}.`;
}

/** Of each member that attacked another model than the one that answered, which model that was. */
export function surrogateLines(
  { members }: {
    readonly members: readonly Pick<
      BatteryResult["battery"]["members"][number],
      "name" | "surrogate"
    >[];
  },
): string[] {
  return members.flatMap(({ name, surrogate }) => {
    if (!surrogate) return [];
    const { seeds, digests } = surrogate;
    const short = digests.map((of) => of.slice(0, 12)).join(", ");
    return [
      `${name}: its images were made on ${seeds.length === 1 ? "the model" : "an ensemble"} of ${
        listed(seeds)
      }, trained alike (SHA-256 ${short}), and answered by the one under attack.`,
    ];
  });
}

/** How often each member was the worst, by score: shares of all images of the sets that were attacked. */
export function winnersOf(
  { scores, attacked, battery: { on } }: BatteryFigures,
): { readonly member: string; readonly shares: Readonly<Record<string, number>> }[] {
  const counts = {
    in: on === "out" ? 0 : attacked.in,
    out: on === "in" ? 0 : attacked.out,
  };
  const total = counts.in + counts.out;
  const members = new Set(Object.values(scores).flatMap(({ won }) => Object.keys(won.out)));
  Object.values(scores).forEach(({ won }) => Object.keys(won.in).forEach((m) => members.add(m)));
  return [...members].map((member) => ({
    member: member === "clean" ? "none (the clean image)" : member,
    shares: Object.fromEntries(
      Object.entries(scores).map(([name, { won }]) => [
        name,
        ((won.in[member] ?? 0) * counts.in + (won.out[member] ?? 0) * counts.out) / total,
      ]),
    ),
  }));
}
