/**
 * Whether what a `run.json` says in several places is the same.
 *
 * @module
 */
import { normalize } from "node:path";
import { z } from "zod";
import { digestOf } from "../base/digest.ts";
import { shortened, shownValue } from "../base/errors.ts";
import { hyperparameterNames } from "../methods/mod.ts";
import type { Run } from "./schema.ts";

/**
 * Options that change nothing in the figures, where things are and what is shown, and the one whose effect a run
 * states in its own words: how convolutions were computed.
 */
export const circumstances: ReadonlySet<string> = new Set([
  "dataPath",
  "savePath",
  "checkpoint",
  "modelFile",
  "explain",
  "time",
  "saveImages",
  "exactConvolutions",
]);

/** Options that a run settles where nobody chose them. */
const settled: ReadonlySet<string> = new Set([
  "model",
  "trainBatchSize",
  "trainingLimit",
  ...hyperparameterNames,
]);

type Options = Readonly<Record<string, unknown>>;

/**
 * An option as it names a run: of a path of images its plain form, so that `./zoo/` and `zoo` name the same run. What
 * lies there is in the run's digests; a path from elsewhere, relative or absolute, is left another one.
 */
export function inIdentity(name: string, value: unknown): unknown {
  if (name !== "inDomain" && name !== "outDomain" || typeof value !== "string") return value;
  return normalize(value).replace(/(?<=.)[\\/]+$/, "");
}

const record = z.record(z.string(), z.unknown());

/** In what a run contradicts itself, in half a sentence; undefined where it does not. */
export function contradiction(
  { command, config, identity, adapter, versions }: Run,
): string | undefined {
  const options = record.catch({}).parse(identity["options"]);
  const isTable = command === "table";
  const [asked, made] = isTable ? [inOne(config), inOne(options)] : [config, options];
  for (const name of new Set([...Object.keys(asked), ...Object.keys(made)])) {
    if (circumstances.has(name)) continue;
    if (same(inIdentity(name, asked[name]), inIdentity(name, made[name]))) continue;
    if (asked[name] === undefined && !isTable && settled.has(name)) continue;
    return `its config says ${told(asked, name)}, its identity ${told(made, name)}`;
  }
  if (!same(versions, identity["versions"])) return "its versions are not those of its identity";
  if (!same(adapter, identity["adapter"] ?? {})) return "its adapter is not that of its identity";
  return undefined;
}

/** The options of a table, whose runs have theirs one level below. */
function inOne({ run, ...options }: Options): Options {
  return { ...options, ...record.catch({}).parse(run) };
}

function told(options: Options, name: string): string {
  const value = options[name];
  return value === undefined ? `no ${shortened(name)}` : `${shortened(name)} ${shownValue(value)}`;
}

function same(a: unknown, b: unknown): boolean {
  return digestOf([a]) === digestOf([b]);
}
