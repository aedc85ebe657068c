/**
 * Class means of a model's features over training images, for objectives that ask how near an image is to them.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { compile, dim, halving, input, Parameter, release } from "../nn/mod.ts";
import { type AttackJob, knownObjective } from "./attack_set.ts";
import { explainPrograms } from "./explain.ts";
import type { Job } from "./predict.ts";
import { batches, chosen, evenSample, ResidentSet } from "./resident_set.ts";

/** Images that means are taken over, at most. */
const most = 5000;

/**
 * The means of a model's features over the images of each class: of at most 5,000 images, evenly spread, with
 * sums in f64.
 *
 * @param training images that the model learned from, with their classes
 * @returns `[M, D]` of each part of the subject, in order, M the classes that these images show; to be released
 * @throws UserError when there are no images, or a part gives no features `[B, D]`
 */
export async function classMeans(
  job: Omit<Job, "set" | "seed">,
  training: ImageSet,
): Promise<Parameter[]> {
  if (training.count === 0) {
    throw new UserError(
      `Cannot take class means of ${
        shortened(training.name)
      }: it has no images; give a set with at ` +
        "least one",
    );
  }
  if (training.labelled === false) {
    throw new UserError(
      `Cannot take class means of ${
        shortened(training.name)
      }: nothing says what its images show; give a set with labels`,
    );
  }
  const sample = chosen(training, evenSample(training.count, most));
  const set = new ResidentSet(sample);
  try {
    const batch = Math.min(job.batchSize, set.count);
    const features = await halving(batch, (n) => featuresOf(job, set, n), job.reporter);
    return features.map((of) => meansOf(of, sample.labels));
  } finally {
    release(job.device, set.parameters);
  }
}

/**
 * The class means that an attack needs by its objective.
 *
 * @param training gives the images to take them over, if there are any; asked where they are needed only
 * @returns a part of the job; empty where it needs none
 * @throws UserError when there are no such images, or the model cannot give the objective
 */
export async function meansFor(
  job: AttackJob,
  training: () => Promise<ImageSet | undefined>,
): Promise<Pick<AttackJob, "means">> {
  const { objective, subject, target } = job;
  if (!objective?.means) return {};
  for (const part of subject.attacked) knownObjective(objective, part, target);
  const set = await training();
  if (set) return { means: await classMeans(job, set) };
  throw new UserError(
    `Cannot attack by the objective "${
      shortened(objective.name)
    }": it needs images that the model ` +
      "learned from; give them as `training`",
  );
}

/** Features of N images, `[N, width]`. */
interface FeatureRows {
  readonly width: number;
  readonly values: Float32Array;
}

/** What each part of a subject makes of a set. */
async function featuresOf(
  { device, subject, explain, reporter }: Omit<Job, "set" | "seed">,
  set: ResidentSet,
  batch: number,
): Promise<FeatureRows[]> {
  const index = input([batch]);
  const images = set.images(index);
  const features = subject.attacked.map((part) => {
    const found = part.features?.(images);
    if (found?.shape.length === 2 && found.shape[0] === batch) return found;
    throw new UserError(
      `Cannot take class means of ${
        found
          ? `features [${found.shape.join(", ")}] of ${batch} images`
          : "a model without features"
      }: give one row an image`,
    );
  });
  using program = await compile(device, { name: "features", inputs: [index], records: features });
  await explainPrograms([program], explain, reporter);
  for (const { index } of batches(set.count, batch)) program.run([index]);
  const recorded = await program.drain();
  return features.map((of, i) => ({
    width: dim(of, 1),
    values: recorded[i] ?? new Float32Array(),
  }));
}

/** Means of the rows of each class that there is, in the classes' order: `[M, width]`. */
function meansOf({ width, values }: FeatureRows, labels: ArrayLike<number>): Parameter {
  const sums = new Map<number, { count: number; readonly total: Float64Array }>();
  Array.from(labels).forEach((label, row) => {
    const sum = sums.get(label) ?? { count: 0, total: new Float64Array(width) };
    sums.set(label, sum);
    sum.count++;
    for (let i = 0; i < width; i++) {
      sum.total[i] = (sum.total[i] ?? 0) + (values[row * width + i] ?? NaN);
    }
  });
  const rows = [...sums].sort(([a], [b]) => a - b).flatMap(([, { count, total }]) =>
    Array.from(total, (value) => value / count)
  );
  return new Parameter([sums.size, width], Float32Array.from(rows));
}
