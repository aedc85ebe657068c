/**
 * Models on disk: named arrays with a metadata block, and the folder that holds a training run's.
 *
 * @module
 */
import { join } from "node:path";
import { shortened, UserError } from "../base/errors.ts";
import { display, readFile } from "../base/files.ts";
import { type Model, networkOf } from "../methods/mod.ts";
import { show, size } from "../nn/mod.ts";
import { sha256, sha256Of } from "../base/digest.ts";
import { writeSafetensors } from "./safetensors.ts";
import { fromMetadata, type Metadata, type Statement, toMetadata } from "./statement.ts";
import { readAs, type StateDict } from "./state_dict.ts";
import { decodeCheckpoint } from "./torch.ts";

/** What was loaded. */
export interface Loaded {
  /** The file's metadata; empty for PyTorch's. */
  readonly metadata: Metadata;
  /** What the file says of itself, where Mirage wrote it. */
  readonly statement?: Statement;
  /** For people: in what the names of its arrays were taken otherwise than they stand there. */
  readonly notes: readonly string[];
  /** SHA-256 of the file. */
  readonly sha256: string;
}

/**
 * Fills a model's state on the host from a checkpoint: ours, or a `.checkpoint` of PyTorch.
 *
 * @returns what the file says of itself
 * @throws UserError naming the file when it is of another model, damaged or missing
 */
export async function loadCheckpoint(model: Model, path: string): Promise<Loaded> {
  const bytes = await readFile(path);
  const archive = decodeCheckpoint(bytes, path);
  const statement = fromMetadata(archive.metadata, path);
  if (statement && statement.model !== model.name) {
    throw new UserError(
      `Cannot load "${display(path)}" as ${model.name}: it says that it is a ${
        shortened(statement.model)
      }; name that by --model`,
    );
  }
  const { synonyms, caution } = networkOf(model.name);
  const { named, words } = readAs(archive.tensors, model.state, synonyms ?? []);
  fill(model, named, path);
  const names = `The names in "${display(path)}" are taken`;
  const off = [...archive.prefix ? [archive.prefix] : [], ...archive.within ?? []];
  const read = words.map(([word, other]) => `"${word}" as "${other}"`).join(" and ");
  return {
    metadata: archive.metadata,
    ...(statement && { statement }),
    notes: [
      ...off.map((part) => `${names} without "${shortened(part)}"`),
      ...read ? [`${names} with ${read}${caution ? `; ${caution}` : ""}`] : [],
    ],
    sha256: sha256(bytes),
  };
}

/** Makes the error that says why a file is not this model's. */
type Cannot = (state: string) => UserError;

function fill(model: Model, tensors: StateDict, path: string): void {
  const cannot: Cannot = (state) =>
    new UserError(`Cannot load "${display(path)}" as ${model.name}: ${state}`);
  checkArrays(model, tensors, cannot);
  for (const [name, parameter] of model.state) {
    const { data = [], integer } = tensors.get(name) ?? {};
    // Weights as integers are quantised, and mean nothing without their scale.
    if (integer !== undefined) {
      throw cannot(
        `"${name}" is stored as ${integer}, not as floating-point numbers; save the weights as float32`,
      );
    }
    const values = Float32Array.from(data);
    const bad = values.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      const beyond = Number.isFinite(data[bad]) ? ", which is more than 32 bits hold" : "";
      throw cannot(`"${name}" holds ${data[bad]} at ${bad}${beyond}; train the model again`);
    }
    parameter.data.set(values);
  }
}

/** Refuses a file whose arrays are not the model's: fewer, of other shapes, or more. */
function checkArrays(model: Model, tensors: StateDict, cannot: Cannot): void {
  const { name: title, state, ignored } = model;
  // Counters of batches, which a fixed momentum has no use for, are passed over, as is that of averaged weights.
  const own = (name: string): boolean =>
    name.startsWith("optimizer.") || name.endsWith(".num_batches_tracked") ||
    name === "n_averaged";
  const unknown = [...tensors.keys()].filter((name) =>
    !state.has(name) && !ignored.includes(name) && !own(name)
  );
  const missing = [...state.keys()].filter((name) => !tensors.has(name));
  if (unknown.length > 0) checkSingle(model, tensors, cannot);
  if (missing.length > 0) {
    const instead = unknown.length > 0 ? ` but ${some(unknown.slice(0, 1))}` : "";
    throw cannot(
      `it has no ${
        some(missing)
      }${instead}; give the checkpoint of a ${title}, or its mode by --mode`,
    );
  }
  checkShapes(model, tensors, cannot);
  if (unknown.length > 0) {
    throw cannot(
      `it holds ${some(unknown)}, which ${title} has not; give the checkpoint of a ${title}`,
    );
  }
}

