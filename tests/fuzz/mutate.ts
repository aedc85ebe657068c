/**
 * Damage done to files: what disks, transfers and malice do, drawn from a generator so that an input can
 * be made again.
 *
 * @module
 */
import type { Random } from "../../src/nn/graph/random.ts";

/** Bytes that a damaged file may have at most: blocks that are repeated must not grow without end. */
const most = 2 ** 18;

/** Numbers at which lengths, counts and offsets go wrong. */
const extremes = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, -1n, -8n]
  .concat([2n ** 53n, 2n ** 62n, 2n ** 63n - 1n]);

/** Texts at which numbers, paths and JSON go wrong. */
const texts = [
  "-1",
  "1e999",
  "99999999999",
  "0x10",
  "NaN",
  "null",
  "{}",
  "[[",
  '"',
  "\n",
  "..",
  "\0",
]
  .map((text) => new TextEncoder().encode(text));

type Damage = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const damages: readonly Damage[] = [
  // A bit turns over.
  (bytes, random) => write(bytes, random, (old) => [old ^ 1 << random.integer(8)]),
  // A byte is another.
  (bytes, random) => write(bytes, random, () => [random.integer(256)]),
  // The file ends early.
  (bytes, random) => bytes.slice(0, place(bytes, random)),
  // Something stands in between.
  (bytes, random) => {
    const part = Uint8Array.from({ length: 1 + random.integer(16) }, () => random.integer(256));
    return splice(bytes, place(bytes, random), 0, part);
  },
  // Something is missing.
  (bytes, random) => splice(bytes, place(bytes, random), 1 + random.integer(64), new Uint8Array()),
  // A length, count or offset is extreme.
  (bytes, random) => {
    const number = new Uint8Array(8);
    const size = [1, 2, 4, 8][random.integer(4)] ?? 4;
    const value = BigInt.asUintN(64, extremes[random.integer(extremes.length)] ?? 0n);
    const little = random.integer(2) === 0;
    new DataView(number.buffer).setBigUint64(0, value, little);
    return write(bytes, random, () => [...little ? number.slice(0, size) : number.slice(8 - size)]);
  },
  // A number or a bracket in a text is extreme.
  (bytes, random) => {
    const text = texts[random.integer(texts.length)] ?? new Uint8Array();
    return splice(bytes, place(bytes, random), random.integer(text.length + 1), text);
  },
  // A block stands there again, once or many times.
  (bytes, random) => {
    const from = place(bytes, random);
    const block = bytes.slice(from, from + 1 + random.integer(random.integer(2) ? 16 : 1024));
    const times = random.integer(4) ? 1 : 1 + random.integer(512);
    const part = new Uint8Array(Math.min(block.length * times, most));
    for (let at = 0; at < part.length; at += block.length) {
      part.set(block.subarray(0, part.length - at), at);
    }
    return splice(bytes, place(bytes, random), 0, part);
  },
  // A block of another file stands in its place.
  (bytes, random, other) => {
    const from = place(other, random);
    const block = other.slice(from, from + 1 + random.integer(256));
    return splice(bytes, place(bytes, random), random.integer(2) ? block.length : 0, block);
  },
];

/** A file after one to four kinds of damage; `other` lends blocks. */
export function mutate(
  bytes: Uint8Array,
  random: Random,
  other: Uint8Array,
): Uint8Array<ArrayBuffer> {
  let result = bytes;
  for (let left = 1 + random.integer(4); left > 0; left--) {
    const damage = damages[random.integer(damages.length)];
    if (damage) result = damage(result, random, other);
  }
  return result.slice(0, most);
}

/** A place in a file: its head and its tail, where formats keep what they say, more often. */
function place(bytes: Uint8Array, random: Random): number {
  const near = Math.min(bytes.length, 256);
  const where = random.integer(4);
  if (where === 0 && near > 0) return random.integer(near);
  if (where === 1 && near > 0) return bytes.length - 1 - random.integer(near);
  return random.integer(bytes.length + 1);
}

function write(
  bytes: Uint8Array,
  random: Random,
  content: (old: number) => readonly number[],
): Uint8Array {
  const at = place(bytes, random);
  const result = bytes.slice();
  result.set(content(result[at] ?? 0).slice(0, result.length - at), at);
  return result;
}

function splice(bytes: Uint8Array, at: number, remove: number, part: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + remove));
  const result = new Uint8Array(at + part.length + rest.length);
  result.set(bytes.subarray(0, at));
  result.set(part, at);
  result.set(rest, at + part.length);
  return result;
}
