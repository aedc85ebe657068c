/**
 * The documents that runs produce.
 *
 * @module
 */
import type { Direction, InitName, NormName, Side } from "../attack/mod.ts";
import type { EpochFigures } from "../checkpoint/statement.ts";
import type { AttackedScore } from "../measure/evidence.ts";
import type { AttackEvidence, ChecksResult, EvalEvidence } from "../measure/results.ts";
import type { Protocol } from "../methods/protocol.ts";
import type { AdapterFacts } from "../nn/mod.ts";

/** What every document of a run says of how it was made. */
export interface RunFacts {
  /** Method of uncertainty estimation. */
  readonly mode: string;
  /** Network. */
  readonly model: string;
  /** The published procedure with its faults, or without them. */
  readonly protocol: Protocol;
  /** Every difference between the protocols that concerns the mode, as it was done here. */
  readonly procedure: Readonly<Record<string, string | number>>;
  /** Hyper-parameters of the mode's and the network's own. */
  readonly hyperparameters: Readonly<Record<string, string | number>>;
  /** Of everything that the run draws, its trainings included. */
  readonly seed: number;
  /** The GPU or the software that stands in for one. */
  readonly adapter: AdapterFacts;
  /** Versions of Mirage and of what it runs on. */
  readonly versions: { readonly mirage: string; readonly deno: string; readonly v8: string };
}

/** The models that a run used. */
export interface ModelFacts {
  /** Seeds that the models were trained with, one a member; null where a file does not say it. */
  readonly seeds: readonly (number | null)[];
  /** Paths of the checkpoints, one a member; none of a model of the user's own. */
  readonly checkpoints: readonly string[];
  /**
   * What each model has learned: epochs behind it (a best model those up to its own), and the training images;
   * null where its file does not say.
   */
  readonly trained: readonly ({
    readonly epochs: number;
    readonly data: { readonly name: string; readonly count: number };
  } | null)[];
}

/** Uncertainty on a set. */
export interface Uncertainty {
  /** Mean entropy in nats; null where no image has one. */
  readonly entropy: number | null;
  /** Share of images with `max p <= tau`, 0 to 1, by tau. */
  readonly rejection: Readonly<Record<string, number>>;
}

/** The same by another reading of the same answer; entropy is null where confidences do not sum to one. */
export interface ReadingResult extends Uncertainty {
  /** Mean of the largest logarithm; null where that is infinite, or no image has one. */
  readonly logConfidence: number | null;
  /** Images whose confidences are all exactly 0: their largest logarithm is minus infinity. */
  readonly logConfidenceInfinite: number;
}

/** Uncertainty with what is counted, and by every reading that the method offers. */
export interface SetUncertainty extends Uncertainty {
  /** Images with `max p <= 0.9`, counted: `rejection` may be a mean of batch means. */
  readonly rejectedImages: number;
  /** Images whose answers are no numbers; they count as rejected. */
  readonly nanRows: number;
  /** The same by other readings of the same answer, by name. */
  readonly readings: Readonly<Record<string, ReadingResult>>;
}

/** The same of images that may be steered to a class. */
export interface SteeredUncertainty extends SetUncertainty {
  /** Images whose most probable class is the attack's target, counted; null where it has none. */
  readonly targeted: number | null;
}

/** What became of a set's files and images before a network took them. */
export interface ReadFacts {
  /** Files left out because they are broken. */
  readonly skipped: number;
  /**
   * Images of the user's own that something was done to, counted by what: `misnamed` as another kind, `turned` as EXIF
   * says, laid `overBlack`, `rounded` to 8 bits, `madeGrey`, `madeColour`, `resized`. Nothing of registered sets.
   */
  readonly prepared: Readonly<Record<string, number>>;
}

/** Quality in-domain; what asks for labels is null where the images have none. */
export interface InDomain extends ReadFacts {
  /** The set's name. */
  readonly name: string;
  /** Its images. */
  readonly count: number;
  /** Classes that the model tells apart. */
  readonly classes: number;
  /** What the set calls them, by label; null where it names none. */
  readonly classNames: readonly string[] | null;
  /** Share of images that are right, 0 to 1; null without labels. */
  readonly accuracy: number | null;
  /** Images that are right, counted: `accuracy` may be a mean of batch means; null without labels. */
  readonly right: number | null;
  /** Images whose answers are no numbers; they count as wrong. */
  readonly nanRows: number;
  /** Brier score, the mean over classes; null where no image has one. */
  readonly brier: number | null;
  /** Negative log-likelihood in nats; null where it is infinite, or no image has one. */
  readonly nll: number | null;
  /** Images whose label has a probability of exactly 0: their log-likelihood is infinite; null without labels. */
  readonly nllInfinite: number | null;
}

