/** Batteries: the reduction by the reported score, the four columns, threshold mode, and resuming. */
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { batteryDocument } from "../src/experiment/battery_document.ts";
import { batteries } from "../src/experiment/batteries.ts";
import { outcomesIn } from "../src/experiment/battery_kept.ts";
import { atThreshold, columnsOf, worstOf } from "../src/measure/robust.ts";
import { readArchive, readRun } from "../src/runs/folder.ts";
import { startTask, task } from "./program.ts";
import { inFolder, onlyRun } from "./support.ts";
import { trained } from "./trained.ts";

const scores = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), {
  minLength: 6,
  maxLength: 6,
});

Deno.test("`worstOf()`: no attempt is worse than it, whoever wins first counts, and shares sum to 1", () => {
  fc.assert(
    fc.property(fc.array(scores, { minLength: 1, maxLength: 5 }), (all) => {
      const attempts = all.map((of, k) => ({ name: `m${k}`, scores: Float64Array.from(of) }));
      for (const side of ["in", "out"] as const) {
        const { scores, won } = worstOf(attempts, side);
        scores.forEach((worst, i) => {
          const each = attempts.map((of) => of.scores[i] ?? NaN);
          assert.equal(worst, side === "out" ? Math.max(...each) : Math.min(...each));
        });
        assert.ok(Math.abs(Object.values(won).reduce((a, b) => a + b) - 1) < 1e-12);
      }
    }),
  );
  const tie = [{ name: "clean", scores: Float64Array.of(1) }, {
    name: "attack",
    scores: Float64Array.of(1),
  }];
  assert.deepEqual(worstOf(tie, "out").won, { clean: 1, attack: 0 });
});

Deno.test("an image without a number is the worst in-domain and no success out-domain", () => {
  const attempts = [{ name: "clean", scores: Float64Array.of(0.5) }, {
    name: "broken",
    scores: Float64Array.of(-Infinity),
  }];
  assert.deepEqual([...worstOf(attempts, "in").scores], [-Infinity]);
  assert.deepEqual([...worstOf(attempts, "out").scores], [0.5]);
});

Deno.test("the four columns attack what they say, and the threshold is that of clean images", () => {
  const detected = {
    inDomain: { clean: Float64Array.of(0.8, 0.9), worst: Float64Array.of(0.3, 0.9) },
    outDomain: { clean: Float64Array.of(0.1, 0.2), worst: Float64Array.of(0.1, 0.85) },
  };
  const { clean, in: own, out, both } = columnsOf(detected, 0);
  assert.deepEqual([clean, own, out, both].map(({ auroc }) => auroc.value), [1, 1, 0.75, 0.75]);
  assert.deepEqual(atThreshold(detected), {
    rejected: { clean: 1, worst: 0.5 },
    kept: { clean: 1, worst: 0.5 },
  });
});

Deno.test("what members made is read from a folder as it was written, to the bit", () =>
  inFolder(async (folder) => {
    const outcome = {
      index: Uint32Array.of(0, 5),
      scores: { entropy: Float64Array.of(-Infinity, -0.1), variance: Float64Array.of(1e-300, 2) },
      right: Uint8Array.of(1, 0),
      runs: 9,
      seconds: 1.5,
      examples: Float32Array.of(0, 0.5, 1),
    };
    const outcomes = outcomesIn(folder);
    assert.equal(await outcomes.read("out", 0), undefined);
    await outcomes.write("out", 0, outcome);
    assert.deepEqual(await outcomes.read("out", 0), outcome);
    await Deno.writeTextFile(join(folder, "members", "out-0.safetensors"), "damaged");
    assert.equal(await outcomes.read("out", 0), undefined);
  }));

const few = ["--mode", "sngp", "--limit", "20"];

