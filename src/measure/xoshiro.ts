/**
 * A fast generator for the host, where a bootstrap draws millions of numbers: xoshiro128** (D. Blackman
 * and S. Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 2021). Whatever the device
 * draws too comes from Philox.
 *
 * @module
 */

/**
 * Makes a stream of words.
 *
 * @param state four 32-bit words, not all of them 0
 * @returns a function whose every call gives the next word, 0 to 2^32 - 1
 */
export function xoshiro(state: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = state;
  return () => {
    const scrambled = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return scrambled;
  };
}

function rotate(word: number, bits: number): number {
  return word << bits | word >>> (32 - bits);
}
