/**
 * Batteries: attacks that are made one after the other, of which every image gets the worst.
 *
 * As AutoAttack is for accuracy (F. Croce and M. Hein, "Reliable evaluation of adversarial robustness with an
 * ensemble of diverse parameter-free attacks", ICML 2020), these are for uncertainty: attacks of several kinds
 * and after several aims, none with a parameter to choose.
 *
 * @module
 */
import type { AttackName, InitName, ObjectiveName } from "../attack/mod.ts";

/** One attack of a battery. */
export interface BatteryMember {
  /** How it steps. */
  readonly attack: AttackName;
  /** What it lowers. */
  readonly objective: ObjectiveName;
  /** Steps, or queries. */
  readonly steps: number;
  /** Where it starts; at the clean image when not given. */
  readonly init?: InitName;
  /** Further runs from random points of the ball; none when not given. */
  readonly restarts?: number;
  /** Whether it sees those images alone that some score still tells, in either mode. */
  readonly left?: true;
  /** Draws of a step's loss, where a method samples; one when not given. */
  readonly eot?: number;
  /** Whether it attacks a model of another seed, and the one under attack only answers. */
  readonly surrogate?: true;
}

/** A battery. */
export interface Battery {
  /** What it is, for people. */
  readonly about: string;
  /** Its attacks, in the order in which they are made; as the first one, an objective of one's own is lowered. */
  readonly members: readonly BatteryMember[];
}

const aims = ["logProbability", "entropy", "native", "feature"] as const satisfies ObjectiveName[];

/** Auto-PGD after each of several aims. */
function after(
  objectives: readonly ObjectiveName[],
  chosen: Omit<BatteryMember, "attack" | "objective">,
): BatteryMember[] {
  return objectives.map((objective) => ({ attack: "apgd", objective, ...chosen }));
}

const standard: readonly BatteryMember[] = [
  ...after(aims, { steps: 100 }),
  ...after(["target"], { steps: 100, left: true }),
  { attack: "square", objective: "logProbability", steps: 2000 },
];

/** Every battery by its name. */
export const batteries = {
  fast: {
    about: "20 steps of apgd after the log-probability, the entropy and the method's own score",
    members: after(["logProbability", "entropy", "native"], { steps: 20 }),
  },
  standard: {
    about:
      "100 steps of apgd after the log-probability, the entropy, the method's own score, the features and " +
      "other classes, and 2,000 queries of square",
    members: standard,
  },
  plus: {
    about:
      "as standard, with 500 steps of apgd from three starts and 5 restarts, and 5,000 queries; and 500 steps " +
      "after the log-probability of a model of another seed",
    members: [
      ...(["clean", "uniform", "contrast"] as const).flatMap((init) =>
        after(aims, { steps: 500, init, ...init === "uniform" && { restarts: 5 } })
      ),
      ...after(["target"], { steps: 500, left: true }),
      { attack: "square", objective: "logProbability", steps: 5000 },
      { attack: "apgd", objective: "logProbability", steps: 500, surrogate: true },
    ],
  },
  rand: {
    about: "as standard, with the mean of 20 draws at each step of a method that samples",
    members: standard.map((member) => ({ ...member, eot: 20 })),
  },
} as const satisfies Record<string, Battery>;

/** The name of a battery. */
export type BatteryName = keyof typeof batteries;

/** What a member is called: `apgd entropy`, `apgd entropy from contrast`, `apgd entropy from another model`. */
export function memberName({ attack, objective, init, surrogate }: BatteryMember): string {
  const from = surrogate ? "another model" : init === "clean" ? undefined : init;
  return `${attack} ${objective}${from ? ` from ${from}` : ""}`;
}
