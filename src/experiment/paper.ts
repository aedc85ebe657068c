/**
 * What the paper's tables say, as published: Zeng et al., "On attacking out-domain uncertainty
 * estimation in deep neural networks", IJCAI 2022, Tables 1 and 2. Rejection at tau = 0.9.
 *
 * @module
 */
import type { SetName } from "../../data/mod.ts";
import type { MethodName } from "../methods/mod.ts";

/** Figures of a model's answers to one set of images. */
export interface PaperFigures {
  /** Mean entropy in nats, 0 to log 10. */
  readonly entropy: number;
  /** Share of images whose largest probability is at most 0.9, 0 to 1. */
  readonly rejection: number;
}

/** A row of the tables. */
export interface PaperRow {
  /** The row's head in the tables, such as `DE-AT 0.1`. */
  readonly title: string;
  /** The method that makes it. */
  readonly mode: MethodName;
  /** Radius of adversarial training. */
  readonly epsilon?: number;
  /** Without an attack, from Table 1. */
  readonly clean: PaperFigures;
  /** Under attack, in the order of the tables' radii. */
  readonly attacked: readonly PaperFigures[];
  /** Where the paper disagrees with itself. */
  readonly note?: string;
}

/** A set by its name and its number of images. */
interface PaperSet {
  readonly name: string;
  readonly count: number;
}

/** The tables of one pair of data sets. */
export interface PaperTables {
  /** The sets: what models were taught, and what they were attacked with. */
  readonly inDomain: SetName;
  readonly outDomain: SetName;
  /** What they were made on: sets in full. */
  readonly data: Readonly<Record<"training" | "test" | "outDomain", PaperSet>>;
  /** Radii of the attack: that of Table 1, then those of Table 2. */
  readonly epsilons: readonly number[];
  readonly rows: readonly PaperRow[];
}

/**
 * How every model of the paper's tables was trained and attacked, and how many an ensemble has; where the
 * paper is silent, as the original code has it by default.
 */
export const paperTraining = {
  epochs: 80,
  members: 10,
  /** Iterations of pgd. */
  attackSteps: 10,
  /** Images in a step of evaluation or attack. */
  evaluationBatch: 200,
  optimiser: { lr: 0.01, momentum: 0.9, weightDecay: 1e-4, batchSize: 256 },
  /** ResNet-18's width is said where it is another. The penalty's weight has one default in training and another in evaluation. */
  hyperparameters: { width: [64], lambdaReg: [0.1, 0.3], nInducingPoints: [10], kernel: ["RBF"] },
} as const;

/** `[entropy, rejection]` clean and under attack. */
function row(
  title: string,
  mode: MethodName,
  figures: readonly (readonly [entropy: number, rejection: number])[],
  epsilon?: number,
): PaperRow {
  const [clean = { entropy: NaN, rejection: NaN }, ...attacked] = figures.map(
    ([entropy, rejection]) => ({ entropy, rejection }),
  );
  return { title, mode, clean, attacked, ...(epsilon === undefined ? {} : { epsilon }) };
}

/** Tables 1a and 2a: MNIST against notMNIST, LeNet. */
const mnist: PaperTables = {
  inDomain: "mnist",
  outDomain: "notmnist",
  data: {
    training: { name: "MNIST train", count: 60_000 },
    test: { name: "MNIST test", count: 10_000 },
    outDomain: { name: "notMNIST", count: 10_000 },
  },
  epsilons: [0.1, 0.2, 0.3],
  rows: [
    row("DE", "deep_ensemble", [[0.42, 0.44], [0.26, 0.26], [0.22, 0.22], [0.22, 0.21]]),
    row(
      "DE-AT 0.1",
      "deep_ensemble_at",
      [[0.65, 0.60], [0.49, 0.44], [0.45, 0.40], [0.48, 0.41]],
      0.1,
    ),
    row(
      "DE-AT 0.2",
      "deep_ensemble_at",
      [[0.72, 0.65], [0.58, 0.52], [0.53, 0.47], [0.73, 0.57]],
      0.2,
    ),
    row("DUQ", "duq", [[1.29, 0.98], [1.02, 0.78], [0.80, 0.48], [0.72, 0.40]]),
    row("DUE", "due", [[0.83, 0.69], [0.09, 0.01], [0.07, 0.00], [0.08, 0.00]]),
    row("SNGP", "sngp", [[1.22, 0.80], [0.23, 0.17], [0.14, 0.12], [0.15, 0.11]]),
  ],
};

/** Tables 1b and 2b: CIFAR-10 against SVHN, ResNet-18. */
const cifar10: PaperTables = {
  inDomain: "cifar10",
  outDomain: "svhn",
  data: {
    training: { name: "CIFAR-10 train", count: 50_000 },
    test: { name: "CIFAR-10 test", count: 10_000 },
    outDomain: { name: "SVHN test", count: 26_032 },
  },
  epsilons: [0.016, 0.031, 0.063],
  rows: [
    {
      ...row("DE", "deep_ensemble", [[0.45, 0.53], [0.34, 0.43], [0.51, 0.59], [0.68, 0.76]]),
      note: "the paper's Table 2 has R 0.39 for DE at epsilon 0.016, its Table 1 0.43",
    },
    row(
      "DE-AT 0.016",
      "deep_ensemble_at",
      [[1.01, 0.93], [0.65, 0.65], [0.49, 0.48], [0.44, 0.42]],
      0.016,
    ),
    {
      ...row(
        "DE-AT 0.032",
        "deep_ensemble_at",
        [[1.30, 0.98], [1.03, 0.90], [0.86, 0.80], [0.75, 0.70]],
        0.032,
      ),
      note: "the paper gives this training's epsilon as 0.032 and as 0.031",
    },
    row("DUQ", "duq", [[1.32, 1.00], [0.56, 0.72], [0.32, 0.13], [0.24, 0.04]]),
    row("DUE", "due", [[1.26, 0.95], [1.05, 0.81], [0.98, 0.80], [0.93, 0.82]]),
    row("SNGP", "sngp", [[1.04, 0.90], [0.04, 0.02], [0.03, 0.02], [0.03, 0.00]]),
  ],
};

/** The tables by the in-domain set of their pair. */
export const paperTables = { mnist, cifar10 } as const satisfies Record<string, PaperTables>;

/** The name of a pair of sets that the paper has tables of. */
export type PairName = keyof typeof paperTables;
