/**
 * What a result tells beyond mean entropy and rejection.
 *
 * @module
 */

/** A figure with its interval; null where no image gave one. */
export interface EstimateResult {
  /** Of the sets as they are. */
  readonly value: number | null;
  /** Lower end of the interval. */
  readonly low: number | null;
  /** Upper end of the interval. */
  readonly high: number | null;
}

/** AUROC and FPR95 with intervals. */
export interface ToldResult {
  /** Area under the ROC curve, 0 to 1. */
  readonly auroc: EstimateResult;
  /** Share of out-domain images let through where 95 % of the in-domain ones are, 0 to 1. */
  readonly fprAt95Tpr: EstimateResult;
}

/** In-domain images against out-domain ones, by one score: see {@linkcode Separation} for the figures. */
export interface SeparationResult {
  /** Area under the ROC curve, 0 to 1. */
  readonly auroc: EstimateResult;
  /** Average precision with in-domain images as positives, 0 to 1. */
  readonly auprIn: EstimateResult;
  /** Average precision with out-domain images as positives, 0 to 1. */
  readonly auprOut: EstimateResult;
  /** Share of out-domain images that a detector lets through which keeps 95 % of the in-domain images. */
  readonly fprAt95Tpr: EstimateResult;
  /** Share of out-domain images beyond the threshold, 0 to 1. */
  readonly rejected: number;
}

/** A detector by one score, on clean images. */
export interface DetectorResult {
  /** Where images of higher values belong by the score. */
  readonly higher: "in-domain" | "out-domain";
  /** The value that keeps 95 % of the clean in-domain images; null where too few have a number. */
  readonly threshold: number | null;
  /** Share of in-domain images that it keeps, 0 to 1: more than 95 % where values are tied. */
  readonly kept: number;
  /** The clean out-domain images against the in-domain ones. */
  readonly clean: SeparationResult;
}

/** The same before and after an attack on the out-domain images. */
export interface AttackedDetectorResult extends DetectorResult {
  /** The attacked out-domain images against the in-domain ones. */
  readonly attacked: SeparationResult;
}

/** Detectors by every score that the method offers. */
export interface DetectionResult<Detector = DetectorResult> {
  /** The positive class. */
  readonly positive: "in-domain";
  /** The negative class. */
  readonly negative: "out-domain";
  /** In-domain images: the test set. */
  readonly inDomain: number;
  /** Percentile bootstrap over the images of both sets: resamples, the intervals' confidence, its seed. */
  readonly bootstrap: {
    readonly resamples: number;
    readonly confidence: number;
    readonly seed: number;
  };
  /** A detector by each score, `maxProbability`, `entropy` and the method's own. */
  readonly scores: Readonly<Record<string, Detector>>;
}

/** Reliability in-domain. */
export interface CalibrationResult {
  /** Expected calibration error, 0 to 1; null where no image has an answer. */
  readonly ece: number | null;
  /** Bins of equal width over the confidence, 0 to 1, the lowest first. */
  readonly bins: readonly {
    /** Lower bound of the confidence. */
    readonly from: number;
    /** Upper bound of the confidence. */
    readonly to: number;
    /** Images whose confidence is in the bin. */
    readonly count: number;
    /** Their mean confidence, 0 to 1; null where there are none. */
    readonly confidence: number | null;
    /** Share of them that are right, 0 to 1; null where there are none. */
    readonly accuracy: number | null;
  }[];
}

/** What rejecting at `max p <= tau` leaves of a set. */
export interface Left {
  /** Share of images that are rejected, 0 to 1. */
  readonly rejected: number;
  /** Mean entropy in nats of those that are accepted; null where none is. */
  readonly entropy: number | null;
}

/** The same of out-domain images, told apart from the in-domain ones by this one decision. */
export interface Told extends Left {
  /** Area under its ROC curve, (1 + TPR - FPR) / 2; null where a set is empty. */
  readonly auroc: number | null;
}

/** A point of the curves against tau. */
export interface TauPoint {
  /** The threshold of the confidence, 0 to 1. */
  readonly tau: number;
  /** In-domain images. */
  readonly inDomain: Left;
  /** Out-domain images as they were. */
  readonly clean: Told;
}

/** The same with the attacked images. */
export interface AttackedTauPoint extends Omit<TauPoint, "inDomain"> {
  /** In-domain images; null where there are none, and so is every AUROC. */
  readonly inDomain: Left | null;
  /** Out-domain images as the attack made them. */
  readonly attacked: Told;
}

/** A point of the curves against the radius; 0 is the clean images. */
export interface EpsilonPoint {
  /** The radius in the norm of the attack; pixels are in [0, 1]. */
  readonly epsilon: number;
  /** Out-domain images behind every figure of the point: the sample of the checks, the same at each radius. */
  readonly images: number;
  /** Mean entropy in nats, and its interval by Student's t; null where no image has one. */
  readonly entropy: EstimateResult;
  /** Share of images with `max p <= 0.9`, and its interval by Wilson. */
  readonly rejected: EstimateResult;
  /**
   * Area under the ROC curve by score, with the bootstrap's intervals; null where it has none, and all of it without
   * in-domain images.
   */
  readonly auroc: Readonly<Record<string, EstimateResult>> | null;
}

