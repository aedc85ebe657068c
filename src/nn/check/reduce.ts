/**
 * Twins in f64 and cases of `reduce`, `log_softmax` and `cross_entropy`.
 *
 * @module
 */
import { at, choice, input, number, type ReferenceKernel } from "./support.ts";
import {
  epsilon,
  type KernelCase,
  product,
  sumTolerance,
  ties,
  uniform,
  withSpecials,
} from "./case.ts";

/** What the maximum of nothing is: the lowest finite f32. */
const lowest = -Math.fround(3.4028235e38);

/**
 * x[OUTER,R,INNER] -> y[OUTER,SPLIT,INNER]: sum, maximum or first position of the maximum over R.
 * NaN counts as the largest number.
 */
export const reduce: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const operation = choice(o, "OP");
  const r = number(o, "R");
  const inner = number(o, "INNER", 1);
  const split = number(o, "SPLIT", 1);
  const outer = number(o, "N") / (split * inner);
  const chunk = Math.ceil(r / split);
  const y = new Float64Array(length);
  for (let i = 0; i < outer; i++) {
    for (let s = 0; s < split; s++) {
      const end = Math.min(r, (s + 1) * chunk);
      for (let j = 0; j < inner; j++) {
        let sum = 0;
        let maximum = lowest;
        let position = s * chunk;
        for (let k = s * chunk; k < end; k++) {
          const value = at(x, (i * r + k) * inner + j);
          sum += value;
          if (value > maximum || (Number.isNaN(value) && !Number.isNaN(maximum))) {
            maximum = value;
            position = k;
          }
        }
        const result = operation === "sum" ? sum : operation === "max" ? maximum : position;
        y[(i * split + s) * inner + j] = result;
      }
    }
  }
  return y;
};

/** x[O,C,INNER] -> y[O,C,INNER] = x - log(sum over C of exp(x)), each row shifted by its maximum; N = O INNER rows. */
export const logSoftmax: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const [n, c, inner] = [number(o, "N"), number(o, "C"), number(o, "INNER", 1)];
  const y = new Float64Array(length);
  for (let row = 0; row < n; row++) {
    const places = Array.from(
      { length: c },
      (_, i) => (Math.floor(row / inner) * c + i) * inner + row % inner,
    );
    const maximum = places.reduce((most, place) => Math.max(most, at(x, place)), -Infinity);
    const sum = places.reduce((total, place) => total + Math.exp(at(x, place) - maximum), 0);
    for (const place of places) y[place] = at(x, place) - (maximum + Math.log(sum));
  }
  return y;
};

/**
 * x[N,C], label[N], g[N] -> loss[N] = -log softmax(x)[label], or gradient[N,C], that of sum(g loss) in x;
 * both are 0 where the label is no class.
 */
export const crossEntropy: ReferenceKernel = (inputs, o, length) => {
  const [x, label, g] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
  const [n, c] = [number(o, "N"), number(o, "C")];
  const l = logSoftmax([x], o, n * c);
  const gradient = choice(o, "OP") === "gradient";
  const y = new Float64Array(length);
  for (let row = 0; row < n; row++) {
    const k = at(label, row);
    if (!Number.isInteger(k) || k < 0 || k >= c) continue;
    if (!gradient) y[row] = -at(l, row * c + k);
    for (let i = 0; gradient && i < c; i++) {
      y[row * c + i] = at(g, row) * (Math.exp(at(l, row * c + i)) - (i === k ? 1 : 0));
    }
  }
  return y;
};

type Sizes = readonly [outer: number, rows: number, inner: number, split: number];

/** Odd sizes; splits that do not divide the rows, start within four, or are left empty. */
const sizes: readonly Sizes[] = [
  [1, 1, 1, 1],
  [3, 7, 1, 1],
  [3, 8, 1, 1],
  [65, 10, 1, 1],
  [2, 13, 3, 1],
  [2, 12, 4, 1],
  [2, 9, 68, 1],
  [1, 1000, 1, 7],
  [2, 16, 1, 3],
  [3, 64, 1, 5],
  [3, 64, 1, 1],
  [2, 100, 1, 1],
  [2, 144, 1, 3],
  [1, 37, 4, 1],
  [2, 70, 1, 1],
  [1, 10, 1, 4],
  [1, 5, 2, 4],
  [2, 67, 5, 8],
  [1, 4099, 1, 1],
];

