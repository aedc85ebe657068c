/**
 * The attack on the same images by each of several objectives: side by side in one program, so that what they have
 * in common is compiled, traced and submitted once.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import type { Attackable, Objective } from "../attack/mod.ts";
import { concat, dim, halving, logSoftmax, release, size, slice, type Tensor } from "../nn/mod.ts";
import { attackInBatches, attackSet } from "./attack_set.ts";
import { chosen, ResidentSet } from "./resident_set.ts";
import type { AttackJob } from "./trace_part.ts";

/** Images that are attacked by each of several objectives. */
export interface Sample {
  /** The set that they are of. */
  readonly of: ImageSet;
  /** Their numbers in it. */
  readonly index: Uint32Array;
}

/**
 * Attacks images by each of several objectives. Each attack is what it is by itself, to f32's rounding: of a model that
 * has logits, which answers to an image whatever stands beside it, a batch holds its images once for every
 * objective; of any other the attacks are made one after the other. A published start draws its noise by an image's
 * place in the batch, as ever.
 *
 * @param job on one part; what it says of an objective is passed over
 * @returns the attacked images `[N, C, H, W]` by each objective
 */
export async function attackByEach(
  job: Omit<AttackJob, "set" | "objective">,
  sample: Sample,
  objectives: readonly Objective[],
): Promise<Float32Array[]> {
  const [model, ...others] = job.subject.attacked;
  if (!model || others.length > 0) throw new Error("Unreachable: images that are not of one part");
  if (model.logits === undefined || objectives.length < 2) {
    return await oneByOne(job, sample, objectives);
  }
  const { length } = sample.index;
  const most = Math.max(1, Math.floor(job.batchSize / objectives.length));
  // No batch holds more than a batch of the job, and all of them as many as each other.
  const n = Math.ceil(length / Math.ceil(length / most));
  const groups = groupsOf(objectives);
  const made = await halving(
    n,
    (n) => sideBySide(job, sample, groups, n),
    job.reporter,
    " for each objective",
  );
  const order = groups.flat();
  return objectives.map((objective) => made[order.indexOf(objective)] ?? new Float32Array());
}

async function oneByOne(
  job: Omit<AttackJob, "set">,
  { of, index }: Sample,
  objectives: readonly Objective[],
): Promise<Float32Array[]> {
  const set = new ResidentSet(chosen(of, index), index);
  const made: Float32Array[] = [];
  try {
    for (const objective of objectives) {
      const { examples } = await attackSet({ ...job, set, objective, keep: index.length });
      made.push(examples.adversarial);
    }
  } finally {
    release(job.device, set.parameters);
  }
  return made;
}

/** As {@linkcode attackByEach}, in the order of the groups, in batches of n images for each objective. */
async function sideBySide(
  job: Omit<AttackJob, "set">,
  { of, index }: Sample,
  groups: readonly (readonly Objective[])[],
  n: number,
): Promise<Float32Array[]> {
  const objectives = groups.flat();
  const batches = Math.ceil(index.length / n);
  // The last batch is filled up with the last image, so that all are of one shape.
  const placed = Array.from(
    { length: batches },
    (_, batch) =>
      objectives.flatMap(() =>
        Array.from({ length: n }, (_, i) => index[Math.min(batch * n + i, index.length - 1)] ?? 0)
      ),
  ).flat();
  const set = new ResidentSet(chosen(of, placed), placed);
  try {
    const batch = objectives.length * n;
    const whole = { ...job, set, objective: joint(groups), keep: placed.length };
    const { examples: { adversarial } } = await attackInBatches(whole, batch);
    const image = size(of.shape);
    return objectives.map((_, at) => {
      const own = new Float32Array(index.length * image);
      for (let i = 0; i < index.length; i++) {
        const row = (Math.floor(i / n) * objectives.length + at) * n + i % n;
        own.set(adversarial.subarray(row * image, (row + 1) * image), i * image);
      }
      return own;
    });
  } finally {
    release(job.device, set.parameters);
  }
}

/** Objectives of features, of logits or probabilities, and of both: each group has one pass through what it needs. */
function groupsOf(objectives: readonly Objective[]): Objective[][] {
  const groups = new Map<string, Objective[]>();
  for (const objective of objectives) {
    const features = objective.needs?.includes("features");
    const key = !features ? "logits" : objective.needs?.includes("logits") ? "both" : "features";
    groups.set(key, [...groups.get(key) ?? [], objective]);
  }
  return [...groups.values()];
}

/** Each of several objectives on its own share of a batch, group after group. */
function joint(groups: readonly (readonly Objective[])[]): Objective {
  const count = groups.flat().length;
  return {
    name: "each",
    about: "each of several objectives on images of its own",
    loss(model, images, options): Tensor {
      const n = dim(images, 0) / count;
      let done = 0;
      const losses = groups.flatMap((group) => {
        const of = rowsOf(images, done, group.length * n);
        done += group.length * n;
        const share = shares(model, of, n);
        return group.map((objective, at) => {
          const { own, seen } = share(at);
          return objective.loss(seen, own, options);
        });
      });
      return concat(losses, 0);
    },
  };
}

/** So many rows from one on. */
function rowsOf(t: Tensor, start: number, count: number): Tensor {
  return slice(t, t.shape.map((_, axis) => axis === 0 ? start : 0), [count, ...t.shape.slice(1)]);
}

/**
 * Shares of a group's images, n each, and the model as an objective of one share sees it: what it makes of these images
 * is taken from what it makes of all of the group, which is traced once. No share's values are multiplied into
 * another's, so that what is no number stays in its own.
 */
function shares(
  model: Attackable,
  images: Tensor,
  n: number,
): (at: number) => { readonly own: Tensor; readonly seen: Attackable } {
  const made = new Map<string, Tensor>();
  const once = (what: string, make: () => Tensor): Tensor => {
    const found = made.get(what) ?? make();
    made.set(what, found);
    return found;
  };
  return (at) => {
    const own = rowsOf(images, at * n, n);
    const shared = (what: string, of: (x: Tensor) => Tensor) => (x: Tensor): Tensor =>
      x === own ? rowsOf(once(what, () => of(images)), at * n, n) : of(x);
    const logits = shared("logits", (x) => model.logits?.(x) ?? x);
    return {
      own,
      seen: {
        // The numbers whose softmax the probabilities are, so that one pass gives both.
        logProbabilities: (x) => logSoftmax(logits(x)),
        confidenceLoss: (x, options) => model.confidenceLoss(x, options),
        logits,
        ...model.features && { features: shared("features", (x) => model.features?.(x) ?? x) },
      },
    };
  };
}
