/** Attacks and objectives out of modules of the user's own, as a user runs them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAttack, loadObjective, objectives } from "../src/attack/mod.ts";
import { sha256 } from "../src/base/digest.ts";
import { UserError } from "../src/base/errors.ts";
import { loadModule } from "../src/base/module.ts";
import { attack, attackSettings } from "../src/experiment/attack.ts";
import { modes, runConfig } from "../src/experiment/config.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { partsOf, tryParts } from "../src/experiment/parts.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { table } from "../src/experiment/table.ts";
import { newModel } from "../src/experiment/workbench.ts";
import { single } from "../src/methods/mod.ts";
import { readRun } from "../src/runs/folder.ts";
import { type Outcome, task } from "./program.ts";
import { inFolder, onlyRun } from "./support.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const [l2, entropy] = ["attack_l2_pgd.ts", "objective_entropy.ts"]
  .map((name) => `${examples}/${name}` as const) as [`${string}.ts`, `${string}.ts`];

const quick = ["--limit", "20", "--epochs", "1", "--json"];

/** What an attack says that ends well. */
async function attacked(
  cwd: string,
  ...args: string[]
): Promise<ReturnType<typeof attackResultSchema.parse>> {
  const { code, stdout, stderr } = await task("attack", [...quick, ...args], { cwd });
  assert.equal(code, 0, stderr);
  return attackResultSchema.parse(JSON.parse(stdout));
}

Deno.test("the example of an attack does what Mirage's own does, to the bit", () =>
  inFolder(async (cwd) => {
    const ball = ["--norm", "l2", "--epsilon-attack", "1.5", "--steps", "3"];
    const own = await attacked(cwd, "--attack", l2, ...ball);
    const builtIn = await attacked(
      cwd,
      ...["--attack", "pgd", "--keep", "last", "--start", "projected"],
      ...ball,
    );
    const { name, ...settings } = builtIn.attack;
    assert.deepEqual([name, own.attack], ["pgd", { ...settings, name: "own l2 pgd" }]);
    assert.ok(own.adversarial.distance > 0.1);
    for (const part of ["clean", "adversarial", "detection", "curves"] as const) {
      assert.deepEqual(own[part], builtIn[part], part);
    }
    assert.deepEqual(own.checks, builtIn.checks);
    assert.equal(own.procedure["attack"], l2);
  }));

Deno.test("the example of an objective does what Mirage's own does, to the bit", () =>
  inFolder(async (cwd) => {
    // A path from where the user stands.
    await Deno.copyFile(entropy, join(cwd, "mine.ts"));
    const own = await attacked(cwd, "--objective", "mine.ts", "--steps", "3");
    const builtIn = await attacked(cwd, "--objective", "entropy", "--steps", "3");
    assert.deepEqual(own.attack, { ...builtIn.attack, objective: "own entropy" });
    for (const part of ["clean", "adversarial", "detection", "checks"] as const) {
      assert.deepEqual(own[part], builtIn[part], part);
    }
  }));

Deno.test("a run keeps the digest of its module: another text is another run, and repeats none", () =>
  inFolder(async (cwd) => {
    const [path, savePath] = [join(cwd, "mine.ts"), join(cwd, "trained_models")];
    const text = await Deno.readTextFile(l2);
    await Deno.writeTextFile(path, text);
    const args = ["--norm", "l2", "--epsilon-attack", "1", "--attack", "./mine.ts", "--steps", "2"];
    const first = await attacked(cwd, ...args);
    const folder = await onlyRun(savePath, "attack");
    const { config, identity } = await readRun(folder);
    assert.equal(config["attack"], "./mine.ts");
    assert.deepEqual(identity["modules"], { attack: sha256(text) });

    const again = async (): Promise<Outcome[]> => [
      await task("attack", ["--config", join(folder, "run.json"), "--json"], { cwd }),
      await task("verify", [folder, "--json"], { cwd }),
    ];
    const [repeated, verified] = await again();
    assert.equal(repeated?.code, 0, repeated?.stderr);
    assert.deepEqual(JSON.parse(repeated?.stdout ?? "").adversarial, first.adversarial);
    assert.equal(JSON.parse(verified?.stdout ?? "").verified, true, verified?.stderr);
    assert.equal(await onlyRun(savePath, "attack"), folder);
    const page = await Deno.readTextFile(join(folder, "report.html"));
    assert.ok(page.includes(sha256(text)) && page.includes("own l2 pgd"));

    await Deno.writeTextFile(path, `${text}// another\n`);
    for (const { code, stdout, stderr } of await again()) {
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(
        stderr,
        /^Cannot repeat ".*run\.json": the attack in "\.\/mine\.ts" is not the one that the run used; /,
      );
    }
    await attacked(cwd, ...args);
    await assert.rejects(onlyRun(savePath, "attack"), /attack-.*attack-/);
  }));

