/**
 * The readers of files from outside, each with small valid files to start from.
 *
 * @module
 */
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { createTar } from "nanotar";
import { parsePickledBatch, parseRecordBatch } from "../../data/cifar_files.ts";
import { unzip } from "../../data/files.ts";
import { parseIdx } from "../../data/idx.ts";
import { readJpeg } from "../../data/jpeg.ts";
import { readMat } from "../../data/mat.ts";
import { parseNotMnist } from "../../data/notmnist.ts";
import { readNpy } from "../../data/npy.ts";
import { readNumpyDictionary } from "../../data/numpy.ts";
import { UserError } from "../../src/base/errors.ts";
import { readPickle } from "../../src/base/pickle.ts";
import { decodePng, readPng } from "../../data/png.ts";
import { parseSvhn } from "../../data/svhn.ts";
import { readTar } from "../../data/tar.ts";
import { elements } from "../../src/base/refusal.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { fromMetadata, type Statement, toMetadata } from "../../src/checkpoint/statement.ts";
import { decodeCheckpoint } from "../../src/checkpoint/torch.ts";
import { readZip } from "../../src/base/zip.ts";
import { digestOf } from "../../src/base/digest.ts";
import { evaluateOnHost } from "../../src/onnx/fold.ts";
import { readOnnx } from "../../src/onnx/read.ts";
import { parseFigures, parseRun } from "../../src/runs/folder.ts";
import { batchPickle, batchRecords, glyph, idx, png } from "../data_support.ts";
import { bytesOf, goldenImages } from "../golden_images.ts";
import { mat, packed, svhn } from "../mat_writer.ts";
import { npy } from "../npy_writer.ts";
import { mended, shapeChain, smallNetwork } from "../onnx_writer.ts";
import { writePng } from "../png_writer.ts";
import { checkpoint, tensor, zip } from "../torch_writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What is fuzzed. */
export interface Reader {
  readonly name: string;
  /** Small valid files. */
  readonly files: () => readonly Uint8Array[];
  readonly read: (bytes: Bytes) => unknown;
  /** Packs damaged content, or makes its checksums right: else they alone would be tested. */
  readonly mend?: (bytes: Bytes) => Bytes;
}

const name = "a file";
const ascii = (text: string): Bytes => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const zipped = (bytes: Uint8Array): Bytes => new Uint8Array(gzipSync(bytes, { level: 1 }));
const limit = 2 ** 24;

const idxFiles = (): Uint8Array[] => [
  idx([1, 28, 28], glyph(1)),
  idx([5], Uint8Array.of(1, 2, 3, 4, 5)),
];

const pngFiles = (): Uint8Array[] => [
  png(3),
  ...([2, 3, 4] as const).map((channels) =>
    encode({ width: 4, height: 3, channels, data: glyph(channels).slice(0, 12 * channels) })
  ),
];

const letterFiles = (): Uint8Array[] => [
  createTar(
    [..."ABCDEFGHIJ"].map((letter, i) => ({
      name: `notMNIST_small/${letter}/a.png`,
      data: png(i),
    })),
  ),
];

const tarFiles = (): Uint8Array[] => [
  createTar([{ name: "a/b.txt", data: ascii("12345") }, { name: "c", data: new Uint8Array(600) }]),
  createTar([
    { name: `${"long/".repeat(30)}x`, data: ascii("1") },
    { name: "d", data: ascii("30 path=a/b\n20 size=5\n") },
  ]),
];

const matFiles = (): Uint8Array[] =>
  [true, false].flatMap((compressed) => [
    mat([
      { name: "a", shape: [2, 3], values: [1, 2, 3, 4, 5, 6], kind: "double", stored: "uint8" },
      { name: "b", shape: [1, 2], values: [7, 8], kind: "int64" },
      { name: "text", shape: [1, 2], values: [72, 105], kind: "char" },
    ], { compressed, little: compressed }),
  ]);

const statement: Statement = {
  family: "sngp",
  model: "LeNet",
  seed: 1,
  hyperparameters: { numRandomFeatures: 8 },
  procedure: { a: true },
  training: { lr: 0.01 },
  data: { name: "x", count: 3, sha256: "00" },
  history: [{ epoch: 0, lr: 0.01, loss: 1, trainAccuracy: 0.5, accuracy: 0.5 }],
  targetEpochs: 2,
};

