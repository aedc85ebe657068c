/**
 * Models on disk: named arrays with a metadata block, and the folder that holds a training run's.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../errors.ts";
import type { Model } from "../methods/mod.ts";
import { show, size } from "../nn/mod.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { type CheckpointArrays, readCheckpointArrays } from "./torch.ts";

/** What a checkpoint says of itself. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * Fills a model's state on the host from a checkpoint: ours, or a `.checkpoint` of PyTorch.
 *
 * @returns its metadata; empty for PyTorch's
 * @throws UserError naming the file when it is of another model, damaged or missing
 */
export async function loadCheckpoint(model: Model, path: string): Promise<Metadata> {
  const archive = await readCheckpointArrays(path);
  fill(model, archive, path);
  return archive.metadata;
}

function fill(model: Model, { tensors }: CheckpointArrays, path: string): void {
  // Counters of batches, which a fixed momentum has no use for, are passed over.
  const own = (name: string): boolean =>
    name.startsWith("optimizer.") || name.endsWith(".num_batches_tracked");
  const unknown = [...tensors.keys()].find((name) =>
    !model.state.has(name) && !model.ignored.includes(name) && !own(name)
  );
  for (const [name, parameter] of model.state) {
    const array = tensors.get(name);
    if (!array) {
      throw new UserError(
        `Cannot load "${path}" as ${model.name}: it has no "${name}"${
          unknown ? ` but "${unknown}"` : ""
        }; give the checkpoint of a ${model.name}, or its mode by --mode`,
      );
    }
    const n = size(parameter.shape);
    if (array.data.length !== n) {
      throw new UserError(
        `Cannot load "${path}" as ${model.name}: parameter "${name}" is ${
          show(parameter.shape)
        }, the file has ${show(array.shape)}; give the checkpoint of a ${model.name}`,
      );
    }
  }
  if (unknown) {
    throw new UserError(
      `Cannot load "${path}" as ${model.name}: it holds "${unknown}", which ${model.name} has not; ` +
        `give the checkpoint of a ${model.name}`,
    );
  }
  for (const [name, parameter] of model.state) {
    const values = Float32Array.from(tensors.get(name)?.data ?? []);
    const bad = values.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      throw new UserError(
        `Cannot load "${path}": "${name}" holds ${values[bad]} at ${bad}; train the model again`,
      );
    }
    parameter.data.set(values);
  }
}

/** Writes a model's state, and more arrays under their own names, whole or not at all. */
export async function saveCheckpoint(
  model: Model,
  path: string,
  metadata: Metadata,
  extra: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<void> {
  const tensors = new Map(
    [...model.state].map(([name, { shape, data }]) => [name, { shape, data }]),
  );
  for (const [name, data] of extra) tensors.set(name, { shape: [data.length], data });
  await writeSafetensors(path, { tensors, metadata });
}

/** The extra arrays and the metadata of one of our checkpoints; undefined when there is none. */
export async function readExtras(
  path: string,
): Promise<{ arrays: ReadonlyMap<string, Float32Array>; metadata: Metadata } | undefined> {
  try {
    await Deno.stat(path);
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (absent) return undefined;
    throw error;
  }
  const { tensors, metadata } = await readSafetensors(path);
  const arrays = new Map<string, Float32Array>();
  for (const [name, { data }] of tensors) {
    if (name.startsWith("optimizer.")) arrays.set(name, Float32Array.from(data));
  }
  return { arrays, metadata };
}

/** The two checkpoints of a training run: best by accuracy, and last. */
export function checkpointPaths(folder: string): { best: string; last: string } {
  return { best: join(folder, "best.safetensors"), last: join(folder, "last.safetensors") };
}
