/** A model trained by the original code, attacked by Mirage, gives the original's figures. */
import assert from "node:assert/strict";
import { z } from "zod";
import { attack, evaluate, runConfig } from "../mod.ts";
import { sharedPath, testWithShared } from "./shared.ts";

const rates = z.record(z.string(), z.number());
const figures = z.object({ entropy: z.number(), rejection: rates });
const expectedSchema = z.object({
  first50: z.object({
    sngp: z.object({
      inDomain: z.object({ brier: z.number(), nll: z.number(), accuracy: z.number() }),
      clean: figures,
      adversarial: figures,
    }),
  }),
});

const files = [
  "reference/expected.json",
  "reference/checkpoints/sngp_seed0.checkpoint",
  "data/notMNIST_small.tar.gz",
  "data/MNIST/raw/t10k-images-idx3-ubyte.gz",
];

testWithShared(
  "`attack()` on 500 letters gives the original's figures for its SNGP",
  files,
  async () => {
    const text = await Deno.readTextFile(sharedPath("reference/expected.json"));
    const { sngp: expected } = expectedSchema.parse(JSON.parse(text)).first50;
    const result = await attack(runConfig({
      mode: "sngp",
      dataPath: sharedPath("data"),
      checkpoint: sharedPath("reference/checkpoints/sngp_seed0.checkpoint"),
      limit: 500,
    }));
    assert.equal(result.outDomain.count, 500);
    assert.deepEqual(result.warnings, []);
    for (const which of ["clean", "adversarial"] as const) {
      const [ours, theirs] = [result[which], expected[which]];
      near(`${which} entropy`, ours.entropy, theirs.entropy, 0.005);
      for (const [tau, rate] of Object.entries(theirs.rejection)) {
        near(`${which} rejection at ${tau}`, ours.rejection[tau], rate, 0.01);
      }
    }
  },
);

testWithShared(
  "`evaluate()` on all of MNIST gives the original's accuracy, Brier and NLL",
  files,
  async () => {
    const text = await Deno.readTextFile(sharedPath("reference/expected.json"));
    const { sngp: expected } = expectedSchema.parse(JSON.parse(text)).first50;
    const { inDomain } = await evaluate(runConfig({
      mode: "sngp",
      dataPath: sharedPath("data"),
      checkpoint: sharedPath("reference/checkpoints/sngp_seed0.checkpoint"),
    }));
    assert.equal(inDomain.count, 10_000);
    near("accuracy", inDomain.accuracy, expected.inDomain.accuracy, 5e-4);
    near("Brier", inDomain.brier, expected.inDomain.brier, 5e-6);
    near("NLL", inDomain.nll, expected.inDomain.nll, 5e-4);
  },
);

/** The figures there are rounded; `tolerance` leaves room for that, and a hair for binary fractions. */
function near(
  what: string,
  ours: number | null | undefined,
  theirs: number,
  tolerance: number,
): void {
  const difference = Math.abs((ours ?? NaN) - theirs);
  assert.ok(difference <= tolerance + 1e-9, `${what} is ${ours}, the original's is ${theirs}`);
}
