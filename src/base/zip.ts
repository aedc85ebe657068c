/**
 * A reader of zip archives: the container of PyTorch's checkpoints, of NumPy's `.npz` and of EMNIST.
 *
 * @module
 */
import { crc32, inflateRawSync } from "node:zlib";
import type { UserError } from "./errors.ts";
import { cannotRead, quote } from "./refusal.ts";

/** Signatures of the format's records. */
const centralEntry = 0x02014b50;
const localEntry = 0x04034b50;
const endOfDirectory = 0x06054b50;
const locator64 = 0x07064b50;
const endOfDirectory64 = 0x06064b50;

/** Bytes behind the last record at most: a comment's length has 16 bits. */
const mostComment = 0xffff;
/** Files of an archive: PyTorch keeps a few, and one a storage; the largest models have some thousands. */
const mostEntries = 2 ** 16;
/**
 * What an archive may unpack to: so much, and so many times its own size, for models hardly shrink; and never
 * more than a file that is not packed may have.
 */
const leastRoom = 64 * 2 ** 20;
const mostRatio = 20;
const mostRoom = 4 * 2 ** 30;

/** Bits of an entry's flags. */
const isEncrypted = 1;
const describedBehind = 8;
/** The ways of packing that are read. */
const [stored, deflated] = [0, 8];

/** A file in an archive, before it is unpacked. */
interface Entry {
  readonly file: string;
  readonly local: number;
  readonly start: number;
  readonly packed: number;
  readonly method: number;
  readonly size: number;
  readonly checksum: number;
}

/** Makes the error of an archive from its state. */
type Fail = (state: string) => UserError;

/** How an archive is read. */
export interface ZipOptions {
  /** What to do about a damaged one; what helps against a checkpoint when not given. */
  readonly remedy?: string;
  /** Which of its files are unpacked; all when not given. */
  readonly wanted?: (file: string) => boolean;
}

/**
 * The files of an archive by name, in their order, stored or deflated, checksums verified. What an archive
 * says twice, in its directory and where a file is stored, has to agree.
 *
 * @param name of the archive, for messages
 * @throws UserError when the archive is cut off, damaged or encrypted, or unpacks to too much
 */
export function readZip(
  bytes: Uint8Array,
  name: string,
  { remedy = "copy it again, or save it again by torch.save", wanted = () => true }: ZipOptions =
    {},
): Map<string, Uint8Array> {
  const fail: Fail = (state) => cannotRead(name, state, remedy);
  const entries = readDirectory(bytes, fail);
  const files = new Map<string, Uint8Array>();
  for (const { file, start, packed, method, size, checksum } of entries) {
    if (!wanted(file)) continue;
    const damaged = (): UserError => fail(`${quote(file)} inside it is damaged`);
    const unpacked = unpack(bytes.subarray(start, start + packed), method, size, damaged);
    // Some writers leave the checksum out.
    if (checksum !== 0 && crc32(unpacked) !== checksum) throw damaged();
    files.set(file, unpacked);
  }
  return files;
}

