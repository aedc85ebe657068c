/**
 * The experiments, top to bottom: train, evaluate, attack. Start reading here.
 *
 * @module
 */
import type { ImageSet } from "../data/mod.ts";
import { attacks, type AttackSettings } from "./attack/mod.ts";
import { Clock } from "./clock.ts";
import { procedureFor, type RunConfig } from "./config.ts";
import {
  calibrationOf,
  confidentShares,
  type Detection,
  detectionOf,
  epsilonPoint,
  finite,
  type OutDomain,
  sanityResult,
  tauCurve,
} from "./evidence.ts";
import { accuracy, brier, classRows, infiniteRows, nanRows, nll, rightRows } from "./metrics.ts";
import type { CalibrationResult, EpsilonPoint } from "./evidence_result.ts";
import { type Method, methods, single } from "./methods/mod.ts";
import type { Device } from "./nn/mod.ts";
import {
  type Answers,
  type Attacked,
  attackSet,
  knownLabels,
  knownTarget,
  predict,
} from "./predict.ts";
import { limited } from "./place.ts";
import { type Reporter, silent } from "./reporter.ts";
import {
  type AttackResult,
  attackResultSchema,
  type EvalResult,
  evalResultSchema,
  type InDomain,
  type TrainResult,
  trainResultSchema,
} from "./results.ts";
import { examine, type Examined, warningsOf, withAccuracy } from "./sanity.ts";
import { common, job, meanOptions, modelsOf } from "./run_common.ts";
import { uncertainties } from "./uncertainty.ts";
import { answersArchive, attackArchives, shownImages } from "./runs/archives.ts";
import type { RunResults } from "./runs/folder.ts";
import { trainEpochs } from "./runs/models.ts";
import { recorded } from "./runs/recorded.ts";
import {
  findOrTrain,
  type LoadedModel,
  newModel,
  openWorkbench,
  selectionSet,
  type TrainedMember,
  trainMembers,
  type Workbench,
} from "./workbench.ts";

/**
 * Trains a model, resuming from its last checkpoint, and keeps the best and the last.
 *
 * @throws UserError for whatever a user can mend
 */
export async function train(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<TrainResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config, "train");
  const epochs = config.epochs ?? trainEpochs;
  const { document } = await recorded("train", bench, reporter, {
    models: () => Promise.resolve([]),
    work: async (reporter) => {
      const positions = [...bench.members.keys()];
      const members = await trainMembers(bench, positions, epochs, reporter, clock);
      const document = trainDocument(bench, members, clock);
      return { document, checkpoints: members.map(({ paths }) => paths.best) };
    },
  });
  return document;
}

function trainDocument(
  bench: Workbench,
  members: readonly TrainedMember[],
  clock: Clock,
): TrainResult {
  const [set] = members.map((m) => m.set);
  return trainResultSchema.parse({
    schema: "mirage/train@3",
    ...common(bench),
    data: { name: set?.name, count: set?.count, sha256: set?.sha256 },
    members: members.map(({ seed, trained, paths }) => {
      const last = trained.epochs.at(-1);
      return {
        seed,
        epochs: trained.epochs,
        best: { ...trained.best, path: paths.best },
        last: { epoch: last?.epoch ?? 0, accuracy: last?.accuracy ?? 0, path: paths.last },
      };
    }),
    seconds: { setup: clock.setup, train: clock.train },
  });
}

/**
 * Evaluates a model in-domain (accuracy, Brier, NLL) and out-domain (entropy, rejection), training it
 * first where there is no checkpoint.
 *
 * @throws UserError for whatever a user can mend
 */
export async function evaluate(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<EvalResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config, "use");
  const made = await recorded("eval", bench, reporter, {
    models: (r) => findOrTrain(bench, r, clock),
    work: (r, models) => evaluateOn(bench, models, r, clock),
  });
  return made.document;
}

/** As {@linkcode evaluate}, but keeps nothing. */
export async function evaluateOnly(config: RunConfig, reporter: Reporter): Promise<EvalResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config, "use");
  const models = await findOrTrain(bench, reporter, clock);
  return (await evaluateOn(bench, models, reporter, clock)).document;
}

