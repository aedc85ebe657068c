/**
 * What is known of rows before any runs: their data, files and trainings. Rows that differ in nothing but their
 * seed and their attack are looked at once, and no device is opened.
 *
 * @module
 */
import { z } from "zod";
import { digestOf, sha256 } from "../base/digest.ts";
import { readFile } from "../base/files.ts";
import { isModulePath, moduleDigest } from "../base/module.ts";
import { attackSettings, checkParts } from "../experiment/attack.ts";
import {
  checkpointsOf,
  objectiveOf,
  optionEntries,
  optionFacts,
  type RunConfig,
} from "../experiment/config.ts";
import { givenCheckpoints } from "../experiment/named.ts";
import { type Parts, partsOf } from "../experiment/parts.ts";
import { openSetup, outDomainOf, type Setup } from "../experiment/setup.ts";
import { surrogateSeedsOf } from "../experiment/used_models.ts";
import { circumstances, inIdentity } from "../runs/agreement.ts";
import type { Run } from "../runs/schema.ts";
import type { RowCommand } from "./grid.ts";

/** What rows have in common that differ in seed and attack alone. */
export interface Known {
  readonly setup: Setup;
  /** SHA-256 of the sets that a row is evaluated on, by their part in it. */
  readonly data: Readonly<Record<string, string>>;
}

/** Options that act in an attack alone. */
const ofAttack: ReadonlySet<string> = new Set(
  Object.entries(optionEntries).filter(([, entry]) => {
    const { acts = [] } = optionFacts.get(entry) ?? {};
    return acts.length > 0 && acts.every((stage) => stage === "attack");
  }).map(([name]) => name),
);

/** Options that say where something is, but not where results go: they name no other row. */
const places: ReadonlySet<string> = new Set(
  [...circumstances].filter((name) =>
    !["savePath", "saveImages", "exactConvolutions"].includes(name)
  ),
);

/** What a row's digest is of. */
interface RowIdentity {
  readonly command: RowCommand;
  readonly config: Readonly<Record<string, unknown>>;
  readonly network: unknown;
  readonly data: Readonly<Record<string, string>>;
  /** SHA-256 of the models that are named, one a member. */
  readonly files: readonly string[];
  /** SHA-256 of modules of the user's own, by option. */
  readonly modules: Readonly<Record<string, string>>;
}

/** Looks at rows, and keeps what it has seen for those that follow. */
export class Survey {
  readonly #known = new Map<string, Promise<Known>>();
  readonly #files = new Map<string, Promise<string>>();
  readonly #modules = new Map<string, Promise<string>>();
  readonly #tried = new Set<string>();

  /**
   * What a row has in common with others.
   *
   * @throws UserError for missing data or files, and whatever a run would be refused for before it opens a device
   */
  async known(command: RowCommand, config: RunConfig): Promise<Known> {
    const purpose = command === "train" ? "train" : "use";
    const named = checkpointsOf(config) !== undefined;
    const alike = Object.entries(config).filter(([name]) =>
      !ofAttack.has(name) && (named || name !== "seed")
    );
    const key = digestOf({ purpose, alike: Object.fromEntries(alike) });
    const known = this.#known.get(key) ?? look(config, purpose);
    this.#known.set(key, known);
    return await known;
  }

  /**
   * Tries what attacks on the models of a row, as the run will.
   *
   * @throws UserError when these have not the class to steer to, or cannot give the objective
   */
  async tryAttack(config: RunConfig, { setup }: Known): Promise<Parts> {
    const parts = await partsOf(config);
    const settings = attackSettings(config, parts.attack);
    const { mode, model, targeted, checkpoint, modelFile, battery } = config;
    const objective = objectiveOf(config, parts.attack);
    const asked = { mode, model, targeted, checkpoint, modelFile, objective, of: parts.modules };
    const key = digestOf(asked);
    if (battery === undefined && !this.#tried.has(key)) {
      checkParts({ ...setup, config }, parts, settings);
    }
    this.#tried.add(key);
    return parts;
  }

  /** What names a row: the command, its options, the data, and the text or bytes of what it names. */
  async digest(command: RowCommand, config: RunConfig, known: Known): Promise<string> {
    const { setup, data } = known;
    const { seeds, network } = setup;
    const files = givenCheckpoints(config, seeds.map((_, i) => config.seed + i)) ?? [];
    const digests = files.map((path) => once(this.#files, path, fileDigest));
    const modules = Object.entries(config).flatMap(([name, path]) =>
      isModulePath(path) && (name === "attack" || name === "objective")
        ? [[name, once(this.#modules, path, moduleDigest)] as const]
        : []
    );
    return rowDigest({
      command,
      config: { ...config },
      network,
      data,
      files: await Promise.all(digests),
      modules: Object.fromEntries(
        await Promise.all(modules.map(async ([name, of]) => [name, await of] as const)),
      ),
    });
  }
}

const recorded = z.object({
  data: z.record(z.string(), z.object({ sha256: z.string() })),
  options: z.object({ model: z.unknown() }),
  modules: z.record(z.string(), z.string()).default({}),
});

/** The digest of the row that a run is, of its `run.json`; undefined where a run is of no row. */
export function digestOfRun(run: Run): string | undefined {
  const { command, config, identity, checkpoints } = run;
  const parsed = recorded.safeParse(identity);
  if (command === "table" || !parsed.success) return undefined;
  const { data, options, modules } = parsed.data;
  const named = config["checkpoint"] !== undefined || config["modelFile"] !== undefined;
  const own = checkpoints.slice(0, checkpoints.length - surrogateSeedsOf(run).length);
  return rowDigest({
    command: command === "battery" ? "attack" : command,
    config,
    network: options.model,
    data: Object.fromEntries(
      Object.entries(data).filter(([role]) => role === "test" || role === "outDomain")
        .map(([role, set]) => [role, set.sha256]),
    ),
    files: named ? own.map(({ sha256 }) => sha256) : [],
    modules,
  });
}

function rowDigest({ config, network, ...rest }: RowIdentity): string {
  const options = Object.entries(config).filter(([name, value]) =>
    value !== undefined && !places.has(name)
  ).map(([name, value]) => [name, inIdentity(name, value)]);
  return digestOf({ ...rest, options: { ...Object.fromEntries(options), model: network } });
}

async function look(config: RunConfig, purpose: "train" | "use"): Promise<Known> {
  const setup = await openSetup(config, purpose);
  const test = await setup.sets.inDomain.images("test", config.limit);
  const outDomain = purpose === "use" ? await outDomainOf(setup) : undefined;
  return {
    setup,
    data: { test: test.sha256, ...outDomain && { outDomain: outDomain.sha256 } },
  };
}

async function fileDigest(path: string): Promise<string> {
  return sha256(await readFile(path));
}

function once(
  seen: Map<string, Promise<string>>,
  path: string,
  make: (path: string) => Promise<string>,
): Promise<string> {
  const found = seen.get(path) ?? make(path);
  seen.set(path, found);
  return found;
}