/** The entries of an archive: each of them apart from the others, and all within what is unpacked here. */
function readDirectory(bytes: Uint8Array, fail: Fail): Entry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { end, count, directory } = findDirectory(view, fail);
  if (count > mostEntries) throw fail(`the zip archive holds more than ${mostEntries} files`);
  const names = new Set<string>();
  const entries: Entry[] = [];
  let room = Math.min(mostRoom, leastRoom + mostRatio * bytes.length);
  let at = directory;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== centralEntry) {
      throw fail("the zip archive's directory is damaged");
    }
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > end) throw fail("the zip archive's directory is damaged");
    const extra = wide(view, at + 46 + nameLength, extraLength);
    const [size = 0, packed = 0, local = 0] = numbers(view, [at + 24, at + 20, at + 42], extra);
    const central = bytes.subarray(at + 46, at + 46 + nameLength);
    const file = new TextDecoder().decode(central);
    if (names.has(file)) throw fail(`it holds ${quote(file)} twice`);
    names.add(file);
    room -= size;
    if (!(room >= 0)) throw fail("it unpacks to far more than it holds");
    if (local + 30 > bytes.length || view.getUint32(local, true) !== localEntry) {
      throw fail(`${quote(file)} inside it is damaged`);
    }
    const ownLength = view.getUint16(local + 26, true);
    const start = local + 30 + ownLength + view.getUint16(local + 28, true);
    if (start + packed > directory) throw fail(`${quote(file)} inside it was cut off`);
    const own = bytes.subarray(local + 30, local + 30 + ownLength);
    if (own.length !== central.length || own.some((byte, i) => byte !== central[i])) {
      throw fail(`${quote(file)} is called otherwise where it is stored`);
    }
    const method = view.getUint16(at + 10, true);
    // Left out in one place, it still counts in the other.
    const checksum = view.getUint32(at + 16, true) || view.getUint32(local + 14, true);
    const entry = { file, local, start, packed, method, size, checksum };
    if ((view.getUint16(at + 8, true) | view.getUint16(local + 6, true)) & isEncrypted) {
      throw fail(`${quote(file)} inside it is encrypted`);
    }
    if (method !== stored && method !== deflated) {
      throw fail(`${quote(file)} is packed by method ${method}, which is not read`);
    }
    if (!agrees(view, entry)) {
      throw fail(`${quote(file)} is described otherwise where it is stored`);
    }
    entries.push(entry);
    at = next;
  }
  let free = 0;
  for (const { local, start, packed } of entries.toSorted((a, b) => a.local - b.local)) {
    if (local < free) throw fail("two of its entries overlap");
    free = start + packed;
  }
  return entries;
}

/** Where the directory begins and has to end, and how many entries it has. */
function findDirectory(
  view: DataView,
  fail: Fail,
): { end: number; count: number; directory: number } {
  let end = view.byteLength - 22;
  const first = Math.max(0, end - mostComment);
  while (end >= first && view.getUint32(end, true) !== endOfDirectory) end--;
  if (end < first) throw fail("the zip archive was cut off");
  const [count, directory] = [view.getUint16(end + 10, true), view.getUint32(end + 16, true)];
  if (end < 20 || view.getUint32(end - 20, true) !== locator64) return { end, count, directory };
  const far = Number(view.getBigUint64(end - 12, true));
  if (far + 56 > end || view.getUint32(far, true) !== endOfDirectory64) {
    throw fail("the zip archive's directory is damaged");
  }
  return {
    end,
    count: Number(view.getBigUint64(far + 32, true)),
    directory: Number(view.getBigUint64(far + 48, true)),
  };
}

/** Numbers of 32 bits, or of 64 in the order in which they stand where the fields are too short for them. */
function numbers(view: DataView, fields: readonly number[], extra: readonly number[]): number[] {
  let used = 0;
  return fields.map((field) => {
    const short = view.getUint32(field, true);
    return short === 0xffffffff ? extra[used++] ?? short : short;
  });
}

/** Whether a file is described where it is stored as in the directory; zero is not told yet, or left out. */
function agrees(view: DataView, { local, start, method, size, packed, checksum }: Entry): boolean {
  const nameEnd = local + 30 + view.getUint16(local + 26, true);
  const extra = wide(view, nameEnd, start - nameEnd);
  const [ownSize = 0, ownPacked = 0] = numbers(view, [local + 22, local + 18], extra);
  const ownChecksum = view.getUint32(local + 14, true);
  const later = (view.getUint16(local + 6, true) & describedBehind) !== 0;
  return view.getUint16(local + 8, true) === method &&
    (ownSize === size || later && ownSize === 0) &&
    (ownPacked === packed || later && ownPacked === 0) &&
    (ownChecksum === checksum || ownChecksum === 0);
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
  if (method === stored && content.length === size) return content;
  if (method !== deflated) throw damaged();
  try {
    const unpacked = inflateRawSync(content, { maxOutputLength: Math.max(1, size) });
    if (unpacked.length !== size) throw damaged();
    return unpacked;
  } catch {
    throw damaged();
  }
}
