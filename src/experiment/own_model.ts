/**
 * The attack on a model of the user's own: a function from images to logits gets everything that the methods'
 * models get.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import {
  type Attack,
  attacks,
  type AttackSettings,
  type Objective,
  objectives,
} from "../attack/mod.ts";
import { Clock } from "../base/clock.ts";
import { sha256Of } from "../base/digest.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { versions } from "../base/version.ts";
import type { AttackJob } from "../evaluate/attack_set.ts";
import { meansFor } from "../evaluate/class_means.ts";
import { ResidentSet } from "../evaluate/resident_set.ts";
import type { MeanOptions } from "../measure/metrics.ts";
import { ofLogits, single, type Subject } from "../methods/mod.ts";
import { concerning, iterationOf, procedureOf } from "../methods/protocol.ts";
import {
  type Convolutions,
  convolutionsOf,
  release,
  useExactConvolutions,
  useTuning,
} from "../nn/mod.ts";
import { checkLifted } from "../onnx/mod.ts";
import { checkFiles, readFigures, readRun, type RunResults, type RunSpec } from "../runs/folder.ts";
import { attackArchives, shownImages } from "./archives.ts";
import { attackFigures, type AttackMade } from "./attack_figures.ts";
import { evalBatch } from "./config.ts";
import { type AttackResult, attackResultSchema } from "./documents.ts";
import {
  askedScores,
  checkOptions,
  type OwnAttack,
  type OwnModel,
  type OwnRun,
} from "./own_options.ts";
import { evaluateOnSet } from "./evaluate.ts";
import { recordedByOutcome } from "./recorded.ts";
import { scoredSubject, scoresArchive } from "./scored.ts";
import { makeScoredAttack } from "./scored_attack.ts";
import { sourceDigests } from "./source_digests.ts";
import { compared, ownMode, type VerifyResult } from "./verify.ts";

export type { OwnAttack, OwnModel, OwnRun } from "./own_options.ts";

/**
 * Attacks a model of the user's own: checks, detectors with intervals and a run folder, as `attack` has them.
 *
 * @example
 * ```ts ignore
 * const { result, folder } = await attackModel({ device, logits, inDomain, outDomain, epsilon: 0.1 });
 * console.log(result.warnings, await report([folder]));
 * ```
 *
 * @throws UserError for options out of their range, sets that are empty or of different shapes, labels or a target that the model has no class of, logits
 * of one image that another changes, an objective that it cannot give, or a folder that cannot be written
 */
export async function attackModel(options: OwnAttack): Promise<OwnRun> {
  const { reporter = silent, savePath = "trained_models" } = options;
  checkOptions(options);
  let folder = "";
  const keeping: Reporter = {
    ...reporter,
    kept(path): void {
      folder = path;
      reporter.kept?.(path);
    },
  };
  const { document } = await recordedByOutcome(
    savePath,
    keeping,
    (reporter) => attackOwn(options, reporter),
    (made) => specOf(options, made),
  );
  return { result: document, folder };
}

/**
 * Makes the run of a model of the user's own again and compares every figure; keeps nothing.
 *
 * @param folder of the run
 * @param options as they were given to {@linkcode attackModel}
 * @throws UserError when the run is not finished, is of another kind, or was made with other options or data
 */
export async function verifyModel(folder: string, options: OwnAttack): Promise<VerifyResult> {
  checkOptions(options);
  const run = await readRun(folder);
  const cannot = (why: string): UserError =>
    new UserError(`Cannot verify "${display(folder)}": ${why}`);
  if (run.config["mode"] !== ownMode) {
    throw cannot("it is of no model of your own; call verify(), or the command of that name");
  }
  const before = await readFigures(folder, run);
  if (!before) throw cannot("the run is not finished; call attackModel() again");
  await checkFiles(folder, run);
  const { config, data } = statedOf(options);
  if (JSON.stringify([run.config, run.identity["data"]]) !== JSON.stringify([config, data])) {
    throw cannot(
      "it was made with other options or data; call verifyModel() with those of the run",
    );
  }
  // As it was made: where its convolutions were not by tiles, they are not either.
  const exactConvolutions = options.exactConvolutions ||
    run.identity["convolutions"] === "textures";
  const again = { ...options, exactConvolutions };
  const { document, convolutions } = await attackOwn(again, options.reporter ?? silent);
  const { adapter } = document;
  return compared({ folder, run, then: before, now: document, adapter, convolutions });
}

