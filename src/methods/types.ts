/**
 * What a method is: how its models are built, trained, finished and attacked.
 *
 * A *model* is what one training makes and one checkpoint holds. A *subject* is what is evaluated and
 * attacked: one model, or several as an ensemble.
 *
 * @module
 */
import type { Attackable, AttackName } from "../attack/mod.ts";
import type { Device, Draws, Parameter, Pass, Random, State, Tensor, Updates } from "../nn/mod.ts";
import type { ImageShape, Network, NetworkHyperparameters } from "../networks/mod.ts";
import type { NothingOwn, Own, ValuesOf } from "./options.ts";

/** What determines any model before it is trained; of its network's own what is not given is as published. */
export interface NetworkOptions extends Partial<NetworkHyperparameters> {
  /** `[C, H, W]` of an image; what the network was published for when not given. */
  readonly imageShape?: ImageShape;
  /** Classes to tell apart, 2 or more; those that the network was published for when not given. */
  readonly classes?: number;
  /** Draws the initial weights. */
  readonly random: Random;
}

/** What determines a model of a method before it is trained: its hyper-parameters are among it by their names. */
export type ModelOptionsOf<O extends Own> = NetworkOptions & ValuesOf<O["hyperparameters"]> & {
  /** A choice for every difference between the protocols. */
  readonly procedure: ValuesOf<O["differences"]>;
};

/** What a training step knows. */
export interface TrainContext {
  /** Train mode, with a supply of noise that is fresh at every step. */
  readonly pass: Pass;
  /** Images in the training set. */
  readonly trainCount: number;
}

/** One training step of a model, traced. */
export interface TrainStep {
  /** Scalar: what the optimiser descends. */
  readonly loss: Tensor;
  /** `[B, C]`, whose argmax is the prediction. */
  readonly logits: Tensor;
}

/** What a model may look at before its first training step. */
export interface InitialiseContext {
  /** The GPU that the images are on. */
  readonly device: Device;
  /** Traces the images `[B, C, H, W]` at indices `[B]`. */
  readonly images: (index: Tensor) => Tensor;
  /** Indices of the images to learn from. */
  readonly trainIndex: Uint32Array;
}

/** Other ways to read the answer of the same model: what its largest element is taken as confidence. */
export interface Reading {
  /** Logarithms of confidences, `[B, C]`. */
  readonly logConfidences: Tensor;
  /** Whether a row sums to one, so that it has an entropy. */
  readonly normalised: boolean;
}

/** A number by which a model tells what it knows from what it does not. */
export interface Score {
  /** `[B]` */
  readonly values: Tensor;
  /** Where images of higher values belong by it. */
  readonly higher: "in-domain" | "out-domain";
}

/** A model that answers, however it came about. */
export interface Answering extends Attackable {
  /** Other readings of the same answer, by name. */
  readings?(images: Tensor, draws: Draws): Readonly<Record<string, Reading>>;
  /** Scores of its own, by name, besides those that every method's probabilities give. */
  scores?(images: Tensor, draws: Draws): Readonly<Record<string, Score>>;
  /** The model as an attack sees it, where that is not as it answers: by fewer samples. */
  underAttack?(): Attackable;
}

/** One trained thing under one method. */
export interface Model extends Answering {
  /** Name of the network, for example `LeNet_SNGP`. */
  readonly name: string;
  /** `[C, H, W]` of an image. */
  readonly imageShape: readonly number[];
  /** Everything a checkpoint holds, by PyTorch's names. */
  readonly state: State;
  /** Entries of a checkpoint by other code that this model has no use for. */
  readonly ignored: readonly string[];
  /** Sets what the training data decides about the initial state; called once, before the first step. */
  initialise?(context: InitialiseContext): Promise<void>;
  /** Traces a training step on images `[B, C, H, W]` and class indices `[B]`. */
  train(images: Tensor, labels: Tensor, context: TrainContext): TrainStep;
  /** Traces what changes after each step of the optimiser, on the same images. */
  afterStep?(images: Tensor, labels: Tensor): Updates;
  /** Resets what an epoch gathers; called before each epoch. */
  beginEpoch?(device: Device): void;
  /**
   * Where the procedure gathers statistics in a clean pass after training: traces what one batch adds.
   */
  gather?(images: Tensor): Updates;
  /** Derives what evaluation needs from the state, after training or loading. */
  finish?(device: Device): Promise<void>;
}