const config = { mode: "sngp", limit: 3, epsilonAttack: 0.1 };
const identity = {
  options: config,
  data: { test: { name: "x", count: 3, sha256: "00" } },
  versions: { mirage: "0.1.0" },
  adapter: { vendor: "x", software: true },
};
const run = {
  schema: "mirage/run@2",
  command: "eval",
  config,
  identity,
  digest: digestOf({ command: "eval", ...identity }),
  checkpoints: [{ name: "a", source: "b", sha256: "1".repeat(64) }],
  files: [{ name: "metrics.json", sha256: "2".repeat(64) }],
  started: "2026-01-01T00:00:00Z",
  adapter: identity.adapter,
  versions: identity.versions,
};

/** Every reader, the cheapest formats first. */
export const readers: readonly Reader[] = [
  { name: "idx", files: idxFiles, read: (bytes) => parseIdx(bytes, name) },
  {
    name: "gzip",
    files: () => idxFiles().map(zipped),
    read: (bytes) => parseIdx(unzip(bytes, name, limit), name),
  },
  { name: "mat", files: matFiles, read: (bytes) => readMat(bytes, name, limit) },
  {
    name: "mat-packed",
    files: () => matFiles().slice(1),
    read: (bytes) => readMat(bytes, name, limit),
    mend: (bytes) => packed(bytes, false),
  },
  { name: "svhn", files: () => [svhn([3])], read: (bytes) => parseSvhn(bytes, name, false) },
  { name: "png", files: pngFiles, read: (bytes) => decodePng(bytes), mend: withChunkChecksums },
  {
    name: "png-rows",
    files: () => [3, 0, 2].map(headerAndRows),
    read: (bytes) => decodePng(bytes),
    mend: asPng,
  },
  {
    name: "png-any",
    files: () =>
      ([[0, 16, 2], [3, 2, 1], [6, 8, 4]] as const).map(([colour, depth, channels]) =>
        writePng({
          ...{ width: 5, height: 4, depth, colour, interlaced: true },
          samples: Array.from({ length: 20 * channels }, (_, i) => i % 4),
          ...colour === 3 && { palette: [...glyph(1).subarray(0, 12)], transparency: [0, 9] },
        })
      ),
    read: readPng,
    mend: withChunkChecksums,
  },
  {
    name: "jpeg",
    files: () =>
      ["grey restarted", "colour 4:2:0 progressive", "CMYK"].map((of) =>
        bytesOf(goldenImages.jpeg[of]?.file ?? "")
      ),
    read: readJpeg,
  },
  {
    name: "npy",
    files: () => [npy("<f4", [2, 2], [1, 2, 3, 4]), npy("|u1", [3], [1, 2, 3], true)],
    read: (bytes) => readNpy(bytes, (state) => new UserError(`Cannot read "${name}": ${state}`)),
  },
  { name: "tar", files: tarFiles, read: (bytes) => readTar(bytes, name), mend: withTarChecksums },
  {
    name: "notmnist",
    files: letterFiles,
    read: (bytes) => parseNotMnist(bytes, name),
    mend: (bytes) => zipped(withTarChecksums(bytes)),
  },
  {
    name: "cifar-binary",
    files: () => [batchRecords([3])],
    read: (bytes) => parseRecordBatch(bytes, name),
  },
  {
    name: "cifar-pickle",
    files: () => [batchPickle([3])],
    read: (bytes) => parsePickledBatch(bytes, name),
  },
  { name: "numpy", files: () => [batchPickle([3], 1, [1, 3072])], read: readNumpyDictionary },
  {
    name: "pickle",
    files: () => [
      Uint8Array.from("\x80\x02}q\0(U\x01aK\x01U\x01b](K\x02M\x03\x01J\x01\x02\x03\x04eu.", latin1),
      Uint8Array.from(
        "\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94G\0\0\0\0\0\0\0\0s.",
        latin1,
      ),
      Uint8Array.from("\x80\x02carray\narray\nK\x01\x85R(K\x05K\x06tb.", latin1),
    ],
    read: (bytes) =>
      readPickle(bytes, { allowed: new Set(["array.array"]), reduce: (_, args) => args[0] }),
  },
  {
    name: "zip",
    files: () =>
      [{}, { deflate: true }, { wide: true }].map((options) =>
        zip([["a/b", ascii("12345")], ["c", new Uint8Array(100)]], options)
      ),
    read: (bytes) => readZip(bytes, name),
  },
  {
    name: "torch",
    files: () => [
      checkpoint(tensor(0, [2, 2], [2, 1])),
      checkpoint(tensor(1, [3], [1]), ["x/byteorder", ascii("little")]),
    ],
    read: (bytes) => decodeCheckpoint(bytes, name),
  },
  {
    name: "torch-pickle",
    files: () => [Uint8Array.from(tensor(0, [2, 2], [2, 1]), latin1)],
    read: (bytes) => decodeCheckpoint(bytes, name),
    mend: (bytes) => checkpoint(String.fromCharCode(...bytes.subarray(0, 2 ** 15))),
  },
  {
    name: "safetensors",
    files: () => [
      encodeSafetensors({
        tensors: new Map([
          ["a", { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
          ["b", { shape: [1], data: Float64Array.of(5) }],
        ]),
        metadata: { note: "x" },
      }),
    ],
    read: (bytes) => decodeSafetensors(bytes, name),
  },
  onnxReader(() => [smallNetwork(), shapeChain()]),
  {
    name: "statement",
    files: () => [ascii(JSON.stringify(toMetadata(statement)))],
    read: (bytes) => {
      const metadata = stringsIn(textOf(bytes));
      // A value may be damaged where the whole is none of ours any more.
      return fromMetadata({ ...toMetadata(statement), ...metadata }, name);
    },
  },
  {
    name: "run-json",
    files: () => [ascii(JSON.stringify(run))],
    read: (bytes) => parseRun(textOf(bytes), name),
  },
  {
    name: "metrics-json",
    files: () => [ascii(JSON.stringify({ clean: { entropy: 1 }, accuracy: null }))],
    read: (bytes) => parseFigures(textOf(bytes), name),
  },
];

/** Reads ONNX files, and computes what follows from their constants and from eight small images. */
export function onnxReader(files: Reader["files"]): Reader {
  return {
    name: "onnx",
    files,
    mend: mended,
    async read(bytes): Promise<void> {
      const { initializers, inputs, nodes, opset } = await readOnnx(bytes);
      const known = new Map(initializers);
      for (const input of inputs) {
        const shape = input.shape?.map((n) => typeof n === "number" ? n : 8) ?? [8];
        const count = elements(shape);
        if (!(count <= 2 ** 16)) continue;
        known.set(input.name, { type: "float32", shape, data: new Float32Array(count) });
      }
      for (const node of nodes) {
        if (!node.inputs.every((name) => name === "" || known.has(name))) continue;
        const made = evaluateOnHost(node, node.inputs.map((name) => known.get(name)), opset);
        made?.forEach((array, i) => known.set(node.outputs[i] ?? "", array));
      }
    },
  };
}

function latin1(character: string): number {
  return character.charCodeAt(0);
}

/** The strings of a JSON object as the safetensors header gives them; none where the text is damaged. */
function stringsIn(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/"(seed|data|history|training|procedure)":"((?:[^"\\]|\\.)*)"/g)];
  return Object.fromEntries(
    pairs.map(([, key = "", value = ""]) => [key, value.replaceAll('\\"', '"')]),
  );
}