function reduceCase(
  op: string,
  [outer, rows, inner, split]: Sizes,
  label: string,
  x: () => Float32Array,
): KernelCase {
  const n = product(outer, split, inner);
  const defaults = inner === 1 && split === 1;
  return {
    kernel: "reduce",
    label: `${op} of ${label}`,
    overrides: { OP: op, N: n, R: rows, ...(defaults ? {} : { INNER: inner, SPLIT: split }) },
    threads: n,
    inputs: () => [x()],
    outputLength: n,
    tolerance: op === "sum" ? sumTolerance(rows) : 0,
  };
}

/** Sums, maxima of negative numbers, first maxima among ties, NaN and infinities. */
export const reduceCases: readonly KernelCase[] = [
  ...sizes.flatMap((s) => {
    const [outer, rows, inner, split] = s;
    const label = `[${outer}, ${rows}, ${inner}] in ${split}`;
    const n = product(outer, rows, inner);
    const cases = [
      reduceCase("sum", s, label, () => uniform(31, n)),
      reduceCase("max", s, label, () => uniform(32, n, -3, -1)),
    ];
    return split === 1
      ? [...cases, reduceCase("argmax", s, `ties ${label}`, () => ties(33, n))]
      : cases;
  }),
  ...["sum", "max", "argmax"].flatMap((op) =>
    ([[9, 7, 1, 1], [9, 20, 1, 1]] as const).map((s) =>
      reduceCase(op, s, `[9, ${s[1]}] with NaN`, () => withSpecials(35, 9 * s[1], s[1]))
    )
  ),
  reduceCase("argmax", [3, 8, 1, 1], "equal numbers", () => new Float32Array(24).fill(-2)),
  reduceCase("argmax", [3, 11, 1, 1], "a rising row", () => uniform(0, 33).map((_, i) => i % 11)),
  reduceCase("argmax", [2, 7, 5, 1], "a falling column", () => uniform(0, 70).map((_, i) => -i)),
];

function logSoftmaxCase(
  n: number,
  c: number,
  label: string,
  x: () => Float32Array,
  inner = 1,
): KernelCase {
  return {
    kernel: "log_softmax",
    label: `[${n}, ${c}] ${label}`,
    overrides: { N: n, C: c, ...(inner > 1 ? { INNER: inner } : {}) },
    threads: n,
    inputs: () => [x()],
    outputLength: n * c,
    tolerance: 16 * epsilon,
  };
}

/** One class, prime sizes, logits whose exponentials overflow. */
export const logSoftmaxCases: readonly KernelCase[] = [
  ...([[1, 1, 1], [5, 2, 3], [65, 10, 10], [3, 11, 200], [7, 64, 5], [2, 131, 2]] as const).map(
    ([n, c, range]) =>
      logSoftmaxCase(n, c, `up to ${range}`, () => uniform(34, n * c, -range, range)),
  ),
  logSoftmaxCase(3, 10, "rising", () => uniform(0, 30).map((_, i) => 60 * (i % 10))),
  logSoftmaxCase(3, 10, "falling", () => uniform(0, 30).map((_, i) => -60 * (i % 10))),
  logSoftmaxCase(3, 5, "with a NaN", () => uniform(36, 15).map((x, i) => i === 7 ? NaN : x)),
  logSoftmaxCase(70, 3, "7 side by side", () => uniform(39, 210, -9, 9), 7),
  logSoftmaxCase(5, 11, "5 side by side", () => uniform(40, 55, -200, 200), 5),
];

function crossEntropyCase(
  op: "loss" | "gradient",
  [n, c, range]: readonly [number, number, number],
  label: (row: number) => number = (row) => (7 * row + 3) % c,
): KernelCase {
  return {
    kernel: "cross_entropy",
    label: `${op} of [${n}, ${c}] up to ${range}, classes from ${label(0)}`,
    overrides: { OP: op, N: n, C: c },
    threads: n,
    inputs: () => [
      uniform(37, n * c, -range, range),
      Float32Array.from({ length: n }, (_, row) => label(row)),
      uniform(38, n),
    ],
    outputLength: op === "loss" ? n : n * c,
    tolerance: 16 * epsilon,
  };
}

/** One class, prime sizes, large logits, labels that are no class. */
export const crossEntropyCases: readonly KernelCase[] = (["loss", "gradient"] as const).flatMap(
  (op) => [
    crossEntropyCase(op, [1, 1, 1]),
    crossEntropyCase(op, [65, 10, 10]),
    crossEntropyCase(op, [3, 11, 200]),
    crossEntropyCase(op, [67, 3, 5]),
    crossEntropyCase(op, [4, 5, 2], (row) => row - 1),
    crossEntropyCase(op, [4, 5, 2], (row) => 4.5 - row),
  ],
);
