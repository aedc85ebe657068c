/**
 * Random orthogonal matrices.
 *
 * @module
 */
import type { Random } from "../graph/random.ts";

/**
 * A random `[rows, columns]` matrix whose columns are unit vectors, orthogonal within each run of
 * `rows` columns. Gram and Schmidt's process in f64, twice over for exactness.
 */
export function orthogonal(random: Random, rows: number, columns: number): Float32Array {
  const result = new Float32Array(rows * columns);
  let block: Float64Array[] = [];
  for (let j = 0; j < columns; j++) {
    if (block.length === rows) block = [];
    const q = Float64Array.from(random.normal(rows));
    for (let pass = 0; pass < 2; pass++) {
      for (const other of block) {
        const along = dot(q, other);
        for (let i = 0; i < rows; i++) q[i] = (q[i] ?? 0) - along * (other[i] ?? 0);
      }
    }
    const norm = Math.sqrt(dot(q, q));
    for (let i = 0; i < rows; i++) {
      q[i] = (q[i] ?? 0) / norm;
      result[i * columns + j] = q[i] ?? 0;
    }
    block.push(q);
  }
  return result;
}

function dot(a: Float64Array, b: Float64Array): number {
  let s = 0;
  for (let i = 0; i < a.length; i++) s += (a[i] ?? 0) * (b[i] ?? 0);
  return s;
}
