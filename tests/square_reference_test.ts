/** Square beside its authors' code: their queries replayed, and its own as strong as theirs. */
import assert from "node:assert/strict";
import { attacks, norms } from "../src/attack/mod.ts";
import { type Asked, prepareBy, sidesOf } from "../src/attack/square.ts";
import { loadCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { methods } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

/** The stored runs, each with its radius and robust accuracy. */
const runs = [
  { norm: "linf", epsilon: 0.1 },
  { norm: "l2", epsilon: 1.5 },
] as const;

/** The authors' model and images, and the margin `[B]` of the labels' logits. */
async function reference(
  device: nn.Device,
  norm: "linf" | "l2",
  test: (of: {
    readonly images: nn.Tensor;
    readonly margin: (x: nn.Tensor) => nn.Tensor;
    readonly array: (key: string) => Float32Array;
  }) => Promise<void>,
): Promise<void> {
  const { tensors } = await readSafetensors(
    sharedPath(`reference/attacks/de_seed0_${norm}.safetensors`),
  );
  const array = (key: string): Float32Array => Float32Array.from(tensors.get(key)?.data ?? []);
  const model = methods.baseline.create("LeNet", {
    ...hyperparametersOf({}),
    random: new nn.Random(0),
    procedure: procedureOf("paper"),
  });
  await loadCheckpoint(model, sharedPath(checkpoint));
  const own = nn.oneHot(nn.constant(array("y")), 10);
  const margin = (x: nn.Tensor): nn.Tensor => {
    assert.ok(model.logits);
    const z = model.logits(x);
    const others = nn.where(own, nn.constant(-3e38, z.shape), z);
    return nn.sub(nn.sum(nn.mul(z, own), [1]), nn.max(others));
  };
  const images = nn.constant(array("x").map((byte) => byte / 255), [200, 1, 28, 28]);
  await test({ images, margin, array });
  nn.release(device, [...model.state.values()]);
}

const checkpoint = "reference/checkpoints/de_seed0.checkpoint";

testWithShared(
  "`square` replays the queries of its authors' code: the same margins until a square is kept by rounding",
  ["reference/attacks/de_seed0_linf.safetensors", checkpoint],
  () =>
    withDevice((device) =>
      reference(device, "linf", async ({ images, margin, array }) => {
        const [places, signs] = [array("square.row_col_side"), array("square.sign")];
        const queries = signs.length;
        const sides = sidesOf(1000, 28, 28, { scaled: false });
        const table = Float32Array.from({ length: 3 * queries }, (_, k) => {
          const query = Math.floor(k / 3);
          const side = places[3 * query + 2] ?? NaN;
          assert.equal(side, sides[query]);
          if (k % 3 === 2) return (signs[query] ?? NaN) < 0 ? 0.25 : 0.75;
          return ((places[k] ?? NaN) + 0.5) / (29 - side);
        });
        const stripes = array("square.stripe_sign").map((sign) => sign < 0 ? 0.25 : 0.75);
        const source = ({ of, counter }: Asked): nn.Tensor =>
          of === "start"
            ? nn.constant(stripes, [200, 28])
            : nn.broadcastTo(nn.gatherRows(nn.constant(table, [queries, 3]), counter), [200, 3]);
        const settings = attacks.square.settings(0.1, { steps: 1000 });
        const shape = [200, 1, 28, 28];
        const state = prepareBy({ loss: margin, shape }, settings, { source, scaled: false });
        const found = margin(state.result.tensor);
        using start = await nn.compile(device, { updates: state.start(images, new nn.Random(0)) });
        using step = await nn.compile(device, { updates: state.step().updates });
        using judge = await nn.compile(device, { outputs: [found] });
        start.run();
        let made = 0;
        const [moments, margins] = [array("square.margin_steps_at"), array("square.margin_steps")];
        const apart = new Set<number>();
        for (const [row, moment] of moments.entries()) {
          step.run([], moment + 1 - made);
          made = moment + 1;
          judge.run();
          (await judge.read(found)).forEach((own, i) => {
            // The authors' code leaves an image alone that is fooled.
            const theirs = margins[row * 200 + i] ?? NaN;
            if (theirs > 0 && !(Math.abs(own - theirs) < 1e-4)) apart.add(i);
            if (theirs <= 0 && own > 0) apart.add(i);
          });
        }
        nn.release(device, state.parameters);
        assert.ok(apart.size <= 10, `${apart.size} of 200 images went another way`);
      })
    ),
);

// In L-infinity the replay says more.
for (const { norm, epsilon } of runs.filter(({ norm }) => norm === "l2")) {
  testWithShared(
    `\`square\` in ${norm} from its own draws is as strong as its authors' code`,
    [`reference/attacks/de_seed0_${norm}.safetensors`, checkpoint],
    () =>
      withDevice((device) =>
        reference(device, norm, async ({ images, margin, array }) => {
          const settings = attacks.square.settings(epsilon, { norm, steps: 1000 });
          const shape = [200, 1, 28, 28];
          const state = prepareBy({ loss: margin, shape }, settings, { scaled: false });
          const [found, moved, x] = [
            margin(state.result.tensor),
            norms[norm].lengthOf(nn.sub(state.result.tensor, state.clean.tensor)),
            state.result.tensor,
          ];
          using start = await nn.compile(device, {
            updates: state.start(images, new nn.Random(0)),
          });
          using step = await nn.compile(device, { updates: state.step().updates });
          using judge = await nn.compile(device, { outputs: [found, moved, x] });
          start.run();
          for (let made = 0; made <= 1000; made += 143) step.run([], 143);
          judge.run();
          const share = (margins: Float32Array): number =>
            margins.filter((v) => v > 0).length / 200;
          const own = share(await judge.read(found));
          const theirs = share(array("square.margin_final"));
          assert.ok(Math.abs(own - theirs) <= 0.04, `${own} instead of ${theirs}`);
          assert.ok((await judge.read(moved)).every((v) => v <= epsilon + 1e-5));
          assert.ok((await judge.read(x)).every((v) => v >= 0 && v <= 1));
          nn.release(device, state.parameters);
        })
      ),
  );
}
