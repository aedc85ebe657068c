/**
 * Everything that determines a run, checked once at the door.
 *
 * @module
 */
import { z } from "zod";
import { setNames } from "../../data/mod.ts";
import { shortened, shownValue, UserError } from "../base/errors.ts";
import { gpKernels, type MethodName, methods, networkOf } from "../methods/mod.ts";
import {
  type Procedure,
  procedureOf,
  type ProtocolOption,
  protocolOptions,
} from "../methods/protocol.ts";

/** The modes there are. */
export const modes = Object.keys(methods) as [MethodName, ...MethodName[]];

/** Thresholds of the rejection rate. */
export const thresholds = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] as const;

const fraction = z.number().min(0).max(1);
const count = z.int().min(1);
const batch = z.int().min(1).max(65536);

/** One optional entry for each difference between the protocols. */
const entries: Record<string, z.ZodType> = Object.fromEntries(
  Object.entries<ProtocolOption>(protocolOptions).map(([name, option]) => {
    const value = "values" in option
      ? z.enum(option.values)
      : (option.whole ? z.int() : z.number()).min(option.min).max(option.max);
    return [name, value.optional()];
  }),
);
const differences = entries as {
  [K in keyof Procedure]: z.ZodOptional<z.ZodType<Procedure[K], Procedure[K]>>;
};

/** The schema of {@linkcode RunConfig}: units, ranges and defaults of every option. */
export const runConfigSchema = z.strictObject({
  /** Method of uncertainty estimation. */
  mode: z.enum(modes),
  /** Network; the method's first one when not given. */
  model: z.string().optional(),
  /** Set that models are trained and tested on; what the network was published with when not given. */
  inDomain: z.enum(setNames).optional(),
  /** Set that models are evaluated on and attacked with; what the network was published with when not given. */
  outDomain: z.enum(setNames).optional(),
  /** The published procedure with its faults, or without them. */
  protocol: z.enum(["paper", "corrected"]).default("paper"),
  /** Seed of every random number of the run, 0 to 2^53 - 1; a model that is named has its own behind it. */
  seed: z.int().min(0).default(0),
  /**
   * Passes over the training set: 80 for `train`; where an attack or an evaluation has to train first,
   * as many as the checkpoint was to have, else 10 (20 on the embedded data).
   */
  epochs: count.optional(),
  /** Images in a step of evaluation or attack; 200 when not given. */
  batchSize: batch.optional(),
  /** Images in a training step; 256 when not given. */
  trainBatchSize: batch.optional(),
  /** Images that go through the network at once in training; as many as the GPU holds when not given. */
  microBatch: batch.optional(),
  /** Whether ResNet-18 learns from random crops and mirror images, as published; LeNet never does. */
  augmentation: z.boolean().default(true),
  /** Learning rate at the start; x 0.1 from epoch 30 and again from epoch 60 on. */
  lr: z.number().positive().default(0.01),
  momentum: z.number().min(0).max(1).default(0.9),
  /** L2 penalty on every parameter. */
  weightDecay: z.number().min(0).default(1e-4),
  /**
   * Radius of adversarial training (pixels are in [0, 1]): that of a checkpoint that says it, else 0.1 for
   * LeNet, 0.016 for ResNet-18.
   */
  epsilon: fraction.optional(),
  /** Radius of the attack (pixels are in [0, 1]): 0.1 for LeNet, 0.016 for ResNet-18. */
  epsilonAttack: fraction.optional(),
  /**
   * Members of an ensemble, of the seeds `seed`, `seed + 1`, ...: as many as there are checkpoints, else
   * 10 (on the embedded data 3, or 2 that are adversarially trained).
   */
  numEnsembles: count.optional(),
  /**
   * Weight of DUQ's gradient penalty: 0.3 for `train`; an evaluation or an attack takes what was
   * trained, else 0.1.
   */
  lambdaReg: z.number().min(0).optional(),
  /** Inducing points of DUE, 512 at most (the kernels factorise no larger matrix): those of a checkpoint that says how many it has, else 10. */
  nInducingPoints: count.max(512).optional(),
  /** Kernel of DUE's Gaussian process: that of a checkpoint that says which it has, else RBF. */
  kernel: z.enum(gpKernels).optional(),
  /** Iterations of pgd. */
  steps: count.max(10_000).default(10),
  /** Class that the attack steers to; the model's own prediction when not given. */
  targeted: z.int().min(0).optional(),
  /** Folder of the data sets; the embedded data when not given and not found in ./Data. */
  dataPath: z.string().optional(),
  /** Folder that checkpoints go to. */
  savePath: z.string().default("trained_models"),
  /**
   * Checkpoints to use instead of those under savePath, also `.checkpoint`s of PyTorch: one a member.
   * `{seed}` in a path stands for each member's seed.
   */
  checkpoint: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  /**
   * Images of each set: the first N, of a set in folders the first N/10 of each. A training learns from them
   * too; an attack or an evaluation takes a model that was trained on all images where there is one.
   */
  limit: count.optional(),
  /** Keep every attacked image with the run. */
  saveImages: z.boolean().default(false),
  /** Print what the compiled programs do and cost. */
  explain: z.boolean().default(false),
  /** Print what each dispatch of the compiled programs takes on the device. */
  time: z.boolean().default(false),
  ...differences,
});