/** Refuses a file that holds the whole model twice, or once under a prefix that other arrays lack. */
function checkSingle({ state }: Model, tensors: StateDict, cannot: Cannot): void {
  const [head = ""] = state.keys();
  const [first, second] = modelsIn(tensors, [...state.keys()]);
  if (first === undefined) return;
  if (second !== undefined) {
    throw cannot(
      `it holds two models, from "${shortened(first, 50)}" and from "${
        shortened(second, 50)
      }" on; ` +
        "save the state_dict of one alone",
    );
  }
  const prefix = first.slice(0, first.length - head.length);
  const beside = [...tensors.keys()].filter((name) => !name.startsWith(prefix));
  if (beside.length === 0) return;
  throw cannot(
    `it holds ${some(beside)} beside the model, from "${shortened(first, 50)}" on; ` +
      "save the state_dict of the model alone",
  );
}

/** Refuses arrays of other shapes: not of other numbers of elements, for a transposed weight means something else. */
function checkShapes({ name: title, state }: Model, tensors: StateDict, cannot: Cannot): void {
  const misshaped = [...state].filter(([name, parameter]) =>
    !sameShape(tensors.get(name)?.shape ?? [], parameter)
  );
  const [[name, parameter] = []] = misshaped;
  if (name === undefined || !parameter) return;
  const { shape = [] } = tensors.get(name) ?? {};
  const more = misshaped.length - 1;
  const others = more > 0 ? ` (${more} other${more === 1 ? " differs" : "s differ"} too)` : "";
  throw cannot(
    `parameter "${name}" is ${show(parameter.shape)}, the file has ${
      shortened(show(shape), 60)
    }${others}; give the checkpoint of a ${title} that was trained on such images, or name its set by ` +
      "--in-domain",
  );
}

/** The first of some names, and how many there are besides. */
function some(names: readonly string[]): string {
  const most = 2;
  const shown = names.slice(0, most).map((name) => `"${shortened(name, 60)}"`).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** The first array of each whole model among a file's, whatever stands before its names. */
function modelsIn(tensors: StateDict, names: readonly string[]): readonly string[] {
  const [first = ""] = names;
  return [...tensors.keys()].filter((name) => {
    const prefix = name.slice(0, name.length - first.length);
    return prefix + first === name && (prefix === "" || prefix.endsWith(".")) &&
      names.every((other) => tensors.has(prefix + other));
  });
}

/**
 * Whether a file's array has a parameter's shape. The vectors of a power iteration, here
 * with the axis of a batch of one before them, may also be stored flat, as PyTorch's state has them.
 */
function sameShape(
  found: readonly number[],
  { shape, trainable }: { readonly shape: readonly number[]; readonly trainable: boolean },
): boolean {
  const flat = !trainable && shape[0] === 1 && found.length === 1 &&
    found[0] === size(shape);
  return flat || found.length === shape.length && shape.every((n, axis) => n === found[axis]);
}

/** SHA-256 of a model's state on the host: names, shapes and values, whatever file they came from. */
export function stateDigest({ state }: Model): string {
  return sha256Of(
    [...state].flatMap(([name, { shape, data }]) => [
      JSON.stringify([name, shape]),
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ]),
  );
}

/** Writes a model's state, and more arrays under their own names, whole or not at all. */
export async function saveCheckpoint(
  model: Model,
  path: string,
  statement: Statement,
  extra: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<void> {
  const tensors = new Map(
    [...model.state].map(([name, { shape, data }]) => [name, { shape, data }]),
  );
  for (const [name, data] of extra) tensors.set(name, { shape: [data.length], data });
  await writeSafetensors(path, { tensors, metadata: toMetadata(statement) });
}

/** The two checkpoints of a training run: best by accuracy, and last. */
export function checkpointPaths(folder: string): { best: string; last: string } {
  return { best: join(folder, "best.safetensors"), last: join(folder, "last.safetensors") };
}
