/**
 * Posteriors of trained models where a run uses them: fitted on the images that each model learned from.
 *
 * @module
 */
import { type ImageSet, limit } from "../../data/mod.ts";
import { sha256Of } from "../base/digest.ts";
import { shortened } from "../base/errors.ts";
import type { Reporter } from "../base/reporter.ts";
import type { NamedArray } from "../checkpoint/safetensors.ts";
import type { Statement } from "../checkpoint/statement.ts";
import { checkLinear, fitPosterior, type PosteriorImages } from "../evaluate/fit_posterior.ts";
import { chosen } from "../evaluate/resident_set.ts";
import type { Posterior, Subject } from "../methods/mod.ts";
import type { Device } from "../nn/mod.ts";
import { checkpointsOf, evalBatch } from "./config.ts";
import type { PosteriorResult } from "./results.ts";
import { partsFor } from "./selection.ts";
import type { Setup } from "./setup.ts";

/** The posterior of a model, and the images that it was fitted on. */
export interface FittedPosterior {
  /** The images that the model learned from, as far as that is known. */
  readonly images: PosteriorImages;
  /** `[K, D + 1, D + 1]` of K classes and D features, in f32. */
  readonly precision: { readonly shape: readonly number[]; readonly data: Float32Array };
}

/** A set-up with what it uses. */
interface Used extends Setup {
  readonly device: Device;
  readonly subject: Subject;
}

/**
 * Refuses models around which there is no posterior that can be computed, before any is trained.
 *
 * @param subject of models that are not to be trained: they are traced
 * @throws UserError
 */
export function checkPosteriors({ posteriors = [] }: Subject): void {
  for (const { precision } of posteriors) precision.shape;
}

/**
 * Fits the posterior of every model of a run, one after the other.
 *
 * @param statements what the models' files say of their trainings, one a model
 * @returns one a model; none where the method has no posteriors
 * @throws UserError when one cannot be computed, or there are no such images
 */
export async function fitPosteriors(
  setup: Used,
  statements: readonly (Statement | undefined)[],
  reporter: Reporter,
): Promise<FittedPosterior[]> {
  const { config, device, subject: { posteriors = [] }, imported } = setup;
  const job = { device, batchSize: config.batchSize ?? evalBatch, reporter, explain: config };
  const fitted: FittedPosterior[] = [];
  for (const [i, posterior] of posteriors.entries()) {
    const training = await learnedFrom(setup, statements[i], reporter);
    if (imported) await checkLinear(job, imported[i]?.name ?? "", posterior, training);
    fitted.push(await fittedOn(job, posterior, training));
  }
  return fitted;
}

async function fittedOn(
  job: Parameters<typeof fitPosterior>[0],
  posterior: Posterior,
  training: ImageSet,
): Promise<FittedPosterior> {
  const images = await fitPosterior(job, posterior, training);
  const { shape, data } = posterior.precision;
  return { images, precision: { shape, data: Float32Array.from(data) } };
}

/**
 * The images that a model learned from: of a training of the run its own, of a file as many as it says, else all that
 * the in-domain set has to train on; without those that its best epoch was chosen by, where these are among them.
 * `--limit` is for other images.
 */
async function learnedFrom(
  { config, sets, trainingSet }: Setup,
  statement: Statement | undefined,
  reporter: Reporter,
): Promise<ImageSet> {
  const given = checkpointsOf(config) !== undefined;
  const whole = given ? await sets.inDomain.images("train") : await trainingSet();
  if (!statement) return whole;
  const { data, procedure, seed } = statement;
  const set = firstOf(whole, data.count);
  if (set.sha256 !== data.sha256) {
    reporter.note(
      `The posterior is fitted on ${set.count} images of ${shortened(set.name)}, not the ` +
        `${data.count} of ${shortened(data.name)} that the model learned from: they are not there`,
    );
    // None of them chose an epoch.
    return set;
  }
  const { learn, held } = partsFor(procedure["selection"], seed, set);
  return held.length === 0 ? set : chosen(set, learn);
}

/** As many of a set's first images as some --limit left of it. */
function firstOf(set: ImageSet, count: number): ImageSet {
  let [n, found] = [count, limit(set, count)];
  // Of folders that hold fewer than their share, a limit leaves fewer than it says.
  while (found.count < Math.min(count, set.count)) {
    n += count - found.count;
    found = limit(set, n);
  }
  return found;
}

/** The images that named models were taught, with those that their best epochs were chosen by: of all models together. */
export async function taughtBy(
  { sets, statements }: Pick<Setup, "sets" | "statements">,
): Promise<ImageSet> {
  const whole = await sets.inDomain.images("train");
  return firstOf(whole, Math.max(...statements.map((of) => of?.data.count ?? whole.count)));
}

/** What a document says of posteriors; undefined where there are none. */
export function posteriorResult(
  fitted: readonly FittedPosterior[],
): PosteriorResult | undefined {
  if (fitted.length === 0) return undefined;
  const digest = sha256Of(
    fitted.flatMap(({ precision: { shape, data } }) => [
      JSON.stringify(shape),
      new Uint8Array(Float32Array.from(data).buffer),
    ]),
  );
  return { training: fitted.map(({ images }) => images), digest };
}

/** Bytes of precisions that are kept with a run, at most. */
const mostKept = 16 * 2 ** 20;

/** The precisions, in f32, as `member_1.precision`; none where there are none, or they are larger than 16 MiB. */
export function posteriorArchive(
  fitted: readonly FittedPosterior[],
): Readonly<Record<string, ReadonlyMap<string, NamedArray>>> {
  const bytes = fitted.reduce((sum, { precision: { data } }) => sum + 4 * data.length, 0);
  if (bytes === 0 || bytes > mostKept) return {};
  const arrays = fitted.map(({ precision }, i) =>
    [`member_${i + 1}.precision`, precision] as const
  );
  return { posterior: new Map(arrays) };
}
