/**
 * A PNG reader (W3C's Portable Network Graphics, third edition): every colour type, depth and filter, interlaced
 * or not, with its transparency. Colours are taken as they are stored, whatever profile or gamma stands beside
 * them; of an animation the still image is read.
 *
 * @module
 */
import { crc32, inflateSync } from "node:zlib";
import { shortened, UserError } from "../src/base/errors.ts";
import { orientationIn } from "./exif.ts";
import { concatenate } from "./files.ts";
import type { Raster, Size } from "./raster.ts";

/** A grey image. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  /** [H, W], row-major, 0 (black) to 255 (white). */
  readonly pixels: Uint8Array<ArrayBuffer>;
}

interface Header extends Size {
  readonly depth: number;
  readonly colour: Colour;
  readonly interlaced: boolean;
}

type Colour = 0 | 2 | 3 | 4 | 6;

/** Samples a pixel of each colour type: grey, RGB, palette, grey + alpha, RGB + alpha. */
const channelsOf = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const satisfies Record<Colour, number>;

/** Bit depths that each colour type allows. */
const depthsOf = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
} as const;

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Bytes of the rows of the largest image that is read: 8192 x 8192 pixels with alpha. */
const mostBytes = 2 ** 28;

/** Pixels of an image that are stored together: every `step` from the first one on, in both directions. */
interface Pass {
  readonly first: readonly [x: number, y: number];
  readonly step: readonly [x: number, y: number];
}

const whole: readonly Pass[] = [{ first: [0, 0], step: [1, 1] }];
/** The passes of an interlaced image. */
const adam7: readonly Pass[] = [
  { first: [0, 0], step: [8, 8] },
  { first: [4, 0], step: [8, 8] },
  { first: [0, 4], step: [4, 8] },
  { first: [2, 0], step: [4, 4] },
  { first: [0, 2], step: [2, 4] },
  { first: [1, 0], step: [2, 2] },
  { first: [0, 1], step: [1, 2] },
];

/** Whether bytes begin as a PNG does. */
export function isPng(bytes: Uint8Array): boolean {
  return signature.every((byte, index) => bytes[index] === byte);
}

/**
 * Reads a PNG.
 *
 * @throws {UserError} when the bytes are no PNG, are damaged (every checksum is checked) or cut off, or are of a
 * kind that there is not.
 */
export function readPng(bytes: Uint8Array): Raster {
  const { header, ...chunks } = parseChunks(bytes);
  const { width, height, depth } = header;
  const { channels, samples } = coloured(samplesOf(header, chunks.data), header, chunks);
  const orientation = chunks.exif ? orientationIn(chunks.exif) : 1;
  return { width, height, channels, samples, top: depth === 16 ? 65_535 : 255, orientation };
}

/**
 * Decodes a PNG of at most 8 bits a sample to grey, as PIL's `convert("L")` does: transparency is dropped; colour
 * becomes `(19595 R + 38470 G + 7471 B + 32768) >> 16`, PIL's fixed-point form of ITU-R 601 luma.
 *
 * @param wanted the only size that is decoded; any when not given
 * @throws {UserError} as {@linkcode readPng} does, and of 16-bit samples, which PIL cuts off
 */
export function decodePng(bytes: Uint8Array, wanted?: Size): GreyImage {
  const { header, palette, data } = parseChunks(bytes, wanted);
  if (header.depth === 16) throw broken("16-bit samples are not read, save it with 8 bits");
  const { channels, samples } = coloured(samplesOf(header, data), header, { palette });
  const { width, height } = header;
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => {
    const at = i * channels;
    if (channels < 3) return samples[at] ?? 0;
    const [red, green, blue] = [samples[at] ?? 0, samples[at + 1] ?? 0, samples[at + 2] ?? 0];
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  });
  return { width, height, pixels };
}

/** The size in a PNG's header, before anything else of it is looked at. */
export function pngSize(bytes: Uint8Array): Size {
  if (bytes.length < 33) throw broken("it is cut off");
  return parseHeader(bytes.subarray(16, 29));
}

interface Chunks {
  readonly header: Header;
  readonly palette: Uint8Array | undefined;
  readonly transparency: Uint8Array | undefined;
  readonly exif: Uint8Array | undefined;
  readonly data: readonly Uint8Array[];
}

