/**
 * The attack on a model's uncertainty, as an experiment: start reading here.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { type Attack, attacks, type AttackSettings } from "../attack/mod.ts";
import { Clock } from "../base/clock.ts";
import { isModulePath } from "../base/module.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { type Attacked, type AttackJob, knownObjective } from "../evaluate/attack_set.ts";
import { meansFor } from "../evaluate/class_means.ts";
import { knownTarget } from "../evaluate/predict.ts";
import { type Method, methods } from "../methods/mod.ts";
import { iterationOf } from "../methods/protocol.ts";
import type { RunResults } from "../runs/folder.ts";
import { attackArchives, shownImages } from "./archives.ts";
import { attackFigures } from "./attack_figures.ts";
import { common, job, meanOptions, modelsOf, posteriorsArchive } from "./common.ts";
import { calibratedBench, checkTemperature, temperatureFacts } from "./calibrated.ts";
import { attackNameOf, procedureFor, type RunConfig } from "./config.ts";
import { type AttackResult, attackResultSchema } from "./documents.ts";
import { evaluateInDomain } from "./evaluate.ts";
import { type Parts, partsOf, tryParts } from "./parts.ts";
import { recorded } from "./recorded.ts";
import { checkScores, scoredBench, scoresArchive } from "./scored.ts";
import { makeScoredAttack } from "./scored_attack.ts";
import { checkObjective, isWithout, withoutInDomain } from "./without_in_domain.ts";
import { meansSetOf, outDomainOf, type Setup } from "./setup.ts";
import {
  findOrTrain,
  type LoadedModel,
  newModel,
  openWorkbench,
  subjectOf,
  type Workbench,
} from "./workbench.ts";

/** What an attack run returns besides its document: example images for pictures. */
export interface AttackRun {
  /** Figures before and after, as they are written to the run's folder. */
  readonly result: AttackResult;
  /** Answers to every image, and those images that were kept. */
  readonly attacked: Attacked;
  /** The images that were attacked, in the order of the answers. */
  readonly outDomain: ImageSet;
  /** One a member, as it was loaded. */
  readonly models: readonly LoadedModel[];
}

/**
 * Attacks a model's uncertainty on the out-domain set, training it first where there is no checkpoint.
 *
 * @throws UserError for whatever a user can mend
 */
