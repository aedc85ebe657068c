/**
 * From a grid to a plan: every row is checked before any runs.
 *
 * @module
 */
import { digestOf } from "../base/digest.ts";
import { UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import type { Attack } from "../attack/mod.ts";
import type { RunConfig } from "../experiment/config.ts";
import type { Point, RowCommand, RowOptions } from "./grid.ts";
import { configOf, lowered, type Plan, type Row } from "./plan.ts";
import { Survey } from "./survey.ts";
import { type Draft, sharedTrainings } from "./trainings.ts";

/** A plan, and what became of the grid in it. */
export interface Planned extends Plan {
  /** Points of the grid. */
  readonly points: number;
  /** Trainings that were added, because several rows use them. */
  readonly shared: number;
  /** Sentences about what was left out. */
  readonly notes: readonly string[];
  /** The rows with what is known of them, in the order of the plan. */
  readonly drafts: readonly Draft[];
}

/** An option that does nothing in a run, and why. */
export type Idle = (
  command: RowCommand,
  config: RunConfig,
  names: readonly string[],
  own: Attack | undefined,
) => readonly { readonly name: string; readonly state: string }[];

/**
 * Makes a plan of the points of a grid: equal rows become one, and trainings that several use become rows.
 *
 * @param path of the grid, for sentences
 * @param idle tells options that do nothing in a row; such are left out there
 * @throws UserError naming the first row that could not run
 */
export async function makePlan(
  path: string,
  points: readonly Point[],
  idle: Idle,
): Promise<Planned> {
  const survey = new Survey();
  const drafts = new Map<string, Draft>();
  const idleness = new Idleness();
  for (const [i, point] of points.entries()) {
    try {
      const draft = await draftOf(point, survey, idle, idleness);
      drafts.set(draft.digest, drafts.get(draft.digest) ?? draft);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const where = `row ${i + 1} of "${display(path)}"`;
      throw new UserError(`Cannot plan ${where}: ${lowered(error.message)}`, { cause: error });
    }
  }
  idleness.refuse(path);
  const all = await sharedTrainings([...drafts.values()], survey);
  const first = [...all.filter(isTraining), ...all.filter((row) => !isTraining(row))];
  const rows = first.map(({ digest, command, options, needs }, index): Row => ({
    index,
    digest,
    command,
    options,
    needs,
  }));
  return {
    digest: digestOf(rows),
    rows,
    trainings: rows.filter(isTraining).length,
    points: points.length,
    shared: all.length - drafts.size,
    notes: idleness.notes(),
    drafts: first,
  };
}

function isTraining({ command }: Pick<Row, "command">): boolean {
  return command === "train";
}

async function draftOf(
  { command, options, block }: Point,
  survey: Survey,
  idle: Idle,
  idleness: Idleness,
): Promise<Draft> {
  const asked = configOf({ command, options });
  const parts = command === "attack"
    ? await survey.tryAttack(asked, await survey.known(command, asked))
    : undefined;
  const without = idleness.found(
    command,
    options,
    () => idle(command, asked, Object.keys(options), parts?.attack),
  );
  idleness.add(block, Object.keys(options), without, asked.mode);
  const kept = Object.fromEntries(
    Object.entries(options).filter(([name]) => !without.some((of) => of.name === name)),
  );
  const config = without.length > 0 ? configOf({ command, options: kept }) : asked;
  const known = await survey.known(command, config);
  const digest = await survey.digest(command, config, known);
  return { digest, command, options: kept, needs: [], config, known };
}

/** Options that do nothing in some rows: left out there, and refused where they do nothing in a whole block. */
class Idleness {
  /** By block and option, how many rows have it, and in how many it does nothing. */
  readonly #of = new Map<
    string,
    { block: number; name: string; rows: number; idle: number; why: string; modes: Set<string> }
  >();

  /** What was found of rows that differ in their seed and radius alone. */
  readonly #seen = new Map<string, ReturnType<Idle>>();

  found(command: RowCommand, options: RowOptions, look: () => ReturnType<Idle>): ReturnType<Idle> {
    const { seed, epsilonAttack, ...rest } = options;
    const has = [seed, epsilonAttack].map((value) => value !== undefined);
    const key = JSON.stringify([command, has, rest]);
    const found = this.#seen.get(key) ?? look();
    this.#seen.set(key, found);
    return found;
  }

  add(
    block: number,
    names: readonly string[],
    idle: readonly { readonly name: string; readonly state: string }[],
    mode: string,
  ): void {
    for (const name of names) {
      const key = `${block} ${name}`;
      const seen = this.#of.get(key) ??
        { block, name, rows: 0, idle: 0, why: "", modes: new Set() };
      this.#of.set(key, seen);
      seen.rows++;
      const found = idle.find((of) => of.name === name);
      if (!found) continue;
      seen.idle++;
      seen.why ||= found.state;
      seen.modes.add(mode);
    }
  }

  refuse(path: string): void {
    for (const { name, rows, idle, why, block } of this.#of.values()) {
      if (idle < rows) continue;
      throw new UserError(
        `Cannot plan "${display(path)}": ${name} changes nothing in block ${block}: ${why}; ` +
          "leave it out",
      );
    }
  }

  notes(): string[] {
    return [...this.#of.values()].filter(({ idle }) => idle > 0).map(({ name, idle, modes }) =>
      `${name} does nothing in ${idle} ${idle === 1 ? "row" : "rows"} (${
        [...modes].join(", ")
      }): left out there`
    );
  }
}
