/** Writes PNGs of every colour type, depth and filter, interlaced or not: what the readers are held against. */
import { crc32, deflateSync } from "node:zlib";

/** An image by its samples. */
export interface Sampled {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample. */
  readonly depth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colour: number;
  /** [H, W, channels], 0 to 2^depth - 1. */
  readonly samples: readonly number[];
  readonly interlaced?: boolean;
  /** Filters of the rows in turn, 0 to 4; none when not given. */
  readonly filters?: readonly number[];
  readonly palette?: readonly number[];
  /** The chunk tRNS. */
  readonly transparency?: readonly number[];
  /** The chunk eXIf. */
  readonly exif?: readonly number[];
}

/** Samples a pixel of each colour type. */
export const channelsOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Which of Adam7's passes each pixel of an 8 x 8 square is in, as the specification draws it. */
const adam7 = [
  [1, 6, 4, 6, 2, 6, 4, 6],
  [7, 7, 7, 7, 7, 7, 7, 7],
  [5, 6, 5, 6, 5, 6, 5, 6],
  [7, 7, 7, 7, 7, 7, 7, 7],
  [3, 6, 4, 6, 3, 6, 4, 6],
  [7, 7, 7, 7, 7, 7, 7, 7],
  [5, 6, 5, 6, 5, 6, 5, 6],
  [7, 7, 7, 7, 7, 7, 7, 7],
] as const;

/** The bytes of a PNG. */
export function writePng(image: Sampled): Uint8Array<ArrayBuffer> {
  const { width, height, depth, colour, interlaced = false } = image;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  const optional = { PLTE: image.palette, tRNS: image.transparency, eXIf: image.exif };
  return joined([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    ...Object.entries(optional).flatMap(([type, body]) =>
      body ? [chunk(type, Uint8Array.from(body))] : []
    ),
    chunk(
      "IDAT",
      deflateSync(Uint8Array.from(passes(image).flatMap((rows) => filtered(rows, image)))),
    ),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** Rows of packed samples of each pass. */
function passes(image: Sampled): number[][][] {
  const { width, height, interlaced } = image;
  if (!interlaced) {
    return [Array.from({ length: height }, (_, y) => packed(image, y, [...Array(width).keys()]))];
  }
  return [1, 2, 3, 4, 5, 6, 7].map((pass) =>
    [...Array(height).keys()].flatMap((y) => {
      const columns = [...Array(width).keys()].filter((x) => adam7[y % 8]?.[x % 8] === pass);
      return columns.length === 0 ? [] : [packed(image, y, columns)];
    })
  );
}

/** Some pixels of a row as bytes. */
function packed(
  { width, depth, colour, samples }: Sampled,
  y: number,
  columns: number[],
): number[] {
  const channels = channelsOf[colour] ?? 1;
  const bits = columns.flatMap((x) =>
    Array.from(
      { length: channels },
      (_, i) => (samples[(y * width + x) * channels + i] ?? 0).toString(2).padStart(depth, "0"),
    )
  ).join("");
  return (bits.match(/.{1,8}/g) ?? []).map((byte) => parseInt(byte.padEnd(8, "0"), 2));
}

function filtered(rows: readonly number[][], { depth, colour, filters = [0] }: Sampled): number[] {
  const unit = Math.max(1, Math.floor((channelsOf[colour] ?? 1) * depth / 8));
  return rows.flatMap((row, y) => {
    const above = rows[y - 1] ?? [];
    const filter = filters[y % filters.length] ?? 0;
    return [
      filter,
      ...row.map((value, x) => {
        const [a, b, c] = [row[x - unit] ?? 0, above[x] ?? 0, above[x - unit] ?? 0];
        const off = (guess: number): number => Math.abs(a + b - c - guess);
        const paeth = [a, b, c].reduce((best, guess) => off(guess) < off(best) ? guess : best);
        return (value - ([0, a, b, (a + b) >> 1, paeth][filter] ?? 0)) & 255;
      }),
    ];
  });
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
