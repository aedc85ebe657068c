/** The PNG reader against images built here filter by filter, and against an independent codec. */
import assert from "node:assert/strict";
import { crc32, deflateSync } from "node:zlib";
import { fc } from "./property.ts";
import { decode, encode } from "fast-png";
import { decodePng, readPng } from "../data/png.ts";
import { UserError } from "../src/base/errors.ts";
import { perturbation, pngOf } from "../src/report/pictures.ts";
import { channelsOf, type Sampled, writePng } from "./png_writer.ts";

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** One image in packed samples, as a PNG stores it. */
interface Raw {
  width: number;
  height: number;
  depth: number;
  colour: number;
  /** Rows of packed samples, each of the same number of bytes. */
  rows: number[][];
  /** The filter of each row, 0 to 4. */
  filters: number[];
  palette?: number[];
}

const channels: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

function header({ width, height, depth, colour }: Raw, interlace = 0): Uint8Array {
  const body = new Uint8Array(13);
  const view = new DataView(body.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  body.set([depth, colour, 0, 0, interlace], 8);
  return body;
}

function filterRows({ rows, filters, depth, colour }: Raw): number[] {
  const unit = Math.max(1, Math.floor((channels[colour] ?? 1) * depth / 8));
  return rows.flatMap((row, y) => {
    const above = rows[y - 1] ?? [];
    const filter = filters[y] ?? 0;
    const filtered = row.map((value, x) => {
      const [a, b, c] = [row[x - unit] ?? 0, above[x] ?? 0, above[x - unit] ?? 0];
      const nearest = [a, b, c].toSorted((p, q) =>
        Math.abs(a + b - c - p) - Math.abs(a + b - c - q)
      );
      const guess = [0, a, b, Math.floor((a + b) / 2), nearest[0] ?? 0][filter] ?? 0;
      return (value - guess) & 255;
    });
    return [filter, ...filtered];
  });
}

function build(raw: Raw, parts = 1): Uint8Array {
  const data = deflateSync(Uint8Array.from(filterRows(raw)));
  const cut = Math.ceil(data.length / parts);
  return join([
    Uint8Array.from(signature),
    chunk("IHDR", header(raw)),
    chunk("tEXt", new TextEncoder().encode("Title\0x")),
    ...(raw.palette ? [chunk("PLTE", Uint8Array.from(raw.palette))] : []),
    ...Array.from(
      { length: parts },
      (_, i) => chunk("IDAT", data.subarray(i * cut, (i + 1) * cut)),
    ),
    chunk("IEND", new Uint8Array()),
  ]);
}

function join(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function packedBytes(width: number, depth: number, colour: number): number {
  return Math.ceil(width * depth * (channels[colour] ?? 1) / 8);
}

/** Any image: kind, size, samples, a filter for each row. */
const raws: fc.Arbitrary<Raw> = fc.record({
  kind: fc.constantFrom([0, 1], [0, 2], [0, 4], [0, 8], [2, 8], [3, 1], [3, 2], [3, 4], [3, 8], [
    4,
    8,
  ], [6, 8]),
  width: fc.integer({ min: 1, max: 13 }),
  height: fc.integer({ min: 1, max: 5 }),
}).chain(({ kind: [colour = 0, depth = 8], width, height }) => {
  const row = packedBytes(width, depth, colour);
  return fc.record({
    width: fc.constant(width),
    height: fc.constant(height),
    depth: fc.constant(depth),
    colour: fc.constant(colour),
    rows: fc.array(fc.array(fc.nat(255), { minLength: row, maxLength: row }), {
      minLength: height,
      maxLength: height,
    }),
    filters: fc.array(fc.nat(4), { minLength: height, maxLength: height }),
    ...(colour === 3 && {
      palette: fc.array(fc.nat(255), { minLength: 3 << depth, maxLength: 3 << depth }),
    }),
  }) as fc.Arbitrary<Raw>;
});

/** The grey level of one pixel, straight from the packed samples. */
function greyAt({ rows, depth, colour, palette }: Raw, x: number, y: number): number {
  const row = rows[y] ?? [];
  const luma = (bytes: number[], at: number): number =>
    Math.floor(
      ((bytes[at] ?? 0) * 19595 + (bytes[at + 1] ?? 0) * 38470 + (bytes[at + 2] ?? 0) * 7471 +
        32768) / 65536,
    );
  if (colour === 2) return luma(row, 3 * x);
  if (colour === 6) return luma(row, 4 * x);
  if (colour === 4) return row[2 * x] ?? 0;
  const bits = row.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const value = parseInt(bits.slice(x * depth, (x + 1) * depth), 2);
  return palette ? luma(palette, 3 * value) : value * 255 / (2 ** depth - 1);
}

Deno.test("decodePng() reads every colour type, depth and filter", () => {
  fc.assert(
    fc.property(raws, fc.integer({ min: 1, max: 3 }), (raw, parts) => {
      const { width, height, pixels } = decodePng(build(raw, parts));
      assert.deepEqual([width, height], [raw.width, raw.height]);
      const expected = Array.from(
        { length: width * height },
        (_, i) => greyAt(raw, i % width, Math.floor(i / width)),
      );
      assert.deepEqual([...pixels], expected);
    }),
    { numRuns: 300 },
  );
});

Deno.test("decodePng() reads what another encoder writes", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 784, maxLength: 784 }), (data) => {
    const png = encode({ width: 28, height: 28, data, depth: 8, channels: 1 });
    assert.deepEqual(decodePng(png).pixels, data);
  }));
});