Deno.test("what is wrong with a module is one sentence with a remedy, before anything is trained", () =>
  inFolder(async (cwd) => {
    const own = (members: string): string =>
      'import { attacks, iterate, nn } from "mirage";\n' +
      `export default { ...attacks.pgd, name: "own", ${members} };`;
    const wrong: readonly (readonly [text: string | undefined, says: string])[] = [
      [undefined, 'Cannot read "./mine.ts": there is no such file; check the path'],
      ["export default {", 'it is no module of TypeScript or JavaScript, "Unexpected token'],
      [
        'import { hope } from "mirage"; export default hope;',
        "it is no module of TypeScript or JavaScript, \"The requested module 'mirage' does not provide " +
        "an export named 'hope'\" (line 1); mend it there",
      ],
      [
        '\nthrow new Error("no luck");',
        'it throws "no luck" (line 2) while it loads; mend it there',
      ],
      ["throw 3;", 'it throws "3" while it loads; mend it there'],
      [
        "export const a = 1;",
        'it has no default export; end it with "export default" and the attack',
      ],
      [
        "export default 3;",
        "its default export is 3; export an object with name, settings, prepare, ",
      ],
      [
        own('name: "pgd"'),
        'its "name" is "pgd"; make it a text of 1 to 40 letters, digits, spaces, ',
      ],
      [
        own(`name: "${"x".repeat(41)}"`),
        "that is none of Mirage's own, fgsm, pgd, apgd, square, published",
      ],
      [own("prepare: undefined"), 'its "prepare" is missing; make it a function'],
      [own('objective: "hope"'), 'its "objective" is "hope"; make it one of published, logProb'],
      [own("settings: () => 3"), "its settings() gives 3; let it give an object of AttackSettings"],
      [
        own("settings: (e) => attacks.pgd.settings(2 * e)"),
        'the "epsilon" of what its settings() gives is 0.2; make it the radius that it is given, here 0.1',
      ],
      [
        own("\nsettings: () => hope()"),
        'its settings() throws "hope is not defined" (line 3); mend ',
      ],
      [
        own('prepare() { throw new RangeError("not today") }'),
        'its prepare() throws "not today" (line 2); mend it there',
      ],
      [
        own("prepare: (...of) => ({ ...iterate(...of), repeats: 0 })"),
        'the "repeats" of what its prepare() gives is 0; make it a whole number from 1 on',
      ],
      [
        own("prepare: (...of) => ({ ...iterate(...of), step: () => nn.add(1, [2]) })"),
        'its step() throws "',
      ],
      [
        own(
          "prepare(...of) { const i = iterate(...of); " +
            "return { ...i, step: () => ({ updates: new Map([[i.count, i.current.tensor]]) }) }; }",
        ),
        "its step() gives a tensor of shape [2, 1, 28, 28]; let it give a tensor of shape [1]",
      ],
    ];
    for (const [text, says] of wrong) {
      await Deno.remove(join(cwd, "mine.ts")).catch(() => {});
      if (text !== undefined) await Deno.writeTextFile(join(cwd, "mine.ts"), text);
      await refused(cwd, ["--attack", "./mine.ts"], says);
    }
    await assert.rejects(Deno.stat(join(cwd, "trained_models")), Deno.errors.NotFound);
  }));

