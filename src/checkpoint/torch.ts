/**
 * Checkpoints of PyTorch: `torch.save`'s zip with a pickle of tensors. Reads arrays, runs nothing.
 *
 * @module
 */
import { UserError } from "../errors.ts";
import { PickleError, PickleGlobal, readPickle } from "./pickle.ts";
import {
  bfloatToNumber,
  decodeSafetensors,
  halfToNumber,
  type NamedArray,
  readFile,
} from "./safetensors.ts";
import { readZip } from "./zip.ts";

/** Arrays of a checkpoint in either format. */
export interface CheckpointArrays {
  readonly tensors: ReadonlyMap<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly format: "safetensors" | "torch";
}

/** A storage's elements. */
interface Storage {
  readonly length: number;
  readonly at: (index: number) => number;
}

/** Bytes of an element and how to read one, by PyTorch's names of storages. */
const storages: Readonly<
  Record<string, { size: number; read: (v: DataView, i: number) => number }>
> = {
  "torch.DoubleStorage": { size: 8, read: (v, i) => v.getFloat64(i, true) },
  "torch.FloatStorage": { size: 4, read: (v, i) => v.getFloat32(i, true) },
  "torch.HalfStorage": { size: 2, read: (v, i) => halfToNumber(v.getUint16(i, true)) },
  "torch.BFloat16Storage": { size: 2, read: (v, i) => bfloatToNumber(v.getUint16(i, true)) },
  "torch.LongStorage": { size: 8, read: (v, i) => Number(v.getBigInt64(i, true)) },
  "torch.IntStorage": { size: 4, read: (v, i) => v.getInt32(i, true) },
  "torch.ByteStorage": { size: 1, read: (v, i) => v.getUint8(i) },
  "torch.BoolStorage": { size: 1, read: (v, i) => v.getUint8(i) },
};

/** What a checkpoint of tensors may name; NumPy's scalars stand for counters and are not read. */
const allowed = new Set([
  ...Object.keys(storages),
  "collections.OrderedDict",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter",
  "torch.Size",
  "numpy.core.multiarray.scalar",
  "numpy.dtype",
  "_codecs.encode",
]);

/**
 * Reads a checkpoint by its content: PyTorch's zip, or safetensors.
 *
 * @throws UserError naming the file when it is missing, damaged, or of neither format
 */
export async function readCheckpointArrays(path: string): Promise<CheckpointArrays> {
  const bytes = await readFile(path);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) {
    return { tensors: decodeTorchCheckpoint(bytes, path), metadata: {}, format: "torch" };
  }
  if (bytes[0] === 0x80 && bytes[1] === 2) {
    throw new UserError(
      `Cannot read "${path}": it is in PyTorch's format from before 1.6; load it there and save it ` +
        "again with torch.save",
    );
  }
  return { ...decodeSafetensors(bytes, path), format: "safetensors" };
}

/**
 * The state_dict of a `torch.save` file: at its top, or under "state_dict".
 *
 * @param name of the file, for messages
 * @throws UserError when it is damaged, or its pickle holds more than tensors
 */
export function decodeTorchCheckpoint(
  bytes: Uint8Array,
  name: string,
): ReadonlyMap<string, NamedArray> {
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
    const top = readPickle(pickle, {
      allowed,
      reduce,
      persistent: (id) => storage(id, (key) => files.get(`${folder}data/${key}`)),
    });
    return stateDict(top);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw new UserError(
      `Cannot read "${name}": ${error.message}; save the model's state_dict alone`,
      { cause: error },
    );
  }
}

function stateDict(top: unknown): ReadonlyMap<string, NamedArray> {
  const inner = top instanceof Map ? top.get("state_dict") ?? top : undefined;
  const tensors = new Map<string, NamedArray>();
  if (inner instanceof Map) {
    for (const [name, value] of inner) {
      if (typeof name === "string" && isArray(value)) tensors.set(name, value);
    }
  }
  if (tensors.size === 0) throw new PickleError("it holds no state_dict");
  return tensors;
}

function reduce({ name }: PickleGlobal, args: readonly unknown[]): unknown {
  switch (name) {
    case "collections.OrderedDict":
      return new Map();
    case "torch._utils._rebuild_tensor_v2":
      return rebuild(args);
    case "torch._utils._rebuild_parameter":
      return args[0];
    default:
      return null;
  }
}

function storage(id: unknown, file: (key: string) => Uint8Array | undefined): Storage {
  const [kind, type, key, , length] = Array.isArray(id) ? id : [];
  const format = type instanceof PickleGlobal ? storages[type.name] : undefined;
  if (kind !== "storage" || !format || typeof length !== "number") {
    throw new PickleError("it refers to something that is no tensor's storage");
  }
  const bytes = file(String(key));
  if (!bytes || bytes.length < length * format.size) {
    throw new PickleError(`its storage ${key} is missing or was cut off`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { length, at: (i) => format.read(view, i * format.size) };
}

/** A tensor from its storage: any strides, made contiguous. */
function rebuild([from, offset, shape, strides]: readonly unknown[]): NamedArray {
  if (!isStorage(from) || typeof offset !== "number" || !isSizes(shape) || !isSizes(strides)) {
    throw new PickleError("one of its tensors is damaged");
  }
  const count = shape.reduce((a, b) => a * b, 1);
  const last = shape.reduce((a, n, i) => a + (n - 1) * (strides[i] ?? 0), offset);
  if (offset < 0 || shape.length !== strides.length || (count > 0 && last >= from.length)) {
    throw new PickleError("one of its tensors reaches beyond its storage");
  }
  const data = new Float32Array(count);
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
  return { shape, data };
}

function isStorage(value: unknown): value is Storage {
  return typeof value === "object" && value !== null && "at" in value && "length" in value;
}

function isArray(value: unknown): value is NamedArray {
  return typeof value === "object" && value !== null && "shape" in value && "data" in value;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isInteger(n) && n >= 0);
}