/**
 * How sure the weights of a trained model's last layer are, which is learned where the model is used, from the
 * images that it was trained on.
 */
export interface Posterior {
  /** The trained model; its logits are to be a linear function of its features. */
  readonly of: Required<Pick<Attackable, "logits" | "features">>;
  /**
   * The precision of its weights, `[K, D + 1, D + 1]` of K classes and D features: the prior's until images are
   * gathered.
   *
   * @throws UserError where the model has none that can be computed
   */
  readonly precision: Parameter;
  /** Resets the precision to the prior's. */
  begin(device: Device): void;
  /** Traces what a batch of training images `[B, C, H, W]` adds to the precision. */
  gather(images: Tensor): Updates;
  /** Derives what the answers need from the precision. */
  finish(device: Device): Promise<void>;
}

/** What is evaluated and attacked. */
export interface Subject {
  /**
   * What an attack sees of it: one part where there is one adversarial image for each clean one, several where
   * each member of an ensemble is attacked on a copy of its own. Whatever takes `images` takes as many
   * versions of the batch.
   */
  readonly attacked: readonly Attackable[];
  /** What is still to be learned of each model from training images before it answers; nothing when not given. */
  readonly posteriors?: readonly Posterior[];
  /** Log-probabilities `[B, C]`. */
  logProbabilities(images: readonly Tensor[], draws: Draws): Tensor;
  /** Other readings of the same answer, by name. */
  readings?(images: readonly Tensor[], draws: Draws): Readonly<Record<string, Reading>>;
  /** Scores of its own, by name, besides those that every method's probabilities give. */
  scores?(images: readonly Tensor[], draws: Draws): Readonly<Record<string, Score>>;
}

/** What a method says of itself. */
export interface MethodFacts extends Own {
  /** Its name on the command line. */
  readonly name: string;
  /** Its name in prose. */
  readonly title: string;
  /** Networks it goes with, the default first. */
  readonly models: readonly string[];
  /** The mode whose checkpoints it uses: its own but for an ensemble of another mode's models. */
  readonly family: string;
  /** Whether it takes several models. */
  readonly ensemble: boolean;
  /**
   * Of an ensemble, how many members it has where nobody says: the paper's number, or as many as the first
   * look at the embedded data has minutes for.
   */
  readonly members?: { readonly usual: number; readonly quick: number };
  /** Whether its subjects have posteriors, so that training images are needed where a trained model is used. */
  readonly posterior?: true;
  /** Whether training leaves out the last, incomplete batch of an epoch. */
  readonly dropLast: boolean;
  /** Work of a training step and of an attack's step in forward passes an image, to foretell time. */
  readonly passes: { readonly train: number; readonly attack: number };
  /** The paper's attack on it. */
  readonly attack: AttackName;
  /** Whether its answers, and what an attack on it lowers, are means of random samples, or with which options. */
  readonly samples?: boolean | ((procedure: Readonly<Record<string, string | number>>) => boolean);
  /** Standard deviation of the noise that the paper's attack on it starts with. */
  readonly startNoise: number;
}

/** How the steps of an epoch follow one another, where not as usual. */
export interface Schedule {
  /** Whether every epoch sees the same images in the same order: its random numbers start anew. */
  readonly fixedOrder: boolean;
  /** Whether batch normalisation is in train mode at an epoch's first step only. */
  readonly evalAfterFirstStep: boolean;
}

/** A method of uncertainty estimation, with what is its own. */
export interface MethodOf<O extends Own = NothingOwn> extends MethodFacts {
  /** The hyper-parameters that are its own, by name. */
  readonly hyperparameters: O["hyperparameters"];
  /** Where its protocols differ, besides the differences that concern every method. */
  readonly differences: O["differences"];
  /**
   * Makes a model before its training.
   *
   * @param model one of `models`
   * @throws UserError when its network is unknown
   */
  create(model: string, options: ModelOptionsOf<O>): Model;
  /** Makes one subject of trained models. */
  subject(
    models: readonly Model[],
    procedure: ValuesOf<O["differences"]>,
    hyperparameters: ValuesOf<O["hyperparameters"]>,
  ): Subject;
  /** How its steps follow one another; a fresh order and train mode at every step when not given. */
  schedule?(procedure: ValuesOf<O["differences"]>, network: Network): Schedule;
}
