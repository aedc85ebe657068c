/**
 * A reader for tar archives in memory: ustar with its name prefix, GNU long names, pax paths.
 *
 * @module
 */
import { UserError } from "../src/errors.ts";

/** A regular file in an archive. */
export interface TarEntry {
  /** The whole path, as stored. */
  readonly path: string;
  /** The contents, a view of the archive's bytes. */
  readonly data: Uint8Array;
}

const block = 512;
const decoder = new TextDecoder();

/**
 * The regular files of an archive, in its order; folders, links and devices are passed over.
 * `name` stands in the errors.
 *
 * @throws {UserError} when the bytes are no tar archive, are cut off, or a header is damaged.
 */
export function readTar(bytes: Uint8Array, name: string): TarEntry[] {
  const entries: TarEntry[] = [];
  let longPath: string | undefined;
  for (let at = 0; at < bytes.length;) {
    const header = bytes.subarray(at, at + block);
    if (header.every((byte) => byte === 0)) break;
    if (header.length < block) throw broken(name, "its last header is cut off");
    if (!checks(header)) throw broken(name, `the header at byte ${at} is damaged`);
    const size = sizeIn(header);
    if (size === undefined) {
      throw broken(name, `the header at byte ${at} gives a size that is none`);
    }
    const data = bytes.subarray(at + block, at + block + size);
    if (data.length < size) throw broken(name, "its last file is cut off");
    at += block + Math.ceil(size / block) * block;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "L") {
      longPath = text(data, 0, size);
    } else if (type === "x") {
      longPath = paxPath(data) ?? longPath;
    } else if (type !== "g" && type !== "K") {
      const path = longPath ?? headerPath(header);
      if (type === "0" || type === "\0" || type === "7") entries.push({ path, data });
      longPath = undefined;
    }
  }
  return entries;
}

/** The size of the file behind a header, in octal digits or GNU's base 256; undefined where it is neither. */
function sizeIn(header: Uint8Array): number | undefined {
  const field = header.subarray(124, 136);
  const [first = 0] = field;
  if (first < 0x80) {
    const digits = text(field, 0, field.length).trim();
    return /^[0-7]*$/.test(digits) ? octal(field, 0, field.length) : undefined;
  }
  // The leading bit says base 256; the next one would make it negative.
  if (first !== 0x80) return undefined;
  const size = field.subarray(1).reduce((value, byte) => 256 * value + byte, 0);
  return Number.isSafeInteger(size) ? size : undefined;
}

/** A header's checksum is the sum of its bytes with the checksum's own eight taken as spaces. */
function checks(header: Uint8Array): boolean {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  return sum === octal(header, 148, 8);
}

/** ustar splits a long path into a prefix and a name; GNU tar uses the prefix's bytes otherwise. */
function headerPath(header: Uint8Array): string {
  const name = text(header, 0, 100);
  const isUstar = text(header, 257, 6) === "ustar";
  const prefix = isUstar ? text(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The path among pax records, each "LENGTH key=value\n" with its own length in bytes first. */
function paxPath(data: Uint8Array): string | undefined {
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(32, at);
    const length = Number(decoder.decode(data.subarray(at, space)));
    if (space < 0 || !Number.isInteger(length) || length <= 0) return undefined;
    const record = decoder.decode(data.subarray(space + 1, at + length - 1));
    if (record.startsWith("path=")) return record.slice("path=".length);
    at += length;
  }
  return undefined;
}

function text(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return decoder.decode(end < 0 ? field : field.subarray(0, end));
}

function octal(bytes: Uint8Array, start: number, length: number): number {
  const value = Number.parseInt(text(bytes, start, length).trim() || "0", 8);
  return Number.isNaN(value) ? -1 : value;
}

function broken(name: string, state: string): UserError {
  return new UserError(`Cannot read "${name}" as a tar archive: ${state}; fetch it again`);
}
