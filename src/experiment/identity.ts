/**
 * What determines a run.
 *
 * @module
 */
import { z } from "zod";
import { type ImageSet, isOwnName } from "../../data/mod.ts";
import { checkpointsOf, type RunConfig } from "./config.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { meansSetOf, openSetup, outDomainOf, type Setup } from "./setup.ts";
import { taughtBy } from "./posterior.ts";
import { checkModules } from "./parts.ts";
import { type Method, methods, networkOf, ofUse, ownOf } from "../methods/mod.ts";
import { concerning } from "../methods/protocol.ts";
import { sourceDigests } from "./source_digests.ts";
import { convolutionsOf, type Device } from "../nn/mod.ts";
import { versions } from "../base/version.ts";
import { circumstances, inIdentity } from "../runs/agreement.ts";
import {
  checkModels,
  checkSurrogate,
  checkTraining,
  epochsOf,
  trainingOptions,
} from "./used_models.ts";
import { isWithout } from "./without_in_domain.ts";
import type { RunSpec } from "../runs/folder.ts";
import type { Run } from "../runs/schema.ts";

/** A set-up with the GPU that the run is made on. */
export interface RunSetup extends Setup {
  readonly device: Pick<Device, "adapter" | "tiles">;
  /** SHA-256 of the texts of modules of the user's own, by option, where there are any. */
  readonly modules?: Readonly<Record<string, string>> | undefined;
  /** Whether an objective asks for class means of training images; not when not given. */
  readonly byMeans?: boolean | undefined;
  /** Seeds of the surrogate that a member of a battery attacks; undefined where none does. */
  readonly surrogateSeeds?: readonly number[] | undefined;
}

/**
 * What names the run's folder, and what is written down of it.
 *
 * @param models digests of the models that it is made with, those of a surrogate last
 */
export async function runSpec(
  command: Exclude<Run["command"], "table">,
  setup: RunSetup,
  models: readonly string[],
): Promise<RunSpec> {
  const { config, procedure, method, network, seeds, modelSeeds } = setup;
  const given = command !== "train" && checkpointsOf(config) !== undefined;
  const data = await dataOf(command, setup);
  const epochs = given
    ? []
    : await Promise.all(seeds.map(async (seed) => (await epochsOf(command, setup, seed)).epochs));
  const options = Object.fromEntries(
    Object.entries(config).filter(([name, value]) =>
      value !== undefined && !circumstances.has(name)
    ).map(([name, value]) => [name, inIdentity(name, value)]),
  );
  const adapter = { ...setup.device.adapter };
  return {
    command,
    label: method.name,
    config: { ...config },
    identity: {
      options: {
        ...options,
        model: network,
        ...trainingOptions(setup),
        ...ofUse(ownOf(method, networkOf(network), setup.trainingConfig)),
      },
      procedure: concerning(procedure, { mode: method.name, model: network }),
      seeds: modelSeeds,
      epochs,
      models,
      ...setup.surrogateSeeds && { surrogateSeeds: setup.surrogateSeeds },
      ...setup.modules && { modules: setup.modules },
      data,
      source: await sourceDigests(),
      versions: versions(),
      adapter,
      convolutions: convolutionsOf(setup.device),
    },
    adapter,
    versions: versions(),
  };
}

/** A set as a run names it. */
interface SetIdentity {
  readonly name: string;
  readonly count: number;
  readonly sha256: string;
  readonly listSha256: string | null;
}

/**
 * The sets that a run is made on, by their part in it.
 *
 * @param byMeans whether an objective asks for class means of training images
 */
async function setsOf(
  command: Run["command"],
  setup: Pick<Setup, "config" | "sets" | "statements" | "trainingSet">,
  byMeans: boolean,
): Promise<Record<string, ImageSet>> {
  const { config, sets } = setup;
  const { posterior }: Method = methods[config.mode];
  const given = checkpointsOf(config) !== undefined;
  const train = given ? posterior && await taughtBy(setup) : await setup.trainingSet();
  return {
    ...(train ? { train } : {}),
    ...(isWithout(config) ? {} : { test: await sets.inDomain.images("test", config.limit) }),
    ...(command === "train" ? {} : { outDomain: await outDomainOf({ config, sets }) }),
    ...(byMeans ? { classMeans: await meansSetOf({ config, sets }) } : {}),
  };
}

async function dataOf(
  command: Run["command"],
  setup: Pick<RunSetup, "config" | "sets" | "statements" | "trainingSet" | "byMeans">,
): Promise<Record<string, SetIdentity>> {
  const sets = Object.entries(await setsOf(command, setup, setup.byMeans ?? false));
  return Object.fromEntries(
    sets.map(([role, { name, count, sha256, listSha256 = null }]) => [role, {
      name,
      count,
      sha256,
      listSha256,
    }]),
  );
}

const recordedSets = z.object({
  data: z.record(z.string(), z.object({ name: z.string(), count: z.int(), sha256: z.string() })),
});

/**
 * Holds data, models and modules that are there against those of a run, before anything is computed.
 *
 * @param run as it was recorded
 * @param config by which it is to be made again
 * @param file the run's, beside which its own copies of the models are
 * @param surrogate whether a surrogate is found or trained again, or is the run's own copy, which needs no holding
 * @throws UserError naming the first that is another
 */
export async function checkRun(
  run: Run,
  config: RunConfig,
  file: string,
  surrogate: "found" | "kept" = "found",
): Promise<void> {
  await checkModules(run, config, file);
  const setup = await openSetup(config, run.command === "train" ? "train" : "use");
  await checkTraining(run, setup, file);
  await checkData(run, setup, file);
  await checkModels(run, setup, file);
  if (surrogate === "found") await checkSurrogate(run, setup, file);
}

async function checkData(run: Run, setup: Setup, file: string): Promise<void> {
  const parsed = recordedSets.safeParse(run.identity);
  if (!parsed.success) {
    throw new UserError(
      `Cannot repeat "${
        display(file)
      }": it does not say which data the run used; make the run again`,
    );
  }
  const byMeans = "classMeans" in parsed.data.data;
  for (const [role, set] of Object.entries(await setsOf(run.command, setup, byMeans))) {
    const wanted = parsed.data.data[role];
    if (!wanted) {
      throw new UserError(
        `Cannot repeat "${display(file)}": it does not say which ${role} data the run used; ` +
          "make the run again",
      );
    }
    if (wanted.sha256 === set.sha256) continue;
    const [had, has] = [wanted, set].map(({ name, count }) => `${count} images of ${name}`);
    throw new UserError(
      `Cannot repeat "${display(file)}": its data are not those in "${
        display(set.source)
      }": it used ${shortened(had ?? "")}, there are ${has}${
        had === has ? " with other pixels or labels" : ""
      }; ` +
        (isOwnName(wanted.name)
          ? "put the images back that it used, or make another run"
          : "name the folder of its data by --data-path"),
    );
  }
}
