/**
 * The tensors in a pickle of PyTorch, whatever container it came in. Calls nothing: the few names that a
 * checkpoint needs have their meaning here, and every other is refused.
 *
 * @module
 */
import { PickleError, PickleGlobal, type PickleOptions, readPickleAt } from "../base/pickle.ts";
import { type ElementType, elementTypes } from "../base/raw_tensors.ts";
import { elements, mostAxes, quote } from "../base/refusal.ts";
import { inDoubles, type NamedArray, narrow } from "./safetensors.ts";

/** What a persistent id says of a storage. */
export interface StorageId {
  readonly key: string;
  readonly type: ElementType;
  readonly length: number;
}

/** A storage's elements. */
interface Storage extends StorageId {
  readonly view: DataView;
}

/** Where the storages' bytes are, and how many bytes they are in all. */
export interface Stores {
  readonly bytes: (key: string) => Uint8Array | undefined;
  readonly stored: number;
}

/** Elements by PyTorch's names of storages. */
const storages: ReadonlyMap<string, ElementType> = new Map<string, ElementType>([
  ["torch.DoubleStorage", elementTypes.F64],
  ["torch.FloatStorage", elementTypes.F32],
  ["torch.HalfStorage", elementTypes.F16],
  ["torch.BFloat16Storage", elementTypes.BF16],
  ["torch.LongStorage", elementTypes.I64],
  ["torch.IntStorage", elementTypes.I32],
  ["torch.ShortStorage", elementTypes.I16],
  ["torch.CharStorage", elementTypes.I8],
  ["torch.ByteStorage", elementTypes.U8],
  ["torch.BoolStorage", elementTypes.BOOL],
]);

/** Elements by NumPy's short names of types; scalars of others (texts, complex numbers) are passed over. */
const scalars: ReadonlyMap<unknown, ElementType> = new Map<unknown, ElementType>([
  ["f8", elementTypes.F64],
  ["f4", elementTypes.F32],
  ["f2", elementTypes.F16],
  ["i8", elementTypes.I64],
  ["i4", elementTypes.I32],
  ["i2", elementTypes.I16],
  ["i1", elementTypes.I8],
  ["u8", elementTypes.U64],
  ["u4", elementTypes.U32],
  ["u2", elementTypes.U16],
  ["u1", elementTypes.U8],
  ["b1", elementTypes.BOOL],
]);

/**
 * Elements that the tensors of a small file may have in all: views repeat those of a storage. Beyond it
 * they may be so many times the bytes that the file stores; tied weights repeat them once or twice.
 */
const leastBudget = 2 ** 24;
const budgetPerByte = 4;

/** What trainers keep beside the arrays and nobody here needs: read as nothing, never called. */
const inert = [
  "torch.device",
  "torch.Size",
  ...[
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "bool",
  ]
    .map((name) => `torch.${name}`),
  ...["numpy.core", "numpy._core"].flatMap((module) => [
    `${module}.multiarray._reconstruct`,
    `${module}.numeric._frombuffer`,
  ]),
  "numpy.ndarray",
  // Python 2's names stand in pickles up to protocol 2.
  ...["builtins", "__builtin__"].flatMap((module) =>
    ["set", "frozenset", "complex", "bytearray", "list", "dict", "int", "float", "str", "bool"]
      .map((name) => `${module}.${name}`)
  ),
];

const allowed: ReadonlySet<string> = new Set([
  ...storages.keys(),
  ...inert,
  "collections.OrderedDict",
  "collections.Counter",
  "collections.defaultdict",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter",
  "numpy.core.multiarray.scalar",
  "numpy._core.multiarray.scalar",
  "numpy.dtype",
  "_codecs.encode",
]);

/** A name that is refused though it runs nothing: what it stands for. */
function refuse(name: string): string | undefined {
  if (/^torch\.\w+Storage$/.test(name) || /^torch\._utils\._rebuild_\w+$/.test(name)) {
    return `it holds a tensor of a kind that is not read (${quote(name)})`;
  }
  return undefined;
}

/** What is not as anything writes it. */
export function damage(state: string): PickleError {
  return new PickleError(state, "copy it again, or save it again by torch.save");
}

/** A type of NumPy's, and its byte order, which comes later. */
class ScalarType {
  order: unknown = "<";
  constructor(readonly name: unknown) {}
}

/** What one reading may still make. */
interface Budget {
  left: number;
}

/**
 * The value of a pickle whose storages are at hand.
 *
 * @throws PickleError when it is damaged, holds what is no tensor, or far more than is stored
 */
export function readTensors(pickle: Uint8Array, at: number, { bytes, stored }: Stores): unknown {
  const budget = { left: Math.max(leastBudget, budgetPerByte * stored) };
  const options = optionsFor(budget, (id) => storage(id, bytes), (args) => rebuild(args, budget));
  return readPickleAt(pickle, at, options).value;
}

/**
 * The storages that a pickle refers to and where it ends, for containers whose storages come later.
 *
 * @throws PickleError as {@linkcode readTensors}
 */
export function readStorageIds(
  pickle: Uint8Array,
  at: number,
): { ids: ReadonlyMap<string, StorageId>; end: number } {
  const ids = new Map<string, StorageId>();
  const note = (value: unknown): null => {
    const id = storageId(value);
    const known = ids.get(id.key) ?? id;
    if (known.type !== id.type || known.length !== id.length) {
      throw new PickleError(`it says two things of its storage ${quote(id.key)}`);
    }
    ids.set(id.key, id);
    return null;
  };
  const options = optionsFor({ left: leastBudget }, note, () => null);
  return { ids, end: readPickleAt(pickle, at, options).end };
}

