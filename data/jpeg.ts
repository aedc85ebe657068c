/**
 * Photographs in JPEG (ITU-T T.81), baseline and progressive, decoded by `jpeg-js` within limits that it does not keep.
 * Colours are taken as they are stored, whatever profile stands beside them.
 *
 * @module
 */
import { decode } from "jpeg-js";
import { shortened, UserError } from "../src/base/errors.ts";
import { orientationIn } from "./exif.ts";
import type { Raster, Size } from "./raster.ts";

/** Pixels of the largest image that is read. */
const mostPixels = 2 ** 25;
/** Scans of an image, and pixels times scans: a progressive image has about ten, and each looks at every pixel. */
const mostScans = 200;
const mostWork = 2 ** 29;
/** What the decoder may take, in MiB: some twenty bytes a pixel. */
const mostMemory = 1024;

/** What stands before an image's first scan. */
interface Head extends Size {
  /** The numbers that the components go by, in their order. */
  readonly components: readonly number[];
  readonly orientation: number;
  readonly isJfif: boolean;
  /** Adobe's word on how colours are stored, and where it stands; undefined where it says nothing. */
  readonly adobe: { readonly at: number; readonly transform: number } | undefined;
}

/** Whether bytes begin as a JPEG does. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/**
 * Reads a JPEG of one, three or four components (grey, YCbCr or RGB, CMYK or YCCK as Adobe stores them) of 8 bits.
 *
 * @throws {UserError} when the bytes are no JPEG, are damaged or cut off, are of a kind not read, or the image is
 * larger than any that is read
 */
export function readJpeg(bytes: Uint8Array): Raster {
  const head = headOf(bytes);
  const { width, height, components, orientation } = head;
  const scans = countScans(bytes);
  if (scans > mostScans || scans * width * height > mostWork) {
    throw broken(`its ${scans} scans of ${width} x ${height} pixels are more than any image needs`);
  }
  const data = samplesOf(bytes, head);
  const isGrey = components.length === 1;
  return {
    width,
    height,
    channels: isGrey ? 1 : 3,
    // The decoder says grey three times.
    samples: isGrey ? data.filter((_, i) => i % 3 === 0) : data,
    top: 255,
    orientation,
  };
}

/** Red, green and blue of every pixel. */
function samplesOf(bytes: Uint8Array, head: Head): Uint8Array {
  const { width, height, components, adobe } = head;
  const isColour = components.length === 3;
  const copy = bytes.slice();
  // Of luma and chroma the decoder makes colours that it cuts off where it should round: it is told that there are
  // none, whatever the file says.
  if (isColour && adobe) copy[adobe.at] = 0;
  try {
    const decoded = decode(copy, {
      ...isColour && { colorTransform: false },
      useTArray: true,
      formatAsRGBA: false,
      maxResolutionInMP: mostPixels,
      maxMemoryUsageInMB: mostMemory,
    });
    if (decoded.width !== width || decoded.height !== height) throw broken("it has two sizes");
    const data = new Uint8Array(decoded.data);
    return isColour && isTransformed(head) ? colours(data) : data;
  } catch (error) {
    if (error instanceof UserError) throw error;
    const said = error instanceof TypeError || !(error instanceof Error)
      ? "damaged"
      : error.message;
    throw broken(`its data cannot be decoded (${shortened(said, 80)})`);
  }
}

/** Luma and chroma as red, green and blue (JFIF 1.02). */
function colours(data: Uint8Array): Uint8Array {
  // Clamped, and rounded to the nearest.
  const result = new Uint8ClampedArray(data.length);
  for (let at = 0; at < data.length; at += 3) {
    const [luma, blue, red] = [data[at] ?? 0, (data[at + 1] ?? 0) - 128, (data[at + 2] ?? 0) - 128];
    result[at] = luma + 1.402 * red;
    result[at + 1] = luma - 0.344136286 * blue - 0.714136286 * red;
    result[at + 2] = luma + 1.772 * blue;
  }
  return new Uint8Array(result.buffer);
}

/** The size of a JPEG's frame, as it is stored, and how it is to be turned. */
export function jpegSize(bytes: Uint8Array): Pick<Raster, "width" | "height" | "orientation"> {
  const { width, height, orientation } = headOf(bytes);
  return { width, height, orientation };
}

/** Reads the segments before the first scan. */
function headOf(bytes: Uint8Array): Head {
  if (!isJpeg(bytes)) throw broken("it is not a JPEG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: Pick<Head, "width" | "height" | "components"> | undefined;
  let [orientation, isJfif]: [number, boolean] = [1, false];
  let adobe: Head["adobe"];
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = view.getUint16(at);
    // Markers may be filled up with bytes of 0xff.
    if (marker === 0xffff) {
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    if (marker < 0xff01 || length < 2) throw broken("one of its markers is damaged");
    if (at + 2 + length > bytes.length) break;
    const body = bytes.subarray(at + 4, at + 2 + length);
    const begins = (text: string): boolean =>
      [...text].every((letter, i) => body[i] === letter.charCodeAt(0));
    if (marker === 0xffda) {
      if (!frame) throw broken("it has no size before its first scan");
      return { ...frame, orientation, isJfif, adobe };
    }
    if (isFrame(marker)) {
      if (frame) throw broken("it has two frames");
      frame = frameIn(body, marker);
    } else if (marker === 0xffe0 && begins("JFIF\0")) isJfif = true;
    else if (marker === 0xffe1 && begins("Exif\0\0")) orientation = orientationIn(body.subarray(6));
    else if (marker === 0xffee && begins("Adobe\0") && body.length >= 12) {
      adobe = { at: at + 4, transform: body[11] ?? 0 };
    }
    at += 2 + length;
  }
  throw broken("it is cut off");
}

/** Whether a marker begins a frame: SOF0 to SOF15, without the three among them that mean something else. */
function isFrame(marker: number): boolean {
  return marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
}

function frameIn(
  body: Uint8Array,
  marker: number,
): Pick<Head, "width" | "height" | "components"> {
  if (marker > 0xffc2) throw broken("it is lossless, hierarchical or coded arithmetically");
  const count = body[5] ?? 0;
  if (body.length < 6 + 3 * count) throw broken("its frame is cut off");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (body[0] !== 8) throw broken(`its samples have ${body[0]} bits, not 8`);
  const [height, width] = [view.getUint16(1), view.getUint16(3)];
  if (width === 0 || height === 0 || width * height > mostPixels) {
    throw broken(`its size is ${width}x${height}`);
  }
  if (![1, 3, 4].includes(count)) throw broken(`it has ${count} components, not 1, 3 or 4`);
  const components = Array.from({ length: count }, (_, i) => body[6 + 3 * i] ?? 0);
  if (new Set(components).size < count) throw broken("two of its components have one number");
  const factors = Array.from({ length: count }, (_, i) => body[7 + 3 * i] ?? 0);
  if (factors.some((both) => [both >> 4, both & 15].some((n) => n < 1 || n > 4))) {
    throw broken("the sampling of one of its components is none");
  }
  return { width, height, components };
}

/** Scans in a file; those of a thumbnail in it count too. Within a scan's own data 0xff is followed by 0. */
function countScans(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(0xff); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === 0xda) count++;
  }
  return count;
}

/** Whether three components are luma and chroma, as libjpeg decides it. */
function isTransformed({ isJfif, adobe, components }: Head): boolean {
  if (isJfif) return true;
  return adobe ? adobe.transform !== 0 : String.fromCharCode(...components) !== "RGB";
}

function broken(state: string): UserError {
  return new UserError(`Cannot decode JPEG: ${state}`);
}
