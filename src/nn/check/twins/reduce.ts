/**
 * References of `reduce`, `log_softmax` and `cross_entropy`.
 *
 * @module
 */
import { at, choice, input, number, type ReferenceKernel } from "./support.ts";

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

/** x[N,C] -> y[N,C] = x - log(sum of exp(x)), each row shifted by its maximum. */
export const logSoftmax: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const [n, c] = [number(o, "N"), number(o, "C")];
  const y = new Float64Array(length);
  for (let row = 0; row < n; row++) {
    let maximum = -Infinity;
    for (let i = 0; i < c; i++) maximum = Math.max(maximum, at(x, row * c + i));
    let sum = 0;
    for (let i = 0; i < c; i++) sum += Math.exp(at(x, row * c + i) - maximum);
    const shift = maximum + Math.log(sum);
    for (let i = 0; i < c; i++) y[row * c + i] = at(x, row * c + i) - shift;
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
