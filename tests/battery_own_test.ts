/** Attacks and objectives out of modules of the user's own as members of a battery. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "../src/base/digest.ts";
import { silent } from "../src/base/reporter.ts";
import { attack } from "../src/experiment/attack.ts";
import { battery } from "../src/experiment/battery.ts";
import { batteryDocument } from "../src/experiment/battery_document.ts";
import { planOf } from "../src/experiment/battery_members.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { partsOf } from "../src/experiment/parts.ts";
import { openWorkbench } from "../src/experiment/workbench.ts";
import { readArchive, readRun } from "../src/runs/folder.ts";
import { task } from "./program.ts";
import { inFolder, onlyRun } from "./support.ts";
import { trained } from "./trained.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const [l2, entropy] = ["attack_l2_pgd.ts", "objective_entropy.ts"]
  .map((name) => `${examples}/${name}` as const) as [`${string}.ts`, `${string}.ts`];

const ball = { norm: "l2", epsilonAttack: 1.5 } as const;
const run = { mode: "baseline", limit: 20, battery: "fast", on: "out" } as const;

Deno.test("an objective of one's own is a member as the battery's own are, an attack of one's own as it is by itself", () =>
  inFolder(async (savePath) => {
    await trained(savePath);
    /** Every member's scores by its name. */
    const madeBy = async (options: Partial<RunOptions>): Promise<Map<string, string>> => {
      const folder = join(savePath, "runs");
      await Deno.remove(folder, { recursive: true }).catch(() => undefined);
      const config = runConfig({ ...run, ...ball, savePath, ...options });
      const { battery: { members } } = batteryDocument.parse(await battery(config, silent));
      const path = await onlyRun(savePath, "battery");
      const archive = await readArchive(path, await readRun(path), "battery");
      const { shape: [, n = 0], data } = archive.get("out.entropy") ?? assert.fail();
      return new Map(
        members.map(({ name }, k) => [name, String(data.subarray((k + 1) * n, (k + 2) * n))]),
      );
    };
    const objective = await madeBy({ objective: entropy });
    assert.equal([...objective.keys()].at(-1), "apgd own entropy");
    assert.equal(objective.get("apgd own entropy"), objective.get("apgd entropy"));
    const own = await madeBy({ attack: l2 });
    assert.equal([...own.keys()].at(-1), "own l2 pgd published");
    assert.deepEqual([...own].slice(0, -1), [...objective].slice(0, -1));
    const { clean, adversarial } = await attack(
      runConfig({ mode: "baseline", limit: 20, savePath, ...ball, attack: l2 }),
    );
    const scores = own.get("own l2 pgd published")?.split(",").map(Number) ?? [];
    const mean = -scores.reduce((a, b) => a + b) / scores.length;
    assert.ok(Math.abs(mean - (adversarial.entropy ?? NaN)) < 1e-6, `${mean}`);
    assert.ok(mean < (clean.entropy ?? NaN));
  }));

Deno.test("both make one member; a run keeps the digests of the modules, is verified, and repeated with their texts alone", () =>
  inFolder(async (cwd) => {
    await trained(join(cwd, "trained_models"));
    const [attack, objective] = [l2, entropy].map((path) => Deno.readTextFileSync(path));
    await Deno.writeTextFile(join(cwd, "mine.ts"), attack ?? "");
    await Deno.writeTextFile(join(cwd, "aim.ts"), objective ?? "");
    const args = [
      ...["--mode", "baseline", "--limit", "20", "--battery", "fast", "--on", "out"],
      ...["--norm", "l2", "--epsilon-attack", "1.5"],
      ...["--attack", "./mine.ts", "--objective", "./aim.ts"],
    ];
    const { code, stdout, stderr } = await task("attack", args, { cwd });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /own l2 pgd own entropy/);
    const folder = await onlyRun(join(cwd, "trained_models"), "battery");
    const { identity, config } = await readRun(folder);
    const digests = { attack: sha256(attack ?? ""), objective: sha256(objective ?? "") };
    assert.deepEqual(identity["modules"], digests);
    assert.deepEqual([config["attack"], config["objective"]], ["./mine.ts", "./aim.ts"]);
    const page = await Deno.readTextFile(join(folder, "report.html"));
    assert.ok(page.includes(digests.attack) && page.includes("own l2 pgd own entropy"));
    const verified = await task("verify", [folder], { cwd });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);

    await Deno.writeTextFile(join(cwd, "aim.ts"), `${objective}// another\n`);
    const again = await task("attack", ["--config", join(folder, "run.json")], { cwd });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /the objective in "\.\/aim\.ts" is not the one that the run used/);
  }));

Deno.test("what is wrong with a member of one's own is said before anything is trained; names are refused", () =>
  inFolder(async (cwd) => {
    const wrong = async (text: string, says: RegExp, mode: "sngp" | "baseline"): Promise<void> => {
      const path = `${cwd}/${crypto.randomUUID()}.ts` as const;
      await Deno.writeTextFile(path, text);
      const config = runConfig({ mode, battery: "plus", savePath: cwd, objective: path });
      using bench = await openWorkbench(config, "use", silent);
      await assert.rejects(partsOf(config).then((parts) => planOf(bench, parts)), says);
    };
    const mine = (name: string, members = ""): string =>
      'import { objectives } from "mirage";\n' +
      `export default { ...objectives.entropy, name: "${name}", ${members} };`;
    await wrong(mine("mine", "loss: () => 1"), /its loss\(\) gives 1; let it give/, "sngp");
    await wrong(
      mine("mine", 'needs: ["native"]'),
      /^UserError: Cannot attack by the objective "mine": the model has no score of its own/,
      "baseline",
    );
    await wrong(
      mine("entropy from contrast"),
      /Cannot add "apgd entropy from contrast" to the battery: a member has that name; name/,
      "baseline",
    );
    for (const [flag, value] of [["--attack", "pgd"], ["--objective", "entropy"]] as const) {
      const { code, stderr } = await task("attack", ["--battery", "fast", flag, value], { cwd });
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`Cannot use ${flag} here: the members of the battery fast`));
    }
  }));