async function evaluateOn(
  bench: Workbench,
  models: readonly LoadedModel[],
  reporter: Reporter,
  clock: Clock,
): Promise<RunResults & { readonly document: EvalResult }> {
  const made = await clock.time("work", async () => {
    const outSet = limited(await bench.pair.outDomain(), bench.config);
    const clean = await predict(job(bench, outSet, reporter));
    const inDomain = await evaluateInDomain(bench, reporter);
    const detection = detectionOf(inDomain.answers, { clean }, bench.config.seed);
    return { inDomain, clean, outSet, detection };
  });
  const document = evalDocument(bench, { models, ...made }, clock);
  const { clean } = made;
  return { document, archives: { predictions: answersArchive({ clean }) } };
}

function evalDocument(
  bench: Workbench,
  { models, inDomain, clean, outSet, detection }: {
    readonly models: readonly LoadedModel[];
    readonly inDomain: Evaluated;
    readonly clean: Answers;
    readonly outSet: ImageSet;
    readonly detection: Detection;
  },
  clock: Clock,
): EvalResult {
  return evalResultSchema.parse({
    schema: "mirage/eval@5",
    ...common(bench),
    seeds: bench.modelSeeds,
    ...modelsOf(models),
    inDomain: inDomain.figures,
    outDomain: {
      name: outSet.name,
      count: outSet.count,
      ...uncertainties(clean, meanOptions(bench)),
    },
    detection,
    calibration: inDomain.calibration,
    confident: confidentShares(inDomain.answers, { clean }),
    curves: { tau: tauCurve(inDomain.answers, { clean }) },
    seconds: { setup: clock.setup, train: clock.train, eval: clock.work },
  });
}

/** What an attack run returns besides its document: example images for pictures. */
export interface AttackRun {
  readonly result: AttackResult;
  readonly attacked: Attacked;
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

/** In-domain accuracy of each model on what its best epoch was chosen by. */
export async function selectionAccuracies(
  config: RunConfig,
  reporter: Reporter,
): Promise<{ readonly accuracies: number[]; readonly adapter: Device["adapter"] }> {
  using bench = await openWorkbench(config, "train");
  await findOrTrain(bench, reporter, new Clock());
  const accuracies: number[] = [];
  for (const { model, seed } of bench.members) {
    const select = await selectionSet(bench, seed);
    const one = { ...job(bench, select, reporter), seed, batchSize: 200, subject: single([model]) };
    accuracies.push(accuracy((await predict(one)).predictions, select.labels));
  }
  return { accuracies, adapter: bench.device.adapter };
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
    epsilonPoint(inDomain.answers, answers, epsilon);
  const inTarget = ({ predictions }: Answers): number | null =>
    config.targeted === undefined ? null : classRows(predictions, config.targeted);
  const { name, steps, stepSize, startNoise, projectStart } = settings;
  return attackResultSchema.parse({
    schema: "mirage/attack@5",
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
        point(attacked.clean, 0),
        point(examined.half.adversarial, settings.epsilon / 2),
        point(attacked.adversarial, settings.epsilon),
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
    procedure,
    startNoise,
    steps: config.steps,
  });
}

/** What was made of the test set. */
interface Evaluated {
  readonly figures: InDomain;
  readonly answers: Answers;
  readonly calibration: CalibrationResult;
}

/** The test set: the model's quality on it, and what out-domain images are told apart from. */
async function evaluateInDomain(bench: Workbench, reporter: Reporter): Promise<Evaluated> {
  const set = limited(await bench.pair.test(), bench.config);
  const answers = await predict(job(bench, set, reporter));
  const { predictions } = answers;
  knownLabels(set, predictions.classes);
  const mean = meanOptions(bench);
  const figures = {
    name: set.name,
    count: set.count,
    classes: predictions.classes,
    accuracy: accuracy(predictions, set.labels, mean),
    right: rightRows(predictions, set.labels).filter((right) => right === 1).length,
    nanRows: nanRows(predictions),
    brier: finite(brier(predictions, set.labels, mean)),
    nll: finite(nll(predictions, set.labels, mean)),
    nllInfinite: infiniteRows(predictions, set.labels),
  };
  const calibration = calibrationOf(predictions, set.labels);
  return { figures, answers, calibration };
}
