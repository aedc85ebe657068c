/**
 * The attack of a run and what it lowers: Mirage's own by name, or the user's out of modules, which are loaded
 * and tried on a graph before any model is trained.
 *
 * @module
 */
import { z } from "zod";
import {
  type Attack,
  attacks,
  type AttackSettings,
  loadAttack,
  loadObjective,
  type Objective,
  objectives,
} from "../attack/mod.ts";
import { UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { isModulePath, moduleDigest } from "../base/module.ts";
import { type Answering } from "../methods/mod.ts";
import { constant, Draws, input, Random, type Tensor } from "../nn/mod.ts";
import type { Run } from "../runs/schema.ts";
import { attackNameOf, objectiveOf, type RunConfig } from "./config.ts";
import type { RunOptions } from "./options.ts";

/** What attacks, and what it lowers. */
export interface Parts {
  readonly attack: Attack;
  readonly objective: Objective;
  /** SHA-256 of the texts of the modules that they are out of, by option; undefined where there are none. */
  readonly modules: Readonly<Record<string, string>> | undefined;
}

/** Options that may be the path of a module. */
const own = ["attack", "objective"] as const;

/**
 * The parts that a configuration asks for.
 *
 * @throws UserError when a module cannot be loaded, or does not export what it should
 */
export async function partsOf(config: RunConfig): Promise<Parts> {
  const name = attackNameOf(config);
  const modules: Record<string, string> = {};
  let attack: Attack;
  if (isModulePath(name)) {
    const { made, sha256 } = await loadAttack(name);
    [attack, modules["attack"]] = [made, sha256];
  } else attack = attacks[name];
  const lowered = objectiveOf(config, attack);
  let objective: Objective;
  if (isModulePath(lowered)) {
    const { made, sha256 } = await loadObjective(lowered);
    [objective, modules["objective"]] = [made, sha256];
  } else objective = objectives[lowered];
  const any = Object.keys(modules).length > 0;
  return { attack, objective, modules: any ? modules : undefined };
}

/**
 * Traces an attack out of a module once, or one on an objective out of one, so that what it does wrong is known
 * before a model is trained for it.
 *
 * @param model an untrained one
 * @throws UserError naming the module and what is wrong
 */
export function tryParts(
  { attack, objective, modules }: Parts,
  settings: AttackSettings,
  { model, imageShape, target }: {
    readonly model: Answering;
    readonly imageShape: readonly number[];
    readonly target: number | undefined;
  },
): void {
  if (!modules) return;
  const key = new Random(0).fork("attack");
  const shape = [2, ...imageShape];
  const clean = input(shape);
  const features = objective.means && model.features?.(clean);
  const means = features ? constant(0, [2, ...features.shape.slice(1)]) : undefined;
  const kept = objective.keep?.(model, clean, {
    draws: new Draws(key),
    target,
    rank: constant(0, [1]),
    means,
  });
  const loss = (images: Tensor, count: Tensor): Tensor =>
    objective.loss(model, images, { draws: new Draws(key, count), target, means }, kept);
  const state = attack.prepare({ loss, shape, key }, settings);
  state.start(clean, key);
  state.step();
}

/**
 * Refuses modules where there is no place for them.
 *
 * @throws UserError naming the first
 */
export function withoutModules(options: Partial<RunOptions>): void {
  for (const name of own) {
    const { [name]: path } = options;
    if (!isModulePath(path)) continue;
    throw new UserError(
      `Cannot make a table with the ${name} in "${
        display(path)
      }": a table is made of Mirage's own; ` +
        "use attack",
    );
  }
}

const recordedModules = z.object({ modules: z.record(z.string(), z.string()).catch({}) });

/**
 * Holds the modules that are there against those of a run, before any is loaded.
 *
 * @param file the run's
 * @throws UserError naming the first whose text is another
 */
export async function checkModules(run: Run, config: RunConfig, file: string): Promise<void> {
  const { modules } = recordedModules.parse(run.identity);
  for (const name of own) {
    const { [name]: path } = config;
    if (!isModulePath(path) || await moduleDigest(path) === modules[name]) continue;
    throw new UserError(
      `Cannot repeat "${display(file)}": the ${name} in "${display(path)}" is not the one that ` +
        "the run used; put its text back, or make another run without --config",
    );
  }
}
