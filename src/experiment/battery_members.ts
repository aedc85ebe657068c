/**
 * The members of a battery for a run: those of its name as far as the model can be attacked by them, and what the user
 * adds out of modules.
 *
 * @module
 */
import {
  type Attack,
  attacks,
  type AttackSettings,
  type Objective,
  objectives,
} from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { knownObjective } from "../evaluate/attack_set.ts";
import type { ScoreFits } from "../evaluate/fit_scores.ts";
import type { ReadyMember } from "../evaluate/battery.ts";
import { type Method, methods } from "../methods/mod.ts";
import { iterationOf } from "../methods/protocol.ts";
import { attackSettings, checkParts } from "./attack.ts";
import { batteries, type Battery, type BatteryMember, memberName } from "./batteries.ts";
import { drawsSamples, procedureFor, publishedAttack, type RunConfig } from "./config.ts";
import type { Parts } from "./parts.ts";
import { type KeptSurrogate, type SurrogateModels, surrogateOf } from "./surrogate.ts";
import type { Workbench } from "./workbench.ts";

/** A member that the model cannot be attacked by, and why. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

/** What a battery is made of. */
export interface BatteryPlan {
  /** The published attack first, what the user adds last. */
  readonly members: readonly ReadyMember[];
  readonly leftOut: readonly LeftOut[];
  /** The model of another seed that a member attacks; undefined where none does. */
  readonly surrogate: SurrogateModels | undefined;
  /** SHA-256 of the texts of the user's modules, by option; undefined where there are none. */
  readonly modules: Parts["modules"];
}

/** A member of a battery, or the published attack, which makes as many steps as were published. */
type Listed = Omit<BatteryMember, "steps"> & { readonly steps?: number };

/**
 * Plans a battery before any model is trained for it.
 *
 * @param parts what the configuration asks for: what of it is out of a module becomes a member
 * @param kept copies of the surrogate, where a run that is made again has some
 * @throws UserError when the model cannot be attacked by the user's own, or that does wrong
 */
export async function planOf(
  bench: Workbench,
  parts: Parts,
  kept?: KeptSurrogate,
): Promise<BatteryPlan> {
  const { config } = bench;
  const { members: listed }: Battery = batteries[config.battery ?? "standard"];
  const published: Listed = { attack: publishedAttack(config), objective: "published" };
  const members: ReadyMember[] = [];
  const leftOut: LeftOut[] = [];
  let surrogate: SurrogateModels | undefined;
  for (const member of [published, ...listed]) {
    const name = member === published ? "published" : memberName({ steps: 0, ...member });
    const objective: Objective = objectives[member.objective];
    try {
      for (const part of bench.subject.attacked) {
        knownObjective(objective, part, undefined, bench.taken.classes);
      }
      const ready = readyFor(config, member);
      // A run that left it out kept no copies.
      const copies = kept && kept.paths.length > 0 ? kept : undefined;
      if (member.surrogate) surrogate ??= await surrogateOf(bench, copies);
      members.push({ name, ...ready, objective, surrogate: member.surrogate && surrogate });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      leftOut.push({ name, why: error.message });
    }
  }
  const own = ownMember(bench, parts, listed[0]);
  if (own) members.push(apart(own, members));
  return { members, leftOut, surrogate, modules: parts.modules };
}

/** Scores that the battery's own members are after. */
const aimedAt: readonly string[] = ["maxProbability", "entropy"];

/** A plan with a member more for every fitted score: as many steps of apgd as the battery's first member makes. */
export function withScoreMembers(
  config: RunConfig,
  plan: BatteryPlan,
  fits: ScoreFits | undefined,
): BatteryPlan {
  const { members: [first] }: Battery = batteries[config.battery ?? "standard"];
  if (!fits || !first) return plan;
  const further = fits.fitted.filter(({ name }) => !aimedAt.includes(name))
    .map(({ name, objective }): ReadyMember => ({
      name: `${first.attack} score ${name}`,
      ...readyFor(config, first),
      objective,
    }));
  return { ...plan, members: [...plan.members, ...further] };
}

function readyFor(
  config: RunConfig,
  { attack, objective, steps, init, restarts, eot, left }: Listed,
): Pick<ReadyMember, "attack" | "settings" | "eot" | "left"> {
  const { startNoise }: Method = methods[config.mode];
  const { norm, epsilonAttack, keepLabel } = config;
  const iteration = objective === "published" ? iterationOf(procedureFor(config)) : {};
  const of: Attack = attacks[attack];
  return {
    attack: of,
    settings: of.settings(epsilonAttack, {
      ...iteration,
      ...keepLabel && { keepBest: true },
      ...objective === "published" && { startNoise },
      norm,
      steps,
      init,
      restarts,
    }),
    // Of a step's loss; one where a method does not sample.
    eot: drawsSamples(config) ? eot : undefined,
    left: left === true,
  };
}

/**
 * What the user adds: an attack as it is made by itself, or what the battery's first member does after an objective;
 * undefined where no module is named.
 */
function ownMember(
  bench: Workbench,
  { attack, objective, modules }: Parts,
  like: BatteryMember | undefined,
): ReadyMember | undefined {
  if (!modules || !like) return undefined;
  const { config } = bench;
  const first = readyFor(config, like);
  const made: { readonly attack: Attack; readonly settings: AttackSettings } =
    modules["attack"] === undefined ? first : { attack, settings: attackSettings(config, attack) };
  checkParts(bench, { attack: made.attack, objective, modules }, made.settings);
  return {
    name: `${made.attack.name} ${objective.name}`,
    attack: made.attack,
    settings: made.settings,
    objective,
    eot: first.eot,
    left: false,
  };
}

/** Results call members by their names, which must be apart. */
function apart(own: ReadyMember, others: readonly ReadyMember[]): ReadyMember {
  if (!others.some(({ name }) => name === own.name)) return own;
  throw new UserError(
    `Cannot add "${shortened(own.name)}" to the battery: a member has that name; name the ` +
      "objective in your file otherwise",
  );
}