function parseChunks(bytes: Uint8Array, wanted?: Size): Chunks {
  if (bytes.length === 0) throw broken("the file is empty");
  if (!isPng(bytes)) throw broken("it is not a PNG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Header | undefined;
  const found = new Map<string, Uint8Array>();
  const data: Uint8Array[] = [];
  for (let at = signature.length; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 8 + length;
    if (end + 4 > bytes.length) break;
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw broken(`the checksum of its ${shortened(type)} chunk is wrong`);
    }
    const body = bytes.subarray(at + 8, end);
    if ((header === undefined) !== (type === "IHDR")) throw broken("IHDR is not its first chunk");
    if (type === "IHDR") header = parseHeader(body, wanted);
    else if (["PLTE", "tRNS", "eXIf"].includes(type)) found.set(type, body);
    else if (type === "IDAT") data.push(body);
    else if (type === "IEND" && header) {
      const [palette, transparency, exif] = ["PLTE", "tRNS", "eXIf"].map((of) => found.get(of));
      return { header, palette, transparency, exif, data };
    } else if (/^[A-Z]/.test(type)) {
      throw broken(`its critical chunk ${shortened(type)} is unknown`);
    }
    at = end + 4;
  }
  throw broken("it is cut off");
}

function parseHeader(body: Uint8Array, wanted?: Size): Header {
  if (body.length !== 13) throw broken("its header is not 13 bytes long");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  // By the header alone: a few bytes can unpack to a picture of gigabytes.
  if (wanted && (width !== wanted.width || height !== wanted.height)) {
    throw broken(`it is ${width} x ${height}, not ${wanted.width} x ${wanted.height}`);
  }
  const [depth, colour, compression, filter, interlace] = body.subarray(8);
  // Four samples a pixel, of one byte or two.
  const bytes = width * height * (depth === 16 ? 8 : 4);
  if (bytes === 0 || bytes > mostBytes) throw broken(`its size is ${width}x${height}`);
  if (colour === undefined || !isColour(colour)) throw broken(`colour type ${colour} is unknown`);
  if (depth === undefined || !(depthsOf[colour] as readonly number[]).includes(depth)) {
    throw broken(`colour type ${colour} has no ${depth}-bit samples`);
  }
  if (compression !== 0 || filter !== 0) throw broken("its compression or filter kind is unknown");
  if (interlace !== 0 && interlace !== 1) throw broken("its kind of interlacing is unknown");
  return { width, height, depth, colour, interlaced: interlace === 1 };
}

function isColour(value: number): value is Colour {
  return value in channelsOf;
}

/** Samples as they are stored, [H, W, channels], 0 to 2^depth - 1. */
function samplesOf(header: Header, data: readonly Uint8Array[]): Uint8Array | Uint16Array {
  const { width, height, depth, colour, interlaced } = header;
  const channels = channelsOf[colour];
  const passes = (interlaced ? adam7 : whole).map(({ first, step }) => {
    const [columns = 0, rows = 0] = [width, height]
      .map((side, axis) => Math.max(0, Math.ceil((side - (first[axis] ?? 0)) / (step[axis] ?? 1))));
    const stride = Math.ceil(columns * channels * depth / 8);
    return { first, step, columns, rows: columns === 0 ? 0 : rows, stride };
  });
  const length = passes.reduce((sum, { rows, stride }) => sum + rows * (stride + 1), 0);
  const bytes = inflate(data, length);
  const samples = depth === 16
    ? new Uint16Array(width * height * channels)
    : new Uint8Array(width * height * channels);
  let at = 0;
  for (const { first, step, columns, rows, stride } of passes) {
    const part = bytes.subarray(at, at += rows * (stride + 1));
    unfilter(part, rows, stride, Math.max(1, channels * depth >> 3));
    for (let row = 0; row < rows; row++) {
      const sample = reader(part.subarray(row * (stride + 1) + 1, (row + 1) * (stride + 1)), depth);
      const line = (first[1] + row * step[1]) * width + first[0];
      for (let column = 0; column < columns; column++) {
        const to = (line + column * step[0]) * channels;
        for (let i = 0; i < channels; i++) samples[to + i] = sample(column * channels + i);
      }
    }
  }
  return samples;
}

