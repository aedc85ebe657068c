/**
 * Images of the user's own in arrays: NumPy's `.npy` and `.npz`, and `.safetensors`.
 *
 * @module
 */
import { shortened, UserError } from "../src/base/errors.ts";
import { readFile } from "../src/base/files.ts";
import { type ElementType, elementTypes, readRawTensors } from "../src/base/raw_tensors.ts";
import { elements } from "../src/base/refusal.ts";
import { readZip } from "../src/base/zip.ts";
import type { Split } from "./idx.ts";
import { type ImageSet, imageSet, imageSize } from "./image_set.ts";
import { readNpy, type StoredArray } from "./npy.ts";
import {
  bitsOf,
  cannotUse,
  checkCount,
  otherSizes,
  type OwnImages,
  ownName,
  type OwnOptions,
  type OwnPart,
} from "./own_parts.ts";
import { fitPlanes } from "./raster.ts";

/** What arrays of images and of labels are called, in an order in which they belong together. */
const names = {
  test: {
    images: ["images", "x", "test_images", "x_test"],
    labels: ["labels", "y", "test_labels", "y_test"],
  },
  train: { images: ["train_images", "x_train"], labels: ["train_labels", "y_train"] },
} as const satisfies Record<Split, Record<"images" | "labels", readonly string[]>>;

const known: readonly string[] = Object.values(names)
  .flatMap(({ images, labels }) => [...images, ...labels]);

/** Where in an array an image's pixels lie: how far from one to the next along each of its axes. */
interface Layout {
  readonly count: number;
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** Of images, channels, rows and columns, in elements. */
  readonly strides: readonly [number, number, number, number];
}

/**
 * Looks at a file of arrays: images [N, H, W], [N, C, H, W] or [N, H, W, C] of bytes or of floating-point numbers from
 * 0 to 1, and labels [N] or [N, 1] of integers where there are any.
 *
 * @throws UserError when it is damaged, names its arrays otherwise, or they are not such
 */
export async function ownArrays(path: string, options: OwnOptions): Promise<OwnImages> {
  const arrays = await readArrays(path);
  const parts: Partial<Record<Split, OwnPart>> = {};
  let reach = 0;
  for (const split of ["test", "train"] as const) {
    const images = only(path, arrays, names[split].images);
    const labels = only(path, arrays, names[split].labels);
    if (!images) continue;
    const layout = layoutOf(path, images, options);
    const classes = labels && labelsIn(path, labels, layout.count);
    reach = classes?.reduce((most, label) => Math.max(most, label + 1), reach) ?? reach;
    parts[split] = {
      count: layout.count,
      labelled: classes !== undefined,
      load: (most) =>
        Promise.resolve(load(path, split, { images, layout, classes, most }, options)),
    };
  }
  const { test } = parts;
  if (!test) {
    const held = [...arrays.keys()].map((name) => `"${shortened(name, 30)}"`);
    throw cannotUse(
      path,
      `none of its arrays is called ${names.test.images.join(" or ")}; it has ${
        shortened(held.join(", ") || "none", 200)
      }`,
      "save the images as images, and what they show as labels",
    );
  }
  const { classes } = options;
  if (classes && reach > classes.length) {
    throw cannotUse(
      path,
      `its labels reach ${reach - 1}, --labels names ${classes.length} classes, from 0 on`,
      "name all of them",
    );
  }
  return { parts: { ...parts, test }, classes, reach };
}