Deno.test("decodePng() agrees with another decoder on grey images", () => {
  const raw: Raw = { width: 6, height: 5, depth: 8, colour: 0, rows: [], filters: [0, 1, 2, 3, 4] };
  raw.rows = Array.from(
    { length: 5 },
    (_, y) => Array.from({ length: 6 }, (_, x) => x * y * 37 & 255),
  );
  const png = build(raw);
  assert.deepEqual([...decodePng(png).pixels], [...decode(png).data]);
});

/** Any image by its samples: kind, size, filters, interlaced or not, with transparency or without. */
const sampled: fc.Arbitrary<Sampled> = fc.record({
  kind: fc.constantFrom(
    ...[1, 2, 4, 8, 16].map((depth) => [0, depth] as const),
    [2, 8],
    [2, 16],
    [
      3,
      1,
    ],
    [3, 2],
    [3, 4],
    [3, 8],
    [4, 8],
    [4, 16],
    [6, 8],
    [6, 16],
  ),
  width: fc.integer({ min: 1, max: 19 }),
  height: fc.integer({ min: 1, max: 11 }),
  interlaced: fc.boolean(),
  isClear: fc.boolean(),
}).chain(({ kind: [colour = 0, depth = 8], width, height, interlaced, isClear }) => {
  const channels = channelsOf[colour] ?? 1;
  const count = width * height * channels;
  // Few values, so that some are the transparent one.
  const values = fc.nat(Math.min(2 ** depth - 1, 300));
  const clear = colour === 3
    ? fc.array(fc.nat(255), { maxLength: 1 << depth })
    : fc.array(values, { minLength: channels, maxLength: channels })
      .map((of) => of.flatMap((value) => [value >> 8, value & 255]));
  return fc.record({
    width: fc.constant(width),
    height: fc.constant(height),
    depth: fc.constant(depth),
    colour: fc.constant(colour),
    samples: fc.array(values, { minLength: count, maxLength: count }),
    interlaced: fc.constant(interlaced),
    filters: fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }),
    ...(colour === 3 && {
      palette: fc.array(fc.nat(255), { minLength: 3 << depth, maxLength: 3 << depth }),
    }),
    ...(isClear && colour < 4 && { transparency: clear }),
  }) as fc.Arbitrary<Sampled>;
});

/** Samples of a pixel as they are to be read, straight from those that were written. */
function pixelAt({ depth, colour, samples, palette, transparency }: Sampled, at: number): number[] {
  const channels = channelsOf[colour] ?? 1;
  const own = samples.slice(at * channels, (at + 1) * channels);
  const [first = 0] = own;
  if (palette) {
    const alpha = transparency ? [transparency[first] ?? 255] : [];
    return [...palette.slice(3 * first, 3 * first + 3), ...alpha];
  }
  const top = depth === 16 ? 65535 : 255;
  const isClear = own.every((value, i) =>
    value === ((transparency?.[2 * i] ?? 0) << 8) + (transparency?.[2 * i + 1] ?? 0)
  );
  const alpha = transparency ? [isClear ? 0 : top] : [];
  return [...own.map((value) => depth < 8 ? value * 255 / (2 ** depth - 1) : value), ...alpha];
}

Deno.test("readPng() reads every colour type, depth and filter, interlaced or not, with its transparency", () => {
  fc.assert(
    fc.property(sampled, (image) => {
      const { width, height, channels, samples, top } = readPng(writePng(image));
      assert.deepEqual([width, height], [image.width, image.height]);
      assert.equal(top, image.depth === 16 ? 65535 : 255);
      const expected = Array.from({ length: width * height }, (_, at) => pixelAt(image, at));
      assert.equal(channels, expected[0]?.length);
      assert.deepEqual([...samples], expected.flat());
    }),
    { numRuns: 400 },
  );
});

Deno.test("readPng() agrees with another decoder on what that reads", () => {
  const kinds: readonly (readonly [colour: number, depth: 8 | 16])[] = [
    [0, 8],
    [0, 16],
    [2, 8],
    [2, 16],
    [4, 8],
    [4, 16],
    [6, 8],
    [6, 16],
  ];
  for (const [colour, depth] of kinds) {
    for (const interlaced of [false, true]) {
      const length = 13 * 9 * (channelsOf[colour] ?? 1);
      const samples = Array.from({ length }, (_, i) => i * 7919 % 2 ** depth);
      const filters = [4, 3, 2, 1, 0];
      const png = writePng({ width: 13, height: 9, depth, colour, samples, interlaced, filters });
      assert.deepEqual([...readPng(png).samples], [...decode(png).data]);
    }
  }
});

