/** The battery beside a known attack library: on the label, it leaves no more images right. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks, objectives } from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { loadCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { type ReadyMember, runSide, turnedScores } from "../src/evaluate/battery.ts";
import { predict } from "../src/evaluate/predict.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { outcomesIn } from "../src/experiment/battery_kept.ts";
import { methods, single } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

const archive = "reference/attacks/de_seed0_linf.safetensors";
/** Of its 200 digits, how many are attacked. */
const count = 100;
const checkpoint = "reference/checkpoints/de_seed0.checkpoint";

testWithShared(
  "members of the battery leave no more digits right than AutoAttack does, plus half a point",
  [archive, checkpoint],
  () =>
    withDevice(async (device) => {
      const { tensors } = await readSafetensors(sharedPath(archive));
      const array = (key: string): ArrayLike<number> => tensors.get(key)?.data ?? assert.fail(key);
      const set: ImageSet = {
        name: "digits",
        source: archive,
        sha256: "",
        shape: [1, 28, 28],
        images: Uint8Array.from(array("x")).slice(0, count * 28 * 28),
        labels: Uint16Array.from(array("y")).slice(0, count),
        count,
      };
      const model = methods.baseline.create("LeNet", {
        ...hyperparametersOf({}),
        random: new nn.Random(0),
        procedure: procedureOf("paper"),
      });
      await loadCheckpoint(model, sharedPath(checkpoint));
      const job = {
        device,
        subject: single([model]),
        seed: 0,
        batchSize: count,
        reporter: silent,
        explain: { explain: false, time: false },
      };
      const member = (name: "logProbability" | "target"): ReadyMember => ({
        name,
        attack: attacks.apgd,
        settings: attacks.apgd.settings(0.1, { steps: 100 }),
        objective: objectives[name],
        eot: undefined,
        left: true,
      });
      const clean = turnedScores(await predict({ ...job, set: new ResidentSet(set) }));
      const left = new Uint8Array(count).fill(1);
      // As the library does, the targets are for the images that the first attack left.
      const battery = {
        job,
        members: [member("logProbability"), member("target")],
        keepLabel: false,
        means: undefined,
        told: () => left,
        onlyTold: false,
        outcomes: {
          ...outcomesIn(undefined),
          write(
            _: string,
            __: number,
            { index, right }: { index: Uint32Array; right: Uint8Array },
          ): Promise<void> {
            index.forEach((image, i) => left[image] = right[i] ?? 0);
            return Promise.resolve();
          },
        },
      };
      const outcomes = await runSide(battery, set, "in", clean);
      const robust = left.reduce((a, b) => a + b, 0) / count;
      const theirs = Array.from(array("aa.robust")).slice(0, count).reduce((a, b) => a + b, 0) /
        count;
      assert.ok(robust <= theirs + 0.005, `${robust}, AutoAttack ${theirs}`);
      assert.ok(robust > theirs - 0.05, "and no fewer than an attack can break");
      assert.equal(outcomes[1]?.runs, 9);
    }),
);
