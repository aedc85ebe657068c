/**
 * The experiments, top to bottom: train, evaluate, attack. Start reading here.
 *
 * @module
 */
import type { ImageSet } from "../data/mod.ts";
import { attacks, type AttackSettings } from "./attack/mod.ts";
import { Clock } from "./clock.ts";
import { procedureFor, type RunConfig, thresholds } from "./config.ts";
import { ResidentSet } from "./dataset.ts";
import {
  calibrationOf,
  confidentShares,
  detectionOf,
  epsilonPoint,
  finite,
  sanityResult,
  tauCurve,
} from "./evidence.ts";
import {
  accuracy,
  brier,
  entropy,
  logConfidence,
  type MeanOptions,
  nanRows,
  nll,
  type Predictions,
  rejectionRate,
} from "./metrics.ts";
import type { CalibrationResult, EpsilonPoint } from "./evidence_result.ts";
import { familyOf, type Method, methods } from "./methods/mod.ts";
import type { Device } from "./nn/mod.ts";
import { type Answers, type Attacked, attackSet, type Job, predict } from "./predict.ts";
import { limited } from "./place.ts";
import { concerning } from "./protocol.ts";
import { type Reporter, silent } from "./reporter.ts";
import {
  type AttackResult,
  attackResultSchema,
  type EvalResult,
  evalResultSchema,
  type InDomain,
  type Reading,
  type TrainResult,
  trainResultSchema,
  type Uncertainty,
} from "./results.ts";
import { examine, warningsOf } from "./sanity.ts";
import { versions } from "./version.ts";
import { findOrTrain, openWorkbench, trainMembers, type Workbench } from "./workbench.ts";

/** Images in a step of evaluation or attack: the paper's. */
const evalBatch = 200;

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
  const epochs = config.epochs ?? 80;
  const members = await trainMembers(bench, [...bench.members.keys()], epochs, reporter, clock);
  const [set] = members.map((m) => m.set);
  return trainResultSchema.parse({
    schema: "mirage/train@2",
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
  const { checkpoints } = await findOrTrain(bench, reporter, clock);
  const { inDomain, clean, outSet, detection } = await clock.time("work", async () => {
    const outSet = limited(await bench.pair.outDomain(), config);
    const clean = await predict(job(bench, outSet, reporter));
    const inDomain = await evaluateInDomain(bench, reporter);
    const detection = detectionOf(inDomain.answers, { clean }, config.seed);
    return { inDomain, clean, outSet, detection };
  });
  return evalResultSchema.parse({
    schema: "mirage/eval@3",
    ...common(bench),
    checkpoints,
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

/** As {@linkcode attack}, with the first `keep` images of the first batch, clean and attacked. */
export async function attackWithExamples(
  config: RunConfig,
  reporter: Reporter,
  keep: number,
): Promise<AttackRun> {
  const clock = new Clock();
  using bench = await openWorkbench(config, "use");
  const { checkpoints } = await findOrTrain(bench, reporter, clock);
  const settings = attackSettings(config);
  const done = await clock.time("work", async () => {
    const outDomain = limited(await bench.pair.outDomain(), config);
    const work = { ...job(bench, outDomain, reporter), settings, target: config.targeted, keep };
    const attacked = await attackSet(work);
    const inDomain = await evaluateInDomain(bench, reporter);
    const examined = await examine(work, attacked);
    const { clean, adversarial } = attacked;
    const sets = { clean, attacked: adversarial };
    const detection = detectionOf(inDomain.answers, sets, config.seed);
    return { inDomain, attacked, outDomain, examined, sets, detection };
  });
  const { inDomain, attacked, outDomain, examined, sets, detection } = done;
  const mean = meanOptions(bench);
  const point = (answers: Answers, epsilon: number): EpsilonPoint =>
    epsilonPoint(inDomain.answers, answers, epsilon);
  const { name, steps, stepSize, startNoise, projectStart } = settings;
  const result = attackResultSchema.parse({
    schema: "mirage/attack@3",
    ...common(bench),
    checkpoints,
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
    clean: uncertainties(attacked.clean, mean),
    adversarial: {
      ...uncertainties(attacked.adversarial, mean),
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
  return { result, attacked, outDomain };
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

/** The test set: the model's quality on it, and what out-domain images are told apart from. */
async function evaluateInDomain(
  bench: Workbench,
  reporter: Reporter,
): Promise<{ figures: InDomain; answers: Answers; calibration: CalibrationResult }> {
  const set = limited(await bench.pair.test(), bench.config);
  const answers = await predict(job(bench, set, reporter));
  const { predictions } = answers;
  const mean = meanOptions(bench);
  const figures = {
    name: set.name,
    count: set.count,
    accuracy: accuracy(predictions, set.labels, mean),
    brier: finite(brier(predictions, set.labels, mean)),
    nll: finite(nll(predictions, set.labels, mean)),
  };
  return { figures, answers, calibration: calibrationOf(predictions, set.labels) };
}

function job({ config, device, subject }: Workbench, set: ImageSet, reporter: Reporter): Job {
  return {
    device,
    subject,
    set: new ResidentSet(set),
    seed: config.seed,
    batchSize: config.batchSize ?? evalBatch,
    reporter,
    explain: config,
  };
}

function meanOptions({ config, procedure }: Workbench): MeanOptions {
  return procedure.mean === "batches" ? { batchSize: config.batchSize ?? evalBatch } : {};
}

function uncertainties(
  { predictions, readings }: Answers,
  mean: MeanOptions,
): Uncertainty & { nanRows: number; readings: Record<string, Reading> } {
  const others = Object.entries(readings).map(([name, reading]): [string, Reading] => [name, {
    ...uncertainty(reading.predictions, mean),
    ...(reading.normalised ? {} : { entropy: null }),
    logConfidence: finite(logConfidence(reading.predictions, mean)),
  }]);
  return {
    ...uncertainty(predictions, mean),
    nanRows: nanRows(predictions),
    readings: Object.fromEntries(others),
  };
}

function uncertainty(predictions: Predictions, mean: MeanOptions): Uncertainty {
  const rates = thresholds.map((tau) => [String(tau), rejectionRate(predictions, tau, mean)]);
  return { entropy: finite(entropy(predictions, mean)), rejection: Object.fromEntries(rates) };
}

function common({ config, trainingConfig, procedure, device, method, network }: Workbench): {
  mode: string;
  model: string;
  protocol: RunConfig["protocol"];
  procedure: ReturnType<typeof concerning>;
  hyperparameters: Record<string, string | number>;
  seed: number;
  adapter: Device["adapter"];
  versions: ReturnType<typeof versions>;
} {
  const { mode, protocol, seed } = config;
  const { adapter } = device;
  return {
    mode,
    model: network,
    protocol,
    procedure: concerning(procedure, { mode, family: familyOf(network) }),
    hyperparameters: Object.fromEntries(
      method.hyperparameters.map((name) => [name, trainingConfig[name]]),
    ),
    seed,
    adapter,
    versions: versions(),
  };
}
