/**
 * The runs there are.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { explain } from "../base/files.ts";
import { isHeld } from "../base/lock.ts";
import { described } from "../base/schema.ts";
import { circumstances } from "./agreement.ts";
import { readFigures, readRun, runsFolder } from "./folder.ts";
import { type Run, type RunCommand, runCommands } from "./schema.ts";

/** How far a run has come: an unfinished one is made by the same command, from what it left, if anything. */
export type RunState = "finished" | "running" | "unfinished" | "damaged";

/** All of them. */
export const runStates = [
  "finished",
  "running",
  "unfinished",
  "damaged",
] as const satisfies readonly RunState[];

const figure = z.number().nullable();

/** What is told of a run; null for what it has not. */
export interface RunRow {
  /** Its folder. */
  readonly folder: string;
  /** The command that left it. */
  readonly command: RunCommand | null;
  /** Method of uncertainty estimation. */
  readonly mode: string | null;
  /** Network. */
  readonly model: string | null;
  /** Hyper-parameters of the mode's and the network's own. */
  readonly hyperparameters: Readonly<Record<string, string | number>>;
  /** Of everything that the run drew. */
  readonly seed: number | null;
  /** Models of an ensemble; 1 of a single one. */
  readonly members: number | null;
  /** The published procedure, `paper`, or `corrected`. */
  readonly protocol: string | null;
  /** The attack's name. */
  readonly attack: string | null;
  /** The battery's name; null of a single attack. */
  readonly battery: string | null;
  /** The attack's radius in its norm; pixels are in [0, 1]. */
  readonly epsilon: number | null;
  /** The class that an attack steers to. */
  readonly targeted: number | null;
  /** How many images of each set were used at most, the training set too. */
  readonly limit: number | null;
  /** The options of its run.json that are words, numbers, or yes and no, but for those of where things are. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** Out-domain images that were evaluated or attacked; of a training those learned from. */
  readonly images: number | null;
  /** Mean entropy of the clean out-domain set in nats. */
  readonly entropy: number | null;
  /** Mean entropy of the attacked out-domain set in nats. */
  readonly entropyAttacked: number | null;
  /** Share of the clean images rejected at 0.9, 0 to 1. */
  readonly rejected: number | null;
  /** Share of the attacked images rejected at 0.9, 0 to 1. */
  readonly rejectedAttacked: number | null;
  /** Accuracy in-domain, 0 to 1. */
  readonly accuracy: number | null;
  /** When it was begun, in ISO 8601. */
  readonly started: string | null;
  /** How far it has come. */
  readonly state: RunState;
}

/** What `runs --json` prints. */
export interface RunsResult {
  /** The document's format. */
  readonly schema: "mirage/runs@5";
  /** The folder that the runs lie in. */
  readonly folder: string;
  /** The runs that were asked for, in the order that was asked for. */
  readonly runs: readonly RunRow[];
}

const hyperparameters = z.record(z.string(), z.union([z.string(), z.number()]));
const plainOption = z.union([z.string(), z.number(), z.boolean()]);
const plainOptions = z.record(z.string(), plainOption);

const runsResultSchema = described<RunsResult>().by(z.strictObject({
  schema: z.literal("mirage/runs@5"),
  folder: z.string(),
  runs: z.array(z.strictObject({
    folder: z.string(),
    command: z.enum(runCommands).nullable(),
    mode: z.string().nullable(),
    model: z.string().nullable(),
    hyperparameters,
    seed: z.int().nullable(),
    members: z.int().nullable(),
    protocol: z.string().nullable(),
    attack: z.string().nullable(),
    battery: z.string().nullable(),
    epsilon: figure,
    targeted: z.int().nullable(),
    limit: z.int().nullable(),
    options: plainOptions,
    images: z.int().nullable(),
    entropy: figure,
    entropyAttacked: figure,
    rejected: figure,
    rejectedAttacked: figure,
    accuracy: figure,
    started: z.string().nullable(),
    state: z.enum(runStates),
  })),
}));

/** A figure or fact that runs can be sorted by. */
export type SortKey = "started" | "mode" | "epsilon" | "entropy" | "entropyAttacked";

/** All of them. */
export const sortKeys: readonly SortKey[] = [
  "started",
  "mode",
  "epsilon",
  "entropy",
  "entropyAttacked",
];

/** Which runs, in which order. */
export interface RunsQuery {
  /** Runs of this mode alone; of all when not given. */
  readonly mode?: string | undefined;
  /** Runs of this command alone; of all when not given. */
  readonly command?: RunCommand | undefined;
  /** Runs that have come so far; all when not given. */
  readonly state?: RunRow["state"] | undefined;
  /** Key of the order: `started` from the newest on, all else from the smallest; runs without it come last. */
  readonly sort: SortKey;
}

