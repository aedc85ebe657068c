/**
 * What a checkpoint of Mirage says of itself: nothing but what follows from the training that made it, so
 * that equal trainings leave equal bytes. When, where and how fast it was made stands in the run's folder.
 *
 * @module
 */
import { z } from "zod";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { described } from "../base/schema.ts";

/** Strings by name, as the file has them. */
export type Metadata = Readonly<Record<string, string>>;

/** The format that is written, and the only one that is read. */
export const checkpointFormat = "mirage/checkpoint@2";
/** What the format of any version begins with. */
const anyFormat = "mirage/checkpoint@";

const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

/** Figures of one epoch: the learning rate, means over its steps, and the accuracy that chooses the best. */
export interface EpochFigures {
  /** From 0 on. */
  readonly epoch: number;
  /** Learning rate. */
  readonly lr: number;
  /** Mean loss over the steps. */
  readonly loss: number;
  /** Share of the images that were right as they were learned from, 0 to 1. */
  readonly trainAccuracy: number;
  /** Accuracy on the set that the best epoch is chosen on, 0 to 1. */
  readonly accuracy: number;
}

/** {@linkcode EpochFigures}. */
export const epochSchema = z.strictObject({
  epoch: z.int().min(0),
  lr: z.number(),
  loss: z.number(),
  trainAccuracy: z.number().min(0).max(1),
  accuracy: z.number().min(0).max(1),
});

/** The epoch of the best accuracy, the first where several have it; epoch -1 before there is one. */
export function bestEpoch(history: readonly EpochFigures[]): { epoch: number; accuracy: number } {
  let best = { epoch: -1, accuracy: -1 };
  for (const { epoch, accuracy } of history) {
    if (accuracy > best.accuracy) best = { epoch, accuracy };
  }
  return best;
}

/** Options by name, as they are in effect. */
export type Values = Readonly<Record<string, string | number | boolean>>;

/** What a checkpoint says of the training that made it. */
export interface Statement {
  /** The family of methods that uses such models: an ensemble's members are of the baseline's. */
  readonly family: string;
  /** Name of the network. */
  readonly model: string;
  /** Of everything that the training drew. */
  readonly seed: number;
  /** Hyper-parameters of the family's own. */
  readonly hyperparameters: Values;
  /** How the training was done, where the protocols differ. */
  readonly procedure: Values;
  /** Options of the optimiser and the steps. */
  readonly training: Values;
  /** The set that it learned from, with the SHA-256 of pixels and labels. */
  readonly data: { readonly name: string; readonly count: number; readonly sha256: string };
  /** Every epoch so far. */
  readonly history: readonly EpochFigures[];
  /** How many epochs there were to be, in the checkpoint that a training goes on from. */
  readonly targetEpochs?: number | undefined;
}

const statementSchema = described<Statement>().by(z.strictObject({
  family: z.string(),
  model: z.string(),
  seed: z.int().min(0),
  hyperparameters: values,
  procedure: values,
  training: values,
  data: z.strictObject({ name: z.string(), count: z.int(), sha256: z.string() }),
  history: z.array(epochSchema),
  targetEpochs: z.int().min(1).optional(),
}));

/** What a statement says of the training, whatever its number of epochs. */
export type Account = Omit<Statement, "history" | "targetEpochs">;

/** A statement as metadata. */
export function toMetadata(statement: Statement): Metadata {
  const { family, model, ...others } = statement;
  const encoded = Object.entries(others).filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, JSON.stringify(value)]);
  return { format: checkpointFormat, family, model, ...Object.fromEntries(encoded) };
}

/**
 * Refuses a checkpoint of another format, which cannot be told from a damaged one by what it holds.
 *
 * @param path of the file, for messages
 */
export function checkFormat(
  { format = "" }: Metadata,
  path: string,
  remedy = "train it again",
): void {
  if (!format.startsWith(anyFormat) || format === checkpointFormat) return;
  throw new UserError(
    `Cannot read "${display(path)}": it was written by another version of Mirage (${
      shortened(format, 40)
    }); ${remedy}`,
  );
}

/**
 * What a file says of itself; undefined where it is not of ours.
 *
 * @param path of the file, for messages
 * @param remedy of one that cannot be understood
 * @throws UserError when it is of ours, but says what cannot be understood
 */
export function fromMetadata(
  metadata: Metadata,
  path: string,
  remedy = "train it again",
): Statement | undefined {
  const { format: found = "", family, model, ...others } = metadata;
  if (!found.startsWith(anyFormat)) return undefined;
  checkFormat(metadata, path, remedy);
  try {
    const decoded = Object.entries(others).map(([name, text]) => [name, JSON.parse(text)]);
    return statementSchema.parse({ family, model, ...Object.fromEntries(decoded) });
  } catch (error) {
    throw new UserError(
      `Cannot read "${display(path)}": what it says of its training is damaged; ${remedy}`,
      { cause: error },
    );
  }
}
