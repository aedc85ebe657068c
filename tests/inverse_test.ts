/** Inversion of positive definite matrices on the host. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { inversePositiveDefinite } from "../src/methods/inverse.ts";
import { cholesky, compile, constant, openDevice } from "../src/nn/mod.ts";

/** Ones everywhere, and `n` more on the diagonal. */
function matrix(n: number): Float32Array {
  return Float32Array.from({ length: n * n }, (_, i) => i % (n + 1) === 0 ? n + 1 : 1);
}

Deno.test("the inverse is that of the formula, of more rows too than a device factorises", () => {
  const n = 520;
  const inverse = inversePositiveDefinite(constant(matrix(n), [n, n]), "a");
  // Sherman and Morrison: (n I + 1 1^T)^-1 = (I - 1 1^T / 2n) / n.
  for (const [i, value] of inverse.entries()) {
    const expected = ((i % (n + 1) === 0 ? 1 : 0) - 1 / (2 * n)) / n;
    assert.ok(Math.abs(value - expected) < 1e-15, `${i}: ${value}, not ${expected}`);
  }
});

Deno.test("a matrix that is not positive definite is refused by its first bad pivot", () => {
  for (const bad of [-3, 0, NaN]) {
    const a = constant(Float32Array.of(4, 0, 0, 0, bad, 0, 0, 0, 1), [3, 3]);
    assert.throws(() => inversePositiveDefinite(a, "precision_matrix"), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /^Cannot invert "precision_matrix": pivot 1 is .*train it again$/,
      );
      return true;
    });
  }
});

Deno.test("what a device cannot factorise is refused where a program is made of it", async () => {
  using device = await openDevice();
  const factor = cholesky(constant(matrix(513), [513, 513]));
  await assert.rejects(
    async () => await compile(device, { name: "large", outputs: [factor] }),
    /Cannot dispatch "cholesky" of \[513, 513\]: a device factorises at most 512 rows/,
  );
});
