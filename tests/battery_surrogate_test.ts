/** A battery that attacks a model of another seed too: how that is found or trained, kept, told of, and left out. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Clock } from "../src/base/clock.ts";
import { sha256 } from "../src/base/digest.ts";
import { silent } from "../src/base/reporter.ts";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { showBattery } from "../src/cli/show_battery.ts";
import { batteries, type BatteryMember, memberName } from "../src/experiment/batteries.ts";
import { battery } from "../src/experiment/battery.ts";
import { batteryDocument, type BatteryResult } from "../src/experiment/battery_document.ts";
import { planOf } from "../src/experiment/battery_members.ts";
import { type RunConfig, runConfig, type RunOptions } from "../src/experiment/config.ts";
import { checkRun } from "../src/experiment/identity.ts";
import { accountFor } from "../src/experiment/pending.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { toMetadata } from "../src/checkpoint/statement.ts";
import { partsOf } from "../src/experiment/parts.ts";
import { verify } from "../src/experiment/verify.ts";
import { findOrTrain, openWorkbench } from "../src/experiment/workbench.ts";
import { separation } from "../src/measure/detection.ts";
import { batteryPage } from "../src/report/battery.ts";
import { readBattery } from "../src/report/battery_content.ts";
import { readArchive, readRun } from "../src/runs/folder.ts";
import { inFolder, onlyRun, parametersOn } from "./support.ts";
import { trained, transplant } from "./trained.ts";

const name = "apgd logProbability from another model";

Deno.test("`plus` alone attacks a model of another seed", () => {
  const made = Object.entries(batteries).flatMap(([battery, { members }]) =>
    members.filter((member: BatteryMember) => member.surrogate)
      .map((member) => [battery, memberName(member), member.steps])
  );
  assert.deepEqual(made, [["plus", name, 500]]);
});

/** As `plus`, but quick. */
async function quickly<T>(work: () => Promise<T>): Promise<T> {
  const { plus } = batteries;
  const { members } = plus;
  const quick: BatteryMember[] = [
    { attack: "apgd", objective: "entropy", steps: 2 },
    { attack: "apgd", objective: "logProbability", steps: 3, init: "uniform", restarts: 1 },
    { attack: "apgd", objective: "logProbability", steps: 3, surrogate: true },
  ];
  Object.assign(plus, { members: quick });
  try {
    return await work();
  } finally {
    Object.assign(plus, { members });
  }
}

function plus(savePath: string, options: Partial<RunOptions> = {}): RunConfig {
  return runConfig({ mode: "sngp", battery: "plus", limit: 20, epochs: 1, savePath, ...options });
}

/** The document of a battery, and what was noted. */
async function made(config: RunConfig): Promise<{ result: BatteryResult; notes: string }> {
  const notes: string[] = [];
  const reporter = { ...silent, note: (message: string): void => void notes.push(message) };
  const result = batteryDocument.parse(await battery(config, reporter));
  return { result, notes: notes.join("\n") };
}

Deno.test("the surrogate is trained, used, kept and told of; a run that is broken off goes on with it", () =>
  quickly(() =>
    inFolder(async (savePath) => {
      const stops = {
        ...silent,
        progress(title: string): ReturnType<typeof silent.progress> {
          if (/^1\/4 .*in-domain$/.test(title)) throw new Error("stopped");
          return silent.progress(title, 0);
        },
      };
      await assert.rejects(battery(plus(savePath), stops), /stopped/);
      const { result, notes } = await made(plus(savePath));
      assert.match(notes, /A member of the battery attacks by way of seed 1: another model,/);
      assert.match(notes, new RegExp(`${name}, out-domain, is kept from before`));
      assert.doesNotMatch(notes, /training one/);
      assert.deepEqual([result.seeds, result.checkpoints.length], [[0], 1]);
      const { members, leftOut } = result.battery;
      assert.deepEqual(leftOut, []);
      assert.deepEqual(members.map(({ name, surrogate }) => [name, surrogate?.seeds]), [
        ["published", undefined],
        ["apgd entropy", undefined],
        ["apgd logProbability from uniform", undefined],
        [name, [1]],
      ]);
      const folder = await onlyRun(savePath, "battery");
      const run = await readRun(folder);
      const { models, surrogateSeeds } = run.identity as Record<string, unknown[]>;
      assert.deepEqual(surrogateSeeds, [1]);
      assert.deepEqual(members[3]?.surrogate?.digests, models?.slice(1));
      assert.equal(run.checkpoints.length, 2);
      assert.match(run.checkpoints[1]?.source ?? "", /seed_1.*best\.safetensors$/);

      await asStrongAsEach(result, folder);
      const page = await batteryPage(await readBattery(folder));
      for (const text of [page, showBattery(result, 400)]) {
        assert.ok(text.includes("made on the model of seed 1, trained alike (SHA-256 "));
      }
      assert.ok(page.includes("in which its MSP is the worst"));
      // Another model has come in its place since, of which a run would be another one; `verify` has a copy.
      const [own = "", other = ""] = run.checkpoints.map(({ source }) => source);
      await transplant(own, other);
      await assert.rejects(
        checkRun(run, plus(savePath), join(folder, "run.json")),
        /is not the other model that it attacked too; use verify, which takes the run's own copy/,
      );
      const { verified, differences } = await verify(folder);
      assert.ok(verified, JSON.stringify(differences));
      await asEarlier(folder);
    })
  ));

/** Scores are kept in f32, where two of them may have become equal. */
const rounding = 0.005;

