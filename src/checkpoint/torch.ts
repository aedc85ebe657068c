/**
 * Checkpoints of PyTorch: `torch.save`'s zip with a pickle of tensors. Reads arrays, runs nothing.
 *
 * @module
 */
import { PickleError, PickleGlobal, readPickle } from "../../data/pickle.ts";
import { shortened, UserError } from "../errors.ts";
import { readFile } from "../files.ts";
import {
  decodeSafetensors,
  type ElementType,
  elementTypes,
  type NamedArray,
  narrow,
} from "./safetensors.ts";
import { readZip } from "./zip.ts";

/** Arrays of a checkpoint in either format. */
export interface CheckpointArrays {
  readonly tensors: ReadonlyMap<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly format: "safetensors" | "torch";
}

/** What the original's training wrote: its model, and how far it was. */
export interface TorchCheckpoint {
  readonly stateDict: ReadonlyMap<string, NamedArray>;
  /** As written; the original's own files hold 1 + accuracy here, not a count. */
  readonly epoch?: number;
  /** `prec1`, in 0..1 in the original's own files. */
  readonly bestAccuracy?: number;
}

/** A storage's elements. */
interface Storage {
  readonly length: number;
  readonly whole: boolean;
  readonly at: (index: number) => number;
}

/** Elements by PyTorch's names of storages. */
const storages: Readonly<Record<string, ElementType>> = {
  "torch.DoubleStorage": elementTypes.F64,
  "torch.FloatStorage": elementTypes.F32,
  "torch.HalfStorage": elementTypes.F16,
  "torch.BFloat16Storage": elementTypes.BF16,
  "torch.LongStorage": elementTypes.I64,
  "torch.IntStorage": elementTypes.I32,
  "torch.ByteStorage": elementTypes.U8,
  "torch.BoolStorage": elementTypes.BOOL,
};

/** Elements that the tensors of a small file may have in all; views repeat those of a storage. */
const leastBudget = 2 ** 24;

/** What a checkpoint of tensors may name; NumPy's scalars hold the original's `prec1`. */
const allowed = new Set([
  ...Object.keys(storages),
  "collections.OrderedDict",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter",
  "torch.Size",
  "numpy.core.multiarray.scalar",
  "numpy._core.multiarray.scalar",
  "collections.Counter",
  "collections.defaultdict",
  "numpy.dtype",
  "_codecs.encode",
]);

/**
 * Reads a checkpoint by its content: PyTorch's zip, or safetensors.
 *
 * @throws UserError naming the file when it is missing, damaged, or of neither format
 */
export async function readCheckpointArrays(path: string): Promise<CheckpointArrays> {
  return decodeCheckpoint(await readFile(path), path);
}

/** As {@linkcode readCheckpointArrays}, of bytes that were read from a path. */
export function decodeCheckpoint(bytes: Uint8Array, path: string): CheckpointArrays {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) {
    return { tensors: decodeTorchCheckpoint(bytes, path).stateDict, metadata: {}, format: "torch" };
  }
  // These bytes may as well be the length of a safetensors header, whose first byte is a brace.
  if (isLegacy(bytes) && bytes[8] !== 0x7b) throw outdated(path);
  return { ...decodeSafetensors(bytes, path), format: "safetensors" };
}

/**
 * Reads a checkpoint of PyTorch.
 *
 * @throws UserError naming the file when it is missing, damaged, or none of PyTorch's
 */
export async function readTorchCheckpoint(path: string): Promise<TorchCheckpoint> {
  const bytes = await readFile(path);
  if (isLegacy(bytes)) throw outdated(path);
  return decodeTorchCheckpoint(bytes, path);
}

/** Whether a file begins as a bare pickle, of protocol 2 or later. */
function isLegacy([first, second = 0]: Uint8Array): boolean {
  return first === 0x80 && second >= 2 && second <= 5;
}

function outdated(path: string): UserError {
  return new UserError(
    `Cannot read "${path}": it is in PyTorch's format from before 1.6; load it there and save it ` +
      "again with torch.save",
  );
}

/**
 * The state_dict of a `torch.save` file: at its top, or under "state_dict".
 *
 * @param name of the file, for messages
 * @throws UserError when it is damaged, or its pickle holds more than tensors
 */
export function decodeTorchCheckpoint(bytes: Uint8Array, name: string): TorchCheckpoint {
  const files = readZip(bytes, name);
  const entry = [...files.keys()].find((file) => file.endsWith("/data.pkl"));
  const pickle = entry === undefined ? undefined : files.get(entry);
  if (entry === undefined || pickle === undefined) {
    throw new UserError(`Cannot read "${name}": it is a zip archive, but no PyTorch checkpoint`);
  }
  const folder = entry.slice(0, -"data.pkl".length);
  try {
    if (new TextDecoder().decode(files.get(`${folder}byteorder`) ?? new Uint8Array()) === "big") {
      throw new PickleError("its numbers are big-endian");
    }
    const stored = [...files.values()].reduce((sum, file) => sum + file.length, 0);
    const budget = { left: Math.max(leastBudget, 4 * stored) };
    const top = readPickle(pickle, {
      allowed,
      reduce: (callable, args) => reduce(callable, args, budget),
      persistent: (id) => storage(id, (key) => files.get(`${folder}data/${key}`)),
    });
    const [epoch, bestAccuracy] = ["epoch", "prec1"].map((key) =>
      numberOf(top instanceof Map ? top.get(key) : undefined)
    );
    return {
      stateDict: stateDict(top),
      ...(epoch !== undefined && { epoch }),
      ...(bestAccuracy !== undefined && { bestAccuracy }),
    };
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw new UserError(
      `Cannot read "${name}": ${error.message}; save the model's state_dict alone`,
      { cause: error },
    );
  }
}