/** The checks of an attack: see {@linkcode AttackChecks}. */
export interface ChecksResult {
  /** Images of the sample that the further attacks were made on. */
  readonly images: number;
  /** What an attack's effect is taken as: the fall of the mean entropy in nats, or of the mean loss of an attack to make less sure or to steer to a class. */
  readonly effect: "entropy" | "loss";
  /** Those that were made, by name (see {@linkcode CheckName}); a figure is null where it was not measured. */
  readonly results: Readonly<
    Record<string, {
      readonly holds: boolean;
      readonly figures: Readonly<Record<string, number | null>>;
      readonly warning: string | null;
    }>
  >;
}

/** Scores that were fitted for a run. */
export interface ScoresResult {
  /** The images that they were fitted on: at most 5,000 of the training set, evenly spread. */
  readonly training: { readonly name: string; readonly count: number };
  /** SHA-256 of all that they have learned, in f32: names, shapes and values. */
  readonly digest: string;
  /** Scores that the model does not give or the images do not determine, where all were asked for. */
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
}

/** How well an answer fits labels: means over images alike, whatever `--mean` says; null where not finite. */
export interface FitResult {
  /** Mean negative log-likelihood of the labels in nats. */
  readonly nll: number | null;
  /** Expected calibration error, 0 to 1. */
  readonly ece: number | null;
}

/** A temperature that the answer was calibrated by: `softmax(log p / T)`. */
export interface TemperatureResult {
  /** T: above 1 it makes the model less sure, below 1 surer. */
  readonly value: number;
  /** The in-domain test images that it was fitted on; figures in-domain are of the others. */
  readonly set: { readonly name: string; readonly count: number };
  /** How well the others' labels fit the answer as the method gives it. */
  readonly unscaled: FitResult;
  /** The same of the answer at T, on the same images. */
  readonly scaled: FitResult;
}

/**
 * By score, then by attack, how the score tells images apart: as they were (`clean`), under the run's own attack
 * (`transfer`), and under that on each score that was fitted and on the method's own, by its name.
 */
export type ScoreMatrix = Readonly<Record<string, Readonly<Record<string, ToldResult>>>>;

/** Attacks on one score after the other, each by the score's own slope; the method's own score is the last one. */
export interface ScoreAttacks {
  /** Images of each set that the attacks were made on, evenly spread; 0 of one that was not attacked. */
  readonly images: { readonly in: number; readonly out: number };
  /** Which images these are. */
  readonly on: "out" | "in" | "both";
  /** By the score that was attacked. */
  readonly results: Readonly<
    Record<string, {
      /** How the score tells the sample as it was from the images of the other domain; both samples where both are. */
      readonly clean: SeparationResult;
      /** The same after the attack on this score. */
      readonly adaptive: SeparationResult;
    }>
  >;
  /**
   * By every score under every attack: out-domain images attacked, those in-domain, both; null where they were not. The
   * images of a domain that is not attacked are all there are.
   */
  readonly matrix: Readonly<Record<"out" | "in" | "both", ScoreMatrix | null>>;
}

/** What an evaluation tells besides. */
export interface EvalEvidence {
  /** The temperature that the answer was calibrated by; not there where none was asked for. */
  readonly temperature?: TemperatureResult | undefined;
  /** The scores that were asked for; not there where none were. */
  readonly scores?: ScoresResult | undefined;
  /** Detectors by every score. */
  readonly detection: DetectionResult;
  /** Reliability in-domain; null of images without labels. */
  readonly calibration: CalibrationResult | null;
  /** Shares of images with `max p > 0.9`. */
  readonly confident: { readonly inDomain: number; readonly clean: number };
  /** Curves against the threshold of the confidence. */
  readonly curves: { readonly tau: readonly TauPoint[] };
}

/** What an attack tells besides. */
export interface AttackEvidence {
  /** The temperature that the answer was calibrated by; not there where none was asked for. */
  readonly temperature?: TemperatureResult | undefined;
  /** The scores that were asked for, and the attacks on each; not there where none were. */
  readonly scores?: ScoresResult & { readonly attacks: ScoreAttacks } | undefined;
  /** Detectors by every score, before and after; null without in-domain images. */
  readonly detection: DetectionResult<AttackedDetectorResult> | null;
  /** Reliability in-domain; null of images without labels, and where there are none. */
  readonly calibration: CalibrationResult | null;
  /** Shares of images with `max p > 0.9`. */
  readonly confident: {
    /** Null where there are no such images. */
    readonly inDomain: number | null;
    readonly clean: number;
    readonly attacked: number;
  };
  /** Curves against the threshold of the confidence, and against the radius. */
  readonly curves: {
    readonly tau: readonly AttackedTauPoint[];
    readonly epsilon: readonly EpsilonPoint[];
  };
  /** Whether the attack is what it should be. */
  readonly checks: ChecksResult;
}
