/** Attacks without in-domain images, as a user meets them: what they tell, what they say is not told, what is refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type AttackResult,
  attackResultSchema,
  trainResultSchema,
} from "../src/experiment/documents.ts";
import { showAttack } from "../src/cli/show.ts";
import { runConfig } from "../src/experiment/config.ts";
import { png } from "./data_support.ts";
import { smallNetwork } from "./onnx_writer.ts";
import { type Outcome, task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder, onlyRun } from "./support.ts";

const mlp = sharedPath("reference/onnx/mlp.onnx");

/** A folder of images of the user's own. */
async function writeImages(cwd: string, count = 6, size = 28): Promise<void> {
  await Deno.mkdir(join(cwd, "my_images"));
  for (let i = 0; i < count; i++) {
    await Deno.writeFile(join(cwd, "my_images", `${i}.png`), png(i, size));
  }
}

/** What an attack printed that ended well. */
function document({ code, stdout, stderr }: Outcome): AttackResult {
  assert.equal(code, 0, stderr);
  return attackResultSchema.parse(JSON.parse(stdout));
}

/** Holds a document against what it can tell without in-domain images, and what it cannot. */
function checkNulls(made: AttackResult): void {
  const { inDomain, inDomainAttack, detection, calibration, confident, curves, checks } = made;
  assert.deepEqual([inDomain, inDomainAttack, detection, calibration], [null, null, null, null]);
  assert.equal(confident.inDomain, null);
  assert.ok(confident.clean >= 0 && confident.attacked >= confident.clean);
  assert.equal(curves.tau.length, 20);
  for (const { inDomain, clean, attacked } of curves.tau) {
    assert.deepEqual([inDomain, clean.auroc, attacked.auroc], [null, null, null]);
  }
  assert.deepEqual(curves.epsilon.map(({ auroc }) => auroc), [null, null, null]);
  assert.ok(curves.epsilon.every(({ entropy }) => entropy.value !== null));
  assert.ok(!("accuracy" in checks.results));
  assert.ok(!("auroc" in (checks.results["convergence"]?.figures ?? {})));
  assert.match(made.withoutInDomain?.reason ?? "", /^There are no in-domain images, so accuracy, /);
}

testWithShared(
  "a model file is attacked on a folder alone: document, text, page, list, repeat and comparison",
  ["reference/onnx/mlp.onnx"],
  () =>
    inFolder(async (cwd) => {
      await writeImages(cwd);
      const asked = ["--model-file", mlp, "--out-domain", "./my_images"];
      const first = await task("attack", [...asked, "--json"], { cwd });
      const made = document(first);
      assert.match(
        first.stderr,
        /^There are no in-domain images; --in-domain NAME or FOLDER would/m,
      );
      checkNulls(made);
      assert.deepEqual([made.schema, made.withoutInDomain?.classes, made.outDomain.count], [
        "mirage/attack@10",
        10,
        6,
      ]);
      assert.ok((made.adversarial.entropy ?? NaN) < (made.clean.entropy ?? NaN));
      assert.deepEqual(made.warnings.filter((warning) => warning.includes("guessing")), []);
      const radius = (epsilonAttack: number): string | undefined =>
        /epsilon .*?(?=, 10 steps)/.exec(showAttack({ ...made, epsilonAttack }))?.[0];
      assert.deepEqual([made.epsilonAttack, 0.1].map(radius), [
        "epsilon 8/255 (the default without in-domain images)",
        "epsilon 0.1",
      ]);

      const run = await onlyRun(join(cwd, "trained_models"), "attack");
      const verified = await task("verify", [run], { cwd });
      assert.match(verified.stdout, /the same to the last bit/, verified.stderr);
      const again = await task("attack", ["--config", `${run}/run.json`, "--json"], { cwd });
      assert.deepEqual({ ...document(again), seconds: null }, { ...made, seconds: null });
      assert.equal(await onlyRun(join(cwd, "trained_models"), "attack"), run);
      await checkPage(join(run, "report.html"));

      const other = await task("attack", [...asked, "--epsilon-attack", "0.1"], { cwd });
      assert.equal(other.code, 0, other.stderr);
      assert.match(
        other.stdout,
        /^There are no in-domain images, .* --in-domain NAME or FOLDER tells/m,
      );
      assert.match(other.stdout, /^confidence above 0\.9: out-domain \d+\.\d %, attacked /m);
      assert.doesNotMatch(other.stdout, /NaN|null|undefined|AUROC (clean|by)|ECE/);
      const { stdout: rows } = await task("runs", [], { cwd });
      assert.equal([...rows.matchAll(/ – │/g)].length, 2, rows);
      const runs = [...Deno.readDirSync(join(run, ".."))].filter(({ name }) =>
        name.startsWith("attack-")
      );
      const folders = runs.map(({ name }) => join(run, "..", name));
      assert.equal(folders.length, 2);
      const compared = await task("report", [...folders, "--out", "both.html"], { cwd });
      assert.equal(compared.code, 0, compared.stderr);
      const both = await Deno.readTextFile(join(cwd, "both.html"));
      assert.match(both, /Runs without in-domain images have no AUROC and no accuracy\./);
      assert.equal([...both.matchAll(/<svg /g)].length, 3);
      assert.doesNotMatch(both, /aria-label="[^"]*AUROC|NaN|undefined/);
    }),
);

