/** A writer of zip archives and of PyTorch's checkpoints, for tests of the readers. */
import { crc32, deflateRawSync } from "node:zlib";

/** A file of an archive: name and content. */
export type Entry = readonly [name: string, content: Uint8Array];

/** Little-endian bytes of an integer. */
export const le = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);

/** How an archive is written: deflated, or with every number in 64 bits. */
interface ZipOptions {
  readonly deflate?: boolean;
  readonly wide?: boolean;
}

/** A zip archive with right checksums. */
export function zip(entries: readonly Entry[], options: ZipOptions = {}): Uint8Array<ArrayBuffer> {
  const body: number[] = [];
  const directory: number[] = [];
  const short = (n: number): number[] => le(options.wide ? 0xffffffff : n, 4);
  for (const [name, content] of entries) {
    const path = [...new TextEncoder().encode(name)];
    const packed = options.deflate ? deflateRawSync(content) : content;
    const sizes = [content.length, packed.length];
    const wide = [...sizes, body.length].flatMap((n) => le(n, 8));
    // A field of another kind stands before, as padding does.
    const extra = options.wide ? [...le(0x4246, 2), ...le(1, 2), 0, ...le(1, 2), ...le(24, 2)] : [];
    if (options.wide) extra.push(...wide);
    const head = [...le(20, 2), 0, 0, ...le(options.deflate ? 8 : 0, 2), ...le(0, 4)];
    head.push(...le(crc32(content), 4));
    const at = short(body.length);
    directory.push(
      ...le(0x02014b50, 4),
      ...le(20, 2),
      ...head,
      ...sizes.toReversed().flatMap(short),
    );
    directory.push(...le(path.length, 2), ...le(extra.length, 2), ...le(0, 10), ...at);
    directory.push(...path, ...extra);
    body.push(...le(0x04034b50, 4), ...head, ...sizes.toReversed().flatMap((n) => le(n, 4)));
    body.push(...le(path.length, 2), 0, 0, ...path);
    // One by one: a call takes no million arguments.
    for (const byte of packed) body.push(byte);
  }
  const start = body.length;
  body.push(...directory);
  if (options.wide) {
    const record = [entries.length, entries.length, directory.length, start];
    const at = body.length;
    body.push(...le(0x06064b50, 4), ...le(44, 8), ...le(45, 2), ...le(45, 2), ...le(0, 8));
    body.push(...record.flatMap((n) => le(n, 8)));
    body.push(...le(0x07064b50, 4), ...le(0, 4), ...le(at, 8), ...le(1, 4));
  }
  const count = le(options.wide ? 0xffff : entries.length, 2);
  body.push(...le(0x06054b50, 4), ...le(0, 4), ...count, ...count);
  body.push(...short(directory.length), ...short(start), ...le(0, 2));
  return Uint8Array.from(body);
}

/** A checkpoint of a pickle given as Latin-1 text, and one storage of four f32: 1, 2, 3, 4. */
export function checkpoint(pickle: string, ...more: Entry[]): Uint8Array<ArrayBuffer> {
  const storage = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const bytes = Uint8Array.from(pickle, (c) => c.charCodeAt(0));
  return zip([["x/data.pkl", bytes], ["x/data/0", storage], ...more]);
}

/** The pickle of `{ "w": tensor }` over that storage; all numbers are below 256. */
export function tensor(offset: number, shape: number[], strides: number[]): string {
  const byte = (n: number): string => `K${String.fromCharCode(n)}`;
  const tuple = (sizes: number[]): string => `(${sizes.map(byte).join("")}t`;
  const text = (value: string): string => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
  const id = `(${text("storage")}ctorch\nFloatStorage\n${text("0")}${text("cpu")}${byte(4)}tQ`;
  return `\x80\x02}${text("w")}ctorch._utils\n_rebuild_tensor_v2\n` +
    `(${id}${byte(offset)}${tuple(shape)}${tuple(strides)}\x89}tRs.`;
}

/** Pieces of pickles as Latin-1 text, at the protocols from 2 on. */
export const pickled = {
  byte: (n: number): string => `K${String.fromCharCode(n)}`,
  text: (value: string): string => `X${String.fromCharCode(...le(value.length, 4))}${value}`,
  name: (module: string, name: string): string => `c${module}\n${name}\n`,
  /** As protocol 4 names things. */
  stackName: (module: string, name: string): string => {
    const short = (value: string): string => `\x8c${String.fromCharCode(value.length)}${value}`;
    return `${short(module)}${short(name)}\x93`;
  },
  bytes: (...content: number[]): string => `C${String.fromCharCode(content.length, ...content)}`,
  list: (...items: string[]): string => `](${items.join("")}e`,
  tuple: (...items: string[]): string => `(${items.join("")}t`,
  /** A dictionary of values that are pickled already. */
  dictionary: (entries: Readonly<Record<string, string>>): string =>
    `}(${Object.entries(entries).map(([key, value]) => pickled.text(key) + value).join("")}u`,
} as const;

/** The dictionary that {@linkcode tensor} pickles, to stand in another pickle. */
export function inner(pickle: string): string {
  return pickle.slice(2, -1);
}

/** What the older form of `torch.save` writes of such a pickle, with parts of it as they should not be. */
export function legacy(
  pickle: string,
  { version = 1001, little = true, keys = ["0"], length = 4, values = [1, 2, 3, 4] } = {},
): Uint8Array<ArrayBuffer> {
  const magic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  const system = pickled.dictionary({ little_endian: little ? "\x88" : "\x89" });
  const parts = [magic, `M${String.fromCharCode(...le(version, 2))}`, system];
  const head = [...parts.map((part) => `\x80\x03${part}.`), pickle].join("");
  const list = `\x80\x03${pickled.list(...keys.map(pickled.text))}.`;
  const bytes = Uint8Array.from(head + list, (c) => c.charCodeAt(0));
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return Uint8Array.of(...bytes, ...le(length, 8), ...raw);
}

/** An array that {@linkcode saved} pickles. */
export interface SavedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** A value that {@linkcode saved} pickles: an array, a number, or a dictionary of such. */
export type Saved = number | SavedArray | ReadonlyMap<string, Saved>;

/** What `torch.save` writes of a value, each array in f32 or f64 and in a storage of its own. */
export function saved(value: Saved): Uint8Array<ArrayBuffer> {
  const { name, text, tuple } = pickled;
  const integer = (n: number): string => `J${String.fromCharCode(...le(n, 4))}`;
  const storages: Entry[] = [];
  const write = (of: Saved): string => {
    if (typeof of === "number") return integer(of);
    if ("data" in of) {
      const { shape, data } = of;
      const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
      const type = data instanceof Float64Array ? "DoubleStorage" : "FloatStorage";
      const key = String(storages.length);
      const where = [text(key), text("cpu"), integer(data.length)];
      const id = tuple(text("storage"), name("torch", type), ...where);
      const sizes = [shape, strides].map((list) => tuple(...list.map(integer)));
      storages.push([`x/data/${key}`, new Uint8Array(data.slice().buffer)]);
      return `${name("torch._utils", "_rebuild_tensor_v2")}${
        tuple(`${id}Q`, integer(0), ...sizes, "\x89", "}")
      }R`;
    }
    return `}(${[...of].map(([key, entry]) => text(key) + write(entry)).join("")}u`;
  };
  const pickle = Uint8Array.from(`\x80\x02${write(value)}.`, (c) => c.charCodeAt(0));
  return zip([["x/data.pkl", pickle], ...storages]);
}
