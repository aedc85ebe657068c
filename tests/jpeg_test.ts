/** JPEGs beside what Pillow reads in them, and images on their way to what a network takes. */
import assert from "node:assert/strict";
import { fc } from "./property.ts";
import { orientationIn } from "../data/exif.ts";
import { jpegSize, readJpeg } from "../data/jpeg.ts";
import { readPng } from "../data/png.ts";
import { fit, type Raster, uprightSize } from "../data/raster.ts";
import { resized } from "../data/resize.ts";
import { UserError } from "../src/base/errors.ts";
import { says } from "./data_support.ts";
import { bytesOf, goldenImages } from "./golden_images.ts";
import { writePng } from "./png_writer.ts";

const { jpeg, source, resized: references } = goldenImages;

/**
 * How far a sample may be from Pillow's: colours go through two transforms that round differently, and where chroma is
 * stored for several pixels at once this decoder repeats it and libjpeg smooths it.
 */
function tolerance(name: string): number {
  if (/4:2|restarted/.test(name) && name.startsWith("colour")) return 6;
  return name.startsWith("colour") ? 3 : 1;
}

for (const [name, { file, shape, pixels }] of Object.entries(jpeg)) {
  if (name === "arithmetic") continue;
  Deno.test(`a JPEG is read as Pillow reads it: ${name}`, () => {
    const image = readJpeg(bytesOf(file));
    const [height = 0, width = 0, channels = 0] = shape;
    assert.deepEqual(uprightSize(image), { width, height });
    const { bytes, prepared } = fit(image, [channels, height, width]);
    assert.deepEqual(prepared, name.startsWith("turned") ? ["turned"] : []);
    const wanted = bytesOf(pixels);
    const apart = Array.from(bytes, (value, i) => {
      const [channel, place] = [Math.floor(i / (height * width)), i % (height * width)];
      return Math.abs(value - (wanted[place * channels + channel] ?? NaN));
    });
    assert.ok(Math.max(...apart) <= tolerance(name), `${Math.max(...apart)}`);
    // And no image is off as a whole.
    assert.ok(apart.reduce((a, b) => a + b, 0) / apart.length < 1.5);
    assert.deepEqual(jpegSize(bytesOf(file)), {
      width: image.width,
      height: image.height,
      orientation: image.orientation,
    });
  });
}

const grey = bytesOf(jpeg["grey"]?.file ?? "");
/** Where a marker stands. */
const at = (marker: number): number =>
  grey.findIndex((b, i) => b === 0xff && grey[i + 1] === marker);

/** The grey JPEG with other bytes from a place on. */
function changed(place: number, ...bytes: number[]): Uint8Array {
  const copy = grey.slice();
  copy.set(bytes, place);
  return copy;
}

Deno.test("JPEGs that are damaged, too large or of other kinds are refused in a sentence", () => {
  const frame = at(0xc0);
  const cases: readonly (readonly [bytes: Uint8Array, message: RegExp])[] = [
    [new Uint8Array(), /it is not a JPEG file$/],
    [
      bytesOf(jpeg["arithmetic"]?.file ?? ""),
      /it is lossless, hierarchical or coded arithmetically$/,
    ],
    [changed(frame + 1, 0xc3), /it is lossless, hierarchical or coded arithmetically$/],
    [changed(frame + 4, 12), /its samples have 12 bits, not 8$/],
    [changed(frame + 5, 0xff, 0xff, 0xff, 0xff), /its size is 65535x65535$/],
    [changed(frame + 5, 0, 0), /its size is 19x0$/],
    [changed(frame + 9, 2), /its frame is cut off$/],
    [changed(frame + 11, 0x51), /the sampling of one of its components is none$/],
    [changed(frame, 0xff, 0xfe), /it has no size before its first scan$/],
    [changed(at(0xdb), 0, 0), /one of its markers is damaged$/],
    [
      Uint8Array.of(...grey, ...Array(300).fill([0xff, 0xda]).flat()),
      /its 301 scans of 19 x 13 pixels/,
    ],
    [changed(at(0xda) + 14, 0xff, 0xd9), /its data cannot be decoded \(/],
  ];
  for (const [bytes, message] of cases) assert.throws(() => readJpeg(bytes), says(message));
});

Deno.test("a JPEG that is cut off anywhere is refused, and one that is damaged is refused or read", () => {
  for (
    const { file } of [jpeg["grey"], jpeg["colour 4:2:0 progressive"]].flatMap((of) => of ?? [])
  ) {
    const whole = bytesOf(file);
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => readJpeg(whole.subarray(0, length)), UserError);
    }
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (place, value) => {
        const bytes = whole.slice();
        bytes[place] = value;
        try {
          const { width, height, channels, samples } = readJpeg(bytes);
          assert.equal(samples.length, width * height * channels);
        } catch (error) {
          assert.ok(error instanceof UserError, String(error));
        }
      }),
      { numRuns: 300 },
    );
  }
});

