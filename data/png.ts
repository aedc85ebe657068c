/**
 * A PNG reader for small grey images: every 8-bit and narrower kind, made grey as PIL's
 * `convert("L")` does. No 16-bit samples and no interlacing; those are refused by name.
 *
 * @module
 */
import { crc32, inflateSync } from "node:zlib";
import { shortened, UserError } from "../src/base/errors.ts";
import { concatenate } from "./files.ts";

/** A grey image. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  /** [H, W], row-major, 0 (black) to 255 (white). */
  readonly pixels: Uint8Array<ArrayBuffer>;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: Colour;
}

type Colour = 0 | 2 | 3 | 4 | 6;

/** Samples a pixel of each colour type: grey, RGB, palette, grey + alpha, RGB + alpha. */
const channelsOf = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const satisfies Record<Colour, number>;

/** Bit depths that each colour type allows, 16 bits left out. */
const depthsOf = { 0: [1, 2, 4, 8], 2: [8], 3: [1, 2, 4, 8], 4: [8], 6: [8] } as const;

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Pixels that a PNG may have where no size is asked for: 8192 x 8192, 256 MiB with alpha. */
const maxPixels = 2 ** 26;

/** Width and height in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Decodes a PNG to grey. Alpha is dropped; colour becomes
 * `(19595 R + 38470 G + 7471 B + 32768) >> 16`, PIL's fixed-point form of ITU-R 601 luma.
 *
 * @param wanted the only size that is decoded; any when not given
 * @throws {UserError} when the bytes are no PNG, are damaged (every checksum is checked) or cut
 * off, or are of a kind not read here.
 */
export function decodePng(
  bytes: Uint8Array,
  wanted?: Size,
): GreyImage {
  const { header, palette, data } = parseChunks(bytes, wanted);
  const { width, height } = header;
  const stride = Math.ceil(width * channelsOf[header.colour] * header.depth / 8);
  const rows = inflate(data, height * (stride + 1));
  unfilter(rows, height, stride, Math.max(1, channelsOf[header.colour] * header.depth >> 3));
  return { width, height, pixels: toGrey(rows, header, stride, palette) };
}

interface Chunks {
  readonly header: Header;
  readonly palette: Uint8Array | undefined;
  readonly data: readonly Uint8Array[];
}

function parseChunks(bytes: Uint8Array, wanted?: Size): Chunks {
  if (bytes.length === 0) throw broken("the file is empty");
  if (signature.some((byte, index) => bytes[index] !== byte)) throw broken("it is not a PNG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Header | undefined;
  let palette: Uint8Array | undefined;
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
    else if (type === "PLTE") palette = body;
    else if (type === "IDAT") data.push(body);
    else if (type === "IEND" && header) return { header, palette, data };
    else if (/^[A-Z]/.test(type)) throw broken(`its critical chunk ${shortened(type)} is unknown`);
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
  if (width === 0 || height === 0 || width * height > maxPixels) {
    throw broken(`its size is ${width}x${height}`);
  }
  if (colour === undefined || !isColour(colour)) throw broken(`colour type ${colour} is unknown`);
  if (depth === 16) throw broken("16-bit samples are not read, save it with 8 bits");
  if (depth === undefined || !(depthsOf[colour] as readonly number[]).includes(depth)) {
    throw broken(`colour type ${colour} has no ${depth}-bit samples`);
  }
  if (compression !== 0 || filter !== 0) throw broken("its compression or filter kind is unknown");
  if (interlace !== 0) throw broken("interlacing is not read, save it without");
  return { width, height, depth, colour };
}

function isColour(value: number): value is Colour {
  return value in channelsOf;
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

function toGrey(
  rows: Uint8Array,
  { width, height, depth, colour }: Header,
  stride: number,
  palette: Uint8Array | undefined,
): Uint8Array<ArrayBuffer> {
  if (colour === 3 && palette === undefined) throw broken("it has no palette");
  const pixels = new Uint8Array(width * height);
  const channels = channelsOf[colour];
  const top = 2 ** depth - 1;
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1) + 1;
    for (let x = 0; x < width; x++) {
      const out = y * width + x;
      if (colour === 2 || colour === 6) {
        pixels[out] = luma(rows, start + x * channels);
        continue;
      }
      const bit = x * channels * depth;
      const value = (rows[start + (bit >> 3)] ?? 0) >> (8 - depth - (bit & 7)) & top;
      if (palette === undefined || colour !== 3) pixels[out] = value * (255 / top);
      else if (3 * value + 2 < palette.length) pixels[out] = luma(palette, 3 * value);
      else throw broken(`its palette has no entry ${value}`);
    }
  }
  return pixels;
}

function luma(bytes: Uint8Array, at: number): number {
  const [red, green, blue] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

function broken(state: string): UserError {
  return new UserError(`Cannot decode PNG: ${state}`);
}
