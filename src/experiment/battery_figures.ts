/**
 * A battery's figures: of every score the four columns, what the threshold makes of the worst, and who won.
 *
 * @module
 */
import type { BatterySide, MemberOutcome, ReadyMember, TurnedScores } from "../evaluate/battery.ts";
import { separation } from "../measure/detection.ts";
import { finite } from "../measure/evidence.ts";
import { scores } from "../scores/mod.ts";
import { type Attempt, atThreshold, columnsOf, type Detected, worstOf } from "../measure/robust.ts";
import type { BatteryResult } from "./battery_document.ts";

/** What the members made of both sets; of one that was not attacked none. */
export type Sides = Readonly<Record<BatterySide, readonly MemberOutcome[]>>;

/** What figures are made of. */
interface Battery {
  readonly clean: Readonly<Record<BatterySide, TurnedScores>>;
  readonly sides: Sides;
  readonly members: readonly ReadyMember[];
  /** `[N]`, 1 where a clean in-domain image is right; undefined without labels. */
  readonly right: Uint8Array | undefined;
}

/**
 * Objectives that are after a score of every method; of those that are fitted the one of its name, and those after a
 * method's own are called native.
 */
const aimsAt: Readonly<Record<string, readonly string[]>> = {
  maxProbability: ["logProbability", "target"],
  entropy: ["entropy", "uniform"],
};

/** Whether a member is after a score itself: what it makes on another model is after that model's. */
function adaptive(score: string, { objective, surrogate }: ReadyMember): boolean {
  const aims = aimsAt[score] ?? (score in scores ? [score] : ["native"]);
  return !surrogate && aims.includes(objective.name);
}

/** The figures of a battery. */
export function batteryFigures(
  battery: Battery,
  seed: number,
): Pick<BatteryResult, "accuracy" | "cost" | "scores"> {
  const { clean, sides, members, right } = battery;
  const names = Object.keys(clean.in).filter((name) => name in clean.out);
  return {
    accuracy: {
      clean: right ? mean(right) : null,
      robust: right && sides.in.length > 0 ? mean(rightAfterAll(right, sides.in)) : null,
    },
    cost: (["out", "in"] as const).flatMap((side) =>
      sides[side].map(({ index, runs, seconds }, at) => ({
        member: members[at]?.name ?? "",
        side,
        images: index.length,
        runs,
        seconds,
      }))
    ),
    scores: Object.fromEntries(names.map((name) => [name, scoreFigures(battery, name, seed)])),
  };
}

function mean(values: Uint8Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** 1 where an image is right as it was and after every member. */
function rightAfterAll(right: Uint8Array, outcomes: readonly MemberOutcome[]): Uint8Array {
  const left = right.slice();
  for (const { index, right } of outcomes) {
    index.forEach((image, i) => left[image] = (left[image] ?? 0) & (right[i] ?? 0));
  }
  return left;
}

function scoreFigures(
  battery: Battery,
  name: string,
  seed: number,
): BatteryResult["scores"][string] {
  const all = reduced(battery, name, () => true);
  const own = reduced(battery, name, (member) => adaptive(name, member));
  const others = reduced(battery, name, (member) => !adaptive(name, member));
  const columns = columnsOf(all.detected, seed);
  const told = ({ auroc, fprAt95Tpr }: (typeof columns)["clean"]): Told => ({
    auroc: ends(auroc),
    fprAt95Tpr: ends(fprAt95Tpr),
  });
  const attacked = { in: battery.sides.in.length > 0, out: battery.sides.out.length > 0 };
  const both = attacked.in && attacked.out;
  const only = <T>(value: T, made: boolean): T | null => made ? value : null;
  const { rejected, kept } = atThreshold(all.detected);
  const areas = (detected: Detected): BatteryResult["scores"][string]["adaptive"] => {
    const found = areasOf(detected);
    return { out: only(found.out, attacked.out), both: only(found.both, both) };
  };
  return {
    columns: {
      clean: told(columns.clean),
      in: only(told(columns.in), attacked.in),
      out: only(told(columns.out), attacked.out),
      both: only(told(columns.both), both),
    },
    rejected: { clean: rejected.clean, worst: only(rejected.worst, attacked.out) },
    kept: { clean: kept.clean, worst: only(kept.worst, attacked.in) },
    adaptive: areas(own.detected),
    transfer: areas(others.detected),
    won: all.won,
  };
}

type Told = BatteryResult["scores"][string]["columns"]["clean"];

function ends({ value, low, high }: Readonly<Record<"value" | "low" | "high", number>>): {
  value: number | null;
  low: number | null;
  high: number | null;
} {
  return { value: finite(value), low: finite(low), high: finite(high) };
}

/** AUROC where out-domain images are attacked, and where both are. */
function areasOf(
  { inDomain, outDomain }: Detected,
): Readonly<Record<"out" | "both", number | null>> {
  return {
    out: finite(separation(inDomain.clean, outDomain.worst).auroc),
    both: finite(separation(inDomain.worst, outDomain.worst).auroc),
  };
}

/** Scores clean and worst over those members that are taken. */
function reduced(
  { clean, sides, members }: Battery,
  name: string,
  taken: (member: ReadyMember) => boolean,
): { readonly detected: Detected; readonly won: BatteryResult["scores"][string]["won"] } {
  const of = (side: BatterySide): ReturnType<typeof worstOf> =>
    worstOf(attemptsOf(clean[side], sides[side], members, name, taken), side);
  const [own, other] = [of("in"), of("out")];
  const cleanOf = (side: BatterySide): Float64Array => clean[side][name] ?? new Float64Array();
  return {
    detected: {
      inDomain: { clean: cleanOf("in"), worst: own.scores },
      outDomain: { clean: cleanOf("out"), worst: other.scores },
    },
    won: { in: own.won, out: other.won },
  };
}

/** The clean images and every member that is taken, by one score. */
export function attemptsOf(
  clean: TurnedScores,
  outcomes: readonly MemberOutcome[],
  members: readonly ReadyMember[],
  name: string,
  taken: (member: ReadyMember) => boolean,
): Attempt[] {
  const before = clean[name] ?? new Float64Array();
  const attempts = outcomes.flatMap(({ index, scores }, at): Attempt[] => {
    const member = members[at];
    const own = scores[name];
    if (!member || !taken(member)) return [];
    const all = before.slice();
    index.forEach((image, i) => all[image] = own?.[i] ?? NaN);
    return [{ name: member.name, scores: all }];
  });
  return [{ name: "clean", scores: before }, ...attempts];
}
