/**
 * Makes a run's evaluation again from its folder, and compares every figure.
 *
 * @module
 */
import { z } from "zod";
import { type RunConfig, runConfig, type RunOptions } from "./config.ts";
import { UserError } from "./errors.ts";
import { type Reporter, silent } from "./reporter.ts";
import { attackOnly, evaluateOnly, selectionAccuracies } from "./run.ts";
import { type Difference, differences, figuresOf } from "./runs/figures.ts";
import { checkData } from "./runs/identity.ts";
import { keptCheckpoints, readFigures, readRun, type Run } from "./runs/folder.ts";
import { versions } from "./version.ts";

/** Numbers may differ by so much on another adapter, driver or version, relative to `max(1, |figure|)`. */
export const tolerance = 0.01;

/** What `verify --json` prints. */
export const verifyResultSchema = z.strictObject({
  schema: z.literal("mirage/verify@1"),
  folder: z.string(),
  command: z.string(),
  /** Whether adapter, driver and versions are those of the run: then not a bit may differ. */
  sameMachine: z.boolean(),
  tolerance: z.number(),
  /** Figures that were compared. */
  figures: z.int(),
  differences: z.array(z.strictObject({
    figure: z.string(),
    before: z.unknown(),
    now: z.unknown(),
    by: z.number().nullable(),
  })),
  verified: z.boolean(),
});

/** See {@linkcode verifyResultSchema}. */
export type VerifyResult = z.infer<typeof verifyResultSchema>;

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
  const before = await readFigures(folder);
  if (!before) {
    throw new UserError(
      `Cannot verify "${folder}": the run is not finished; repeat its command, which goes on with it`,
    );
  }
  if (run.command === "table") {
    throw new UserError(
      `Cannot verify "${folder}": a table has no models of its own; verify the attacks it consists of`,
    );
  }
  const checkpoint = await keptCheckpoints(folder, run);
  const options = { ...run.config, checkpoint, ...(dataPath === undefined ? {} : { dataPath }) };
  const config = runConfig(options as unknown as RunOptions);
  await checkData(run, config, folder);
  const { now, then, adapter } = await repeat(run, before, config, reporter);
  const sameMachine = JSON.stringify(adapter) === JSON.stringify(run.adapter) &&
    JSON.stringify(versions()) === JSON.stringify(run.versions);
  const found = differences(then, now, sameMachine ? 0 : tolerance);
  return verifyResultSchema.parse({
    schema: "mirage/verify@1",
    folder,
    command: run.command,
    sameMachine,
    tolerance: sameMachine ? 0 : tolerance,
    figures: leaves(then),
    differences: found.map(({ figure, before, now, by }: Difference) => ({
      figure,
      before: before ?? null,
      now: now ?? null,
      by,
    })),
    verified: found.length === 0,
  });
}

interface Repeated {
  readonly then: unknown;
  readonly now: unknown;
  readonly adapter: object;
}

async function repeat(
  { command }: Run,
  before: Record<string, unknown>,
  config: RunConfig,
  reporter: Reporter,
): Promise<Repeated> {
  if (command === "train") {
    const { accuracies, adapter } = await selectionAccuracies(config, reporter);
    const { members } = trainedSchema.parse(before);
    return { then: members.map(({ best }) => best.accuracy), now: accuracies, adapter };
  }
  const document = command === "attack"
    ? await attackOnly(config, reporter)
    : await evaluateOnly(config, reporter);
  return { then: before, now: figuresOf(document), adapter: document.adapter };
}

const trainedSchema = z.object({
  members: z.array(z.object({ best: z.object({ accuracy: z.number() }) })),
});

function leaves(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((n: number, inner) => n + leaves(inner), 0);
}
