/**
 * Twins in f64 and cases of the random numbers (`philox`) and of the optimiser's step (`sgd`).
 *
 * @module
 */
import { at, choice, input, number, type ReferenceKernel } from "./support.ts";
import { epsilon, type KernelCase, uniform } from "./case.ts";

type Words = readonly [number, number, number, number];

const low32 = 0xffffffffn;

/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four random
 * words from a counter of four words and a key of two.
 */
export function philox4x32(counter: Words, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = [
    BigInt(counter[0]),
    BigInt(counter[1]),
    BigInt(counter[2]),
    BigInt(counter[3]),
  ];
  let [k0, k1] = [BigInt(key[0]), BigInt(key[1])];
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & low32, (p0 >> 32n) ^ c3 ^ k1, p0 & low32];
    k0 = (k0 + 0x9e3779b9n) & low32;
    k1 = (k1 + 0xbb67ae85n) & low32;
  }
  return [Number(c0), Number(c1), Number(c2), Number(c3)];
}

/**
 * key[4] = seed_lo, seed_hi, stream, 0; counter[1]; rows[N / ROW] where there are rows -> y[N], uniform on [0, 1) or
 * standard normal.
 */
export const philox: ReferenceKernel = (inputs, o, length) => {
  const [key, counter] = [input(inputs, 0), input(inputs, 1)];
  const normal = choice(o, "OP") === "normal";
  const offset = number(o, "OFFSET", 0);
  const row = number(o, "ROW", 0) / 4;
  const y = new Float64Array(length);
  for (let t = 0; 4 * t < length; t++) {
    const [block, tag] = row > 0
      ? [t % row, offset + 256 * (1 + at(input(inputs, 2), Math.floor(t / row)))]
      : [t, offset];
    const words = philox4x32([block, at(counter, 0), at(key, 2), tag], [at(key, 0), at(key, 1)]);
    const uniforms = words.map((word) => Math.floor(word / 256) / 2 ** 24);
    const four = normal ? boxMuller(uniforms) : uniforms;
    four.slice(0, length - 4 * t).forEach((value, i) => y[4 * t + i] = value);
  }
  return y;
};

/** Four uniforms to four normals, in pairs: radius sqrt(-2 ln(1 - u)), angle 2 pi v. */
function boxMuller(uniforms: readonly number[]): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = uniforms;
  const pair = (u: number, v: number): number[] => {
    const radius = Math.sqrt(-2 * Math.log(1 - u));
    return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
  };
  return [...pair(a, b), ...pair(c, d)];
}

/** state[2,P] = weights, velocity; g[P]; lr[1] -> state after a step with momentum and weight decay. */
export const sgd: ReferenceKernel = (inputs, o, length) => {
  const [state, g, lr] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
  const p = number(o, "P");
  const [momentum, decay] = [number(o, "MOMENTUM"), number(o, "WEIGHT_DECAY")];
  const next = new Float64Array(length);
  for (let i = 0; i < p; i++) {
    const w = at(state, i);
    const velocity = momentum * at(state, p + i) + (at(g, i) + decay * w);
    next[i] = w - at(lr, 0) * velocity;
    next[p + i] = velocity;
  }
  return next;
};

type Stream = readonly [n: number, key: readonly number[], counter: number, offset: number];

const streams: readonly Stream[] = [
  [1, [0, 0, 0, 0], 0, 0],
  [7, [1, 2, 3, 0], 4, 5],
  [1021, [0xdeadbeef, 0x9abcdef0, 0xffffffff, 0], 16777215, 0],
  [256, [0xffffffff, 0xffffffff, 7, 0], 1, 0xffffffff],
];

const rowsAt = [5, 0, 2 ** 24 - 2];

/** Uniforms to the bit; normals to the last bits. */
export const philoxCases: readonly KernelCase[] = ["uniform", "normal"].flatMap((op) => [
  ...streams.map(([n, key, counter, offset]) => ({
    kernel: "philox",
    label: `${op} ${n} of key ${key.join(" ")}, counter ${counter}, offset ${offset}`,
    overrides: { OP: op, N: n, ...(offset === 0 ? {} : { OFFSET: offset }) },
    threads: Math.ceil(n / 4),
    inputs: () => [Uint32Array.from(key), Float32Array.of(counter), Float32Array.of(0)],
    outputLength: n,
    tolerance: op === "uniform" ? 0 : 16 * epsilon,
  })),
  {
    kernel: "philox",
    label: `${op} rows ${rowsAt.join(" ")} of 12`,
    overrides: { OP: op, N: 36, OFFSET: 3, ROW: 12 },
    threads: 9,
    inputs: () => [Uint32Array.of(1, 2, 3, 0), Float32Array.of(9), Float32Array.from(rowsAt)],
    outputLength: 36,
    tolerance: op === "uniform" ? 0 : 16 * epsilon,
  },
]);

/** With and without momentum and weight decay. */
export const sgdCases: readonly KernelCase[] =
  ([[4, 0.9, 0.0003], [260, 0.9, 0], [1020, 0, 0.01], [256, 0, 0]] as const).map((
    [p, momentum, decay],
  ) => ({
    kernel: "sgd",
    label: `${p} weights, momentum ${momentum}, weight decay ${decay}`,
    overrides: { P: p, MOMENTUM: momentum, WEIGHT_DECAY: decay },
    threads: Math.ceil(p / 4),
    inputs: () => [uniform(51, 2 * p), uniform(52, p), Float32Array.of(0.05)],
    outputLength: 2 * p,
    tolerance: 4 * epsilon,
  }));