Deno.test("a PNG of narrow samples that is interlaced is read, which another decoder cannot", () => {
  const samples = Array.from({ length: 9 * 9 }, (_, i) => i % 5 === 0 ? 1 : 0);
  const image = { width: 9, height: 9, depth: 1, colour: 0, samples, interlaced: true };
  assert.deepEqual([...readPng(writePng(image)).samples], samples.map((value) => 255 * value));
  // Why it is read by hand: see docs/dependencies.md.
  assert.throws(() => decode(writePng(image)), /Unsupported filter/);
});

Deno.test("decodePng() turns primaries into PIL's grey levels", () => {
  const rows = [[255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]];
  const raw: Raw = { width: 4, height: 1, depth: 8, colour: 2, rows, filters: [0] };
  assert.deepEqual([...decodePng(build(raw)).pixels], [76, 150, 29, 255]);
});

const good: Raw = { width: 2, height: 1, depth: 8, colour: 0, rows: [[7, 9]], filters: [0] };

function withHeader(change: Partial<Raw>, interlace = 0): Uint8Array {
  const ihdr = chunk("IHDR", header({ ...good, ...change }, interlace));
  return join([Uint8Array.from(signature), ihdr, build(good).subarray(8 + 25)]);
}

function flipped(at: number): Uint8Array {
  const bytes = build(good);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

const head = join([Uint8Array.from(signature), chunk("IHDR", header(good))]);
const end = chunk("IEND", new Uint8Array());
const bad: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ["an empty file", new Uint8Array(), /the file is empty/],
  ["text", new TextEncoder().encode("<html>not found</html>"), /it is not a PNG file/],
  ["a file cut in a chunk", build(good).subarray(0, 50), /it is cut off/],
  ["a file without its last chunk", build(good).subarray(0, -12), /it is cut off/],
  ["a broken checksum", flipped(20), /checksum of its IHDR chunk is wrong/],
  ["16-bit samples", withHeader({ depth: 16 }), /16-bit samples are not read/],
  ["an unknown interlacing", withHeader({}, 2), /its kind of interlacing is unknown/],
  ["a depth that RGB has not", withHeader({ colour: 2, depth: 4 }), /no 4-bit samples/],
  ["an unknown colour type", withHeader({ colour: 5 }), /colour type 5 is unknown/],
  ["no pixels", withHeader({ width: 0 }), /its size is 0x1/],
  ["an enormous size", withHeader({ width: 2 ** 31, height: 2 ** 31 }), /its size is/],
  ["too few rows", withHeader({ height: 2 }), /it holds 3 bytes of rows, not 6/],
  ["too many rows", withHeader({ width: 1 }), /does not inflate/],
  ["an unknown filter", build({ ...good, filters: [5] }), /unknown filter 5/],
  ["no palette", withHeader({ colour: 3 }), /it has no palette/],
  ["a short palette", build({ ...good, colour: 3, palette: [1, 2, 3] }), /no entry 7/],
  ["no image data", join([head, end]), /it has no image data/],
  ["garbage for data", join([head, chunk("IDAT", Uint8Array.of(1, 2)), end]), /does not inflate/],
  [
    "an unknown critical chunk",
    join([head, chunk("ABCD", new Uint8Array()), end]),
    /ABCD is unknown/,
  ],
  ["a missing header", join([head.subarray(0, 8), end]), /IHDR is not its first chunk/],
];

Deno.test("decodePng() refuses what is broken or not read", async (t) => {
  for (const [what, bytes, message] of bad) {
    await t.step(what, () => {
      assert.throws(() => decodePng(bytes), (error: unknown) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

Deno.test("decodePng() never returns an image from bytes with one bit turned", () => {
  const bytes = build(good);
  fc.assert(fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
    const turned = bytes.slice();
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => decodePng(turned), UserError);
  }));
});

Deno.test("`pngOf()` keeps the bytes of grey and coloured images, and cuts what is beyond", () => {
  const bytesOf = (address: string): Uint8Array =>
    Uint8Array.fromBase64(address.replace("data:image/png;base64,", ""));
  const grey = { shape: [1, 1, 3] as const, values: Float32Array.of(-1, 0.5, 7) };
  const image = decode(bytesOf(pngOf(grey)));
  assert.deepEqual([image.width, image.height, image.channels], [3, 1, 1]);
  assert.deepEqual([...image.data], [0, 128, 255]);
  const colours = { shape: [3, 1, 2] as const, values: Float32Array.of(0, 1, 0.2, 0, 1, 0) };
  assert.deepEqual([...decode(bytesOf(pngOf(colours))).data], [0, 51, 255, 255, 0, 0]);
  const attacked = { ...grey, values: Float32Array.of(-0.99, 0.5, 6.9) };
  assert.deepEqual(
    [...perturbation(grey, attacked).values].map((v) => Number(v.toFixed(3))),
    // Red, green, blue: brighter by 0.01, unchanged, darker by 0.1.
    [1, 1, 0, 0.9, 1, 0, 0.9, 1, 1],
  );
});