/** The arrays of a file by name; those of other names of an `.npz` without their content. */
async function readArrays(path: string): Promise<Map<string, StoredArray | undefined>> {
  const bytes = await readFile(path);
  const damaged = (state: string): UserError => cannotUse(path, state, "save it again");
  if (/\.safetensors$/i.test(path)) {
    const { arrays } = readRawTensors(bytes, damaged);
    return new Map(arrays.map(({ name, dtype, shape, bytes }) => [
      name,
      { dtype: dtype as StoredArray["dtype"], shape, bytes, columnMajor: false },
    ]));
  }
  if (!/\.npz$/i.test(path)) return new Map([["images", readNpy(bytes, damaged)]]);
  const all = new Map<string, StoredArray | undefined>();
  const nameOf = (file: string): string => file.replace(/\.npy$/, "");
  const files = readZip(bytes, path, {
    remedy: "save it again by numpy.savez",
    wanted(file): boolean {
      all.set(nameOf(file), undefined);
      return known.includes(nameOf(file));
    },
  });
  for (const [file, content] of files) all.set(nameOf(file), readNpy(content, damaged));
  return all;
}

/** The one array that has one of these names; undefined where none has. */
function only(
  path: string,
  arrays: ReadonlyMap<string, StoredArray | undefined>,
  wanted: readonly string[],
): StoredArray | undefined {
  const found = wanted.filter((name) => arrays.has(name));
  if (found.length > 1) {
    throw cannotUse(path, `it has both ${found[0]} and ${found[1]}`, "leave one of them out");
  }
  return arrays.get(found[0] ?? "");
}

/** Which axis of an array is which. */
function layoutOf(
  path: string,
  { shape, columnMajor }: StoredArray,
  { imageShape: [, height, width] }: OwnOptions,
): Layout {
  const shown = `[${shortened(shape.join(", "), 60)}]`;
  const cannot = (state: string): UserError =>
    cannotUse(path, state, "save them as [N, H, W], [N, C, H, W] or [N, H, W, C], C 1 or 3");
  const isColours = (side: number | undefined): boolean => side === 1 || side === 3;
  if (elements(shape) === 0) throw cannot(`its images are ${shown}, which is none`);
  if (shape.length === 3) {
    const [, , last = 0] = shape;
    if (isColours(last) || last === 4) throw cannot(`its images are ${shown}, which may be one`);
    return layout(shape, [0, undefined, 1, 2], columnMajor);
  }
  if (shape.length !== 4) throw cannot(`its images are ${shown}`);
  const fits = (rows: number | undefined, columns: number | undefined): boolean =>
    rows === height && columns === width;
  const [, second, third, fourth] = shape;
  const first = isColours(second) && { axes: [0, 1, 2, 3], fits: fits(third, fourth) } as const;
  const last = isColours(fourth) && { axes: [0, 3, 1, 2], fits: fits(second, third) } as const;
  if (!first && !last) throw cannot(`its images are ${shown}, where no axis is of 1 or 3 colours`);
  if (first && last && first.fits === last.fits) {
    throw cannot(`its images are ${shown}, and either axis may be that of the colours`);
  }
  const chosen = first && (!last || first.fits) ? first : last;
  if (!chosen) throw new Error("Unreachable: an array without a layout");
  return layout(shape, chosen.axes, columnMajor);
}

/** @param axes which of the array's are those of images, channels (where there is one), rows and columns */
function layout(
  shape: readonly number[],
  axes: readonly [number, number | undefined, number, number],
  columnMajor: boolean,
): Layout {
  const strideOf = (axis: number): number =>
    elements(columnMajor ? shape.slice(0, axis) : shape.slice(axis + 1));
  const [images, channels, rows, columns] = axes;
  const sizeOf = (axis: number): number => shape[axis] ?? 0;
  return {
    count: sizeOf(images),
    channels: channels === undefined || sizeOf(channels) === 1 ? 1 : 3,
    height: sizeOf(rows),
    width: sizeOf(columns),
    strides: [
      strideOf(images),
      channels === undefined ? 0 : strideOf(channels),
      strideOf(rows),
      strideOf(columns),
    ],
  };
}

