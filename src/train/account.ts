/**
 * What the checkpoints of a training say of it, before there are any.
 *
 * @module
 */
import type { Account } from "../checkpoint/statement.ts";
import { distinguishing, type Method, methods, networkOf, ownOf } from "../methods/mod.ts";
import { concerning, type Procedure } from "../methods/protocol.ts";
import type { TrainingConfig } from "./step.ts";

/** What determines a training of one seed, besides how it is configured. */
export interface Told {
  readonly config: TrainingConfig;
  /** How the protocols' differences are settled. */
  readonly procedure: Procedure;
  /** Name of the network. */
  readonly network: string;
  readonly seed: number;
  /** The training set: its name, its number of images, and the SHA-256 of pixels and labels. */
  readonly set: { readonly name: string; readonly count: number; readonly sha256: string };
  /** Images of a step, of which there may be fewer than were asked for. */
  readonly batchSize: number;
  /** Pixels by which images are shifted at random. */
  readonly augment: number;
}

/** What the checkpoints of a training say of it. */
export function accountOf(
  { config, procedure, network, seed, set, batchSize, augment }: Told,
): Account {
  const { lr, momentum, weightDecay, microBatch } = config;
  const method: Method = methods[config.mode];
  const of = networkOf(network);
  const { name, count, sha256 } = set;
  return {
    family: method.family,
    model: network,
    seed,
    hyperparameters: distinguishing(of, ownOf(method, of, config)),
    procedure: concerning(
      procedure,
      { mode: config.mode, model: network },
      "training",
    ),
    training: {
      lr,
      momentum,
      weightDecay,
      batchSize,
      augment,
      ...(microBatch === undefined ? {} : { microBatch }),
    },
    data: { name, count, sha256 },
  };
}
