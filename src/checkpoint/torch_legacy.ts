/**
 * The form that PyTorch wrote before 1.6, and writes still when it is told to: no archive, but pickles one
 * after the other (a magic number, the format's version, the system, the object, the storages' keys), then
 * each storage's length and bytes. The order is that of `torch.serialization._legacy_save`.
 *
 * @module
 */
import { PickleError, type PickleOptions, readPickleAt } from "../base/pickle.ts";
import { quote } from "../base/refusal.ts";
import { damage, readStorageIds, readTensors } from "./torch_pickle.ts";

/** The first pickle; beyond 2^53, but that it is rounded does no harm. */
const magic = Number(0x1950a86a20f9469cfc6cn);
/** The second: the only version there has been. */
const version = 1001;

/** For the pickles around the object, which are plain numbers, texts and lists. */
const plain: PickleOptions = { allowed: new Set(), reduce: () => null };

/** The numbers of another machine, which PyTorch turns when it loads them. */
export function bigEndian(): PickleError {
  return new PickleError(
    "its numbers are big-endian",
    "load it in PyTorch on this machine and save it again",
  );
}

/** Whether a file begins as a bare pickle, of protocol 2 or later, and not as a safetensors header. */
export function isLegacy(bytes: Uint8Array): boolean {
  const [first, second = 0] = bytes;
  // These two may as well be the length of a safetensors header, whose first byte is a brace.
  return first === 0x80 && second >= 2 && second <= 5 && bytes[8] !== 0x7b;
}

/**
 * What such a file holds.
 *
 * @throws PickleError when it is another pickle, damaged, or holds more than tensors
 */
export function readLegacy(bytes: Uint8Array): unknown {
  const first = readPickleAt(bytes, 0, plain);
  if (first.value !== magic) throw new PickleError("it is a pickle that torch.save did not write");
  const second = readPickleAt(bytes, first.end, plain);
  if (second.value !== version) throw new PickleError("it is of an unknown version of the format");
  const system = readPickleAt(bytes, second.end, plain);
  if (!(system.value instanceof Map) || system.value.get("little_endian") !== true) {
    throw bigEndian();
  }
  const { ids, end } = readStorageIds(bytes, system.end);
  const keys = readPickleAt(bytes, end, plain);
  if (!Array.isArray(keys.value)) throw damage("its list of storages is damaged");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, Uint8Array>();
  let at = keys.end;
  for (const key of keys.value) {
    const id = typeof key === "string" ? ids.get(key) : undefined;
    if (!id || found.has(id.key)) throw damage("its list of storages is damaged");
    const size = id.length * id.type.size;
    const start = at + 8;
    if (start + size > bytes.length || view.getBigInt64(at, true) !== BigInt(id.length)) {
      throw damage(`its storage ${quote(id.key)} is missing or was cut off`);
    }
    found.set(id.key, bytes.subarray(start, start + size));
    at = start + size;
  }
  return readTensors(bytes, system.end, {
    bytes: (key) => found.get(key),
    stored: at - keys.end,
  });
}