/** No member by itself leaves a score less than the battery does, and images come from those that win. */
async function asStrongAsEach(result: BatteryResult, folder: string): Promise<void> {
  const archive = await readArchive(folder, await readRun(folder), "battery");
  const rows = (key: string): Float32Array[] => {
    const { shape: [attempts = 0, n = 0], data } = archive.get(key) ?? assert.fail(key);
    assert.equal(attempts, 1 + result.battery.members.length);
    return Array.from(
      { length: attempts },
      (_, k) => Float32Array.from(data.subarray(k * n, (k + 1) * n)),
    );
  };
  for (const [score, { columns }] of Object.entries(result.scores)) {
    const [own, other] = [rows(`in.${score}`), rows(`out.${score}`)];
    const [clean = assert.fail()] = own;
    for (const each of other) {
      const { auroc } = separation(clean, each);
      assert.ok((columns.out?.auroc.value ?? NaN) <= auroc + rounding, score);
    }
    own.forEach((each, k) => {
      const { auroc } = separation(each, other[k] ?? assert.fail());
      assert.ok((columns.both?.auroc.value ?? NaN) <= auroc + rounding, score);
    });
  }
}

/** A run as an earlier version left it is read, and its pictures are told of as what they are. */
async function asEarlier(folder: string): Promise<void> {
  const path = join(folder, "metrics.json");
  const figures = JSON.parse(await Deno.readTextFile(path));
  figures.schema = "mirage/battery@1";
  for (const member of figures.battery.members) delete member.surrogate;
  const text = JSON.stringify(figures);
  await Deno.writeTextFile(path, text);
  const run = await readRun(folder);
  const files = run.files.map((file) =>
    file.name === "metrics.json" ? { ...file, sha256: sha256(text) } : file
  );
  await Deno.writeTextFile(join(folder, "run.json"), JSON.stringify({ ...run, files }));
  const page = await batteryPage(await readBattery(folder));
  assert.ok(page.includes("as its member&#39;s last run left it"));
}

Deno.test("a surrogate under Laplace has a posterior of its own, over the images of its training", () =>
  quickly(() =>
    inFolder(async (savePath) => {
      const { result, notes } = await made(plus(savePath, { mode: "laplace" }));
      assert.match(notes, /attacks by way of seed 1: another model,/);
      assert.doesNotMatch(notes, /The posterior is fitted on/);
      assert.deepEqual(result.posterior?.training, [{ name: "embedded digits train", count: 20 }]);
      const { differences, verified } = await verify(await onlyRun(savePath, "battery"));
      assert.deepEqual([differences, verified], [[], true]);
    })
  ));

Deno.test("of a named model it is one of the next seed, trained alike, or it is left out and said why", () =>
  quickly(() =>
    inFolder(async (savePath) => {
      const seven = await trained(savePath, { mode: "sngp", seed: 7 });
      /** What a battery of a configuration comes to before anything is trained. */
      const planned = async (options: Partial<RunOptions>): Promise<string> => {
        const config = plus(savePath, { epochs: undefined, ...options });
        using bench = await openWorkbench(config, "use", silent);
        const { surrogate, leftOut, members } = await planOf(bench, await partsOf(config));
        assert.equal(members.some((member) => member.surrogate), surrogate !== undefined);
        return surrogate?.seeds.join() ?? leftOut.find((of) => of.name === name)?.why ?? "";
      };
      assert.equal(await planned({ checkpoint: seven }), "8");
      assert.equal(await planned({ seed: 3 }), "4");
      assert.equal(await planned({ mode: "deep_ensemble", numEnsembles: 2 }), "2,3");
      const wrong = "Cannot train another model as the one that is named: ";
      assert.equal(
        await planned({ checkpoint: seven, lr: 0.02 }),
        `${wrong}it says lr 0.01, asked for was lr 0.02; name the options of its training`,
      );
      assert.match(
        await planned({ checkpoint: seven, limit: 10 }),
        /: it says 20 training images, asked for was 8000 training images; name/,
      );
      const bare = join(savePath, "bare.safetensors");
      const { tensors } = await readSafetensors(seven);
      await writeSafetensors(bare, { tensors, metadata: {} });
      assert.match(
        await planned({ checkpoint: bare }),
        /: its checkpoint does not say how it was trained; use one that Mirage trained, or none$/,
      );
      // Although few images are asked for, it learns from all that the named one learned from.
      const whole = join(savePath, "whole.safetensors");
      const ofAll = await accountFor(await openSetup(runConfig({ mode: "sngp" }), "use"), 7);
      const history = [{ epoch: 0, lr: 0.01, loss: 1, trainAccuracy: 1, accuracy: 1 }];
      const statement = { ...ofAll, history };
      await writeSafetensors(whole, { tensors, metadata: toMetadata(statement) });
      assert.equal(await planned({ checkpoint: whole, limit: 10 }), "8");

      // It is the model that a training of that seed gives, and leaves nothing on the device until it is used.
      using bench = await openWorkbench(plus(savePath, { checkpoint: seven }), "use", silent);
      const { surrogate } = await planOf(bench, await partsOf(bench.config));
      const clock = new Clock();
      await findOrTrain(bench, silent, clock);
      using parameters = parametersOn(bench.device);
      const [found, ...others] = await surrogate?.find(silent, clock) ?? [];
      assert.deepEqual([others.length, parameters.bytes()], [0, 0]);
      const apart = join(savePath, "apart");
      const eight = await trained(apart, { mode: "sngp", seed: 8 });
      assert.equal(found?.sha256, sha256(await Deno.readFile(eight)));
      assert.equal(found?.path, eight.replace(apart, savePath));
    })
  ));