/** What an attack on the in-domain images made of them. */
export interface InDomainAttack extends SetUncertainty {
  /** Whether it made the model surer of them, or less sure. */
  readonly direction: Direction;
  /** Share of attacked images that are still right, 0 to 1; null without labels. */
  readonly accuracy: number | null;
  /** The same, counted. */
  readonly right: number | null;
  /** Longest change of any image in the norm. */
  readonly distance: number;
  /**
   * By every score: the share that is still kept at the threshold that keeps 95 % of the clean ones, and how they
   * are told from clean out-domain images, and from attacked ones where there are any.
   */
  readonly scores: Readonly<Record<string, AttackedScore>>;
  /** The checks of this attack. */
  readonly checks: ChecksResult;
  /** What those that do not hold say. */
  readonly warnings: readonly string[];
}

/** What is said in the place of figures in-domain where there are no such images. */
export interface WithoutInDomain {
  /** Why figures are null, which ones, and what would tell them. */
  readonly reason: string;
  /** Classes that the model tells apart, by its file. */
  readonly classes: number;
  /** What they are called, by label; null where the file does not say it. */
  readonly classNames: readonly string[] | null;
}

/** What `attack --json` prints. */
export interface AttackResult extends RunFacts, ModelFacts, AttackEvidence {
  /** The document's format. */
  readonly schema: "mirage/attack@10";
  /** Radius of the attack in its norm; pixels are in [0, 1]. */
  readonly epsilonAttack: number;
  /** How the images were attacked. */
  readonly attack: {
    readonly name: string;
    /** What it lowers. */
    readonly objective: string;
    /** Whether it makes the model surer of out-domain images, or less sure. */
    readonly direction: Direction;
    /** Which images are attacked. */
    readonly on: Side;
    /** Whether an image that would change its predicted class counts as not attacked. */
    readonly keepLabel: boolean;
    readonly norm: NormName;
    readonly steps: number;
    /** Length of a step in the norm; pixels are in [0, 1]. */
    readonly stepSize: number;
    /** Standard deviation of the noise that it starts from, and whether that is brought back into the ball. */
    readonly start: { readonly noise: number; readonly projected: boolean };
    /** The start that was chosen; null where it starts as the line above says. */
    readonly init: InitName | null;
    /** Further runs from random points of the ball. */
    readonly restarts: number;
    /** Draws of a step's loss. */
    readonly eot: number;
    /** Class that it steers to; null where it makes the model surer of its own prediction. */
    readonly targeted: number | null;
  };
  /** Quality in-domain; null where there are no such images. */
  readonly inDomain: InDomain | null;
  /** There only where `inDomain` is null. */
  readonly withoutInDomain?: WithoutInDomain | undefined;
  /** The attacked set. */
  readonly outDomain: ReadFacts & {
    readonly name: string;
    readonly count: number;
    /** SHA-256 of pixels and labels. */
    readonly sha256: string;
    /** SHA-256 of the list of files; null where the set is not one file an image. */
    readonly listSha256: string | null;
    /** What the set calls its classes, by label; null where it names none. */
    readonly classNames: readonly string[] | null;
  };
  /** Uncertainty on the out-domain images as they were. */
  readonly clean: SteeredUncertainty;
  /** The same of the attacked images, and the longest change of any image in the norm. */
  readonly adversarial: SteeredUncertainty & { readonly distance: number };
  /** The attack on the in-domain images; null where none was made. */
  readonly inDomainAttack: InDomainAttack | null;
  /** What the checks that do not hold say. */
  readonly warnings: readonly string[];
  /** Seconds that each part took. */
  readonly seconds: { readonly setup: number; readonly train: number; readonly attack: number };
}

/** What `eval --json` prints. */
export interface EvalResult extends RunFacts, ModelFacts, EvalEvidence {
  /** The document's format. */
  readonly schema: "mirage/eval@7";
  /** Quality in-domain. */
  readonly inDomain: InDomain;
  /** The out-domain set, and the uncertainty on it. */
  readonly outDomain: SetUncertainty & ReadFacts & {
    readonly name: string;
    readonly count: number;
  };
  /** Seconds that each part took. */
  readonly seconds: { readonly setup: number; readonly train: number; readonly eval: number };
}

/** An epoch's model on disk. */
export interface SavedModel {
  /** The epoch, from 0 on. */
  readonly epoch: number;
  /** Its accuracy in selection, 0 to 1. */
  readonly accuracy: number;
  /** The checkpoint. */
  readonly path: string;
}

