/** What a member of a battery makes of images: by way of a surrogate, and which of its runs a picture is of. */
import assert from "node:assert/strict";
import { type ImageSet, limit, loadEmbedded } from "../data/mod.ts";
import { attacks, objectives } from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { attackSet } from "../src/evaluate/attack_set.ts";
import {
  type BatteryJob,
  type BatterySide,
  type MemberOutcome,
  pictured,
  type ReadyMember,
  runSide,
  type TurnedScores,
  turnedScores,
} from "../src/evaluate/battery.ts";
import { predict, traceAnswers } from "../src/evaluate/predict.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { batteryFigures } from "../src/experiment/battery_figures.ts";
import { outcomesIn } from "../src/experiment/battery_kept.ts";
import { methods, type Model, single, type Subject } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { parametersOn, withDevice } from "./support.ts";

const count = 6;
/** Two batches, the last one filled up. */
const batchSize = 4;

/** A network as it is before its training: of two of them either deceives the other a little. */
function network(seed: number): Model {
  return methods.baseline.create("LeNet", {
    ...hyperparametersOf({}),
    random: new nn.Random(seed),
    procedure: procedureOf("paper"),
  });
}

function jobOf(device: nn.Device, subject: Subject): BatteryJob["job"] {
  const explain = { explain: false, time: false };
  return { device, subject, seed: 3, batchSize, reporter: silent, explain };
}

/** What one member makes of a set. */
async function madeBy(
  job: BatteryJob["job"],
  member: Partial<ReadyMember>,
  set: ImageSet,
  side: BatterySide,
): Promise<MemberOutcome> {
  const resident = new ResidentSet(set);
  const clean = turnedScores(await predict({ ...job, set: resident }));
  nn.release(job.device, resident.parameters);
  const battery: BatteryJob = {
    job,
    members: [{
      name: "member",
      attack: attacks.apgd,
      settings: attacks.apgd.settings(0.2, { steps: 4 }),
      objective: objectives.logProbability,
      eot: undefined,
      left: false,
      ...member,
    }],
    keepLabel: false,
    means: undefined,
    told: () => new Uint8Array(set.count).fill(1),
    onlyTold: false,
    outcomes: outcomesIn(undefined),
  };
  const [outcome] = await runSide(battery, set, side, clean);
  return outcome ?? assert.fail();
}

/** Scores of images `[N, 1, 28, 28]` as they are given, by a program of its own. */
async function answered(job: BatteryJob["job"], images: Float32Array): Promise<TurnedScores> {
  const shape = [batchSize, 1, 28, 28];
  const x = nn.input(shape);
  const { records, read } = traceAnswers(job, [x]);
  using program = await nn.compile(job.device, { inputs: [x], records });
  for (let at = 0; at < images.length; at += nn.size(shape)) {
    const batch = new Float32Array(nn.size(shape));
    batch.set(images.subarray(at, at + batch.length));
    program.run([batch]);
  }
  return turnedScores(read(await program.drain(), count));
}

async function letters(): Promise<ImageSet> {
  return limit(await loadEmbedded("letters"), count);
}

Deno.test("a member with a surrogate is the attack on that, answered by the model under attack", () =>
  withDevice(async (device) => {
    const [own, other] = [network(0), network(1)];
    const [target, surrogate] = [single([own]), single([other])];
    const set = await letters();
    const job = jobOf(device, target);
    using parameters = parametersOn(device);
    await madeBy(job, {}, set, "out");
    const alone = parameters.bytes();
    const through = {
      subject: surrogate,
      free(): void {
        assert.equal(parameters.bytes(), 2 * alone, "while it is used");
        nn.release(device, other.state.values());
      },
    };
    for (const side of ["out", "in"] as const) {
      const { scores, examples } = await madeBy(job, { surrogate: through }, set, side);
      assert.equal(parameters.bytes(), alone, "of the surrogate nothing stays on the device");
      const resident = new ResidentSet(set, Array.from({ length: count }, (_, i) => i));
      const byHand = await attackSet({
        ...jobOf(device, surrogate),
        set: resident,
        settings: attacks.apgd.settings(0.2, { steps: 4 }),
        objective: objectives.logProbability,
        direction: side === "out" ? "over" : "under",
        keep: count,
      });
      assert.deepEqual(examples, byHand.examples.adversarial);
      assert.deepEqual(scores, await answered(job, byHand.examples.adversarial));
      nn.release(device, [...resident.parameters, ...other.state.values()]);
      const direct = await madeBy(job, {}, set, side);
      assert.notDeepEqual(direct.scores, scores);
      assert.notDeepEqual(turnedScores(byHand.adversarial), scores, "the surrogate's own answers");
    }
  }));