/** Every run under a save path that the query asks for; the newest first, or the smallest figure. */
export async function listRuns(savePath: string, query: RunsQuery): Promise<RunsResult> {
  const folder = runsFolder(savePath);
  const rows: RunRow[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) rows.push(await describeRun(join(folder, name)));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw explain(error, "read", folder);
  }
  const { mode, command, state, sort } = query;
  const wanted = rows.filter((row) =>
    (mode === undefined || row.mode === mode) &&
    (command === undefined || row.command === command) &&
    (state === undefined || row.state === state)
  );
  const order = (a: RunRow, b: RunRow): number => {
    const [x, y] = [a[sort], b[sort]];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    const sign = x < y ? -1 : x > y ? 1 : 0;
    return sort === "started" ? -sign : sign;
  };
  wanted.sort((a, b) => order(a, b) || (a.folder < b.folder ? -1 : 1));
  return runsResultSchema.parse({ schema: "mirage/runs@5", folder, runs: wanted });
}

async function describeRun(folder: string): Promise<RunRow> {
  const nothing = {
    command: null,
    mode: null,
    model: null,
    seed: null,
    protocol: null,
    battery: null,
    epsilon: null,
    limit: null,
    options: {},
    ...noFigures,
    started: null,
  };
  try {
    const run = await readRun(folder);
    const options = runOptionsSchema.parse(run.config);
    const { mode, model, seed, protocol, battery, epsilonAttack, limit } = options;
    return {
      folder,
      command: run.command,
      mode: mode ?? null,
      model: model ?? null,
      seed: seed ?? null,
      protocol: protocol ?? null,
      battery: battery ?? null,
      epsilon: run.command === "attack" || run.command === "battery" ? epsilonAttack ?? null : null,
      limit: limit ?? null,
      options: optionsOf(run),
      ...await outcome(folder, run),
      started: run.started,
    };
  } catch {
    return { folder, ...nothing, state: "damaged" };
  }
}

function optionsOf({ config }: Run): z.infer<typeof plainOptions> {
  const entries = Object.entries(config).filter(([name, value]) =>
    !circumstances.has(name) && plainOption.safeParse(value).success
  );
  return plainOptions.parse(Object.fromEntries(entries));
}

/** How far a run has come, and its figures; none where they are not those that it left. */
async function outcome(
  folder: string,
  run: Run,
): Promise<Headline & Pick<RunRow, "state">> {
  if (await isHeld(folder)) return { ...noFigures, state: "running" };
  try {
    const figures = await readFigures(folder, run);
    if (!figures) return { ...noFigures, state: "unfinished" };
    return { ...headline(figures), state: "finished" };
  } catch {
    return { ...noFigures, state: "damaged" };
  }
}

const runOptionsSchema = z.object({
  mode: z.string().optional(),
  model: z.string().optional(),
  seed: z.int().optional(),
  protocol: z.string().optional(),
  battery: z.string().optional(),
  epsilonAttack: z.number().optional(),
  limit: z.int().nullish(),
});

const uncertainty = z.object({
  entropy: figure,
  rejection: z.record(z.string(), z.number()),
}).optional();

const headlineSchema = z.object({
  model: z.string().optional(),
  hyperparameters: hyperparameters.default({}),
  attack: z.object({ name: z.string(), targeted: z.int().nullish() }).optional().catch(undefined),
  seeds: z.array(z.unknown()).optional().catch(undefined),
  data: z.object({ count: z.int() }).optional().catch(undefined),
  inDomain: z.object({ accuracy: figure }).optional().catch(undefined),
  clean: uncertainty,
  adversarial: uncertainty,
  outDomain: z.object({ count: z.int() }).and(z.unknown()).optional().catch(undefined),
  members: z.array(z.object({ best: z.object({ accuracy: z.number() }) })).optional(),
});

const noFigures = {
  hyperparameters: {},
  members: null,
  attack: null,
  targeted: null,
  images: null,
  entropy: null,
  entropyAttacked: null,
  rejected: null,
  rejectedAttacked: null,
  accuracy: null,
} as const;

type Headline = Pick<RunRow, keyof typeof noFigures> & { readonly model?: string };

/** The figures that a table of runs shows. */
function headline(figures: Record<string, unknown>): Headline {
  const { model, clean, adversarial, outDomain, inDomain, members, seeds, attack, data, ...own } =
    headlineSchema.parse(figures);
  // An evaluation has its figures with the set's own.
  const before = clean ?? uncertainty.catch(undefined).parse(outDomain);
  return {
    ...(model === undefined ? {} : { model }),
    hyperparameters: own.hyperparameters,
    members: seeds?.length ?? members?.length ?? null,
    attack: attack?.name ?? null,
    targeted: attack?.targeted ?? null,
    images: outDomain?.count ?? data?.count ?? null,
    entropy: before?.entropy ?? null,
    entropyAttacked: adversarial?.entropy ?? null,
    rejected: before?.rejection["0.9"] ?? null,
    rejectedAttacked: adversarial?.rejection["0.9"] ?? null,
    accuracy: inDomain?.accuracy ?? members?.[0]?.best.accuracy ?? null,
  };
}
