/**
 * What the experiments share: jobs over sets, and what every document begins with.
 *
 * @module
 */
import { evalBatch, type RunConfig } from "./config.ts";
import { ResidentSet } from "../evaluate/resident_set.ts";
import { type ImageSet, preparedCounts } from "../../data/mod.ts";
import type { MeanOptions } from "../measure/metrics.ts";
import type { Device } from "../nn/mod.ts";
import type { Job } from "../evaluate/predict.ts";
import { networkOf, ownOf } from "../methods/mod.ts";
import { concerning } from "../methods/protocol.ts";
import type { Reporter } from "../base/reporter.ts";
import { versions } from "../base/version.ts";
import { type FittedPosterior, posteriorArchive, posteriorResult } from "./posterior.ts";
import type { LoadedModel, Workbench } from "./workbench.ts";
import type { EvalResult, ReadFacts } from "./documents.ts";

/** A job over a set, as the run is configured. */
export function job(
  { config, device, subject }: Workbench,
  set: ImageSet,
  reporter: Reporter,
): Job {
  return {
    device,
    subject,
    set: new ResidentSet(set),
    seed: config.seed,
    batchSize: config.batchSize ?? evalBatch,
    reporter,
    explain: config,
  };
}

/** What a document says of how a set was read. */
export function readFacts(set: ImageSet): ReadFacts {
  return {
    skipped: set.skipped?.length ?? 0,
    prepared: Object.fromEntries(Object.entries(preparedCounts(set))),
  };
}

/** How the figures of a run are averaged. */
export function meanOptions({ config, procedure }: Workbench): MeanOptions {
  return procedure.mean === "batches" ? { batchSize: config.batchSize ?? evalBatch } : {};
}

/** What every document begins with. */
export function common({ config, trainingConfig, procedure, device, method, network }: Workbench): {
  mode: string;
  model: string;
  protocol: RunConfig["protocol"];
  procedure: ReturnType<typeof concerning>;
  hyperparameters: Record<string, string | number>;
  seed: number;
  adapter: Device["adapter"];
  versions: ReturnType<typeof versions>;
} {
  const { mode, protocol, seed } = config;
  const { adapter } = device;
  return {
    mode,
    model: network,
    protocol,
    procedure: concerning(procedure, { mode, model: network }),
    hyperparameters: ownOf(method, networkOf(network), trainingConfig),
    seed,
    adapter,
    versions: versions(),
  };
}

/** What a document says of the models that it was made with. */
export function modelsOf(
  models: readonly LoadedModel[],
): Pick<EvalResult, "checkpoints" | "trained" | "posterior"> {
  const posterior = posteriorResult(posteriorsOf(models));
  return {
    checkpoints: models.map(({ path }) => path),
    trained: models.map(({ trained }) => trained),
    ...posterior && { posterior },
  };
}

/** The precisions of models as an archive of their run; none where they have none, or these are large. */
export function posteriorsArchive(
  models: readonly LoadedModel[],
): ReturnType<typeof posteriorArchive> {
  return posteriorArchive(posteriorsOf(models));
}

function posteriorsOf(models: readonly LoadedModel[]): FittedPosterior[] {
  return models.flatMap(({ posterior }) => posterior ?? []);
}
