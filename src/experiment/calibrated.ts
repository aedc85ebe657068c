/**
 * Temperature scaling of a run: half of the in-domain test images fit the temperature, and every figure is of the
 * other half.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import type { Reporter } from "../base/reporter.ts";
import { knownLabels, predict } from "../evaluate/predict.ts";
import { chosen } from "../evaluate/resident_set.ts";
import { atTemperature, calibration } from "../measure/calibration.ts";
import { finite } from "../measure/evidence.ts";
import { nll, type Predictions } from "../measure/metrics.ts";
import type { FitResult, TemperatureResult } from "../measure/results.ts";
import { counted } from "../measure/shown.ts";
import { temperatureScaled } from "../methods/mod.ts";
import { Random, release } from "../nn/mod.ts";
import { temperatureOf } from "../scores/mod.ts";
import { job } from "./common.ts";
import type { Setup } from "./setup.ts";
import type { Workbench } from "./workbench.ts";

/** A temperature, and what it was fitted on. */
export type Temperature = Pick<TemperatureResult, "value" | "set">;

/** A workbench whose subject answers at the temperature that its test images fit. */
export interface Calibrated {
  /** As it was where no temperature is asked for. */
  readonly bench: Workbench;
  /** Undefined where none is asked for. */
  readonly temperature: Temperature | undefined;
  /** Reads the in-domain test images that figures are of: none that the temperature was fitted on. */
  readonly test: () => Promise<ImageSet>;
}

/** Images that a temperature is fitted on, at least. */
const fewest = 20;

/**
 * Refuses test images that no temperature can be fitted on, before a model is trained.
 *
 * @throws UserError
 */
export async function checkTemperature(bench: Pick<Setup, "config" | "sets">): Promise<void> {
  if (bench.config.temperatureScaling) halvesOf(await testSetOf(bench), bench.config.seed);
}

/**
 * Fits the temperature that a run asks for, by what its loaded models answer; as sampling methods do, by the draws
 * of an evaluation.
 *
 * @throws UserError when the test images have no labels, are too few, or no temperature makes their labels likeliest
 */
export async function calibratedBench(bench: Workbench, reporter: Reporter): Promise<Calibrated> {
  const { config, device, subject } = bench;
  if (!config.temperatureScaling) {
    return { bench, temperature: undefined, test: () => testSetOf(bench) };
  }
  const { fit, rest } = halvesOf(await testSetOf(bench), config.seed);
  const work = job(bench, fit, reporter);
  try {
    const { predictions } = await predict(work);
    const value = fitted(fit, predictions);
    return {
      bench: { ...bench, subject: temperatureScaled(subject, value) },
      temperature: { value, set: { name: fit.name, count: fit.count } },
      test: () => Promise.resolve(rest),
    };
  } finally {
    release(device, work.set.parameters);
  }
}

/** The scaled answers to the images that figures in-domain are of. */
interface Scaled {
  readonly answers: { readonly predictions: Predictions };
  readonly work: { readonly set: { readonly set: Pick<ImageSet, "labels"> } };
}

/**
 * What a document says of a temperature: what it is, and what it did on the images that it was not fitted on; nothing
 * where none was asked for.
 */
export function temperatureFacts(
  temperature: Temperature | undefined,
  scaled: Scaled | undefined,
): { readonly temperature?: TemperatureResult } {
  if (!temperature || !scaled) return {};
  const { answers: { predictions }, work: { set: { set: { labels } } } } = scaled;
  const fit = (of: Predictions): FitResult => ({
    nll: finite(nll(of, labels)),
    ece: finite(calibration(of, labels).ece),
  });
  const unscaled = fit(atTemperature(predictions, 1 / temperature.value));
  return { temperature: { ...temperature, unscaled, scaled: fit(predictions) } };
}

/** The in-domain test images, as --limit leaves them. */
async function testSetOf({ config, sets }: Pick<Setup, "config" | "sets">): Promise<ImageSet> {
  return await sets.inDomain.images("test", config.limit);
}

/**
 * Images to fit a temperature on, drawn at random, and the others; both in the order they had.
 *
 * @throws UserError when they have no labels, or are too few
 */
export function halvesOf(
  set: ImageSet,
  seed: number,
): { readonly fit: ImageSet; readonly rest: ImageSet } {
  if (set.labelled === false) {
    throw cannot(set, "nothing says what its images show", "give a set with labels");
  }
  const half = Math.floor(set.count / 2);
  if (half < fewest) {
    throw cannot(
      set,
      `half of its ${counted(set.count, "image")} is less than ${fewest}`,
      "take more images",
    );
  }
  const order = new Random(seed).fork("calibration").permutation(set.count);
  return {
    fit: chosen(set, order.subarray(0, half).toSorted()),
    rest: chosen(set, order.subarray(half).toSorted()),
  };
}

/** The temperature of answers to labelled images. */
function fitted(
  set: ImageSet,
  { logProbabilities, classes: width }: Awaited<ReturnType<typeof predict>>["predictions"],
): number {
  knownLabels(set, width);
  const values = Float64Array.from(logProbabilities);
  const impossible = Array.from(set.labels).filter((label, row) =>
    !Number.isFinite(values[row * width + label])
  );
  if (impossible.length > 0) {
    throw cannot(
      set,
      `to ${
        counted(impossible.length, "label")
      } the model gives a probability of exactly 0, or no number`,
    );
  }
  const value = temperatureOf({ width, values }, set.labels);
  if (value !== undefined) return value;
  throw cannot(
    set,
    "no temperature makes its labels likeliest, as where every image is classified rightly or by chance",
  );
}

function cannot(
  { name }: ImageSet,
  state: string,
  remedy = "take other images, or a better model",
): UserError {
  return new UserError(
    `Cannot fit a temperature on ${
      shortened(name)
    }: ${state}; ${remedy}, or leave out --temperature-scaling`,
  );
}