export async function attack(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<AttackResult> {
  return (await attackWithExamples(config, reporter, 0)).result;
}

/** As {@linkcode attack}, with the first `keep` images or more, clean and attacked. */
export async function attackWithExamples(
  config: RunConfig,
  reporter: Reporter,
  keep: number,
): Promise<AttackRun> {
  const clock = new Clock();
  const parts = await partsOf(config);
  using bench = await openToAttack(config, parts, reporter);
  const byMeans = parts.objective.means === true || config.scores !== undefined;
  const setup = { ...bench, modules: parts.modules, byMeans };
  const made = await recorded("attack", setup, reporter, {
    models: (r) => findOrTrain(bench, r, clock),
    work: (r, models) => attackOn(bench, parts, models, r, clock, keep),
  });
  const { document, attacked, outDomain, models } = made;
  return { result: document, attacked, outDomain, models };
}

/** As {@linkcode attack}, but keeps nothing. */
export async function attackOnly(config: RunConfig, reporter: Reporter): Promise<AttackResult> {
  const clock = new Clock();
  const parts = await partsOf(config);
  using bench = await openToAttack(config, parts, reporter);
  const models = await findOrTrain(bench, reporter, clock);
  return (await attackOn(bench, parts, models, reporter, clock, 0)).document;
}

/** A workbench whose models have the class to steer to and give the objective, known before any is trained. */
async function openToAttack(
  config: RunConfig,
  parts: Parts,
  reporter: Reporter,
): Promise<Workbench> {
  checkObjective(config, parts.objective);
  using opened = new DisposableStack();
  const bench = opened.use(await openWorkbench(config, "use", reporter));
  checkParts(bench, parts, attackSettings(config, parts.attack));
  checkScores(bench);
  await checkTemperature(bench);
  opened.move();
  return bench;
}

/**
 * Holds what is to attack against models as a run has them, before any is trained; a module of the user's own is tried.
 *
 * @throws UserError when these have not the class to steer to or cannot give the objective, or a module does wrong
 */
export function checkParts(bench: Setup, parts: Parts, settings: AttackSettings): void {
  const { config } = bench;
  // A model of its own: one that has been traced can be trained no more.
  const model = newModel(bench, config.seed);
  const subject = subjectOf(bench, [model]);
  const { imageShape } = model;
  for (const part of subject.attacked) {
    knownObjective(parts.objective, part, config.targeted, bench.taken.classes);
  }
  knownTarget(subject, imageShape, config.targeted);
  for (const model of subject.attacked.slice(0, 1)) {
    tryParts(parts, settings, { model, imageShape, target: config.targeted });
  }
}

async function attackOn(
  trained: Workbench,
  { attack, objective }: Parts,
  models: readonly LoadedModel[],
  reporter: Reporter,
  clock: Clock,
  keep: number,
): Promise<RunResults & Omit<AttackRun, "result"> & { readonly document: AttackResult }> {
  const { config } = trained;
  const calibrated = await clock.time("work", () => calibratedBench(trained, reporter));
  const { bench, temperature } = calibrated;
  const outDomain = await outDomainOf(bench);
  const work: AttackJob = {
    ...job(bench, outDomain, reporter),
    settings: attackSettings(config, attack),
    attack,
    objective,
    target: config.targeted,
    keepLabel: config.keepLabel,
    eot: config.eot,
    thorough: config.thorough,
    keep: config.saveImages ? outDomain.count : Math.max(keep, shownImages),
  };
  const made = await clock.time("work", async () => {
    const means = await meansFor(work, () => meansSetOf(bench));
    using scored = await scoredBench(bench, reporter);
    const { fits, bench: { subject } } = scored;
    const asked = { ...work, ...means, subject };
    const evaluated = isWithout(config)
      ? undefined
      : async () => await evaluateInDomain(scored.bench, await calibrated.test(), reporter);
    return await makeScoredAttack(asked, fits, evaluated, config, bench.subject);
  });
  const document = attackResultSchema.parse({
    schema: "mirage/attack@10",
    ...common(bench),
    seeds: bench.modelSeeds,
    ...modelsOf(models),
    ...attackFigures(work, made, meanOptions(bench)),
    ...isWithout(config) && { withoutInDomain: withoutInDomain(bench) },
    ...temperatureFacts(temperature, made.inDomain),
    ...made.scores && { scores: made.scores },
    seconds: { setup: clock.setup, train: clock.train, attack: clock.work },
  });
  const archives = {
    ...attackArchives(config.saveImages, made),
    ...scoresArchive(made.fits),
    ...posteriorsArchive(models),
  };
  return { document, archives, models, ...made };
}

/**
 * The attack that a configuration asks for: the method's own, or the one that was chosen.
 *
 * @param own the attack of the module that it names, where it names one
 */
export function attackSettings(config: RunConfig, own?: Attack): AttackSettings {
  const method: Method = methods[config.mode];
  const procedure = procedureFor(config);
  const { startNoise } = method;
  const iteration = iterationOf(procedure);
  const { norm, steps, init, restarts, keepLabel } = config;
  const name = attackNameOf(config);
  const attack = isModulePath(name) ? own : attacks[name];
  if (!attack) throw new Error("Unreachable: the attack of a module that was not loaded");
  return attack.settings(config.epsilonAttack, {
    ...iteration,
    // What keeps its class is looked for among all iterates.
    keepBest: iteration.keepBest || keepLabel,
    norm,
    startNoise,
    steps,
    init,
    restarts,
  });
}