/** What trainers put a model's arrays under. */
const wrappers = ["state_dict", "model_state_dict", "model"];

/** What data-parallel training, compilation and wrappers put before every name. */
const prefixes = /^(?:module\.|_orig_mod\.|model\.)/;

function stateDict(top: unknown): ReadonlyMap<string, NamedArray> {
  const wrapped = top instanceof Map
    ? wrappers.map((name) => top.get(name)).find((inner) => inner instanceof Map)
    : undefined;
  const inner = wrapped ?? top;
  let tensors = new Map<string, NamedArray>();
  if (inner instanceof Map) {
    for (const [name, value] of inner) {
      if (typeof name === "string" && isArray(value)) tensors.set(name, value);
    }
  }
  if (tensors.size === 0) throw new PickleError("it holds no state_dict");
  for (;;) {
    const [prefix] = prefixes.exec(tensors.keys().next().value ?? "") ?? [];
    if (prefix === undefined || ![...tensors.keys()].every((name) => name.startsWith(prefix))) {
      return tensors;
    }
    tensors = new Map(Array.from(tensors, ([name, array]) => [name.slice(prefix.length), array]));
  }
}

/** A number, be it plain or a tensor of one element. */
function numberOf(value: unknown): number | undefined {
  const number = isArray(value) && value.data.length === 1 ? value.data[0] : value;
  return typeof number === "number" ? number : undefined;
}

function reduce(
  { name }: PickleGlobal,
  args: readonly unknown[],
  budget: { left: number },
): unknown {
  switch (name) {
    case "collections.OrderedDict":
    case "collections.defaultdict":
      return new Map();
    case "collections.Counter":
      return args[0] instanceof Map ? args[0] : new Map();
    case "torch._utils._rebuild_tensor_v2":
      return rebuild(args, budget);
    case "torch._utils._rebuild_parameter":
    case "_codecs.encode":
    case "numpy.dtype":
      return args[0];
    case "numpy.core.multiarray.scalar":
    case "numpy._core.multiarray.scalar":
      return scalar(args);
    default:
      return null;
  }
}

/** A scalar of NumPy: its f64 from eight Latin-1 characters; others are not read. */
function scalar([type, raw]: readonly unknown[]): number | null {
  if (type !== "f8" || typeof raw !== "string" || raw.length !== 8) return null;
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0));
  return new DataView(bytes.buffer).getFloat64(0, true);
}

function storage(id: unknown, file: (key: string) => Uint8Array | undefined): Storage {
  const [kind, type, key, , length] = Array.isArray(id) ? id : [];
  const format = type instanceof PickleGlobal ? storages[type.name] : undefined;
  const isKey = typeof key === "string" || typeof key === "number";
  if (kind !== "storage" || !format || !isSize(length) || !isKey) {
    throw new PickleError("it refers to something that is no tensor's storage");
  }
  const bytes = file(String(key));
  if (!bytes || bytes.length < length * format.size) {
    throw new PickleError(`its storage ${shortened(String(key))} is missing or was cut off`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = format.whole ?? false;
  return { length, whole, at: (i) => format.read(view, i * format.size) };
}

/** A tensor from its storage: any strides, made contiguous; integers that f32 would round in f64. */
function rebuild(
  [from, offset, shape, strides]: readonly unknown[],
  budget: { left: number },
): NamedArray {
  if (!isStorage(from) || !isSize(offset) || !isSizes(shape) || !isSizes(strides)) {
    throw new PickleError("one of its tensors is damaged");
  }
  const count = shape.reduce((a, b) => a * b, 1);
  const last = shape.reduce((a, n, i) => a + (n - 1) * (strides[i] ?? 0), offset);
  if (shape.length !== strides.length || (count > 0 && last >= from.length)) {
    throw new PickleError("one of its tensors reaches beyond its storage");
  }
  budget.left -= count;
  if (!(budget.left >= 0)) {
    throw new PickleError("its tensors are far larger than the numbers it holds");
  }
  const data = from.whole ? new Float64Array(count) : new Float32Array(count);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    data[i] = from.at(at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const stride = strides[axis] ?? 0;
      at += stride;
      index[axis] = (index[axis] ?? 0) + 1;
      if (index[axis] !== shape[axis]) break;
      at -= stride * (shape[axis] ?? 0);
      index[axis] = 0;
    }
  }
  if (data instanceof Float32Array) return { shape, data };
  if (data.some(Number.isNaN)) throw new PickleError("it holds an integer beyond 2^53");
  return { shape, data: narrow(data) };
}

function isStorage(value: unknown): value is Storage {
  return typeof value === "object" && value !== null && "at" in value && "whole" in value;
}

function isArray(value: unknown): value is NamedArray {
  return typeof value === "object" && value !== null && "shape" in value && "data" in value;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isSize);
}

/** Whether a number counts something: whole, not negative, and exact. */
function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
