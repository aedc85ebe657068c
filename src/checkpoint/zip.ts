/**
 * A reader of zip archives: the container of PyTorch's checkpoints.
 *
 * @module
 */
import { crc32, inflateRawSync } from "node:zlib";
import { UserError } from "../errors.ts";

/** Signatures of the format's records. */
const centralEntry = 0x02014b50;
const localEntry = 0x04034b50;
const endOfDirectory = 0x06054b50;

/**
 * The files of an archive by name, in their order, stored or deflated, checksums verified.
 *
 * @param name of the archive, for messages
 * @throws UserError when the archive is cut off or damaged, encrypted or larger than 4 GiB
 */
export function readZip(bytes: Uint8Array, name: string): Map<string, Uint8Array> {
  const fail = (state: string): UserError =>
    new UserError(`Cannot read "${name}": ${state}; copy or save it again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== endOfDirectory) end--;
  if (end < 0) throw fail("the zip archive was cut off");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count === 0xffff || at === 0xffffffff) {
    throw fail("zip archives over 4 GiB are not supported");
  }
  const files = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== centralEntry) {
      throw fail("the zip archive's directory is damaged");
    }
    const method = view.getUint16(at + 10, true);
    const checksum = view.getUint32(at + 16, true);
    const packed = view.getUint32(at + 20, true);
    const size = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const skip = view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    const local = view.getUint32(at + 42, true);
    const file = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    at += 46 + nameLength + skip;
    if (local + 30 > bytes.length || view.getUint32(local, true) !== localEntry) {
      throw fail(`"${file}" inside it is damaged`);
    }
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + packed > bytes.length) throw fail(`"${file}" inside it was cut off`);
    const content = bytes.subarray(start, start + packed);
    const damaged = (): UserError => fail(`"${file}" inside it is damaged`);
    const unpacked = unpack(content, method, size, damaged);
    if (crc32(unpacked) !== checksum) throw damaged();
    files.set(file, unpacked);
  }
  return files;
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
    const unpacked = inflateRawSync(content, { maxOutputLength: size });
    if (unpacked.length !== size) throw damaged();
    return unpacked;
  } catch {
    throw damaged();
  }
}