Deno.test("`attack --battery fast` is as strong as each member image by image, and says what each cost", () =>
  inFolder(async (folder) => {
    await trained(folder, { mode: "sngp" });
    const args = [...few, "--battery", "fast", "--save-path", folder, "--json"];
    const { code, stdout, stderr } = await task("attack", args, { cwd: folder });
    assert.equal(code, 0, stderr);
    const result = batteryDocument.parse(JSON.parse(stdout));
    const names = result.battery.members.map(({ name }) => name);
    assert.equal(names[0], "published");
    assert.equal(names.length, 1 + batteries.fast.members.length);
    assert.equal(result.cost.length, 2 * names.length);
    const { clean, both, out, in: own } = result.scores["maxProbability"]?.columns ?? assert.fail();
    const value = (told: typeof clean | null): number => told?.auroc.value ?? NaN;
    assert.ok(value(both) <= Math.min(value(out), value(own)));
    assert.ok(Math.max(value(out), value(own)) <= value(clean));
    const run = await onlyRun(folder, "battery");
    const archive = await readArchive(run, await readRun(run), "battery");
    for (const [name, { shape, data }] of archive) {
      const [attempts = 0, images = 0] = shape;
      assert.deepEqual([attempts, images], [1 + names.length, 20], name);
      assert.ok(data.every((v) => !Number.isNaN(v)));
    }
    await assert.rejects(Deno.stat(join(run, "members")), "what was kept on the way is gone");
    const shown = await task("attack", args.filter((arg) => arg !== "--json"), { cwd: folder });
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /adaptive .* transfer/);
    assert.ok((await Deno.readTextFile(join(run, "report.html"))).includes("differ most"));
    const verified = await task("verify", [run], { cwd: folder });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const kept = join(run, "checkpoints", "0.safetensors");
    const again = ["--config", join(run, "run.json"), "--checkpoint", kept, "--json"];
    const repeated = await task("attack", again, { cwd: folder });
    assert.equal(repeated.code, 0, repeated.stderr);
    assert.deepEqual(JSON.parse(repeated.stdout).scores, result.scores);
  }));

Deno.test("a battery that is killed goes on with the members that it had made", () =>
  inFolder(async (folder) => {
    await trained(folder, { mode: "sngp" });
    const args = [...few, "--battery", "fast", "--save-path", folder];
    const child = startTask("attack", args, { cwd: folder });
    const decoder = new TextDecoder();
    const members = async (): Promise<number> => {
      try {
        const run = await onlyRun(folder, "battery");
        const names = Array.from(Deno.readDirSync(join(run, "members")), ({ name }) => name);
        return names.filter((name) => /^out-\d+\.safetensors$/.test(name)).length;
      } catch {
        return 0;
      }
    };
    const gone = child.status.then(() => -1);
    const drained = [child.stdout, child.stderr].map(async (stream) => {
      for await (const chunk of stream) decoder.decode(chunk);
    });
    while (await members() === 0) {
      const next = await Promise.race([
        gone,
        new Promise<number>((then) => setTimeout(then, 50, 0)),
      ]);
      assert.equal(next, 0, "it ended before a member was kept");
    }
    child.kill("SIGKILL");
    await child.status;
    await Promise.all(drained);
    const { code, stderr } = await task("attack", args, { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /published, out-domain, is kept from before/);
  }));

Deno.test("in threshold mode members see the images alone that some score still tells", () =>
  inFolder(async (folder) => {
    await trained(folder, { mode: "sngp" });
    const args = [
      ...few,
      "--battery",
      "fast",
      "--battery-mode",
      "threshold",
      "--epsilon-attack",
      "0.5",
    ];
    const { code, stdout, stderr } = await task("attack", [
      ...args,
      "--save-path",
      folder,
      "--json",
    ], {
      cwd: folder,
    });
    assert.equal(code, 0, stderr);
    const { cost, battery } = batteryDocument.parse(JSON.parse(stdout));
    assert.equal(battery.mode, "threshold");
    for (const side of ["out", "in"] as const) {
      const images = cost.filter((of) => of.side === side).map((of) => of.images);
      assert.ok(images.every((n, i) => n <= (images[i - 1] ?? 20)), String(images));
    }
    assert.ok(cost.some(({ images }) => images < 20));
  }));

Deno.test("options of one attack are refused beside a battery, and its mode without one", () =>
  inFolder(async (cwd) => {
    for (const [flag, value] of [["--steps", "5"], ["--objective", "entropy"]] as const) {
      const args = ["--battery", "fast", flag, value];
      const { code, stderr } = await task("attack", args, { cwd });
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`Cannot use ${flag} here: the members of the battery fast`));
    }
    const { code, stderr } = await task("attack", ["--battery-mode", "full"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /there is no battery; add --battery standard/);
  }));
