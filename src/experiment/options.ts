/**
 * The options of a run, and what they come to.
 *
 * @module
 */
import type { DataPath, SetName } from "../../data/mod.ts";
import type { Direction, InitName, NormName, ObjectiveName, Side } from "../attack/mod.ts";
import type { BatteryName } from "./batteries.ts";
import type { ModulePath } from "../base/module.ts";
import type { Hyperparameters, MethodName } from "../methods/mod.ts";
import type { Procedure, Protocol } from "../methods/protocol.ts";

/** Differences between the protocols that are chosen otherwise than the protocol has them. */
export type ChosenDifferences = { readonly [K in keyof Procedure]?: Procedure[K] | undefined };

/** Hyper-parameters of the methods' own that are chosen: each method's file says what they are where they are not. */
export type ChosenHyperparameters = {
  readonly [K in keyof Hyperparameters]?: Hyperparameters[K] | undefined;
};

/** What a caller gives: `mode`, and whatever should differ from the defaults. */
export interface RunOptions extends ChosenDifferences, ChosenHyperparameters {
  /** Method of uncertainty estimation. */
  readonly mode: MethodName;
  /** Network; the method's first one when not given. */
  readonly model?: string | undefined;
  /**
   * Files of classifiers, .onnx, in the place of network and checkpoint: one for the mode `baseline`, several for
   * `deep_ensemble`.
   */
  readonly modelFile?: string | readonly string[] | undefined;
  /** The input of such a file that takes the images; the only one when not given. */
  readonly input?: string | undefined;
  /** Its output, or any node of it, that gives the logits; the only output when not given. */
  readonly output?: string | undefined;
  /** The node or value that gives its features; what the last linear layer takes when not given. */
  readonly features?: string | undefined;
  /** What is done to pixels first, `mean=0.1307,std=0.3081`, of several channels `mean=0.49:0.48:0.45,...`. */
  readonly preprocess?: string | undefined;
  /**
   * Set that models are trained and tested on, or the path of images of the user's own; what the network was published
   * with when not given; `none` where there are no such images, and a trained model is attacked without.
   */
  readonly inDomain?: SetName | DataPath | "none" | undefined;
  /** The same of what models are evaluated on and attacked with. */
  readonly outDomain?: SetName | DataPath | undefined;
  /** File of the class names of images of the user's own in-domain; the sorted names of their folders when not given. */
  readonly labels?: string | undefined;
  /** Whether images of the user's own are resized to what the network takes; not when not given. */
  readonly resize?: boolean | undefined;
  /** The published procedure with its faults, or without them; `paper` when not given. */
  readonly protocol?: Protocol | undefined;
  /**
   * Seed of every random number of the run, 0 to 2^53 - 1; a model that is named has its own behind it.
   * 0 when not given.
   */
  readonly seed?: number | undefined;
  /**
   * Passes over the training set: 80 for `train`; where an attack or an evaluation has to train first,
   * as many as the checkpoint was to have, else 10 (20 on the embedded data).
   */
  readonly epochs?: number | undefined;
  /** Images in a step of evaluation or attack, 1 to 65536; 200 when not given. */
  readonly batchSize?: number | undefined;
  /** Images in a training step, 1 to 65536; 256 when not given. */
  readonly trainBatchSize?: number | undefined;
  /** Images that go through the network at once in training; as many as the GPU holds when not given. */
  readonly microBatch?: number | undefined;
  /** Whether ResNet-18 learns from random crops and mirror images, as published (the default); LeNet never does. */
  readonly augmentation?: boolean | undefined;
  /** Learning rate at the start, above 0; x 0.1 from epoch 30 and again from epoch 60 on. 0.01 when not given. */
  readonly lr?: number | undefined;
  /** Momentum of the optimiser, 0 to 1; 0.9 when not given. */
  readonly momentum?: number | undefined;
  /** L2 penalty on every parameter, 0 or more; 1e-4 when not given. */
  readonly weightDecay?: number | undefined;
  /**
   * Radius of the attack in its norm, 0 to 1000; pixels are in [0, 1]. In L-infinity 1 at most, and 0.1 for LeNet,
   * 0.016 for ResNet-18 when not given; in another norm it has to be given.
   */
  readonly epsilonAttack?: number | undefined;
  /**
   * Members of an ensemble, of the seeds `seed`, `seed + 1`, ...: as many as there are checkpoints, else
   * 10 (on the embedded data 3, or 2 that are adversarially trained).
   */
  readonly numEnsembles?: number | undefined;
  /**
   * What the attack lowers, or the path of a module that makes it: what the method's published attack does when
   * not given, of apgd `logProbability`.
   */
  readonly objective?: ObjectiveName | ModulePath | undefined;
  /** Whether the attack makes the model surer or less sure; `over` out-domain and `under` in-domain when not given. */
  readonly direction?: Direction | undefined;
  /** Which images are attacked; those out-domain when not given, by a battery both. */
  readonly on?: Side | undefined;
  /** Whether an image that would change its predicted class counts as not attacked; not when not given. */
  readonly keepLabel?: boolean | undefined;
  /** Whether the checks that cost as much as the attack itself are made, too; not when not given. */
  readonly thorough?: boolean | undefined;
  /** Where the attack starts; as published when not given. */
  readonly init?: InitName | undefined;
  /** Further runs from random points of the ball, 0 to 100; none when not given. */
  readonly restarts?: number | undefined;
  /** Draws of a step's loss, 1 to 1000, where a method samples; 1 when not given. */
  readonly eot?: number | undefined;
  /** Attacks one after the other, of which every image gets the worst; one attack when not given. */
  readonly battery?: BatteryName | undefined;
  /** Whether every attack of a battery sees every image, or those alone that some score still tells; `full` when not given. */
  readonly batteryMode?: "full" | "threshold" | undefined;
  /**
   * Scores of `src/scores` by which images are told apart besides, each attacked by itself too: `all`, or names with
   * commas between them; none when not given.
   */
  readonly scores?: string | undefined;
  /**
   * Whether the answer is calibrated by a temperature, which is fitted on half of the in-domain test images: figures are
   * then of the other half. Not when not given.
   */
  readonly temperatureScaling?: boolean | undefined;
  /** Norm of the attack's ball; L-infinity when not given. */
  readonly norm?: NormName | undefined;
  /** Iterations of pgd, apgd or square, 1 to 10,000; 10, 100 or 2,000 when not given. */
  readonly steps?: number | undefined;
  /** Class that the attack steers to; the model's own prediction when not given. */
  readonly targeted?: number | undefined;
  /** Folder of the data sets; the embedded data when not given and not found in ./Data. */
  readonly dataPath?: string | undefined;
  /** Folder that checkpoints go to; `trained_models` when not given. */
  readonly savePath?: string | undefined;
  /**
   * Checkpoints to use instead of those under savePath, also `.checkpoint`s of PyTorch: one a member.
   * `{seed}` in a path stands for each member's seed.
   */
  readonly checkpoint?: string | readonly string[] | undefined;
  /**
   * Images of each set: the first N, of a set in folders the first N/10 of each. A training learns from them
   * too; an attack or an evaluation takes a model that was trained on all images where there is one.
   */
  readonly limit?: number | undefined;
  /** Keep every attacked image with the run; not when not given. */
  readonly saveImages?: boolean | undefined;
  /** Whether convolutions are never computed by Winograd's tiles, where the device would; false when not given. */
  readonly exactConvolutions?: boolean | undefined;
  /** Print what the compiled programs do and cost; not when not given. */
  readonly explain?: boolean | undefined;
  /** Print what each dispatch of the compiled programs takes on the device; not when not given. */
  readonly time?: boolean | undefined;
}

