/**
 * The posterior of a trained model's last layer: one clean pass over training images on the device.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { shortened, shownValue, UserError } from "../base/errors.ts";
import { silent } from "../base/reporter.ts";
import { Laplace, laplace, type LaplaceOptions } from "../methods/laplace.ts";
import { type Answering, isImported, type Posterior } from "../methods/mod.ts";
import {
  compile,
  type Device,
  halving,
  input,
  type Program,
  release,
  type Tensor,
} from "../nn/mod.ts";
import { lastLayerOf } from "../scores/mod.ts";
import { explainPrograms } from "./explain.ts";
import { trainingAnswers } from "./fit_scores.ts";
import { evalBatch, type Job } from "./predict.ts";
import { chosen, evenSample, ResidentSet } from "./resident_set.ts";

/** How the pass is made. */
export type PosteriorJob = Pick<Job, "device" | "batchSize" | "reporter" | "explain">;

/** The images that a posterior was fitted on. */
export interface PosteriorImages {
  /** The set's name. */
  readonly name: string;
  /** How many of it. */
  readonly count: number;
}

/** Images by which logits are held to be a linear function of features, at most. */
const mostToTell = 5000;

/**
 * Fits a posterior on all images of a set; no labels are taken.
 *
 * @param training images that the model learned from, 1 or more
 * @throws UserError where the model has no posterior that can be computed
 */
export async function fitPosterior(
  job: PosteriorJob,
  posterior: Posterior,
  training: ImageSet,
): Promise<PosteriorImages> {
  const { device, reporter } = job;
  const { name, count } = training;
  const set = new ResidentSet(training);
  try {
    await halving(Math.min(job.batchSize, count), (n) => pass(job, posterior, set, n), reporter);
    const done = reporter.watch?.("Inverting the posterior's precision");
    await posterior.finish(device);
    done?.();
  } finally {
    release(device, set.parameters);
  }
  return { name, count };
}

/** Gathers every image of a set once, from the prior on. */
async function pass(
  { device, reporter, explain }: PosteriorJob,
  posterior: Posterior,
  set: ResidentSet,
  batch: number,
): Promise<void> {
  posterior.begin(device);
  using programs = new DisposableStack();
  /** A program for batches of a size: that of all but the last. */
  const sized = async (size: number): Promise<Program> => {
    const index = input([size]);
    const updates = posterior.gather(set.images(index));
    const made = await compile(device, { name: "posterior", inputs: [index], updates });
    return programs.use(made);
  };
  const whole = await sized(batch);
  const rest = set.count % batch;
  const last = rest === 0 ? whole : await sized(rest);
  await explainPrograms([whole], explain, reporter);
  const bar = reporter.progress("posterior", set.count);
  try {
    for (let start = 0; start < set.count; start += batch) {
      const size = Math.min(batch, set.count - start);
      const picks = Float32Array.from({ length: size }, (_, i) => start + i);
      (size === batch ? whole : last).run([picks]);
      // No more is waiting on the device than the bar tells.
      await device.idle();
      bar.update(start + size);
    }
  } finally {
    bar.stop();
  }
}

/**
 * Refuses a model whose last layer is not known to be one, unless its logits are a linear function of its features.
 *
 * @param model as messages call it
 * @param training images that the model learned from, of which at most 5,000 are taken, evenly spread
 * @throws UserError
 */
export async function checkLinear(
  job: PosteriorJob,
  model: string,
  { of }: Posterior,
  training: ImageSet,
): Promise<void> {
  const sample = chosen(training, evenSample(training.count, mostToTell));
  const found = lastLayerOf(await trainingAnswers(job, of, sample));
  if (typeof found === "object") return;
  throw new UserError(
    `Cannot put a Laplace approximation around "${shortened(model, 80)}": ${
      found === "not linear"
        ? `its logits are no linear function of its features; ${
          isImported(model)
            ? "name the node that its last linear layer takes by --features, or use --mode baseline"
            : "give what its last linear layer takes"
        }`
        : `${sample.count} images cannot tell whether its logits are a linear function of its features; ` +
          "give more training images than it has features"
    }`,
  );
}

/** A classifier of the user's own, and how Laplace's approximation is put around it. */
export interface LaplaceAround extends Partial<LaplaceOptions> {
  /** The GPU that the classifier's parameters are on. */
  readonly device: Device;
  /** Images `[B, C, H, W]` with pixels from 0 to 1, to logits `[B, K]`: a linear function of the features. */
  readonly logits: (images: Tensor) => Tensor;
  /** The same images to what the last linear layer takes, `[B, D]`; undefined, as of some files, is refused. */
  readonly features: ((images: Tensor) => Tensor) | undefined;
  /** The images that it learned from; no labels are taken. */
  readonly training: ImageSet;
  /** What messages call it; "own model" when not given. */
  readonly name?: string;
}

/**
 * A last-layer Laplace approximation around a classifier of the user's own, fitted: a model for `attackModel()`.
 *
 * @param options prior precision 1, probit and 100 samples where they are not given
 * @throws UserError where there is none: no features, too many, or logits that are no linear function of them; and for
 * options out of their range
 */
export async function laplaceAround(
  { device, logits, features, training, name = "own model", ...options }: LaplaceAround,
): Promise<Answering> {
  const own = { name, imageShape: training.shape, logits, ...features && { features } };
  const model = new Laplace(own, checkedOptions(name, options));
  const explain = { explain: false, time: false };
  const job = { device, batchSize: evalBatch, reporter: silent, explain };
  await checkLinear(job, name, model, training);
  await fitPosterior(job, model, training);
  return model;
}

/** Options with what is usual for those that are not given; refuses what a program without types may give. */
function checkedOptions(name: string, options: Partial<LaplaceOptions>): LaplaceOptions {
  const { hyperparameters, differences } = laplace;
  const facts = { ...hyperparameters, ...differences };
  const {
    priorPrecision = facts.priorPrecision.default,
    laplacePrediction = facts.laplacePrediction.paper,
    laplaceSamples = facts.laplaceSamples.paper,
  } = options;
  const refuse = (what: string, value: unknown, known: string): never => {
    throw new UserError(
      `Cannot put a Laplace approximation around "${shortened(name, 80)}" with ${what} ${
        shownValue(value)
      }: give ${known}`,
    );
  };
  const within = (what: "priorPrecision" | "laplaceSamples", value: number): void => {
    const { min, max } = facts[what];
    const whole = what === "laplaceSamples";
    const fits = whole ? Number.isInteger(value) : Number.isFinite(value);
    if (fits && value >= min && value <= max) return;
    refuse(what, value, `a ${whole ? "whole " : ""}number from ${min} to ${max}`);
  };
  within("priorPrecision", priorPrecision);
  within("laplaceSamples", laplaceSamples);
  const { values } = facts.laplacePrediction;
  if (!values.includes(laplacePrediction)) {
    refuse("laplacePrediction", laplacePrediction, values.join(" or "));
  }
  return { priorPrecision, laplacePrediction, laplaceSamples };
}
