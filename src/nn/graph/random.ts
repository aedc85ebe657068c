/**
 * Seeded random numbers: one generator passed explicitly, no global state.
 *
 * @module
 */
import { UserError } from "../../base/errors.ts";
import { philox } from "./philox.ts";

/**
 * A stream of random numbers, a function of (seed, stream, state) alone.
 *
 * Every drawing call uses up one value of the counter {@linkcode Random.state}, however many
 * numbers it returns. Uniform numbers are bit for bit those that `philox.wgsl` makes of the same
 * seed, stream and counter with OFFSET 0, normal ones the same within 1e-6. A saved and restored
 * state resumes a run exactly.
 *
 * @example
 * ```ts
 * import { Random } from "./random.ts";
 * const random = new Random(7);
 * const weights = random.fork("weights").normal(100);
 * const order = random.permutation(weights.length);
 * if (order.length !== 100) throw new Error("Unreachable: a permutation keeps the length");
 * ```
 */
export class Random {
  /** 0..2^53-1 */
  readonly seed: number;
  /** 0..2^32-1; streams of one seed are independent. */
  readonly stream: number;
  readonly #key: readonly [number, number];
  #counter = 0;

  /**
   * The stream from its start: {@linkcode Random.state} is 0.
   *
   * @param seed integer in 0..2^53-1
   * @param stream integer in 0..2^32-1
   * @throws UserError when seed or stream is out of range
   */
  constructor(seed: number, stream = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new UserError(`Cannot use the seed ${seed}: give an integer from 0 to 2^53 - 1`);
    }
    if (!isWord(stream)) {
      throw new UserError(`Cannot use the stream ${stream}: give an integer from 0 to 2^32 - 1`);
    }
    this.seed = seed;
    this.stream = stream;
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
  }

  /** The next call's counter, an integer in 0..2^32-1, 0 at first; set a saved one to resume. */
  get state(): number {
    return this.#counter;
  }

  set state(counter: number) {
    if (!isWord(counter)) {
      throw new Error(`Cannot resume at ${counter}: the state is an integer from 0 to 2^32 - 1`);
    }
    this.#counter = counter;
  }

  /** One uniform number in [0, 1), a multiple of 2^-24. */
  uniform(): number;
  /** `n` of them: `[n]`. */
  uniform(n: number): Float32Array<ArrayBuffer>;
  uniform(n?: number): number | Float32Array<ArrayBuffer> {
    const word = this.#words();
    if (n === undefined) return unit(word());
    return new Float32Array(n).map(() => unit(word()));
  }

  /** Independent standard normal numbers by Box and Muller's transform: `[n]`, all within +-5.8. */
  normal(n: number): Float32Array<ArrayBuffer> {
    const word = this.#words();
    const result = new Float32Array(n);
    for (let i = 0; i < n; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - unit(word())));
      const angle = 2 * Math.PI * unit(word());
      result[i] = radius * Math.cos(angle);
      if (i + 1 < n) result[i + 1] = radius * Math.sin(angle);
    }
    return result;
  }

  /**
   * One integer, every value in 0..n-1 equally likely.
   *
   * @param n number of values, 1..2^32
   */
  integer(n: number): number {
    return below(n, this.#words());
  }

  /** The numbers 0..n-1 in random order, every order equally likely (Fisher and Yates): `[n]`. */
  permutation(n: number): Uint32Array<ArrayBuffer> {
    const word = this.#words();
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let last = n - 1; last > 0; last--) {
      const pick = below(last + 1, word);
      const value = order[last] ?? 0;
      order[last] = order[pick] ?? 0;
      order[pick] = value;
    }
    return order;
  }

  /**
   * An independent generator for one purpose, at state 0.
   *
   * It depends on seed, stream and name, not on the state: drawing more in one place changes
   * nothing in another, and the same name twice gives the same numbers twice. The new stream is a
   * 32-bit hash of stream and name.
   */
  fork(name: string): Random {
    return new Random(this.seed, hash(name, this.stream));
  }

  /** The words of the next counter value, one a call, in the kernel's order. */
  #words(): () => number {
    const counter = this.#counter;
    this.state = counter + 1;
    let words: readonly number[] = [];
    let drawn = 0;
    return () => {
      const place = drawn & 3;
      if (place === 0) words = philox(this.#key, [drawn >>> 2, counter, this.stream, 0]);
      drawn++;
      return words[place] ?? 0;
    };
  }
}

/** A word's upper 24 bits as a number in [0, 1), exact in f32. */
function unit(word: number): number {
  return (word >>> 8) * 2 ** -24;
}

/** An unbiased integer in 0..n-1: words of the incomplete last multiple of n are drawn again. */
function below(n: number, word: () => number): number {
  if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
    throw new Error(`Cannot draw an integer below ${n}: the bound is an integer from 1 to 2^32`);
  }
  const limit = 2 ** 32 - 2 ** 32 % n;
  let draw = word();
  while (draw >= limit) draw = word();
  return draw % n;
}

/** FNV-1a over the stream's four bytes, then the name's UTF-8 bytes. */
function hash(name: string, stream: number): number {
  let h = 0x811c9dc5;
  const bytes = [
    stream,
    stream >>> 8,
    stream >>> 16,
    stream >>> 24,
    ...new TextEncoder().encode(name),
  ];
  for (const byte of bytes) h = Math.imul(h ^ (byte & 255), 0x01000193);
  return h >>> 0;
}

function isWord(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}