/** The options that decide the figures, in the order in which a run has them, and the data. */
function statedOf(options: OwnAttack): {
  readonly config: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, unknown>>;
} {
  const { name = "own model", protocol = "paper", seed = 0, batchSize = evalBatch } = options;
  const { settings, objective, target, keepLabel, eot } = attackOf(options);
  const { on, direction, thorough, training } = options;
  const scores = askedScores(options);
  const { init, restarts } = settings;
  const identified = ({ name, count, sha256, listSha256 }: ImageSet): object => ({
    name,
    count,
    sha256,
    listSha256: listSha256 ?? null,
  });
  return {
    config: {
      mode: ownMode,
      model: name,
      protocol,
      seed,
      batchSize,
      epsilonAttack: settings.epsilon,
      norm: settings.norm,
      attack: settings.name,
      objective: objective.name,
      steps: settings.steps,
      stepSize: settings.stepSize,
      startNoise: settings.startNoise,
      projectStart: settings.projectStart,
      keepBest: settings.keepBest,
      ...(target === undefined ? {} : { targeted: target }),
      ...otherwise({ on, direction, thorough, keepLabel, eot, init, restarts, scores }),
    },
    data: {
      test: identified(options.inDomain),
      outDomain: identified(options.outDomain),
      ...((objective.means || scores) && training ? { classMeans: identified(training) } : {}),
    },
  };
}

/** What was asked for otherwise than usual. */
function otherwise(
  asked: { readonly [K in keyof OwnAttack | keyof AttackSettings]?: unknown },
): Record<string, unknown> {
  const usual: Readonly<Record<string, unknown>> = {
    on: "out",
    thorough: false,
    keepLabel: false,
    eot: 1,
  };
  return Object.fromEntries(
    Object.entries(asked).filter(([name, value]) => value !== undefined && value !== usual[name]),
  );
}

/** The attack that is asked for, as a job has it. */
function attackOf(
  { attack = attacks.pgd, epsilon, norm, steps, target, init, restarts, ...options }: OwnAttack,
): {
  readonly attack: Attack;
  readonly settings: AttackSettings;
  readonly objective: Objective;
  readonly target: number | undefined;
  readonly keepLabel: boolean;
  readonly eot: number;
} {
  const { keepLabel = false, eot = 1 } = options;
  const made: Attack = typeof attack === "string" ? attacks[attack] : attack;
  const { objective = made.objective ?? "published" } = options;
  const iteration = iterationOf(procedureOf(options.protocol ?? "paper"));
  return {
    attack: made,
    settings: made.settings(epsilon, {
      ...iteration,
      keepBest: iteration.keepBest || keepLabel,
      norm,
      steps,
      init,
      restarts,
    }),
    objective: typeof objective === "string" ? objectives[objective] : objective,
    target,
    keepLabel,
    eot,
  };
}

function subjectOf(options: OwnModel): Subject {
  if ("subject" in options) return options.subject;
  return single(["model" in options ? options.model : ofLogits(options.logits)]);
}

interface OwnAttackMade extends AttackMade, RunResults {
  readonly document: AttackResult;
  readonly convolutions: Convolutions;
}

/** Attacks, and leaves the device as it was. */
async function attackOwn(options: OwnAttack, reporter: Reporter): Promise<OwnAttackMade> {
  const { device, exactConvolutions = false } = options;
  const { tiles } = device;
  try {
    await useTuning(device);
    if (exactConvolutions) useExactConvolutions(device);
    return { ...await attackOn(options, reporter), convolutions: convolutionsOf(device) };
  } finally {
    device.tiles = tiles;
  }
}