function optionsFor(
  budget: Budget,
  persistent: (id: unknown) => unknown,
  tensor: (args: readonly unknown[]) => unknown,
): PickleOptions {
  return { allowed, refuse, persistent, build, reduce: (f, args) => call(f, args, budget, tensor) };
}

/** The state of a type of NumPy's: version, byte order, and what only other types have. */
function build(object: unknown, state: unknown): void {
  if (object instanceof ScalarType && Array.isArray(state)) object.order = state[1];
}

function call(
  { name }: PickleGlobal,
  args: readonly unknown[],
  budget: Budget,
  tensor: (args: readonly unknown[]) => unknown,
): unknown {
  switch (name) {
    case "collections.OrderedDict":
      return dictionary(args[0], budget);
    case "collections.defaultdict":
      return new Map();
    case "collections.Counter":
      return args[0] instanceof Map ? args[0] : new Map();
    case "torch._utils._rebuild_tensor_v2":
      return tensor(args);
    case "torch._utils._rebuild_parameter":
    case "_codecs.encode":
      return args[0];
    case "numpy.dtype":
      return new ScalarType(args[0]);
    case "numpy.core.multiarray.scalar":
    case "numpy._core.multiarray.scalar":
      return scalar(args);
    default:
      return null;
  }
}

/** An ordered dictionary: Python 3 fills it afterwards, Python 2 gives it its pairs. */
function dictionary(pairs: unknown, budget: Budget): Map<unknown, unknown> {
  const map = new Map();
  if (!Array.isArray(pairs)) return map;
  spend(budget, pairs.length);
  for (const pair of pairs) {
    if (!Array.isArray(pair)) throw damage("one of its dictionaries is damaged");
    map.set(pair[0], pair[1]);
  }
  return map;
}

/** A scalar of NumPy's from its bytes, one character each; null where it is no number. */
function scalar([type, raw]: readonly unknown[]): number | null {
  const format = type instanceof ScalarType ? scalars.get(type.name) : undefined;
  if (!format || !(type instanceof ScalarType)) return null;
  if (typeof raw !== "string" || raw.length !== format.size) return null;
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0));
  if (type.order === ">") bytes.reverse();
  const value = format.read(new DataView(bytes.buffer), 0);
  // An integer that would be rounded is no number to go by.
  return Number.isNaN(value) && format.whole ? null : value;
}

function storageId(id: unknown): StorageId {
  const [kind, type, key, , length, view] = Array.isArray(id) ? id : [];
  if (kind === "module") throw new PickleError("it holds a whole module, not its arrays alone");
  const isKey = typeof key === "string" || typeof key === "number";
  if (kind !== "storage" || !(type instanceof PickleGlobal) || !isSize(length) || !isKey) {
    throw new PickleError("it refers to something that is no tensor's storage");
  }
  const format = storages.get(type.name);
  if (!format) throw new PickleError(`${quote(type.name)} is no type of a storage`);
  if (Array.isArray(view)) {
    throw new PickleError("it holds parts of storages, as PyTorch before 0.4 wrote them");
  }
  return { key: String(key), type: format, length };
}

function storage(value: unknown, file: Stores["bytes"]): Storage {
  const id = storageId(value);
  const bytes = file(id.key);
  if (!bytes || bytes.length < id.length * id.type.size) {
    throw damage(`its storage ${quote(id.key)} is missing or was cut off`);
  }
  return { ...id, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** A tensor from its storage: any strides, made contiguous; in f64 what f32 would not hold. */
function rebuild(
  [from, offset, shape, strides, , , marks]: readonly unknown[],
  budget: Budget,
): NamedArray {
  // Since PyTorch 2 a view may say that its storage has the negated or conjugate numbers.
  if (marks instanceof Map && [...marks.values()].some((mark) => mark === true)) {
    throw new PickleError("it holds a view that negates its numbers", "clone it and save it again");
  }
  if (!isStorage(from) || !isSize(offset) || !isSizes(shape) || !isSizes(strides)) {
    throw damage("one of its tensors is damaged");
  }
  const count = elements(shape);
  const last = shape.reduce((a, n, i) => a + (n - 1) * (strides[i] ?? 0), offset);
  if (shape.length !== strides.length || (count > 0 && !(last < from.length))) {
    throw damage("one of its tensors reaches beyond its storage");
  }
  spend(budget, count);
  const { view, type } = from;
  const { read, size, whole, integer } = type;
  const data = inDoubles(type) ? new Float64Array(count) : new Float32Array(count);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    data[i] = read(view, at * size);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const stride = strides[axis] ?? 0;
      at += stride;
      index[axis] = (index[axis] ?? 0) + 1;
      if (index[axis] !== shape[axis]) break;
      at -= stride * (shape[axis] ?? 0);
      index[axis] = 0;
    }
  }
  const kind = integer && { integer };
  if (data instanceof Float32Array) return { shape, data, ...kind };
  if (whole && data.some(Number.isNaN)) throw new PickleError("it holds an integer beyond 2^53");
  return { shape, data: narrow(data, type), ...kind };
}

function spend(budget: Budget, count: number): void {
  budget.left -= count;
  if (!(budget.left >= 0)) {
    throw new PickleError(
      "its tensors are far larger than the numbers it holds",
      "make them contiguous and save it again",
    );
  }
}

function isStorage(value: unknown): value is Storage {
  return typeof value === "object" && value !== null && "view" in value && "key" in value;
}

/** Whether a value is an array that {@linkcode readTensors} has made. */
export function isArray(value: unknown): value is NamedArray {
  return typeof value === "object" && value !== null && "shape" in value && "data" in value;
}

/** The length first: one list can stand in a million tensors. */
function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= mostAxes && value.every(isSize);
}

/** Whether a number counts something: whole, not negative, and exact. */
function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