/** Options with the defaults that are the same for every run. */
export interface CompleteOptions extends RunOptions {
  /** The published procedure with its faults, or without them. */
  readonly protocol: Protocol;
  /** Whether images of the user's own are resized to what the network takes. */
  readonly resize: boolean;
  /** Seed of every random number of the run. */
  readonly seed: number;
  /** Whether ResNet-18 learns from random crops and mirror images; LeNet never does. */
  readonly augmentation: boolean;
  /** Learning rate at the start. */
  readonly lr: number;
  /** Momentum of the optimiser. */
  readonly momentum: number;
  /** L2 penalty on every parameter. */
  readonly weightDecay: number;
  /** Folder that checkpoints go to. */
  readonly savePath: string;
  /** Whether an image that would change its predicted class counts as not attacked. */
  readonly keepLabel: boolean;
  /** Make the checks that cost as much as the attack itself, too. */
  readonly thorough: boolean;
  /** Whether the answer is calibrated by a temperature that half of the in-domain test images fit. */
  readonly temperatureScaling: boolean;
  /** Keep every attacked image with the run. */
  readonly saveImages: boolean;
  /** Whether convolutions are never computed by Winograd's tiles. */
  readonly exactConvolutions: boolean;
  /** Print what the compiled programs do and cost. */
  readonly explain: boolean;
  /** Print what each dispatch of the compiled programs takes on the device. */
  readonly time: boolean;
}

/** The configuration of a run: what was chosen, defaults filled in. */
export interface RunConfig extends CompleteOptions {
  /** Radius of the attack in its norm; pixels are in [0, 1]. */
  readonly epsilonAttack: number;
  /** Iterations of the attack, where it leaves a choice; undefined where a module's own decides. */
  readonly steps: number | undefined;
}
