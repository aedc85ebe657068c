/**
 * Cases of `philox` and `sgd`.
 *
 * @module
 */
import { epsilon, type KernelCase, uniform } from "./case.ts";

type Stream = readonly [n: number, key: readonly number[], counter: number, offset: number];

const streams: readonly Stream[] = [
  [1, [0, 0, 0, 0], 0, 0],
  [7, [1, 2, 3, 0], 4, 5],
  [1021, [0xdeadbeef, 0x9abcdef0, 0xffffffff, 0], 16777215, 0],
  [256, [0xffffffff, 0xffffffff, 7, 0], 1, 0xffffffff],
];

/** Uniforms to the bit; normals to the last bits. */
export const philoxCases: readonly KernelCase[] = ["uniform", "normal"].flatMap((op) =>
  streams.map(([n, key, counter, offset]) => ({
    kernel: "philox",
    label: `${op} ${n} of key ${key.join(" ")}, counter ${counter}, offset ${offset}`,
    overrides: { OP: op, N: n, ...(offset === 0 ? {} : { OFFSET: offset }) },
    threads: Math.ceil(n / 4),
    inputs: () => [Uint32Array.from(key), Float32Array.of(counter)],
    outputLength: n,
    tolerance: op === "uniform" ? 0 : 16 * epsilon,
  }))
);

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
