/**
 * Checkpoints of PyTorch, in its zip and in the older form. Reads arrays, runs nothing.
 *
 * @module
 */
import { PickleError } from "../base/pickle.ts";
import { readFile } from "../base/files.ts";
import { cannotRead } from "../base/refusal.ts";
import { decodeSafetensors } from "./safetensors.ts";
import { bigEndian, isLegacy, readLegacy } from "./torch_legacy.ts";
import { type PlainNames, plainNames, type StateDict, stateDictIn } from "./state_dict.ts";
import { isArray, readTensors } from "./torch_pickle.ts";
import { readZip } from "../base/zip.ts";

/** What was taken off the names of a file's arrays. */
interface TakenOff {
  /** What stood before every name, such as `module.`. */
  readonly prefix?: string;
  /** What wrappers add within names, or before some, such as `_orig_mod.`. */
  readonly within?: readonly string[];
}

/** Arrays of a checkpoint in either format. */
export interface CheckpointArrays extends TakenOff {
  readonly tensors: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
  readonly format: "safetensors" | "torch";
}

/** What the original's training wrote: its model, and how far it was. */
export interface TorchCheckpoint extends TakenOff {
  readonly stateDict: StateDict;
  /** As written; the original's own files hold 1 + accuracy here, not a count. */
  readonly epoch?: number;
  /** `prec1`, in 0..1 in the original's own files. */
  readonly bestAccuracy?: number;
}

/**
 * Reads a checkpoint by its content: either form of PyTorch's, or safetensors.
 *
 * @throws UserError naming the file when it is missing, damaged, or of neither format
 */
export async function readCheckpointArrays(path: string): Promise<CheckpointArrays> {
  return decodeCheckpoint(await readFile(path), path);
}

/** As {@linkcode readCheckpointArrays}, of bytes that were read from a path. */
export function decodeCheckpoint(bytes: Uint8Array, path: string): CheckpointArrays {
  if (isZip(bytes) || isLegacy(bytes)) {
    const { stateDict, prefix, within } = decodeTorchCheckpoint(bytes, path);
    const off = { ...(prefix && { prefix }), ...(within && { within }) };
    return { tensors: stateDict, metadata: {}, format: "torch", ...off };
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  // Names in files of ours are the models' own.
  if (metadata["format"]?.startsWith("mirage/")) {
    return { tensors, metadata, format: "safetensors" };
  }
  const names = plainNames(tensors);
  return { tensors: names.named, metadata, format: "safetensors", ...takenOff(names) };
}

/**
 * Reads a checkpoint of PyTorch.
 *
 * @throws UserError naming the file when it is missing, damaged, or none of PyTorch's
 */
export async function readTorchCheckpoint(path: string): Promise<TorchCheckpoint> {
  return decodeTorchCheckpoint(await readFile(path), path);
}

function takenOff({ prefix, within }: PlainNames): TakenOff {
  return { ...(prefix && { prefix }), ...(within.length > 0 && { within }) };
}

function isZip([first, second]: Uint8Array): boolean {
  return first === 0x50 && second === 0x4b;
}

/**
 * The state_dict of a `torch.save` file: at its top, or under one of the names that trainers use.
 *
 * @param name of the file, for messages
 * @throws UserError when it is damaged, or its pickle holds more than tensors
 */
export function decodeTorchCheckpoint(bytes: Uint8Array, name: string): TorchCheckpoint {
  try {
    const top = isLegacy(bytes) ? readLegacy(bytes) : readArchive(bytes, name);
    const [epoch, bestAccuracy] = ["epoch", "prec1"].map((key) =>
      numberOf(top instanceof Map ? top.get(key) : undefined)
    );
    const names = plainNames(stateDictIn(top, isArray));
    return {
      stateDict: names.named,
      ...takenOff(names),
      ...(epoch !== undefined && { epoch }),
      ...(bestAccuracy !== undefined && { bestAccuracy }),
    };
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    const { message, remedy = "save the model's state_dict alone, by torch.save" } = error;
    throw cannotRead(name, message, remedy, error);
  }
}

/** What the pickle in an archive holds. */
function readArchive(bytes: Uint8Array, name: string): unknown {
  const files = readZip(bytes, name);
  const entry = [...files.keys()].find((file) => file.endsWith("/data.pkl"));
  const pickle = entry === undefined ? undefined : files.get(entry);
  if (entry === undefined || pickle === undefined) {
    throw cannotRead(
      name,
      "it is a zip archive, but no PyTorch checkpoint",
      "name what torch.save wrote",
    );
  }
  const folder = entry.slice(0, -"data.pkl".length);
  if (files.has(`${folder}constants.pkl`)) {
    throw new PickleError("it is a program of TorchScript, not arrays alone");
  }
  if (new TextDecoder().decode(files.get(`${folder}byteorder`)?.subarray(0, 8)) === "big") {
    throw bigEndian();
  }
  return readTensors(pickle, 0, {
    bytes: (key) => files.get(`${folder}data/${key}`),
    stored: [...files.values()].reduce((sum, file) => sum + file.length, 0),
  });
}

/** A number, be it plain or a tensor of one element. */
function numberOf(value: unknown): number | undefined {
  const number = isArray(value) && value.data.length === 1 ? value.data[0] : value;
  return typeof number === "number" ? number : undefined;
}