Deno.test("the orientation is read in either order of bytes, and nothing else is taken for it", () => {
  const big = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0];
  const little = [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
  for (const block of [big, little]) assert.equal(orientationIn(Uint8Array.from(block)), 6);
  const others = [
    [],
    big.slice(0, 12),
    big.with(19, 9),
    big.with(19, 0),
    big.with(13, 4),
    big.with(3, 0),
    big.with(4, 255),
  ];
  for (const block of others) assert.equal(orientationIn(Uint8Array.from(block)), 1);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (block) => {
    assert.ok(orientationIn(block) >= 1 && orientationIn(block) <= 8);
  }));
  const png = { width: 3, height: 1, depth: 8, colour: 0, samples: [1, 2, 3], exif: big };
  const { bytes } = fit(readPng(writePng(png)), [1, 3, 1]);
  assert.deepEqual([...bytes], [1, 2, 3]);
});

Deno.test("images are made smaller by area and larger in straight lines, as Pillow does", () => {
  const values = Float64Array.from(source.flat());
  const from = { width: source[0]?.length ?? 0, height: source.length };
  for (const [name, { shape, values: wanted }] of Object.entries(references)) {
    const [height = 0, width = 0] = shape;
    const made = resized(values, from, { width, height });
    const apart = made.map((value, i) => Math.abs(value - (wanted[i] ?? NaN)));
    assert.ok(Math.max(...apart) < 1e-3, `${name}: ${Math.max(...apart)}`);
  }
});

Deno.test("by area means the mean over what a pixel covers, to a part of a pixel", () => {
  const side = fc.integer({ min: 1, max: 9 });
  const sizes = fc.record({ width: side, height: side });
  fc.assert(fc.property(sizes, sizes, fc.infiniteStream(fc.nat(255)), (a, b, stream) => {
    const from = { width: Math.max(a.width, b.width), height: Math.max(a.height, b.height) };
    const to = { width: Math.min(a.width, b.width), height: Math.min(a.height, b.height) };
    const values = Float64Array.from(
      { length: from.width * from.height },
      () => stream.next().value,
    );
    // Each pixel is repeated until both sizes divide the image; then whole pixels are averaged.
    const [wide, high] = [from.width * to.width, from.height * to.height];
    const wanted = Array.from({ length: to.width * to.height }, (_, i) => {
      let sum = 0;
      const [x, y] = [i % to.width * from.width, Math.floor(i / to.width) * from.height];
      for (let dy = 0; dy < from.height; dy++) {
        for (let dx = 0; dx < from.width; dx++) {
          const column = Math.floor((x + dx) * from.width / wide);
          const row = Math.floor((y + dy) * from.height / high);
          sum += values[row * from.width + column] ?? NaN;
        }
      }
      return sum / (from.width * from.height);
    });
    resized(values, from, to).forEach((value, i) =>
      assert.ok(Math.abs(value - (wanted[i] ?? 0)) < 1e-9)
    );
  }));
});

/** A raster of one row. */
const row = (
  channels: Raster["channels"],
  samples: number[],
  top: Raster["top"] = 255,
): Raster => ({
  width: samples.length / channels,
  height: 1,
  channels,
  samples: top === 255 ? Uint8Array.from(samples) : Uint16Array.from(samples),
  top,
  orientation: 1,
});

Deno.test("what is clear becomes black, 16 bits are rounded, colours become grey by luma and grey three colours", () => {
  const cases: readonly (readonly [Raster, number, number[], string[]])[] = [
    [row(1, [0, 7, 255]), 1, [0, 7, 255], []],
    [row(1, [9, 200]), 3, [9, 200, 9, 200, 9, 200], ["madeColour"]],
    [row(3, [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]), 1, [76, 150, 29, 255], ["madeGrey"]],
    [row(3, [1, 2, 3, 4, 5, 6]), 3, [1, 4, 2, 5, 3, 6], []],
    [row(2, [200, 255, 200, 0, 200, 128]), 1, [200, 0, 100], ["overBlack"]],
    [row(2, [200, 255]), 1, [200], []],
    [row(4, [100, 50, 20, 51]), 3, [20, 10, 4], ["overBlack"]],
    // 128.4 and 128.6 of 255; 257 times 12 is 12 exactly.
    [row(1, [32_999, 33_050, 3084, 65_535], 65_535), 1, [128, 129, 12, 255], ["rounded"]],
  ];
  for (const [image, channels, wanted, done] of cases) {
    const { bytes, prepared } = fit(image, [channels, 1, image.width]);
    assert.deepEqual([[...bytes], prepared], [wanted, done]);
  }
  // The mean of what is clear and what is not, rounded once: 100.5 and not of two roundings.
  const once = fit(row(2, [201, 255, 201, 0]), [1, 1, 1]);
  assert.deepEqual([[...once.bytes], once.prepared], [[101], ["overBlack", "resized"]]);
});
