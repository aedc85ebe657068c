/**
 * A reader for tar archives in memory: ustar with its name prefix, GNU long names, pax paths.
 *
 * @module
 */
import { UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";

/** A regular file in an archive. */
export interface TarEntry {
  /** The whole path, as stored. */
  readonly path: string;
  /** The contents, a view of the archive's bytes. */
  readonly data: Uint8Array;
}

const block = 512;

/** Headers that an archive may have: notMNIST's has 18,726 files in 11 folders, CIFAR-10's 8 in one. */
const mostHeaders = 100_000;

/** Bytes that a long name or pax records may have: systems allow paths of 4,096. */
const mostPathBytes = 2 ** 16;

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
  let paxSize: number | undefined;
  let headers = 0;
  for (let at = 0; at < bytes.length;) {
    const header = bytes.subarray(at, at + block);
    if (header.every((byte) => byte === 0)) break;
    if (header.length < block) throw broken(name, "its last header is cut off");
    if (!checks(header)) throw broken(name, `the header at byte ${at} is damaged`);
    if (++headers > mostHeaders) throw broken(name, `it has more than ${mostHeaders} headers`);
    const type = String.fromCharCode(header[156] ?? 0);
    const isAbout = ["L", "K", "x", "g"].includes(type);
    const size = isAbout ? sizeIn(header) : paxSize ?? sizeIn(header);
    if (size === undefined) {
      throw broken(name, `the header at byte ${at} gives a size that is none`);
    }
    if (isAbout && size > mostPathBytes) {
      throw broken(name, `the header at byte ${at} names a path of ${size} bytes`);
    }
    const data = bytes.subarray(at + block, at + block + size);
    if (data.length < size) throw broken(name, "its last file is cut off");
    at += block + Math.ceil(size / block) * block;
    if (type === "L") {
      longPath = text(data, 0, size);
    } else if (type === "x") {
      const records = paxRecords(data);
      longPath = records.get("path") ?? longPath;
      const given = records.get("size");
      paxSize = given !== undefined && /^\d{1,15}$/.test(given) ? Number(given) : paxSize;
    } else if (!isAbout) {
      const path = longPath ?? headerPath(header);
      if (type === "0" || type === "\0" || type === "7") entries.push({ path, data });
      longPath = paxSize = undefined;
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
  for (let i = 0; i < block; i++) sum += i >= 148 && i < 156 ? 32 : header[i] ?? 0;
  return sum === octal(header, 148, 8);
}

/** ustar splits a long path into a prefix and a name; GNU tar uses the prefix's bytes otherwise. */
function headerPath(header: Uint8Array): string {
  const name = text(header, 0, 100);
  const isUstar = text(header, 257, 6) === "ustar";
  const prefix = isUstar ? text(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** pax records by key, each "LENGTH key=value\n" with its own length in bytes first. */
function paxRecords(data: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length;) {
    // No length has more than five digits: the records together have fewer than 2^16 bytes.
    const [, digits = ""] = /^(\d{1,5}) /.exec(decoder.decode(data.subarray(at, at + 6))) ?? [];
    const length = Number(digits);
    if (length <= digits.length + 1) break;
    const record = decoder.decode(data.subarray(at + digits.length + 1, at + length - 1));
    const equals = record.indexOf("=");
    if (equals > 0) records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
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
  return new UserError(`Cannot read "${display(name)}" as a tar archive: ${state}; fetch it again`);
}
