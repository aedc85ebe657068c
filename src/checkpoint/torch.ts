/**
 * Checkpoints of PyTorch, in its zip and in the older form. Reads arrays, runs nothing.
 *
 * @module
 */
import { PickleError } from "../base/pickle.ts";
import { readFile } from "../base/files.ts";
import { cannotRead } from "../base/refusal.ts";
import { decodeSafetensors, type NamedArray } from "./safetensors.ts";
import { bigEndian, isLegacy, readLegacy } from "./torch_legacy.ts";
import { isArray, readTensors } from "./torch_pickle.ts";
import { readZip } from "../base/zip.ts";

/** Arrays of a checkpoint in either format. */
export interface CheckpointArrays {
  readonly tensors: ReadonlyMap<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly format: "safetensors" | "torch";
  /** What stood before every name and was taken off, such as `module.`. */
  readonly prefix?: string;
}

/** What the original's training wrote: its model, and how far it was. */
export interface TorchCheckpoint {
  readonly stateDict: ReadonlyMap<string, NamedArray>;
  /** What stood before every name and was taken off, such as `module.`. */
  readonly prefix?: string;
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
    const { stateDict, prefix } = decodeTorchCheckpoint(bytes, path);
    return { tensors: stateDict, metadata: {}, format: "torch", ...(prefix && { prefix }) };
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  // Names in files of ours are the models' own.
  if (metadata["format"]?.startsWith("mirage/")) {
    return { tensors, metadata, format: "safetensors" };
  }
  const { named, prefix } = withoutPrefix(tensors);
  return { tensors: named, metadata, format: "safetensors", ...(prefix && { prefix }) };
}

/**
 * Reads a checkpoint of PyTorch.
 *
 * @throws UserError naming the file when it is missing, damaged, or none of PyTorch's
 */
export async function readTorchCheckpoint(path: string): Promise<TorchCheckpoint> {
  return decodeTorchCheckpoint(await readFile(path), path);
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
    const { named, prefix } = withoutPrefix(arraysIn(top));
    return {
      stateDict: named,
      ...(prefix && { prefix }),
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

/** What trainers put a model's arrays under. */
const wrappers = ["state_dict", "model_state_dict", "model"];

function arraysIn(top: unknown): ReadonlyMap<string, NamedArray> {
  const candidates = top instanceof Map ? [...wrappers.map((name) => top.get(name)), top] : [];
  for (const candidate of candidates) {
    const arrays = new Map<string, NamedArray>();
    for (const [name, value] of candidate instanceof Map ? candidate : []) {
      if (typeof name === "string" && isArray(value)) arrays.set(name, value);
    }
    if (arrays.size > 0) return arrays;
  }
  throw new PickleError("it holds no state_dict");
}

/** What data-parallel training, compilation and wrappers put before every name. */
const prefixes = ["module.", "_orig_mod.", "model."];
/** How many of them may stand before one another: each of them, and one of them twice. */
const mostPrefixes = 4;

/** Arrays without what stands before all of their names. */
function withoutPrefix(
  tensors: ReadonlyMap<string, NamedArray>,
): { named: ReadonlyMap<string, NamedArray>; prefix: string } {
  const names = [...tensors.keys()];
  let prefix = "";
  for (let i = 0; i < mostPrefixes && names.length > 0; i++) {
    const next = prefixes.find((p) => names.every((name) => name.startsWith(p, prefix.length)));
    if (next === undefined) break;
    prefix += next;
  }
  if (prefix === "") return { named: tensors, prefix };
  const renamed = Array.from(
    tensors,
    ([name, array]) => [name.slice(prefix.length), array] as const,
  );
  return { named: new Map(renamed), prefix };
}

/** A number, be it plain or a tensor of one element. */
function numberOf(value: unknown): number | undefined {
  const number = isArray(value) && value.data.length === 1 ? value.data[0] : value;
  return typeof number === "number" ? number : undefined;
}
