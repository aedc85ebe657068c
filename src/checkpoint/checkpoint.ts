/**
 * Models on disk: named arrays with a metadata block, and the folder that holds a training run's.
 *
 * @module
 */
import { join } from "node:path";
import { shortened, UserError } from "../base/errors.ts";
import { display, readFile } from "../base/files.ts";
import type { Model } from "../methods/mod.ts";
import { show, size } from "../nn/mod.ts";
import { sha256, sha256Of } from "../base/digest.ts";
import { writeSafetensors } from "./safetensors.ts";
import { fromMetadata, type Metadata, type Statement, toMetadata } from "./statement.ts";
import { type CheckpointArrays, decodeCheckpoint } from "./torch.ts";

/** What was loaded. */
export interface Loaded {
  /** The file's metadata; empty for PyTorch's. */
  readonly metadata: Metadata;
  /** What the file says of itself, where Mirage wrote it. */
  readonly statement?: Statement;
  /** What stood before every name and was taken off, such as `module.`. */
  readonly prefix?: string;
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
  fill(model, archive, path);
  const { metadata, prefix } = archive;
  return {
    metadata,
    ...(statement && { statement }),
    ...(prefix && { prefix }),
    sha256: sha256(bytes),
  };
}

function fill(model: Model, { tensors }: CheckpointArrays, path: string): void {
  const cannot = (state: string): UserError =>
    new UserError(`Cannot load "${display(path)}" as ${model.name}: ${state}`);
  // Counters of batches, which a fixed momentum has no use for, are passed over.
  const own = (name: string): boolean =>
    name.startsWith("optimizer.") || name.endsWith(".num_batches_tracked");
  const unknown = [...tensors.keys()].find((name) =>
    !model.state.has(name) && !model.ignored.includes(name) && !own(name)
  );
  for (const [name, parameter] of model.state) {
    const array = tensors.get(name);
    if (!array) {
      const instead = unknown === undefined ? "" : ` but "${shortened(unknown)}"`;
      throw cannot(
        `it has no "${name}"${instead}; give the checkpoint of a ${model.name}, or its mode by --mode`,
      );
    }
    // Not the number of elements: a transposed weight has as many, and means something else.
    if (!sameShape(array.shape, parameter)) {
      throw cannot(
        `parameter "${name}" is ${show(parameter.shape)}, the file has ${
          shortened(show(array.shape))
        }; give the checkpoint of a ${model.name} that was trained on such images, or name its set by ` +
          "--in-domain",
      );
    }
  }
  if (unknown !== undefined) {
    throw cannot(
      `it holds "${
        shortened(unknown)
      }", which ${model.name} has not; give the checkpoint of a ${model.name}`,
    );
  }
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
    if (bad >= 0) throw cannot(`"${name}" holds ${values[bad]} at ${bad}; train the model again`);
    parameter.data.set(values);
  }
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
