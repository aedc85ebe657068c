/**
 * The checkpoints that a run names: which files they are, and what is wrong with their number and their seeds.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { display, isFile } from "../base/files.ts";
import { fromMetadata, type Statement } from "../checkpoint/statement.ts";
import { readCheckpointArrays } from "../checkpoint/torch.ts";
import { networkOf } from "../methods/mod.ts";
import { checkpointsOf, listedMembers, type RunConfig } from "./config.ts";
import { listed, rising } from "./seeds.ts";
import { type Said, shownIn } from "./stated.ts";

/** The checkpoints that were named, one a member; undefined where none was. */
export function givenCheckpoints(
  config: RunConfig,
  seeds: readonly number[],
): readonly string[] | undefined {
  const given = checkpointsOf(config);
  return given &&
    seeds.map((seed, i) =>
      (given.length === 1 ? given[0] : given[i])?.replaceAll("{seed}", String(seed)) ?? ""
    );
}

/** What checkpoints say of themselves, one after the other, so that the first that is missing is named. */
export async function saidOf(paths: readonly string[], model: string): Promise<Said[]> {
  const found: Said[] = [];
  for (const path of paths) {
    const { metadata, tensors } = await readCheckpointArrays(path);
    const statement = fromMetadata(metadata, path);
    found.push({ path, statement, shown: shownIn(tensors, networkOf(model), path) });
  }
  return found;
}

/**
 * Whether every member's file is there, where some are: one path stands for them all.
 *
 * @throws UserError saying which are
 */
export async function checkMembers(
  config: RunConfig,
  given: readonly string[],
  seeds: readonly number[],
): Promise<void> {
  if (listedMembers(config) !== undefined) return;
  const there = await Promise.all(given.map(isFile));
  const found = seeds.filter((_, i) => there[i]);
  if (found.length === 0 || found.length === seeds.length) return;
  const first = found[0] === seeds[0] ? "" : `--seed ${found[0]} and `;
  const verb = first === "" && config.numEnsembles === undefined ? "add" : "use";
  const [path = ""] = checkpointsOf(config) ?? [];
  throw new UserError(
    `Cannot use "${shortened(path, 110)}": ${seeds.length} members are expected, ${
      listed(seeds)
    }; ` +
      `${shortened(listed(found), 60)} ${found.length === 1 ? "is" : "are"} there; ` +
      (rising(found)
        ? `${verb} ${first}--num-ensembles ${found.length}`
        : "name each by a --checkpoint of its own"),
  );
}

/**
 * Holds seeds that files are named by against what the files say.
 *
 * @throws UserError naming the first that says otherwise
 */
export function checkSeeds(
  config: RunConfig,
  { given, seeds, statements }: {
    readonly given: readonly string[];
    readonly seeds: readonly number[];
    readonly statements: readonly (Statement | undefined)[];
  },
): void {
  for (const [i, path] of given.entries()) {
    const [wanted, said] = [seeds[i], statements[i]?.seed];
    if (said === undefined || said === wanted || !isTemplate(config, i)) continue;
    throw new UserError(
      `Cannot use "${
        display(path)
      }" as the model of seed ${wanted}: it was trained with seed ${said}; ` +
        "name it in full by --checkpoint, or choose another by --seed",
    );
  }
}

/** Whether the file of a member is named by its seed. */
function isTemplate(config: RunConfig, member: number): boolean {
  const given = checkpointsOf(config) ?? [];
  return (given.length === 1 ? given[0] : given[member])?.includes("{seed}") ?? false;
}