/** What a PNG of 4 x 3 pixels of a colour type says and holds: its header's content, then its rows. */
function headerAndRows(colour: number): Uint8Array {
  const channels = colour === 2 ? 3 : 1;
  const rows = Array.from({ length: 3 }, (_, y) => [y + 1, ...glyph(y).subarray(0, 4 * channels)]);
  return Uint8Array.from([0, 0, 0, 4, 0, 0, 0, 3, 8, colour, 0, 0, 0, ...rows.flat()]);
}

/** The PNG of a header's content and rows, with a palette of 256 colours. */
function asPng(bytes: Bytes): Bytes {
  const chunk = (type: string, body: Uint8Array): Uint8Array => {
    const result = new Uint8Array(12 + body.length);
    new DataView(result.buffer).setUint32(0, body.length);
    result.set(ascii(type), 4);
    result.set(body, 8);
    return result;
  };
  return withChunkChecksums(Uint8Array.from([
    ...Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    ...chunk("IHDR", bytes.subarray(0, 13)),
    ...chunk("PLTE", new Uint8Array(768).fill(7)),
    ...chunk("IDAT", deflateSync(bytes.subarray(13), { level: 1 })),
    ...chunk("IEND", new Uint8Array()),
  ]));
}

/** A PNG whose chunks all have the right checksum. */
function withChunkChecksums(bytes: Bytes): Bytes {
  const result = bytes.slice();
  const view = new DataView(result.buffer);
  for (let at = 8; at + 12 <= result.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > result.length) break;
    view.setUint32(end, crc32(result.subarray(at + 4, end)));
    at = end + 4;
  }
  return result;
}

/** A tar archive in which every block that looks like a header has the right checksum. */
function withTarChecksums(bytes: Bytes): Bytes {
  const result = bytes.slice();
  for (let at = 0; at + 512 <= result.length; at += 512) {
    const header = result.subarray(at, at + 512);
    if (header[148] === undefined || !/^[0-7]{3,}/.test(textOf(header.subarray(148, 154)))) {
      continue;
    }
    header.fill(32, 148, 156);
    const sum = header.reduce((a, b) => a + b, 0);
    header.set(ascii(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  return result;
}
