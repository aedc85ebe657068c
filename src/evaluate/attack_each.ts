/**
 * The attack on the same images by each of several objectives: side by side in one program, so that what they have
 * in common is compiled, traced and submitted once.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import type { Attackable, Objective } from "../attack/mod.ts";
import { concat, dim, halving, release, size, slice, type Tensor } from "../nn/mod.ts";
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

/** Images of a batch at once, in units of the job's: what each objective has of its own is a small part of the work. */
const wider = 1;

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
  const rows = Math.floor(wider * job.batchSize / objectives.length);
  return await halving(
    Math.min(Math.max(1, rows), length),
    (n) => sideBySide(job, sample, objectives, n),
    job.reporter,
    " for each score",
  );
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

/** As {@linkcode attackByEach}, in batches of n images for each objective: `[objectives, n]` of them. */
async function sideBySide(
  job: Omit<AttackJob, "set">,
  { of, index }: Sample,
  objectives: readonly Objective[],
  n: number,
): Promise<Float32Array[]> {
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
    const whole = { ...job, set, objective: joint(objectives), keep: placed.length };
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

/** Each of several objectives on its own share of a batch, in their order. */
function joint(objectives: readonly Objective[]): Objective {
  return {
    name: "each",
    about: "each of several objectives on images of its own",
    loss(model, images, options): Tensor {
      const n = dim(images, 0) / objectives.length;
      const at = shares(model, images, n);
      return concat(
        objectives.map((objective, i) => {
          const { own, seen } = at(i);
          return objective.loss(seen, own, options);
        }),
        0,
      );
    },
  };
}

/**
 * Shares of a batch, n images each, and the model as an objective of one share sees it: what it makes of these images
 * is taken from what it makes of the whole batch, which is traced once. No share's values are multiplied into
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
  const rows = (t: Tensor, at: number): Tensor =>
    slice(t, t.shape.map((_, axis) => axis === 0 ? at * n : 0), [n, ...t.shape.slice(1)]);
  return (at) => {
    const own = rows(images, at);
    const shared = (what: string, of: (x: Tensor) => Tensor) => (x: Tensor): Tensor =>
      x === own ? rows(once(what, () => of(images)), at) : of(x);
    return {
      own,
      seen: {
        logProbabilities: (x, draws) =>
          shared("answer", (all) => model.logProbabilities(all, draws))(x),
        confidenceLoss: (x, options) => model.confidenceLoss(x, options),
        ...model.logits && { logits: shared("logits", (x) => model.logits?.(x) ?? x) },
        ...model.features && { features: shared("features", (x) => model.features?.(x) ?? x) },
      },
    };
  };
}
