/**
 * The attack on a model's uncertainty, as an experiment: start reading here.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { attacks, type AttackSettings } from "../attack/mod.ts";
import { Clock } from "../base/clock.ts";
import { procedureFor, type RunConfig } from "./config.ts";
import {
  confidentShares,
  type Detection,
  detectionOf,
  epsilonPoint,
  type OutDomain,
  tauCurve,
} from "../measure/evidence.ts";
import { sanityResult } from "../evaluate/checks.ts";
import { classRows } from "../measure/metrics.ts";
import type { EpsilonPoint } from "../measure/schema.ts";
import { type Method, methods, single } from "../methods/mod.ts";
import { type Attacked, attackSet, knownTarget } from "../evaluate/predict.ts";
import { type Answers, answersAt } from "../measure/answers.ts";
import { iterationOf } from "../methods/protocol.ts";
import { limited } from "./setup.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { type AttackResult, attackResultSchema } from "./documents.ts";
import { examine, type Examined, warningsOf, withAccuracy } from "../evaluate/checks.ts";
import { common, job, meanOptions, modelsOf } from "./common.ts";
import { uncertainties } from "./uncertainty.ts";
import { attackArchives, shownImages } from "./archives.ts";
import type { RunResults } from "../runs/folder.ts";
import { recorded } from "./recorded.ts";
import {
  findOrTrain,
  type LoadedModel,
  newModel,
  openWorkbench,
  type Workbench,
} from "./workbench.ts";
import { type Evaluated, evaluateInDomain } from "./evaluate.ts";

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
  using bench = await openToAttack(config);
  const made = await recorded("attack", bench, reporter, {
    models: (r) => findOrTrain(bench, r, clock),
    work: (r, models) => attackOn(bench, models, r, clock, keep),
  });
  const { document, attacked, outDomain, models } = made;
  return { result: document, attacked, outDomain, models };
}

/** As {@linkcode attack}, but keeps nothing. */
export async function attackOnly(config: RunConfig, reporter: Reporter): Promise<AttackResult> {
  const clock = new Clock();
  using bench = await openToAttack(config);
  const models = await findOrTrain(bench, reporter, clock);
  return (await attackOn(bench, models, reporter, clock, 0)).document;
}

/** A workbench whose models have the class to steer to, known before any is trained. */
async function openToAttack(config: RunConfig): Promise<Workbench> {
  using opened = new DisposableStack();
  const bench = opened.use(await openWorkbench(config, "use"));
  // A model of its own: one that has been traced can be trained no more.
  const model = newModel(bench, config.seed);
  knownTarget(single([model]), model.imageShape, config.targeted);
  opened.move();
  return bench;
}

async function attackOn(
  bench: Workbench,
  models: readonly LoadedModel[],
  reporter: Reporter,
  clock: Clock,
  keep: number,
): Promise<RunResults & Omit<AttackRun, "result"> & { readonly document: AttackResult }> {
  const { config } = bench;
  const made = await clock.time("work", async () => {
    const outDomain = limited(await bench.pair.outDomain(), config);
    const work = {
      ...job(bench, outDomain, reporter),
      settings: attackSettings(config),
      target: config.targeted,
      keep: config.saveImages ? outDomain.count : Math.max(keep, shownImages),
    };
    const attacked = await attackSet(work);
    const inDomain = await evaluateInDomain(bench, reporter);
    const examined = withAccuracy(
      await examine(work, attacked, inDomain.answers),
      inDomain.figures,
    );
    const sets = { clean: attacked.clean, attacked: attacked.adversarial };
    const detection = detectionOf(inDomain.answers, sets, config.seed);
    return { inDomain, attacked, outDomain, examined, sets, detection };
  });
  const document = attackDocument(bench, { models, ...made }, clock);
  return { document, archives: attackArchives(config, made), models, ...made };
}

/** What an attack's document is made of. */
interface Made {
  readonly models: readonly LoadedModel[];
  readonly inDomain: Evaluated;
  readonly attacked: Attacked;
  readonly outDomain: ImageSet;
  readonly examined: Examined;
  readonly sets: OutDomain;
  readonly detection: Detection;
}

function attackDocument(
  bench: Workbench,
  { models, inDomain, attacked, outDomain, examined, sets, detection }: Made,
  clock: Clock,
): AttackResult {
  const { config } = bench;
  const settings = attackSettings(config);
  const mean = meanOptions(bench);
  const point = (answers: Answers, epsilon: number): EpsilonPoint =>
    epsilonPoint(inDomain.answers, answers, epsilon, config.seed);
  const inTarget = ({ predictions }: Answers): number | null =>
    config.targeted === undefined ? null : classRows(predictions, config.targeted);
  const { name, steps, stepSize, startNoise, projectStart } = settings;
  return attackResultSchema.parse({
    schema: "mirage/attack@6",
    ...common(bench),
    seeds: bench.modelSeeds,
    ...modelsOf(models),
    epsilonAttack: config.epsilonAttack,
    attack: {
      name,
      steps,
      stepSize,
      start: { noise: startNoise, projected: projectStart },
      targeted: config.targeted ?? null,
    },
    inDomain: inDomain.figures,
    outDomain: {
      name: outDomain.name,
      count: outDomain.count,
      sha256: outDomain.sha256,
      listSha256: outDomain.listSha256 ?? null,
      skipped: outDomain.skipped?.length ?? 0,
      classNames: outDomain.classes ?? null,
    },
    clean: { ...uncertainties(attacked.clean, mean), targeted: inTarget(attacked.clean) },
    adversarial: {
      ...uncertainties(attacked.adversarial, mean),
      targeted: inTarget(attacked.adversarial),
      linf: attacked.linf.reduce((a, b) => Math.max(a, b), 0),
    },
    detection,
    calibration: inDomain.calibration,
    confident: confidentShares(inDomain.answers, sets),
    curves: {
      tau: tauCurve(inDomain.answers, sets),
      epsilon: [
        point(answersAt(attacked.clean, examined.index), 0),
        point(examined.half.adversarial, settings.epsilon / 2),
        point(answersAt(attacked.adversarial, examined.index), settings.epsilon),
      ],
    },
    sanity: sanityResult(examined.sanity),
    warnings: warningsOf(examined.sanity),
    seconds: { setup: clock.setup, train: clock.train, attack: clock.work },
  });
}

/** The attack that a configuration asks for: the method's own, or the one that was chosen. */
export function attackSettings(config: RunConfig): AttackSettings {
  const method: Method = methods[config.mode];
  const procedure = procedureFor(config);
  const name = procedure.attack === "published" ? method.attack : procedure.attack;
  const { startNoise } = method;
  return attacks[name].settings(config.epsilonAttack, {
    ...iterationOf(procedure),
    startNoise,
    steps: config.steps,
  });
}
