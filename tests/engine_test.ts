/** The attack's runs: starts, restarts, ranks, draws, the class that stays, and both directions and sides. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ImageSet } from "../data/mod.ts";
import {
  type Attack,
  attacks,
  inits,
  type NormName,
  norms,
  type Objective,
} from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { type AttackJob, attackSet } from "../src/evaluate/attack_set.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { ofLogits, single } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { withDevice } from "./support.ts";

const [side, classes, count] = [4, 3, 11];
const pixels = side * side;
const numbers = (n: number, seed: number): Float32Array => new nn.Random(seed).uniform(n);

/** Random images of random labels. */
const set: ImageSet = {
  name: "noise",
  source: "nowhere",
  sha256: "",
  shape: [1, side, side],
  classes: ["a", "b", "c"],
  images: Uint8Array.from(numbers(count * pixels, 5), (v) => 255 * v),
  labels: Uint16Array.from({ length: count }, (_, i) => i % classes),
  count,
};

const weights = numbers(pixels * classes, 6).map((v) => 4 * v - 2);
const model = ofLogits((x) =>
  nn.matmul(
    nn.tanh(nn.scale(nn.reshape(x, [-1, pixels]), 3)),
    nn.constant(weights, [pixels, classes]),
  )
);

function jobOn(device: nn.Device, change: Partial<AttackJob>): AttackJob {
  return {
    device,
    subject: single([model]),
    set: new ResidentSet(set),
    seed: 3,
    batchSize: count,
    reporter: silent,
    explain: { explain: false, time: false },
    settings: attacks.pgd.settings(0.2, { steps: 5 }),
    keep: count,
    ...change,
  };
}

const classesOf = ({ predictions: { logProbabilities: l, classes: k } }: {
  readonly predictions: { readonly logProbabilities: Float32Array; readonly classes: number };
}): number[] =>
  Array.from({ length: l.length / k }, (_, i) => {
    const row = l.subarray(i * k, (i + 1) * k);
    return row.indexOf(Math.max(...row));
  });

for (const norm of Object.keys(norms) as NormName[]) {
  for (const init of Object.keys(inits) as (keyof typeof inits)[]) {
    Deno.test(`${norm}: a start "${init}" lies in the ball and the box, and is the same in batches of any size`, () =>
      withDevice(async (device) => {
        const radius = norm === "linf" ? 0.2 : 0.8;
        const settings = { ...attacks.pgd.settings(radius, { norm, init, steps: 1 }), stepSize: 0 };
        const made = [];
        for (const batchSize of [1, 4, count]) {
          made.push(await attackSet(jobOn(device, { settings, batchSize })));
        }
        const [first, ...others] = made;
        assert.ok(first);
        for (const { examples, distance, outside } of made) {
          assert.deepEqual(examples.adversarial, first.examples.adversarial);
          assert.ok(distance.every((d) => d <= radius + 1e-5), String(distance));
          assert.ok(outside.every((excess) => excess <= 0));
        }
        assert.equal(others.length, 2);
        const moved = first.distance.filter((d) => d > 0).length;
        assert.equal(moved, init === "clean" ? 0 : count);
      }));
  }
}

for (const attack of Object.values<Attack>(attacks)) {
  Deno.test(`${attack.name} gives an image the same figures in batches of 1, 7 and 11, and by the same seed the same bits`, () =>
    withDevice(async (device) => {
      const options = { init: "uniform", steps: 12, restarts: 1 } as const;
      const settings = attack.settings(0.2, options);
      const made = [];
      for (const batchSize of [1, 7, count, count]) {
        made.push(await attackSet(jobOn(device, { settings, attack, batchSize })));
      }
      const [one, seven, all, again] = made;
      assert.ok(one && seven && all && again);
      assert.deepEqual(again.examples, all.examples);
      for (const { losses } of [one, seven]) {
        losses.adversarial.forEach((loss, i) =>
          assert.ok(Math.abs(loss - (all.losses.adversarial[i] ?? NaN)) < 1e-5, `${i}: ${loss}`)
        );
      }
    }));
}

Deno.test("restarts: each image has the lowest loss of all runs, as the runs by themselves have it", () =>
  withDevice(async (device) => {
    const settings = attacks.pgd.settings(0.2, { steps: 2, restarts: 3 });
    const each = await attackSet(jobOn(device, { settings, each: true }));
    const best = await attackSet(jobOn(device, { settings }));
    assert.equal(each.runs.length, 4);
    assert.equal(best.runs.length, 1);
    const one = await attackSet(jobOn(device, { settings: { ...settings, restarts: 0 } }));
    assert.deepEqual(each.runs[0], one.adversarial);
    // The loss is -log p of the class that is predicted, so the lowest has the largest p of all.
    const sure = ({ predictions: { logProbabilities: l } }: typeof each.adversarial): number[] =>
      Array.from(
        { length: count },
        (_, i) => Math.max(...l.subarray(i * classes, (i + 1) * classes)),
      );
    const all = each.runs.map(sure);
    sure(best.adversarial).forEach((value, i) => {
      assert.ok(Math.abs(value - Math.max(...all.map((run) => run[i] ?? NaN))) < 1e-6);
    });
    assert.ok(all.some((run) => run.some((value, i) => value !== all[0]?.[i])));
  }));

