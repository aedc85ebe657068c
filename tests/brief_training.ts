/** Trainings by `fit()` of a second or two. */
import assert from "node:assert/strict";
import { limit, loadEmbedded } from "../data/mod.ts";
import { runConfig } from "../src/experiment/config.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { type MethodName, methods, type Model } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { type Reporter, silent } from "../src/base/reporter.ts";
import { fit, type Trained } from "../src/train/fit.ts";
import { hyperparametersOf } from "./hyperparameters.ts";

/** What a training is of, and where its checkpoints lie. */
export interface BriefOptions {
  readonly mode?: MethodName;
  readonly epochs: number;
  readonly folder: string;
  readonly lr?: number;
  readonly microBatch?: number;
  readonly reporter?: Reporter;
  readonly protocol?: "paper" | "corrected";
}

/** Trains a model on 90 digits in steps of 32, so that the last step of an epoch is a smaller one. */
export async function trainBriefly(
  device: nn.Device,
  options: BriefOptions,
): Promise<{ model: Model; trained: Trained }> {
  const { folder } = options;
  const [member] = await trainMembers(device, { ...options, folder: () => folder, seeds: [3] });
  return member ?? assert.fail();
}

/** As `trainBriefly`, several members together. */
export async function trainMembers(
  device: nn.Device,
  { mode = "sngp", epochs, folder, seeds, lr = 0.05, protocol = "paper", microBatch, reporter }:
    & Omit<BriefOptions, "folder">
    & { readonly folder: (seed: number) => string; readonly seeds: readonly number[] },
): Promise<{ model: Model; trained: Trained }[]> {
  const config = {
    ...runConfig({ mode, lr, protocol }),
    ...hyperparametersOf(),
  } as const;
  const method = methods[mode];
  const procedure = procedureOf(protocol);
  const digits = limit(await loadEmbedded("train"), 90);
  const selection = new ResidentSet(limit(await loadEmbedded("test"), 50));
  const learners = seeds.map((seed) => {
    const random = new nn.Random(seed).fork("model");
    const model = method.create(method.models[0] ?? "", {
      ...config,
      random,
      procedure,
    });
    const trainIndex = Uint32Array.from({ length: 90 }, (_, i) => i);
    return { model, seed, folder: folder(seed), trainIndex, selection };
  });
  const trained = await fit({
    device,
    learners,
    config,
    procedure,
    fixedOrder: mode === "duq",
    evalAfterFirstStep: false,
    augment: 0,
    dropLast: method.dropLast,
    title: "train",
    epochs,
    batchSize: 32,
    microBatch,
    train: new ResidentSet(digits),
    reporter: reporter ?? silent,
  });
  return learners.map(({ model }, i) => ({ model, trained: trained[i] ?? assert.fail() }));
}