/** Reads a row's samples by their number. */
function reader(row: Uint8Array, depth: number): (i: number) => number {
  if (depth === 8) return (i) => row[i] ?? 0;
  if (depth === 16) return (i) => (row[2 * i] ?? 0) << 8 | (row[2 * i + 1] ?? 0);
  const most = 2 ** depth - 1;
  return (i) => {
    const bit = i * depth;
    return (row[bit >> 3] ?? 0) >> (8 - depth - (bit & 7)) & most;
  };
}

function inflate(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 0) throw broken("it has no image data");
  let rows: Uint8Array;
  try {
    rows = inflateSync(concatenate(parts), { maxOutputLength: length });
  } catch {
    throw broken("its image data does not inflate");
  }
  if (rows.length !== length) throw broken(`it holds ${rows.length} bytes of rows, not ${length}`);
  return rows;
}

/** Undoes the row filters in place; `unit` is the distance in bytes to the pixel on the left. */
function unfilter(rows: Uint8Array, height: number, stride: number, unit: number): void {
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1) + 1;
    const filter = rows[start - 1] ?? 0;
    if (filter > 4) throw broken(`row ${y} has the unknown filter ${filter}`);
    if (filter === 0) continue;
    for (let x = 0; x < stride; x++) {
      const at = start + x;
      const left = x >= unit ? rows[at - unit] ?? 0 : 0;
      const up = y > 0 ? rows[at - stride - 1] ?? 0 : 0;
      const corner = x >= unit && y > 0 ? rows[at - stride - 1 - unit] ?? 0 : 0;
      rows[at] = (rows[at] ?? 0) + predict(filter, left, up, corner);
    }
  }
}

function predict(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const estimate = left + up - corner;
  const [toLeft, toUp, toCorner] = [
    Math.abs(estimate - left),
    Math.abs(estimate - up),
    Math.abs(estimate - corner),
  ];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** Samples with the palette's colours and with what is transparent, narrow ones widened to 8 bits. */
function coloured(
  samples: Uint8Array | Uint16Array,
  { depth, colour }: Header,
  { palette, transparency }: Partial<Pick<Chunks, "palette" | "transparency">>,
): Pick<Raster, "channels" | "samples"> {
  if (colour === 3) return paletted(samples, palette, transparency);
  const channels = channelsOf[colour];
  const scale = depth < 8 ? 255 / (2 ** depth - 1) : 1;
  const wide = scale === 1 ? samples : samples.map((value) => value * scale);
  if (!transparency || colour > 2) return { channels, samples: wide };
  if (transparency.length !== 2 * channels) throw broken("its tRNS chunk has a wrong length");
  const clear = reader(transparency, 16);
  const pixels = samples.length / channels;
  const result = depth === 16
    ? new Uint16Array(pixels * (channels + 1))
    : new Uint8Array(pixels * (channels + 1));
  for (let pixel = 0; pixel < pixels; pixel++) {
    let opaque = false;
    for (let i = 0; i < channels; i++) {
      result[pixel * (channels + 1) + i] = wide[pixel * channels + i] ?? 0;
      opaque ||= samples[pixel * channels + i] !== clear(i);
    }
    if (opaque) result[pixel * (channels + 1) + channels] = depth === 16 ? 65_535 : 255;
  }
  return { channels: channels === 1 ? 2 : 4, samples: result };
}

function paletted(
  numbers: ArrayLike<number>,
  palette: Uint8Array | undefined,
  transparency: Uint8Array | undefined,
): Pick<Raster, "channels" | "samples"> {
  if (palette === undefined) throw broken("it has no palette");
  const channels = transparency ? 4 : 3;
  const samples = new Uint8Array(numbers.length * channels);
  for (let pixel = 0; pixel < numbers.length; pixel++) {
    const number = numbers[pixel] ?? 0;
    if (3 * number + 2 >= palette.length) throw broken(`its palette has no entry ${number}`);
    samples.set(palette.subarray(3 * number, 3 * number + 3), pixel * channels);
    if (transparency) samples[pixel * channels + 3] = transparency[number] ?? 255;
  }
  return { channels, samples };
}

function broken(state: string): UserError {
  return new UserError(`Cannot decode PNG: ${state}`);
}