/** The configuration of a run: what was chosen, defaults filled in. */
export type RunConfig = Readonly<
  z.infer<typeof runConfigSchema> & { epsilonAttack: number }
>;

/** How a configuration's experiment is run: its protocol with the options that were chosen otherwise. */
export function procedureFor(config: RunConfig): Procedure {
  return procedureOf(config.protocol, config);
}

/** The checkpoints that were named, if any were. */
export function checkpointsOf({ checkpoint }: RunConfig): readonly string[] | undefined {
  return typeof checkpoint === "string" ? [checkpoint] : checkpoint;
}

/** How many checkpoints were named, one a member; undefined where one path stands for each of them, or none does. */
export function listedMembers(config: RunConfig): number | undefined {
  const [first, ...others] = checkpointsOf(config) ?? [];
  const template = others.length === 0 && first?.includes("{seed}");
  return first === undefined || template ? undefined : 1 + others.length;
}

/**
 * How many members an ensemble was asked to have, in so many words or by as many checkpoints; undefined where
 * neither says it.
 */
export function membersOf(config: RunConfig): number | undefined {
  return config.numEnsembles ?? listedMembers(config);
}

/** What a caller gives: `mode`, and whatever should differ from the defaults. */
export type RunOptions = z.input<typeof runConfigSchema>;

/**
 * Checks options and fills in defaults. Sets that the network was published with are left out: named or not,
 * the run is the same one.
 *
 * @throws UserError naming the first option that is out of range
 */
export function runConfig(options: RunOptions): RunConfig {
  const parsed = runConfigSchema.safeParse(options);
  if (parsed.success) {
    const { inDomain, outDomain, ...rest } = parsed.data;
    const { mode, model = methods[mode].models[0] ?? "" } = rest;
    const network = networkOf(model);
    const { epsilonAttack = network.epsilon } = rest;
    return Object.freeze({
      ...rest,
      ...(inDomain === undefined || inDomain === network.inDomain ? {} : { inDomain }),
      ...(outDomain === undefined || outDomain === network.outDomain ? {} : { outDomain }),
      epsilonAttack,
    });
  }
  const [issue] = parsed.error.issues;
  const path = issue?.path.join(".") ?? "";
  const given = Object.entries(options).find(([key]) => key === path)?.[1];
  throw new UserError(
    `Cannot run with ${shortened(path) || "these options"}${
      given === undefined ? "" : ` = ${shownValue(given)}`
    }: ${shortened(issue?.message ?? "not valid")}`,
  );
}
