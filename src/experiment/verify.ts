/**
 * Makes a run's evaluation again from its folder, and compares every figure.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { type RunConfig, runConfig, type RunOptions } from "./config.ts";
import { UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { described } from "../base/schema.ts";
import { attackOnly } from "./attack.ts";
import { batteryOnly } from "./battery.ts";
import { evaluateOnly, selectionAccuracies } from "./evaluate.ts";
import { type Difference, differences, figuresOf, flatten } from "../runs/figures.ts";
import { checkRun } from "./identity.ts";
import { checkFiles, keptCheckpoints, readFigures, readRun } from "../runs/folder.ts";
import { type Run } from "../runs/schema.ts";
import type { KeptSurrogate } from "./surrogate.ts";
import { surrogateSeedsOf } from "./used_models.ts";
import { versions } from "../base/version.ts";
import { type Convolutions, convolutionsOf } from "../nn/mod.ts";
import { openTuned } from "./workbench.ts";

/** The mode that runs of a model of the user's own have. */
export const ownMode = "own";

/** Numbers may differ by so much on another adapter, driver or version, relative to `max(1, |figure|)`. */
export const tolerance = 0.01;

/** What `verify --json` prints. */
export interface VerifyResult {
  /** The document's format. */
  readonly schema: "mirage/verify@1";
  /** The run's folder. */
  readonly folder: string;
  /** The command that left the run. */
  readonly command: string;
  /** Whether adapter, driver, versions and the way convolutions are computed are those of the run: then not a bit may differ. */
  readonly sameMachine: boolean;
  /** In what it is not so, as `adapter llvmpipe, not SwiftShader`; empty on the same machine. */
  readonly elsewhere: readonly string[];
  /** By how much numbers may differ, relative to `max(1, |figure|)`. */
  readonly tolerance: number;
  /** Figures that were compared. */
  readonly figures: number;
  /** Figures that are not the same, by how much where both are numbers; null elsewhere. */
  readonly differences: readonly {
    readonly figure: string;
    readonly before: unknown;
    readonly now: unknown;
    readonly by: number | null;
  }[];
  /** Whether every figure is the same, or as near as it may be. */
  readonly verified: boolean;
}

/** Checks what `verify --json` prints. */
export const verifyResultSchema = described<VerifyResult>().by(z.strictObject({
  schema: z.literal("mirage/verify@1"),
  folder: z.string(),
  command: z.string(),
  sameMachine: z.boolean(),
  elsewhere: z.array(z.string()),
  tolerance: z.number(),
  figures: z.int(),
  differences: z.array(z.strictObject({
    figure: z.string(),
    before: z.unknown(),
    now: z.unknown(),
    by: z.number().nullable(),
  })),
  verified: z.boolean(),
}));

/**
 * Verifies a finished run with the models that it keeps.
 *
 * @param dataPath where the data is, if no longer where the run had it
 * @throws UserError when the run is not finished, or its models or data are not what it used
 */
export async function verify(
  folder: string,
  dataPath?: string,
  reporter: Reporter = silent,
): Promise<VerifyResult> {
  const run = await readRun(folder);
  const before = await readFigures(folder, run);
  if (!before) {
    throw new UserError(
      `Cannot verify "${
        display(folder)
      }": the run is not finished; repeat its command, which goes on with it`,
    );
  }
  if (run.command === "table") {
    throw new UserError(
      `Cannot verify "${
        display(folder)
      }": a table has no models of its own; verify the attacks it consists of`,
    );
  }
  if (run.config["mode"] === ownMode) throw ownModel(folder);
  await checkFiles(folder, run);
  const kept = await keptCheckpoints(folder, run);
  const seeds = surrogateSeedsOf(run);
  const checkpoint = kept.splice(0, kept.length - seeds.length);
  const surrogate = { paths: kept, seeds };
  const named = run.config["modelFile"] === undefined ? { checkpoint } : { modelFile: checkpoint };
  const options = { ...run.config, ...named, ...(dataPath === undefined ? {} : { dataPath }) };
  const asked = runConfig(options as unknown as RunOptions);
  await checkRun(run, asked, join(folder, "run.json"), "kept");
  // As it was made: where its convolutions were not by tiles, they are not either.
  const exactConvolutions = asked.exactConvolutions || run.identity["convolutions"] === "textures";
  const config = { ...asked, exactConvolutions };
  const convolutions = await convolutionsHere(config);
  const repeated = await repeat(run, before, { folder, config, reporter, surrogate });
  return compared({ folder, run, convolutions, ...repeated });
}