/** What `train --json` prints. */
export interface TrainResult extends RunFacts {
  /** The document's format. */
  readonly schema: "mirage/train@4";
  /** The training set, with the SHA-256 of pixels and labels. */
  readonly data: ReadFacts & {
    readonly name: string;
    readonly count: number;
    readonly sha256: string;
  };
  /** One a model; an ensemble has several. */
  readonly members: readonly {
    readonly seed: number;
    readonly epochs: readonly EpochFigures[];
    readonly best: SavedModel;
    readonly last: SavedModel;
  }[];
  /** Seconds that each part took. */
  readonly seconds: { readonly setup: number; readonly train: number };
}

/** A figure over seeds. */
export interface OwnStatistic {
  /** One a repetition. */
  readonly values: readonly number[];
  /** Their mean; null where there are none. */
  readonly mean: number | null;
  /** Half the width of the 95 % interval of the mean by Student's t; null for one value. */
  readonly halfWidth: number | null;
}

/** A figure over seeds beside the paper's. */
export interface Statistic extends OwnStatistic {
  /** The paper's figure. */
  readonly paper: number;
  /** Ours less the paper's; null where the two were not made alike. */
  readonly difference: number | null;
}

/** Mean entropy in nats, and the share of images with `max p <= 0.9`, over seeds. */
export interface RowFigures {
  /** Mean entropy in nats. */
  readonly entropy: Statistic;
  /** Share of images with `max p <= 0.9`, 0 to 1. */
  readonly rejection: Statistic;
  /** Area under the ROC curve by the largest probability, of which the paper has none. */
  readonly auroc: OwnStatistic;
}

/** Areas under the ROC curve by each of the scores that were asked for, of clean images. */
export type RowScores = Readonly<Record<string, OwnStatistic>>;

/** The same of attacked images, by each score. */
export type AttackedRowScores = Readonly<
  Record<string, {
    /** Under the row's attack. */
    readonly transfer: OwnStatistic;
    /** Under an attack on the score itself, on a sample. */
    readonly adaptive: OwnStatistic;
  }>
>;

/** A row of the tables. */
export interface TableRow {
  /** The row's name, as the paper has it. */
  readonly title: string;
  /** Method of uncertainty estimation. */
  readonly mode: string;
  /** Hyper-parameters of the mode's and the network's own. */
  readonly hyperparameters: Readonly<Record<string, string | number>>;
  /** Seeds of the models, a list for each repetition. */
  readonly seeds: readonly (readonly number[])[];
  /** Accuracy in-domain, one a repetition, 0 to 1. */
  readonly accuracy: readonly number[];
  /** How its models were trained, each way once; null of models that do not say. */
  readonly trained: readonly ({ readonly epochs: number; readonly images: number } | null)[];
  /** In what it was not made as the paper's row: then there are no differences. */
  readonly differs: readonly string[];
  /** On clean images; with scores where some were asked for. */
  readonly clean: RowFigures & { readonly scores?: RowScores | undefined };
  /** On attacked images, by radius, the smallest first; with scores where some were asked for. */
  readonly attacked: readonly (RowFigures & {
    readonly epsilon: number;
    readonly scores?: AttackedRowScores | undefined;
  })[];
}

/** What `table --json` prints. */
export interface TableResult extends Pick<RunFacts, "protocol" | "adapter" | "versions"> {
  /** The document's format. */
  readonly schema: "mirage/table@4";
  /** The in-domain set and the out-domain set, by the pair's name. */
  readonly pair: string;
  /** Epochs that the models have behind them; null where some have more than others. */
  readonly epochs: number | null;
  /** Name of the in-domain set. */
  readonly inDomain: string;
  /** The attacked set, with the SHA-256 of pixels and labels. */
  readonly outDomain: { readonly name: string; readonly count: number; readonly sha256: string };
  /** Radii of the attacks; pixels are in [0, 1]. */
  readonly epsilons: readonly number[];
  /** A row for each of the paper's. */
  readonly rows: readonly TableRow[];
  /** Where the paper disagrees with itself. */
  readonly notes: readonly string[];
  /** The rows made again with one option changed at a time. */
  readonly ablation: readonly {
    readonly option: string;
    readonly value: string | number;
    /** With in what their models were trained otherwise than those of the row without the option. */
    readonly rows: readonly (TableRow & { readonly unlike: readonly string[] })[];
  }[];
  /** Seconds that it took. */
  readonly seconds: number;
}