Deno.test("an objective is held to what it must be, too", () =>
  inFolder(async (cwd) => {
    const path = join(cwd, "mine.mjs");
    const wrong: readonly (readonly [members: string, says: string])[] = [
      ['name: "entropy"', 'its "name" is "entropy"; make it a text of '],
      ["about: 3", 'its "about" is 3; make it a text'],
      ["loss: undefined", 'its "loss" is missing; make it a function'],
      [
        "loss: (_, images) => images",
        "its loss() gives a tensor of shape [2, 1, 28, 28]; let it give",
      ],
      ["loss: () => 1", "its loss() gives 1; let it give a tensor of shape [2]"],
      [
        'loss() { throw new Error("no luck") }',
        'its loss() throws "no luck" (line 2); mend it there',
      ],
    ];
    for (const [members, says] of wrong) {
      await Deno.writeTextFile(
        path,
        'import { objectives } from "mirage";\n' +
          `export default { ...objectives.entropy, name: "own", ${members} };`,
      );
      await refused(cwd, ["--objective", "mine.mjs"], says);
    }
    // What it needs of a model, and what it can do, is asked of it as of Mirage's own.
    await Deno.copyFile(entropy, path.replace(".mjs", ".ts"));
    await refused(
      cwd,
      ["--objective", "mine.ts", "--targeted", "3"],
      'Cannot attack by the objective "own entropy": it steers to no class; choose ',
    );
  }));

/** Holds that an attack ends in a sentence. */
async function refused(cwd: string, args: string[], says: string): Promise<void> {
  const { code, stdout, stderr } = await task("attack", [...quick, ...args], { cwd });
  assert.deepEqual([code, stdout], [1, ""], stderr);
  assert.ok(stderr.includes(says), `${stderr}, not ${says}`);
  assert.match(stderr, /^Cannot [^\n]+; [^\n]+\n$/);
}

Deno.test("a module imports files and Mirage, nothing from the network", () =>
  inFolder(async (cwd) => {
    const cases = {
      "https://esm.sh/left-pad": /it imports what is not part of this project, "A remote specifier/,
      "https://example.com/x.ts": /it imports what is not part of this project, "Requires import/,
      "jsr:@std/assert": /it imports what is not part of this project, "JSR package/,
      "left-pad":
        /it imports what is not part of this project, .*; import files of yours, and Mirage /,
      "./hope.ts": /it imports "file:.*hope\.ts", which is not there; check the path/,
    };
    for (const [name, says] of Object.entries(cases)) {
      await Deno.writeTextFile(join(cwd, "mine.ts"), `import "${name}";\nexport default {};`);
      const { code, stderr } = await task("attack", ["--attack", "./mine.ts"], { cwd });
      assert.equal(code, 1);
      assert.match(stderr, says);
      assert.match(stderr, /^Cannot use the attack in "\.\/mine\.ts": [^\n]+\n$/);
    }
    // Of another Mirage, whose graphs are not ours: a copy of the layer that makes them.
    const other = join(cwd, "other");
    const root = fileURLToPath(new URL("..", import.meta.url));
    for (const part of ["src/nn", "src/base", "src/shaders"]) {
      await copyFolder(join(root, part), join(other, part));
    }
    await Deno.copyFile(join(root, "deno.json"), join(other, "deno.json"));
    await Deno.writeTextFile(
      join(cwd, "mine.ts"),
      (await Deno.readTextFile(entropy)).replace(
        'import { nn, type Objective } from "mirage"',
        'import type { Objective } from "mirage"; import * as nn from "./other/src/nn/mod.ts"',
      ),
    );
    await refused(
      cwd,
      ["--objective", "./mine.ts"],
      'its loss() gives a tensor of another Mirage; import the functions that make it from "mirage"',
    );
  }));

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const copy = isDirectory ? copyFolder : Deno.copyFile;
    await copy(join(from, name), join(to, name));
  }
}