async function attackOn(
  options: OwnAttack,
  reporter: Reporter,
): Promise<Omit<OwnAttackMade, "convolutions">> {
  const { device, inDomain, outDomain, protocol = "paper" } = options;
  const { seed = 0, batchSize = evalBatch, saveImages = false, training } = options;
  await checkFit(options);
  const clock = new Clock();
  const common = {
    device,
    subject: subjectOf(options),
    seed,
    batchSize,
    reporter,
    explain: { explain: false, time: false },
  };
  const work: AttackJob = {
    ...common,
    ...attackOf(options),
    thorough: options.thorough,
    set: new ResidentSet(outDomain),
    keep: saveImages ? outDomain.count : shownImages,
  };
  const mean: MeanOptions = procedureOf(protocol).mean === "batches" ? { batchSize } : {};
  const made = await clock.time("work", async () => {
    using scored = await scoredSubject(common, training, askedScores(options));
    const { subject, fits } = scored;
    const { means } = await meansFor(work, () => Promise.resolve(training));
    try {
      return await makeScoredAttack(
        { ...work, subject, means },
        fits,
        () => evaluateOnSet({ ...common, subject, set: new ResidentSet(inDomain) }, mean),
        options,
        common.subject,
      );
    } finally {
      release(device, means ?? []);
    }
  });
  const document = attackResultSchema.parse({
    schema: "mirage/attack@10",
    ...factsOf(options),
    ...attackFigures(work, made, mean),
    ...made.scores && { scores: made.scores },
    seconds: { setup: clock.setup, train: 0, attack: clock.work },
  });
  const archives = { ...attackArchives(saveImages, made), ...scoresArchive(made.fits) };
  return { ...made, document, archives };
}

/** What a document says of the model, and of where and how the run was made. */
function factsOf(
  { device, name = "own model", protocol = "paper", seed = 0 }: OwnAttack,
): Readonly<Record<string, unknown>> {
  const [procedure, concerned] = [procedureOf(protocol), { mode: ownMode, model: name }];
  return {
    ...concerned,
    protocol,
    procedure: {
      ...concerning(procedure, concerned, "evaluation"),
      ...concerning(procedure, concerned, "attack"),
    },
    hyperparameters: {},
    seed,
    adapter: device.adapter,
    versions: versions(),
    seeds: [null],
    checkpoints: [],
    trained: [null],
  };
}

/** Refuses sets of different shapes, and logits of one image that another changes. */
async function checkFit(options: OwnAttack): Promise<void> {
  const { device, inDomain, outDomain, training, name = "own model" } = options;
  checkShapes(inDomain, outDomain);
  if (training) checkShapes(training, outDomain);
  if (!("logits" in options)) return;
  await checkLifted(device, { name, isLifted: false, logits: options.logits }, outDomain.shape);
}

function checkShapes(inDomain: ImageSet, outDomain: ImageSet): void {
  const [own, other] = [inDomain, outDomain].map(({ shape }) => `[${shape.join(", ")}]`);
  if (own === other) return;
  throw new UserError(
    `Cannot attack ${shortened(outDomain.name)} against ${
      shortened(inDomain.name)
    }: their images are ` +
      `${other} and ${own}; give two sets of one shape`,
  );
}

/** What determines a run: of the model, what it answered to the images as they were. */
async function specOf(
  options: OwnAttack,
  { inDomain, attacked, convolutions }: OwnAttackMade,
): Promise<RunSpec> {
  const { config, data } = statedOf(options);
  const adapter = { ...options.device.adapter };
  const both = [...inDomain ? [inDomain.answers] : [], attacked.clean];
  const answers = both.map(({ predictions }) => {
    const { buffer, byteOffset, byteLength } = predictions.logProbabilities;
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
  return {
    command: "attack",
    label: ownMode,
    config,
    identity: {
      options: config,
      models: [sha256Of(answers)],
      data,
      source: await sourceDigests(),
      versions: versions(),
      adapter,
      convolutions,
    },
    adapter,
    versions: versions(),
  };
}
