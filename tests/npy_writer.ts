/** Writes NumPy's `.npy`. */

const writers: Readonly<
  Record<string, readonly [size: number, write: (v: DataView, at: number, n: number) => void]>
> = {
  u1: [1, (v, at, n) => v.setUint8(at, n)],
  i8: [8, (v, at, n) => v.setBigInt64(at, BigInt(n), true)],
  f4: [4, (v, at, n) => v.setFloat32(at, n, true)],
  f8: [8, (v, at, n) => v.setFloat64(at, n, true)],
};

/**
 * The bytes of an array.
 *
 * @param descr NumPy's name of the type, with the order of its bytes
 * @param values row-major
 * @param columnMajor whether they are stored with the first axis running fastest
 */
export function npy(
  descr: string,
  shape: readonly number[],
  values: readonly number[],
  columnMajor = false,
): Uint8Array<ArrayBuffer> {
  const dict = `{'descr': '${descr}', 'fortran_order': ${
    columnMajor ? "True" : "False"
  }, 'shape': (${shape.map((n) => `${n},`).join(" ")}), }`;
  const length = Math.ceil((dict.length + 11) / 64) * 64 - 10;
  const header = new TextEncoder().encode(dict.padEnd(length - 1) + "\n");
  const [size, write] = writers[descr.slice(1)] ?? [1, () => {}];
  const bytes = new Uint8Array(10 + length + size * values.length);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, length & 255, length >> 8]);
  bytes.set(header, 10);
  const view = new DataView(bytes.buffer);
  const place = (i: number): number => {
    if (!columnMajor) return i;
    let [rest, index, stride] = [i, 0, values.length];
    // From the last axis to the first, whose stride is 1.
    for (const n of shape.toReversed()) {
      stride /= n;
      index += rest % n * stride;
      rest = Math.floor(rest / n);
    }
    return index;
  };
  values.forEach((value, i) => write(view, 10 + length + size * place(i), value));
  return bytes;
}