Deno.test("a value is a name or a path; a misspelt name gets its guess as before", () =>
  inFolder(async (cwd) => {
    const cases: readonly (readonly [args: string[], says: RegExp])[] = [
      [["--attack", "pdg"], /^Error: `--attack`: Expected one of "published", .*, but got "pdg"\./],
      [["--objective", "entrpy"], /but got "entrpy"\. Did you mean one of these\? "entropy"/],
      [["--attack", "."], /^Error: `--attack`: Expected one of .* but got "\."/],
      [["--attack", "a\\b"], /^Cannot read "a\\b": there is no such file/],
      [["--attack", "mine.js"], /^Cannot read "mine\.js": there is no such file/],
      [["--attack", "./"], /^Cannot read "\.\/": it is a folder; name a file/],
      // It is an attack for which there is a choice of steps, or there is none.
      [
        ["--attack", l2, "--keep", "best"],
        /^Cannot use --keep here: own l2 pgd, the attack on sngp/,
      ],
    ];
    for (const [args, says] of cases) {
      const { code, stdout, stderr } = await task("attack", args, { cwd });
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr.replaceAll(/\s+/g, " "), says);
    }
    for (const option of ["attack", "objective"] as const) {
      assert.throws(
        () => runConfig({ mode: "sngp", [option]: "hope" }),
        new RegExp(
          `^UserError: Cannot run with ${option} = hope: Invalid option: expected one of `,
        ),
      );
      const { code, stderr } = await task("eval", [`--${option}`, "./mine.ts"], { cwd });
      assert.equal(code, 1);
      assert.equal(stderr, `Cannot use --${option} here: eval does not attack; use attack\n`);
    }
    const { code, stderr } = await task("table", ["mnist", "--attack", l2, "--step-factor", "2"], {
      cwd,
    });
    const place = /^Cannot make a table with the attack in ".*": .*; use attack\n$/;
    assert.equal(code, 1);
    assert.match(stderr, place);
    const run = { objective: entropy } as const;
    await assert.rejects(
      table({ pair: "mnist", run, seeds: 1, ensembles: 1, modes: [], ablate: [] }),
      /^UserError: Cannot make a table with the objective in /,
    );
  }));

Deno.test("modules go with every mode, and with programs, which load another text as another module", () =>
  inFolder(async (savePath) => {
    for (const mode of modes) {
      const config = runConfig({
        mode,
        attack: l2,
        objective: entropy,
        norm: "l2",
        epsilonAttack: 1,
      });
      assert.equal(config.steps, undefined);
      const parts = await partsOf(config);
      const setup = await openSetup(config, "use");
      const settings = attackSettings(config, parts.attack);
      const model = newModel(setup, 0);
      const [part = assert.fail()] = single([model]).attacked;
      const { imageShape } = model;
      tryParts(parts, settings, { model: part, imageShape, target: undefined });
      assert.deepEqual(Object.keys(parts.modules ?? {}), ["attack", "objective"]);
    }
    const { attack: made } = await attack(runConfig({
      ...{ mode: "deep_ensemble", numEnsembles: 2, limit: 20, epochs: 1, savePath },
      ...{ attack: l2, objective: entropy, norm: "l2", epsilonAttack: 1 },
    }));
    assert.deepEqual([made.name, made.objective, made.steps], ["own l2 pgd", "own entropy", 10]);

    const path = `${savePath}/mine.ts` as const;
    const about = async (text: string): Promise<string> => {
      await Deno.writeTextFile(
        path,
        (await Deno.readTextFile(entropy)).replace('"the entropy of', `"${text}`),
      );
      return (await loadObjective(path)).made.about;
    };
    assert.deepEqual([await about("a"), await about("b")], ["a the answer", "b the answer"]);
    assert.equal((await loadAttack(l2)).made.name, "own l2 pgd");
    assert.equal(objectives.entropy.about, "the entropy of the answer");
    // All of Mirage in one file: nothing could be imported from it.
    await assert.rejects(loadModule("attack", l2, true), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /: this Mirage is a single file, .*; run it in a clone, by \.\/denow/,
      );
      return true;
    });
  }));
