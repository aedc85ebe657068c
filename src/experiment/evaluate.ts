/**
 * The evaluation of a model in-domain and out-domain, as an experiment.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { Clock } from "../base/clock.ts";
import { type RunConfig } from "./config.ts";
import {
  calibrationOf,
  confidentShares,
  type Detection,
  detectionOf,
  finite,
  tauCurve,
} from "../measure/evidence.ts";
import {
  accuracy,
  brier,
  infiniteRows,
  type MeanOptions,
  nanRows,
  nll,
  rightRows,
} from "../measure/metrics.ts";
import type { CalibrationResult } from "../measure/schema.ts";
import { single } from "../methods/mod.ts";
import type { Device } from "../nn/mod.ts";
import { type Job, knownLabels, predict } from "../evaluate/predict.ts";
import type { Answers } from "../measure/answers.ts";
import { outDomainOf } from "./setup.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { type EvalResult, evalResultSchema, type InDomain } from "./documents.ts";
import { common, job, meanOptions, modelsOf, posteriorsArchive, readFacts } from "./common.ts";
import { uncertainties } from "./uncertainty.ts";
import { answersArchive } from "./archives.ts";
import type { ScoreFits } from "../evaluate/fit_scores.ts";
import type { RunResults } from "../runs/folder.ts";
import { checkEvaluation } from "./without_in_domain.ts";
import {
  type Calibrated,
  calibratedBench,
  checkTemperature,
  temperatureFacts,
} from "./calibrated.ts";
import { recorded } from "./recorded.ts";
import { checkScores, scoredBench, scoresArchive, scoresResult } from "./scored.ts";
import {
  findOrTrain,
  type LoadedModel,
  openWorkbench,
  selectionSet,
  type Workbench,
} from "./workbench.ts";

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
  checkEvaluation(config);
  const clock = new Clock();
  using bench = await openWorkbench(config, "use", reporter);
  checkScores(bench);
  await checkTemperature(bench);
  const setup = { ...bench, byMeans: config.scores !== undefined };
  const made = await recorded("eval", setup, reporter, {
    models: (r) => findOrTrain(bench, r, clock),
    work: (r, models) => evaluateOn(bench, models, r, clock),
  });
  return made.document;
}

/** As {@linkcode evaluate}, but keeps nothing. */
export async function evaluateOnly(config: RunConfig, reporter: Reporter): Promise<EvalResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config, "use", reporter);
  checkScores(bench);
  await checkTemperature(bench);
  const models = await findOrTrain(bench, reporter, clock);
  return (await evaluateOn(bench, models, reporter, clock)).document;
}

async function evaluateOn(
  trained: Workbench,
  models: readonly LoadedModel[],
  reporter: Reporter,
  clock: Clock,
): Promise<RunResults & { readonly document: EvalResult }> {
  const calibrated = await clock.time("work", () => calibratedBench(trained, reporter));
  const { bench, temperature } = calibrated;
  const made = await clock.time("work", async () => {
    using scored = await scoredBench(bench, reporter);
    const outSet = await outDomainOf(bench);
    const clean = await predict(job(scored.bench, outSet, reporter));
    const inDomain = await evaluateInDomain(scored.bench, await calibrated.test(), reporter);
    const detection = detectionOf(inDomain.answers, { clean }, bench.config.seed);
    return { inDomain, clean, outSet, detection, fits: scored.fits };
  });
  const document = evalDocument(bench, { models, temperature, ...made }, clock);
  const { clean, fits } = made;
  return {
    document,
    archives: {
      predictions: answersArchive({ clean }),
      ...scoresArchive(fits),
      ...posteriorsArchive(models),
    },
  };
}

function evalDocument(
  bench: Workbench,
  { models, temperature, inDomain, clean, outSet, detection, fits }: {
    readonly models: readonly LoadedModel[];
    readonly temperature: Calibrated["temperature"];
    readonly inDomain: Evaluated;
    readonly clean: Answers;
    readonly outSet: ImageSet;
    readonly detection: Detection;
    readonly fits: ScoreFits | undefined;
  },
  clock: Clock,
): EvalResult {
  return evalResultSchema.parse({
    schema: "mirage/eval@8",
    ...common(bench),
    seeds: bench.modelSeeds,
    ...modelsOf(models),
    inDomain: inDomain.figures,
    outDomain: {
      name: outSet.name,
      count: outSet.count,
      ...readFacts(outSet),
      ...uncertainties(clean, meanOptions(bench)),
    },
    detection,
    ...temperatureFacts(temperature, inDomain),
    ...fits && { scores: scoresResult(fits) },
    calibration: inDomain.calibration,
    confident: confidentShares(inDomain.answers, { clean }),
    curves: { tau: tauCurve(inDomain.answers, { clean }) },
    seconds: { setup: clock.setup, train: clock.train, eval: clock.work },
  });
}

/** In-domain accuracy of each model on what its best epoch was chosen by. */
export async function selectionAccuracies(
  config: RunConfig,
  reporter: Reporter,
): Promise<{ readonly accuracies: number[]; readonly adapter: Device["adapter"] }> {
  using bench = await openWorkbench(config, "train", reporter);
  // The best epoch is chosen by what the network itself answers.
  const subject = { ...bench.subject, posteriors: [] };
  await findOrTrain({ ...bench, subject }, reporter, new Clock());
  const accuracies: number[] = [];
  for (const { model, seed } of bench.members) {
    const select = await selectionSet(bench, seed);
    const one = { ...job(bench, select, reporter), seed, batchSize: 200, subject: single([model]) };
    accuracies.push(accuracy((await predict(one)).predictions, select.labels));
  }
  return { accuracies, adapter: bench.device.adapter };
}

/** What was made of the test set. */
export interface Evaluated {
  readonly figures: InDomain;
  readonly answers: Answers;
  readonly calibration: CalibrationResult | null;
  /** The evaluation as it was made. */
  readonly work: Job;
}

/** The test images: the model's quality on them, and what out-domain images are told apart from. */
export async function evaluateInDomain(
  bench: Workbench,
  set: ImageSet,
  reporter: Reporter,
): Promise<Evaluated> {
  return await evaluateOnSet(job(bench, set, reporter), meanOptions(bench));
}

/** As {@linkcode evaluateInDomain}, of any subject and any set. */
export async function evaluateOnSet(work: Job, mean: MeanOptions): Promise<Evaluated> {
  const { set } = work.set;
  const answers = await predict(work);
  const { predictions } = answers;
  const isLabelled = set.labelled !== false;
  if (isLabelled) knownLabels(set, predictions.classes);
  /** What labels are needed for. */
  const known = <T>(figure: (labels: ImageSet["labels"]) => T): T | null =>
    isLabelled ? figure(set.labels) : null;
  const figures = {
    name: set.name,
    count: set.count,
    ...readFacts(set),
    classes: predictions.classes,
    classNames: set.classes ? [...set.classes] : null,
    accuracy: known((labels) => accuracy(predictions, labels, mean)),
    right: known((labels) => rightRows(predictions, labels).filter((is) => is === 1).length),
    nanRows: nanRows(predictions),
    brier: known((labels) => finite(brier(predictions, labels, mean))),
    nll: known((labels) => finite(nll(predictions, labels, mean))),
    nllInfinite: known((labels) => infiniteRows(predictions, labels)),
  };
  const calibration = known((labels) => calibrationOf(predictions, labels));
  return { figures, answers, calibration, work };
}
