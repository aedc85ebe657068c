/**
 * Checkpoints by name: ours, and stand-in for PyTorch's.
 *
 * @module
 */
import { type NamedArray, readSafetensors } from "./safetensors.ts";

/** Arrays of a checkpoint in either format. */
export interface CheckpointArrays {
  readonly tensors: ReadonlyMap<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly format: "safetensors" | "torch";
}

/** Reads a checkpoint. */
export async function readCheckpointArrays(path: string): Promise<CheckpointArrays> {
  return { ...await readSafetensors(path), format: "safetensors" };
}
