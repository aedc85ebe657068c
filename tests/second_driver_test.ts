/** The program on another driver than the one that all other tests run on: by its tasks, as a user starts it. */
import assert from "node:assert/strict";
import { doctorResultSchema } from "../src/cli/doctor.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { verifyResultSchema } from "../src/experiment/verify.ts";
import { type MethodName, methods } from "../src/methods/mod.ts";
import { type Outcome, task } from "./program.ts";
import { secondDriver, testWithSecondDriver } from "./second_driver.ts";
import { inFolder, onlyRun, withDevice } from "./support.ts";

/** What this process runs on. */
async function firstDriver(): Promise<string> {
  let name = "";
  await withDevice((device) => {
    name = device.adapter.description;
    return Promise.resolve();
  });
  return name;
}

/** A task on the second driver. */
function second(name: string, args: readonly string[], cwd: string): Promise<Outcome> {
  return task(name, args, { cwd, env: secondDriver });
}

testWithSecondDriver(
  "on a second driver every kernel agrees with the f64 reference",
  () =>
    inFolder(async (folder) => {
      const { code, stdout, stderr } = await second("doctor", ["--json"], folder);
      const { checks, kernels, healthy } = doctorResultSchema.parse(JSON.parse(stdout));
      assert.deepEqual(kernels.filter(({ ok }) => !ok), [], stderr);
      assert.ok(healthy && code === 0, stdout);
      assert.ok(kernels.reduce((sum, { cases }) => sum + cases, 0) > 300);
      const gpu = checks.find(({ what }) => what === "GPU")?.found ?? "";
      assert.ok(!gpu.includes(await firstDriver()), `the second driver is the first: ${gpu}`);
    }),
);

testWithSecondDriver(
  "on a second driver the methods have the golden arrays and figures",
  () =>
    inFolder(async (folder) => {
      const { code, stdout } = await second("test", [
        "--no-check",
        decodeURIComponent(new URL("golden_small_test.ts", import.meta.url).pathname),
      ], folder);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^ok \| \d+ passed \| 0 failed/m);
    }),
);

/**
 * The smallest run of a method: DUE draws ten inducing points from its images. DUQ's is timed too, for what is
 * copied between its dispatches has no time.
 */
function smallest(mode: MethodName): string[] {
  const members = methods[mode].ensemble ? ["--num-ensembles", "2"] : [];
  const timed = mode === "duq" ? ["--time"] : [];
  return ["--mode", mode, "--limit", "20", "--epochs", "1", ...members, ...timed, "--json"];
}

// Ensembles of a family have no kernels but their members'.
const others = (Object.keys(methods) as MethodName[])
  .filter((mode) => mode !== "sngp" && !mode.endsWith("_ensemble") || mode === "deep_ensemble");

for (const mode of others) {
  testWithSecondDriver(
    `on a second driver \`${mode}\` is trained and attacked`,
    () =>
      inFolder(async (folder) => {
        const { code, stdout, stderr } = await second("attack", smallest(mode), folder);
        assert.equal(code, 0, stderr);
        const { adapter, clean, adversarial } = attackResultSchema.parse(JSON.parse(stdout));
        assert.notEqual(adapter.description, await firstDriver());
        for (const { entropy } of [clean, adversarial]) {
          assert.ok(
            entropy !== null && entropy > 0 && entropy <= Math.log(10),
            `entropy ${entropy}`,
          );
        }
        assert.equal(/of device time/.test(stderr), mode === "duq");
        assert.ok(Math.abs(adversarial.distance - 0.1) <= 1e-6, `${adversarial.distance}`);
      }),
  );
}

testWithSecondDriver(
  "`sngp` is trained and attacked on a second driver, and its run is verified on the first",
  () =>
    inFolder(async (folder) => {
      const args = ["--mode", "sngp", "--limit", "50", "--epochs", "2"];
      const { code, stderr } = await second("attack", args, folder);
      assert.equal(code, 0, stderr);
      const run = await onlyRun(`${folder}/trained_models`, "attack");
      const { stdout } = await task("verify", [run, "--json"], { cwd: folder });
      const { sameMachine, elsewhere, figures, differences } = verifyResultSchema.parse(
        JSON.parse(stdout),
      );
      assert.equal(sameMachine, false);
      const first = await firstDriver();
      assert.ok(elsewhere.some((of) => of.includes(`adapter ${first}, not `)), `${elsewhere}`);
      // Images of nearly the same score may change places, which moves a share by one of fifty.
      const ranked = /^(detection|calibration|curves)\./;
      assert.deepEqual(differences.filter(({ figure }) => !ranked.test(figure)), []);
      assert.ok(differences.length <= 0.02 * figures, `${differences.length} of ${figures}`);
    }),
);