Deno.test("with --keep-label the class is the one that the model under attack takes an image for", () =>
  withDevice(async (device) => {
    const [own, other] = [network(0), network(1)].map((model) => single([model]));
    if (!own || !other) return assert.fail();
    const set = await letters();
    const job = jobOf(device, own);
    const attack = {
      ...job,
      subject: other,
      answeredBy: own,
      set: new ResidentSet(set),
      settings: attacks.pgd.settings(0.5, { steps: 4 }),
      direction: "over" as const,
      keep: count,
    };
    const free = await attackSet(attack);
    const kept = await attackSet({ ...attack, keepLabel: true });
    const classes = ({ predictions: { logProbabilities: l, classes } }: typeof free.clean) =>
      Array.from({ length: count }, (_, i) => {
        const row = l.subarray(i * classes, (i + 1) * classes);
        return row.indexOf(Math.max(...row));
      });
    assert.deepEqual(classes(kept.adversarial), classes(kept.clean));
    assert.notDeepEqual(classes(free.adversarial), classes(free.clean));
    assert.ok(kept.distance.some((length) => length > 0), "some images are attacked all the same");
  }));

Deno.test("a picture is of the run that gave its image the worst largest probability", () =>
  withDevice(async (device) => {
    const set = await letters();
    const job = jobOf(device, single([network(0)]));
    const settings = attacks.apgd.settings(0.2, { steps: 2, restarts: 3 });
    for (const side of ["out", "in"] as const) {
      const { scores, examples, runs } = await madeBy(job, { settings }, set, side);
      assert.equal(runs, 4);
      const [shown, worst] = [await answered(job, examples), scores].map((of) => of[pictured]);
      assert.deepEqual(shown, worst);
      const each = await attackSet({
        ...job,
        set: new ResidentSet(set, Array.from({ length: count }, (_, i) => i)),
        settings,
        objective: objectives.logProbability,
        direction: side === "out" ? "over" : "under",
        each: true,
        keep: count,
      });
      const last = await answered(job, each.examples.adversarial);
      assert.deepEqual(last[pictured], turnedScores(each.runs[3] ?? assert.fail())[pictured]);
      assert.notDeepEqual(last[pictured], worst, "the last run is not the worst of every image");
    }
  }));

Deno.test("what is made on a surrogate is after no score of the model under attack: it counts as transfer", () => {
  const index = Uint32Array.of(0, 1);
  const member = (name: string, surrogate?: ReadyMember["surrogate"]): ReadyMember => ({
    name,
    attack: attacks.apgd,
    settings: attacks.apgd.settings(0.1),
    objective: objectives.logProbability,
    eot: undefined,
    left: false,
    surrogate,
  });
  const outcome = (...scores: number[]): MemberOutcome => ({
    index,
    scores: { [pictured]: Float64Array.from(scores) },
    right: Uint8Array.of(1, 1),
    runs: 1,
    seconds: 0,
    examples: new Float32Array(),
  });
  const clean = { in: outcome(0.8, 0.9).scores, out: outcome(0.1, 0.2).scores };
  const figures = batteryFigures({
    clean,
    sides: { in: [outcome(0.8, 0.9), outcome(0.8, 0.9)], out: [outcome(0.1, 0.2), outcome(1, 1)] },
    members: [
      member("on itself"),
      member("on another", { subject: single([network(1)]), free: () => {} }),
    ],
    right: Uint8Array.of(1, 1),
  }, 0);
  const { adaptive, transfer, columns } = figures.scores[pictured] ?? assert.fail();
  assert.deepEqual([adaptive.out, transfer.out, columns.out?.auroc.value], [1, 0, 0]);
});
