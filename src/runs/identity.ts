/**
 * What determines a run.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { readFile } from "../files.ts";
import { checkpointsOf, limited, type Place, trainBatchOf, trainingState } from "../place.ts";
import { familyOf } from "../methods/mod.ts";
import { concerning } from "../protocol.ts";
import { sourceDigests } from "../digest.ts";
import { sha256 } from "../sha256.ts";
import { versions } from "../version.ts";
import type { RunSpec } from "./folder.ts";

/** Options that change nothing in the figures: where things are, and what is shown. */
const circumstances: ReadonlySet<string> = new Set([
  "dataPath",
  "savePath",
  "checkpoint",
  "explain",
  "time",
  "saveImages",
]);

/** A place with the GPU that the run is made on. */
export interface RunPlace extends Place {
  readonly device: { readonly adapter: object };
}

/** What names the run's folder, and what is written down of it. */
export async function runSpec(
  command: "train" | "eval" | "attack",
  place: RunPlace,
): Promise<RunSpec> {
  const { config, trainingConfig, procedure, method, network, seeds, pair } = place;
  const given = checkpointsOf(config);
  const sets: Record<string, ImageSet> = {
    ...(given ? {} : { train: limited(await pair.train(), trainingConfig) }),
    test: limited(await pair.test(), config),
    ...(command === "train" ? {} : { outDomain: limited(await pair.outDomain(), config) }),
  };
  const data = Object.fromEntries(
    Object.entries(sets).map(([role, { name, count, sha256, listSha256 = null }]) => [role, {
      name,
      count,
      sha256,
      listSha256,
    }]),
  );
  const epochs = command === "train"
    ? seeds.map(() => config.epochs ?? 80)
    : given
    ? []
    : await Promise.all(seeds.map(async (seed) => (await trainingState(place, seed)).target));
  const paths = (given ?? []).flatMap((path) =>
    path.includes("{seed}") ? seeds.map((seed) => path.replaceAll("{seed}", `${seed}`)) : [path]
  );
  const models: string[] = [];
  // One after the other, so that the first that is missing is the one that is named.
  for (const path of paths) models.push(await sha256(await readFile(path)));
  const options = Object.fromEntries(
    Object.entries(config).filter(([name, value]) =>
      value !== undefined && !circumstances.has(name)
    ),
  );
  const adapter = { ...place.device.adapter };
  return {
    command,
    label: method.name,
    config: { ...config },
    identity: {
      options: {
        ...options,
        model: network,
        lambdaReg: trainingConfig.lambdaReg,
        trainBatchSize: trainBatchOf(trainingConfig),
        trainingLimit: trainingConfig.limit ?? null,
      },
      procedure: concerning(procedure, { mode: method.name, family: familyOf(network) }),
      seeds,
      epochs,
      models,
      data,
      source: await sourceDigests(),
      versions: versions(),
      adapter,
    },
    adapter,
    versions: versions(),
  };
}
