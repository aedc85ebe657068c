/**
 * A reader of zip archives: the container of PyTorch's checkpoints.
 *
 * @module
 */
import { crc32, inflateRawSync } from "node:zlib";
import { shortened, UserError } from "../errors.ts";

/** Signatures of the format's records. */
const centralEntry = 0x02014b50;
const localEntry = 0x04034b50;
const endOfDirectory = 0x06054b50;
const locator64 = 0x07064b50;
const endOfDirectory64 = 0x06064b50;

/** What an archive may unpack to: so much, and so many times its own size. Models hardly shrink. */
const leastRoom = 64 * 2 ** 20;
const mostRatio = 20;

/** A file in an archive, before it is unpacked. */
interface Entry {
  readonly file: string;
  readonly start: number;
  readonly packed: number;
  readonly method: number;
  readonly size: number;
  readonly checksum: number;
}

const noBytes = new Uint8Array();

/**
 * The files of an archive by name, in their order, stored or deflated, checksums verified.
 *
 * @param name of the archive, for messages
 * @throws UserError when the archive is cut off or damaged, or encrypted
 */
export function readZip(bytes: Uint8Array, name: string): Map<string, Uint8Array> {
  const fail = (state: string): UserError =>
    new UserError(`Cannot read "${name}": ${state}; copy or save it again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== endOfDirectory) end--;
  if (end < 0) throw fail("the zip archive was cut off");
  let count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (end >= 20 && view.getUint32(end - 20, true) === locator64) {
    const far = Number(view.getBigUint64(end - 12, true));
    if (far + 56 > end || view.getUint32(far, true) !== endOfDirectory64) {
      throw fail("the zip archive's directory is damaged");
    }
    count = Number(view.getBigUint64(far + 32, true));
    at = Number(view.getBigUint64(far + 48, true));
  }
  const files = new Map<string, Uint8Array>();
  const ranges: [number, number][] = [];
  const entries: Entry[] = [];
  let room = leastRoom + mostRatio * bytes.length;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== centralEntry) {
      throw fail("the zip archive's directory is damaged");
    }
    const method = view.getUint16(at + 10, true);
    const checksum = view.getUint32(at + 16, true);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const skip = extraLength + view.getUint16(at + 32, true);
    if (at + 46 + nameLength + skip > end) throw fail("the zip archive's directory is damaged");
    const extra = wide(view, at + 46 + nameLength, extraLength);
    const [size = 0, packed = 0, local = 0] = [24, 20, 42].map((field) => {
      const short = view.getUint32(at + field, true);
      return short === 0xffffffff ? extra.shift() ?? short : short;
    });
    const file = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    at += 46 + nameLength + skip;
    if (local + 30 > bytes.length || view.getUint32(local, true) !== localEntry) {
      throw fail(`"${shortened(file)}" inside it is damaged`);
    }
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const own = bytes.subarray(local + 30, local + 30 + view.getUint16(local + 26, true));
    const central = bytes.subarray(at - skip - nameLength, at - skip);
    if (own.length !== central.length || own.some((byte, i) => byte !== central[i])) {
      throw fail(`"${shortened(file)}" is called otherwise where it is stored`);
    }
    if (files.has(file)) throw fail(`it holds "${shortened(file)}" twice`);
    ranges.push([local, start + packed]);
    room -= size;
    if (!(room >= 0)) throw fail("it unpacks to far more than it holds");
    if (start + packed > bytes.length) throw fail(`"${shortened(file)}" inside it was cut off`);
    entries.push({ file, start, packed, method, size, checksum });
    files.set(file, noBytes);
  }
  ranges.sort(([a], [b]) => a - b);
  for (const [i, [from]] of ranges.entries()) {
    if (from < (ranges[i - 1]?.[1] ?? 0)) throw fail("two of its entries overlap");
  }
  for (const { file, start, packed, method, size, checksum } of entries) {
    const damaged = (): UserError => fail(`"${shortened(file)}" inside it is damaged`);
    const unpacked = unpack(bytes.subarray(start, start + packed), method, size, damaged);
    // Some writers leave the checksum out.
    if (checksum !== 0 && crc32(unpacked) !== checksum) throw damaged();
    files.set(file, unpacked);
  }
  return files;
}

/** The 64-bit numbers of an entry whose fields are too short for them. */
function wide(view: DataView, start: number, length: number): number[] {
  for (let at = start; at + 4 <= start + length;) {
    const bytes = Math.min(view.getUint16(at + 2, true), start + length - at - 4);
    if (view.getUint16(at, true) === 1) {
      return Array.from(
        { length: bytes >> 3 },
        (_, i) => Number(view.getBigUint64(at + 4 + 8 * i, true)),
      );
    }
    at += 4 + bytes;
  }
  return [];
}

function unpack(
  content: Uint8Array,
  method: number,
  size: number,
  damaged: () => UserError,
): Uint8Array {
  if (method === 0 && content.length === size) return content;
  if (method !== 8) throw damaged();
  try {
    const unpacked = inflateRawSync(content, { maxOutputLength: Math.max(1, size) });
    if (unpacked.length !== size) throw damaged();
    return unpacked;
  } catch {
    throw damaged();
  }
}