/** What is to be done with a run of a model that only its program has. */
function ownModel(folder: string): UserError {
  return new UserError(
    `Cannot verify "${
      display(folder)
    }": its model is a function of a program of yours, which the folder ` +
      "does not hold; call verifyModel() in that program",
  );
}

/** How a run's convolutions are computed on this machine. */
async function convolutionsHere(config: RunConfig): Promise<Convolutions> {
  using device = await openTuned(config);
  return convolutionsOf(device);
}

/** A run's figures against those of the same run made again. */
export function compared(
  { folder, run, then, now: made, adapter, convolutions }: {
    readonly folder: string;
    readonly run: Run;
    readonly then: unknown;
    readonly now: unknown;
    readonly adapter: object;
    readonly convolutions: Convolutions;
  },
): VerifyResult {
  const now = figuresOf(made);
  const elsewhere = elsewhereIn(run, adapter, convolutions);
  const sameMachine = elsewhere.length === 0;
  const found = differences(then, now, sameMachine ? 0 : tolerance);
  return verifyResultSchema.parse({
    schema: "mirage/verify@1",
    folder,
    command: run.command,
    sameMachine,
    elsewhere,
    tolerance: sameMachine ? 0 : tolerance,
    figures: new Set([...flatten(then).keys(), ...flatten(now).keys()]).size,
    differences: found.map(({ figure, before, now, by }: Difference) => ({
      figure,
      before: before ?? null,
      now: now ?? null,
      by,
    })),
    verified: found.length === 0,
  });
}

/** In what adapter, versions, and the way convolutions are computed are not those of the run. */
function elsewhereIn(run: Run, adapter: object, convolutions: Convolutions): string[] {
  const [now, then] = [adapter, run.adapter].map((of) => JSON.stringify(of));
  const [name, before] = [adapter, run.adapter].map((of) =>
    "description" in of ? of.description : undefined
  );
  // Drivers may share a name and not be the same.
  const told = name && before && name !== before ? [name, before] : [now, then];
  const { convolutions: computed = convolutions } = run.identity;
  return [
    ...computed === convolutions ? [] : [`convolutions by ${convolutions}, not ${computed}`],
    ...now === then ? [] : [`adapter ${told[0]}, not ${told[1]}`],
    ...Object.entries(versions()).flatMap(([of, version]) =>
      version === run.versions[of] ? [] : [`${of} ${version}, not ${run.versions[of]}`]
    ),
  ];
}

interface Repeated {
  readonly then: unknown;
  readonly now: unknown;
  readonly adapter: object;
}

async function repeat(
  { command }: Run,
  before: Record<string, unknown>,
  { folder, config, reporter, surrogate }: {
    readonly folder: string;
    readonly config: RunConfig;
    readonly reporter: Reporter;
    readonly surrogate: KeptSurrogate;
  },
): Promise<Repeated> {
  if (command === "train") {
    const { data: trained } = trainedSchema.safeParse(before);
    if (!trained) {
      throw new UserError(
        `Cannot verify "${display(folder)}": its metrics.json holds no accuracies of a training; ` +
          "make the run again",
      );
    }
    const { accuracies, adapter } = await selectionAccuracies(config, reporter);
    return { then: trained.members.map(({ best }) => best.accuracy), now: accuracies, adapter };
  }
  const document = command === "attack"
    ? await attackOnly(config, reporter)
    : command === "battery"
    ? await batteryOnly(config, reporter, surrogate)
    : await evaluateOnly(config, reporter);
  return { then: before, now: document, adapter: document.adapter };
}

const trainedSchema = z.object({
  members: z.array(z.object({ best: z.object({ accuracy: z.number() }) })),
});