Deno.test("ranks: every run is told its own, and what is kept is that of the best", () =>
  withDevice(async (device) => {
    // Steers to class 0, 1, 2 in turn: the lowest loss is that of the easiest.
    const inTurn: Objective = {
      name: "inTurn",
      about: "each class in turn",
      runs: (k) => k,
      keep: (_, images, { rank }) => nn.add(nn.scale(nn.sum(images, [1, 2, 3]), 0), rank ?? 0),
      loss: (of, x, { draws }, kept) =>
        nn.negativeLogLikelihood(of.logProbabilities(x, draws), kept ?? nn.constant(0, [1])),
    };
    const job = { objective: inTurn, settings: attacks.pgd.settings(0.3, { steps: 8 }) };
    const best = await attackSet(jobOn(device, job));
    const each = await attackSet(jobOn(device, { ...job, each: true }));
    assert.equal(each.runs.length, classes);
    for (let i = 0; i < count; i++) {
      const steered = each.runs.map(({ predictions: { logProbabilities } }, c) =>
        -(logProbabilities[i * classes + c] ?? NaN)
      );
      assert.ok(Math.abs((best.losses.adversarial[i] ?? NaN) - Math.min(...steered)) < 1e-5);
    }
  }));

Deno.test("`under` raises what `over` lowers, and `keepLabel` leaves every class as it was", () =>
  withDevice(async (device) => {
    const settings = attacks.pgd.settings(0.5, { steps: 20 });
    const before = classesOf((await attackSet(jobOn(device, { settings }))).clean);
    for (const direction of ["over", "under"] as const) {
      const free = await attackSet(jobOn(device, { settings, direction }));
      assert.ok(free.losses.adversarial.every((loss, i) => loss <= (free.losses.clean[i] ?? NaN)));
      const kept = await attackSet(jobOn(device, { settings, direction, keepLabel: true }));
      assert.deepEqual(classesOf(kept.adversarial), before);
    }
    const objective: Objective = {
      name: "first",
      about: "class 0, which most images are not of",
      loss: (of, x, { draws }) =>
        nn.negativeLogLikelihood(of.logProbabilities(x, draws), nn.constant(0, [x.shape[0] ?? 1])),
    };
    const free = classesOf((await attackSet(jobOn(device, { settings, objective }))).adversarial);
    assert.notDeepEqual(free, before);
    const kept = await attackSet(jobOn(device, { settings, objective, keepLabel: true }));
    assert.deepEqual(classesOf(kept.adversarial), before);
    assert.ok(
      kept.losses.adversarial.some((loss, i) => loss < (kept.losses.clean[i] ?? NaN) - 1e-3),
    );
  }));

Deno.test("`eot`: a step's loss is the mean over as many different draws", () =>
  withDevice(async (device) => {
    // The slope is that of the noise: with many draws its mean is near none.
    const noisy: Objective = {
      name: "noisy",
      about: "noise alone",
      loss: (_, x, { draws }) => nn.sum(nn.mul(x, draws.normal(x.shape)), [1, 2, 3]),
    };
    const slopes = async (eot: number): Promise<number> => {
      const { gradient } = await attackSet(jobOn(device, { objective: noisy, eot }));
      return Math.max(...gradient?.slope ?? [NaN]);
    };
    const [one, many] = [await slopes(1), await slopes(64)];
    assert.ok(one > 1 && many < one / 4, `${one} and ${many}`);
  }));

Deno.test("a radius of 0 changes nothing, whatever the attack, the norm and the start", () =>
  withDevice(async (device) => {
    for (const attack of Object.values<Attack>(attacks)) {
      for (const norm of Object.keys(norms) as NormName[]) {
        const settings = attack.settings(0, { norm, init: "uniform", steps: 3 });
        const { distance } = await attackSet(jobOn(device, { settings, attack }));
        assert.ok(distance.every((d) => d === 0), `${attack.name} ${norm}: ${distance}`);
      }
    }
  }));

Deno.test("rows of `noise()` are theirs wherever they stand, and no two rows or offsets are alike", () =>
  withDevice(async (device) => {
    const drawn = async (rows: readonly number[], offset: number): Promise<Float32Array> => {
      const index = nn.constant(Float32Array.from(rows));
      const [key, counter] = [new nn.Random(1), nn.constant(2, [1])];
      const y = nn.noise("uniform", key, counter, [rows.length, 5], offset, index);
      using program = await nn.compile(device, { outputs: [y] });
      program.run();
      return await program.read(y);
    };
    const rowAt = (all: Float32Array, at: number): number[] => [...all.slice(5 * at, 5 * at + 5)];
    const all = await drawn([7, 0, 3, 2 ** 20], 0);
    assert.deepEqual(rowAt(await drawn([3, 7], 0), 0), rowAt(all, 2));
    assert.deepEqual(rowAt(await drawn([3, 7], 0), 1), rowAt(all, 0));
    const values = [...all, ...await drawn([7, 0], 1)];
    assert.equal(new Set(values).size, values.length);
    fc.assert(fc.property(fc.constantFrom(...values), (v) => v >= 0 && v < 1));
  }));