/** Holds an attack's page against the parts that it has without in-domain images. */
async function checkPage(path: string): Promise<void> {
  const page = await Deno.readTextFile(path);
  const headings = [...page.matchAll(/<h2>([^<]+)/g)].map(([, heading]) => heading);
  assert.deepEqual(headings, [
    "Key figures",
    "Confidence before and after",
    "Images",
    "Against the radius of the attack",
    "Confident answers",
    "Whether to believe the attack",
    "All figures",
    "How it was made",
  ]);
  assert.match(
    page,
    /<p class="about">There are no in-domain images, so accuracy, [^<]* tells them\./,
  );
  assert.match(page, /classes that the model tells apart<\/th><td>10</);
  assert.doesNotMatch(page, /NaN|undefined|accuracy in-domain|aria-label="[^"]*AUROC/);
}

Deno.test("a checkpoint gives the same out-domain figures with and without in-domain images", () =>
  inFolder(async (cwd) => {
    const quick = ["--mode", "baseline", "--limit", "20"];
    const { code, stdout, stderr } = await task(
      "train",
      [...quick, "--epochs", "1", "--json"],
      { cwd },
    );
    assert.equal(code, 0, stderr);
    const [member] = trainResultSchema.parse(JSON.parse(stdout)).members;
    const asked = [...quick, "--checkpoint", member?.best.path ?? "", "--json"];
    const whole = document(await task("attack", asked, { cwd }));
    const alone = document(await task("attack", [...asked, "--in-domain", "none"], { cwd }));
    checkNulls(alone);
    for (const part of ["clean", "adversarial", "outDomain", "attack", "trained"] as const) {
      assert.deepEqual(alone[part], whole[part], part);
    }
    assert.equal(whole.withoutInDomain, undefined);
    const { accuracy: _, convergence: __, ...others } = whole.checks.results;
    const { convergence: ___, ...found } = alone.checks.results;
    assert.deepEqual(found, others);
    assert.deepEqual(
      alone.curves.tau.map(({ clean }) => clean.rejected),
      whole.curves.tau.map(({ clean }) => clean.rejected),
    );
    // The checkpoint says what it was taught, and so what its classes are called.
    assert.deepEqual(alone.withoutInDomain?.classNames, whole.inDomain?.classNames);
    assert.equal(alone.withoutInDomain?.classes, 10);

    const missing = await task(
      "attack",
      [...asked, "--in-domain", "fashion-mnist", "--data-path", "."],
      { cwd },
    );
    assert.match(missing.stderr, /is missing; run .*, or attack without it by --in-domain none\n$/);
  }));

const refused: readonly (readonly [
  command: "attack" | "eval" | "train",
  args: readonly string[],
  says: RegExp,
])[] = [
  [
    "attack",
    ["--on", "in"],
    /--on in attacks them; name a set or a folder by --in-domain, or leave/,
  ],
  ["attack", ["--on", "both"], /^Cannot attack without in-domain images: --on both attacks them; /],
  ["attack", ["--battery", "fast"], /^Cannot make a battery without in-domain images: /],
  ["attack", ["--scores", "all"], /^Cannot fit scores without in-domain images: /],
  ["attack", ["--labels", "x.txt"], /^Cannot use --labels here: it is for images of your own; /],
  ["attack", ["--objective", "feature"], /the objective "feature" takes class means of training/],
  ["eval", [], /^Cannot evaluate without in-domain images: .*, or use attack$/],
];

Deno.test("what needs in-domain images is refused in a sentence, before anything is made", () =>
  inFolder(async (cwd) => {
    await writeImages(cwd, 2, 4);
    await Deno.writeFile(join(cwd, "small.onnx"), smallNetwork());
    const asked = ["--model-file", "small.onnx", "--out-domain", "./my_images"];
    const all = [
      ...refused.map(([command, args, says]) => [command, [...asked, ...args], says] as const),
      ["train", ["--in-domain", "none"], /^Cannot train without in-domain images: /],
      [
        "attack",
        ["--in-domain", "none"],
        /^Cannot run without in-domain images: there is no trained model to attack; name one by /,
      ],
      ["attack", [...asked.slice(0, 2), "--out-domain", "svhn"], /the model takes 1x4x4; /],
      ["attack", asked.slice(0, 2), /or attack without by --out-domain FOLDER$/],
    ] as const;
    for (const [command, args, says] of all) {
      const { code, stdout, stderr } = await task(command, args, { cwd });
      assert.match(stderr.trim().replaceAll(/\s+/g, " "), says);
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.ok(stderr.length < 500);
    }
    await assert.rejects(Deno.stat(join(cwd, "trained_models")), Deno.errors.NotFound);
  }));

Deno.test("a model file alone means the out-domain set alone", () => {
  const of = { mode: "baseline", modelFile: "a/model.onnx", outDomain: "./mine" } as const;
  assert.deepEqual(runConfig(of), runConfig({ ...of, inDomain: "none" }));
  assert.equal(runConfig(of).inDomain, "none");
  assert.equal(runConfig({ ...of, inDomain: "mnist" }).inDomain, "mnist");
});