/** Labels [N], whole numbers from 0 on. */
function labelsIn(
  path: string,
  { dtype, shape, bytes }: StoredArray,
  count: number,
): Uint16Array {
  const cannot = (state: string): UserError =>
    cannotUse(path, state, "save one whole number from 0 on for each image");
  if (shape[0] !== count || elements(shape) !== count || shape.length > 2) {
    throw cannot(
      `its labels are [${shortened(shape.join(", "), 60)}], those of ${count} images [${count}]`,
    );
  }
  const type: ElementType = elementTypes[dtype];
  if (type.integer === undefined || dtype === "BOOL") {
    throw cannot(`its labels are of type ${dtype}, not integers`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint16Array.from({ length: count }, (_, i) => {
    const label = type.read(view, i * type.size);
    if (label >= 0 && label < 65_535) return label;
    throw cannot(`label ${i} is ${label}`);
  });
}

/** Pixels of an array as bytes or numbers, by their place. */
function pixelsOf(path: string, { dtype, bytes }: StoredArray): ArrayLike<number> {
  if (dtype === "U8") return bytes;
  if (dtype !== "F32" && dtype !== "F64") {
    throw cannotUse(
      path,
      `its pixels are of type ${dtype}`,
      "save them as uint8, or as float32 from 0 to 1",
    );
  }
  const { buffer } = bytes.slice();
  const pixels = dtype === "F32" ? new Float32Array(buffer) : new Float64Array(buffer);
  let [least, most] = [Infinity, -Infinity];
  for (const pixel of pixels) {
    if (Number.isNaN(pixel)) throw cannotUse(path, "one of its pixels is no number", "mend it");
    if (pixel < least) least = pixel;
    if (pixel > most) most = pixel;
  }
  if (least >= 0 && most <= 1) return pixels;
  const [from, to] = [least, most].map((value) => Number(value.toPrecision(4)));
  const remedy = least >= 0 && most <= 255
    ? "divide them by 255, or save them as uint8"
    : "bring them there, as they were before they were normalised, or save them as uint8";
  throw cannotUse(
    path,
    `its pixels are from ${from} to ${to}, floating-point pixels from 0 to 1`,
    remedy,
  );
}

/** Levels of 255 by which a pixel may be off a whole one: what f32 makes of a 255th. */
const hair = 1e-3;

/** Reads one part, or its first images. */
function load(
  path: string,
  split: Split,
  { images, layout, classes, most = Infinity }: {
    readonly images: StoredArray;
    readonly layout: Layout;
    readonly classes: Uint16Array | undefined;
    readonly most: number | undefined;
  },
  options: OwnOptions,
): ImageSet {
  const { channels, height, width, strides: [perImage, perChannel, perRow, perColumn] } = layout;
  const count = Math.min(layout.count, most);
  const { imageShape: shape, resize } = options;
  checkCount(path, count, options);
  if (!resize && (height !== shape[1] || width !== shape[2])) {
    throw otherSizes(path, new Map([[`${width}x${height}`, layout.count]]), layout.count, options);
  }
  const pixels = pixelsOf(path, images);
  const scale = images.dtype === "U8" ? 1 : 255;
  const bytes = new Uint8Array(count * imageSize(shape));
  const prepared = new Uint8Array(count);
  const values = new Float64Array(channels * height * width);
  for (let image = 0; image < count; image++) {
    let [to, isWhole] = [0, true];
    for (let channel = 0; channel < channels; channel++) {
      for (let row = 0; row < height; row++) {
        const from = image * perImage + channel * perChannel + row * perRow;
        for (let column = 0; column < width; column++) {
          const value = scale * (pixels[from + column * perColumn] ?? 0);
          if (Math.abs(value - Math.round(value)) > hair) isWhole = false;
          values[to++] = value;
        }
      }
    }
    const fitted = fitPlanes({ channels, height, width, values }, shape);
    bytes.set(fitted.bytes, image * imageSize(shape));
    prepared[image] = bitsOf([...isWhole ? [] : ["rounded"] as const, ...fitted.prepared]);
  }
  return imageSet({
    name: ownName(path, split),
    images: bytes,
    labels: classes?.subarray(0, count),
    ...options.classes && { classes: options.classes },
    shape,
    source: path,
    prepared,
  });
}
