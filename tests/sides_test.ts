/** `--direction` and `--on` through the program: what is attacked and to what end is what the document says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { batteryDocument } from "../src/experiment/battery_document.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";
import { trained } from "./trained.ts";

Deno.test("an attack in either direction, on either set, says which, and does it", () =>
  inFolder(async (folder) => {
    await trained(folder, { mode: "baseline", epochs: 5 });
    const made = async (
      ...flags: string[]
    ): Promise<ReturnType<typeof attackResultSchema.parse>> => {
      const args = [
        "--mode",
        "baseline",
        "--limit",
        "20",
        "--save-path",
        folder,
        "--attack",
        "pgd",
      ];
      const { code, stdout, stderr } = await task("attack", [...args, ...flags, "--json"], {
        cwd: folder,
      });
      assert.equal(code, 0, stderr);
      return attackResultSchema.parse(JSON.parse(stdout));
    };
    const over = await made();
    assert.deepEqual([over.attack.direction, over.attack.on, over.inDomainAttack], [
      "over",
      "out",
      null,
    ]);
    const fall = ({ clean, adversarial }: typeof over): number =>
      (clean.entropy ?? NaN) - (adversarial.entropy ?? NaN);
    assert.ok(fall(over) > 0);
    const under = await made("--direction", "under");
    assert.equal(under.attack.direction, "under");
    assert.ok(fall(under) < 0, "less sure");
    const own = await made("--on", "in");
    assert.equal(own.attack.on, "in");
    assert.equal(fall(own), 0, "out-domain images stay as they are");
    assert.equal(own.inDomainAttack?.direction, "under");
    assert.ok((own.inDomainAttack?.entropy ?? NaN) > 0);
    assert.equal(new Set(own.warnings).size, own.warnings.length);
    const [start, , end] = own.curves.epsilon;
    assert.equal(start?.images, 20);
    assert.ok((end?.entropy.value ?? NaN) > (start?.entropy.value ?? NaN), "of the attacked ones");
    const both = await made("--on", "both");
    assert.deepEqual(both.adversarial, over.adversarial);
    assert.deepEqual(
      Object.keys(both.inDomainAttack?.scores["entropy"] ?? {}).toSorted(),
      ["attacked", "clean", "kept"],
    );
    const refused = await task("attack", ["--direction", "under", "--targeted", "3"], {
      cwd: folder,
    });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Cannot use --targeted here: it steers out-domain images/);
  }));

Deno.test("a battery on one set has no figures of the other, on the terminal and on its page", () =>
  inFolder(async (folder) => {
    await trained(folder, { mode: "baseline" });
    const args = [
      "--mode",
      "baseline",
      "--limit",
      "20",
      "--save-path",
      folder,
      "--battery",
      "fast",
    ];
    const { code, stdout, stderr } = await task("attack", [...args, "--on", "out", "--json"], {
      cwd: folder,
    });
    assert.equal(code, 0, stderr);
    const { scores, accuracy, battery } = batteryDocument.parse(JSON.parse(stdout));
    const { columns, kept, adaptive } = scores["entropy"] ?? assert.fail();
    assert.deepEqual([columns.in, columns.both, kept.worst, adaptive.both, accuracy.robust], [
      null,
      null,
      null,
      null,
      null,
    ]);
    assert.ok((columns.out?.auroc.value ?? NaN) <= (columns.clean.auroc.value ?? NaN));
    // The baseline has no score of its own to attack.
    assert.deepEqual(battery.leftOut.map(({ name }) => name), ["apgd native"]);
    const shown = await task("attack", [...args, "--on", "out"], { cwd: folder });
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /where out-domain images are at their worst/);
    assert.match(shown.stdout, /Left out: apgd native\. /);
    for await (const { name } of Deno.readDir(join(folder, "runs"))) {
      if (!name.startsWith("battery-")) continue;
      const page = await Deno.readTextFile(join(folder, "runs", name, "report.html"));
      assert.ok(page.includes("Which attack broke which score"));
    }
  }));
