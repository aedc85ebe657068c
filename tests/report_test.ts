/** Reports: what is on the pages, that nothing gets out of its place. */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { leaveReport, reportResultSchema, writeReport } from "../src/cli/report.ts";
import { UserError } from "../src/base/errors.ts";
import type { ChecksResult } from "../src/measure/schema.ts";
import { evidenceOf, evidenceSections } from "../src/report/evidence.ts";
import { markup } from "../src/report/html.ts";
import { readContent, report, reportOn } from "../src/report/mod.ts";
import { furtherFigures } from "../src/report/sections.ts";
import { evalVerdict, meanNote } from "../src/report/verdicts.ts";
import { attack } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { train } from "../src/experiment/train.ts";
import { table } from "../src/experiment/table.ts";
import { task } from "./program.ts";
import { folderOf, quick } from "./run_folder.ts";
import { inFolder } from "./support.ts";

const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

/** As `assert.match()`, which would print the whole page. */
function holds(page: string, pattern: RegExp): void {
  assert.ok(pattern.test(page), `the page lacks ${pattern}`);
}

/** What holds for every page. */
function checkPage(page: string): void {
  holds(page, /^<!DOCTYPE html>\n<html lang="en">/);
  assert.equal(count(page, /<h1>/g), 1);
  holds(page, /<title>[^<]+ - Mirage<\/title>/);
  assert.ok(!/https?:/.test(page), "an address");
  assert.ok(!/<script|<link|<iframe|@import|url\(/i.test(page), "something from elsewhere");
  assert.ok(!/NaN|undefined|\[object/.test(page), "a value that is none");
  assert.equal(count(page, /<svg /g), count(page, /<svg role="img" aria-label="[^"]+" width/g));
  assert.equal(count(page, /<img /g), count(page, /<img src="data:image\/png[^"]+" alt="[^"]+">/g));
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length, "an id twice");
}

Deno.test("the page of a table holds the figures beside the paper's, and their curves", () =>
  inFolder(async (savePath) => {
    let folder = "";
    const { mode: _, ...run } = { ...quick, savePath };
    await table({ pair: "mnist", run, seeds: 1, ensembles: 1, modes: ["sngp"], ablate: [] }, {
      note: () => {},
      progress: () => ({ update: () => {}, stop: () => {} }),
      kept: (path) => folder = path,
    });
    const page = await report([folder]);
    checkPage(page);
    holds(page, /<h1>[^<]*the paper(?:'|&#39;)s tables<\/h1>/);
    assert.equal(count(page, /<svg /g), 5);
    holds(page, /<th scope="col">AUROC, 0.3<\/th>/);
    holds(page, /\(1\.22\)/);
    await assert.rejects(report([folder, folder + "/"]), /a table stands alone/);
  }));

Deno.test("the page of an attack holds verdict, tables, charts, images and how it was made", () =>
  inFolder(async (savePath) => {
    const folder = await folderOf(attack, { savePath });
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.ok(!left.includes("report.html"), "the library call makes no report");
    const page = await report([folder]);
    checkPage(page);
    holds(page, /<h1>SNGP attacked, epsilon 0.1, seed 0<\/h1>/);
    holds(page, /<p class="verdict">The (attack|model is (no|not clearly) better than guessing) /);
    const headings = [...page.matchAll(/<h2>([^<]+)/g)].map(([, heading]) => heading);
    assert.deepEqual(headings, [
      "Key figures",
      "Confidence before and after",
      "Telling in-domain from out-domain images",
      "Images",
      "Against the radius of the attack",
      "Calibration",
      "Whether to believe the attack",
      "All figures",
      "How it was made",
    ]);
    assert.equal(count(page, /<img /g), 18 * 3);
    assert.equal(count(page, /<details>/g), 2);
    assert.equal(count(page.split("<details>")[0] ?? "", /<img /g), 6 * 3);
    holds(page, /<p>Image \d+, letter [A-J]: digit \d \(\d+ %\) → <b>digit \d \(\d+ %\)<\/b>/);
    holds(
      page,
      /AUROC by MSP<\/th><td>[\d.]+ \[[\d.]+,\u00a0[\d.]+\]/,
    );
    assert.equal(count(page, /<svg /g), 18 + 2 + 3 + 2);
    holds(page, /Every point is of the same 64 out-domain images; at 0 they are clean/);
    assert.equal(count(page, /alt="Image \d+: perturbation/g), 18);
    const { run, figures } = await readContent(folder);
    for (const digest of [run.digest, ...run.checkpoints.map(({ sha256 }) => sha256)]) {
      assert.ok(page.includes(digest), digest);
    }
    assert.equal(figures.seed, 0);
    assert.ok(!page.includes(savePath), "no word of where it was made");
    assert.ok(await report([folder]) === page, "the same again");
  }));

Deno.test("trainings, evaluations and comparisons have pages of their own", () =>
  inFolder(async (savePath) => {
    const trained = await folderOf(train, { savePath, epochs: 2 });
    const evaluated = await folderOf(evaluate, { savePath });
    const ensemble = await folderOf(train, { savePath, mode: "deep_ensemble", numEnsembles: 2 });
    const radii = [0.1, 0.2];
    const attacks: string[] = [];
    await folderOf(train, { savePath, seed: 1, epochs: 2 });
    for (const seed of [0, 1]) {
      for (const epsilonAttack of radii) {
        attacks.push(await folderOf(attack, { savePath, seed, epsilonAttack }));
      }
    }
    const pages = await Promise.all([
      report([trained]),
      report([evaluated]),
      report([ensemble]),
      report([trained, ensemble, evaluated, ...attacks]),
    ]);
    pages.forEach(checkPage);
    const [ofTraining = "", ofEvaluation = "", ofEnsemble = "", comparison = ""] = pages;
    holds(ofTraining, /<h2>Curves<[^]*Loss[^]*Accuracy[^]*<h2>All epochs</);
    holds(
      ofEvaluation,
      /class="verdict">(The model is (no|not clearly) better than [^<]* nothing( yet)?\. )?Of 64 images that are no digits/,
    );
    holds(ofEnsemble, /The 2 members of Deep ensemble get/);
    holds(comparison, /<h1>7 runs compared<\/h1>/);
    holds(comparison, /SNGP, seed 1<br><code>attack-sngp-\w+<\/code><\/th><td>0.2<\/td>/);
    holds(
      comparison,
      /<td>0\.2<\/td>(<td>[01]\.\d{3}<br><[^>]+>\[[01]\.\d{3}, [01]\.\d{3}\]<\/span><\/td>){2}/,
    );
    holds(comparison, /SNGP, attack&#39;s epsilon 0.2<\/th><td>2<\/td><td>[\d.]+ ± [\d.]+<\/td>/);
    assert.equal(count(comparison, /<svg /g), 3 + 2 + 2);
    // Once for the three charts of two runs whose names are short, and in each of the trainings'.
    holds(comparison, /aria-hidden="true" style="color: #\w{6}">■<\/b> /);

    const out = join(savePath, "page.html");
    const written = await writeReport([attacks[0] ?? "", attacks[0] ?? "", attacks[1] ?? ""], out);
    assert.deepEqual(written.runs, attacks.slice(0, 2));
    holds(await Deno.readTextFile(out), /2 runs compared/);

    const said: string[] = [];
    await leaveReport(trained, (message) => said.push(message));
    assert.deepEqual(said.splice(0), [`report: ${join(trained, "report.html")}`]);
    await Deno.remove(join(evaluated, "predictions.safetensors"));
    await leaveReport(evaluated, (message) => said.push(message));
    assert.match(said[0] ?? "", /^No report on eval-sngp-\S+: Cannot read "/);
    await Deno.remove(join(evaluated, "metrics.json"));
    await assert.rejects(
      report([evaluated]),
      (e) => e instanceof UserError && /the run is not finished/.test(e.message),
    );
    await assert.rejects(report([]), UserError);

    const some = await writeReport([evaluated, trained], out, (message) => said.push(message));
    assert.deepEqual(some.runs, [trained]);
    assert.equal(said.at(-1), `Warning: left out as not finished: ${basename(evaluated)}`);
    await Deno.remove(join(trained, "metrics.json"));
    await assert.rejects(
      writeReport([evaluated, trained], out),
      (e) =>
        e instanceof UserError && /: none of them is finished \(eval-.*, train-/.test(e.message),
    );
  }));

Deno.test("names that nobody knows are shown as they are", () =>
  inFolder(async (savePath) => {
    const content = await readContent(await folderOf(attack, { savePath }));
    assert.ok(content.command === "attack");
    const { figures, run } = content;
    assert.ok(figures.inDomain);
    const { detection, checks } = evidenceOf(figures);
    const { maxProbability } = detection?.scores ?? {};
    const page = await reportOn([{
      ...content,
      run: { ...run, checkpoints: [] },
      figures: {
        ...figures,
        mode: "my model",
        model: "Mine",
        seeds: [],
        attack: { ...figures.attack, name: "mineToo", objective: "toString", targeted: 77 },
        inDomain: { ...figures.inDomain, name: "shapes", classNames: null },
        outDomain: { ...figures.outDomain, name: "constructor", classNames: null },
        clean: { ...figures.clean, readings: {} },
        detection: { ...detection, scores: { maxProbability, myOwnScore: maxProbability } },
        checks: {
          ...checks,
          results: { ownCheck: { holds: true, figures: { ownFigure: 0.25 }, warning: null } },
        },
      },
    }]);
    checkPage(page);
    assert.ok(!page.includes("native code"));
    holds(page, /<h1>my model attacked, epsilon 0.1, seed 0<\/h1>/);
    holds(
      page,
      /Mine; protocol paper; mineToo, [^;]*; objective toString; steered to class 77; 64 images of constructor/,
    );
    holds(page, /share taken for class 77/);
    holds(page, /my own score: AUROC/);
    holds(page, /own check<\/th><td>yes<\/td><td>own figure: 0\.250</);
    const compared = await reportOn([content, {
      ...content,
      figures: { ...figures, mode: "my model", model: "Mine" },
    }]);
    checkPage(compared);
    holds(compared, /my model/);
    assert.ok(!/of different images/.test(compared));
    const data = { outDomain: { name: "others", count: 64, sha256: "0" } };
    const apart = await reportOn([content, {
      ...content,
      run: { ...run, identity: { ...run.identity, data } },
      figures: { ...figures, outDomain: { ...figures.outDomain, name: "others" } },
    }]);
    holds(
      apart,
      /class="verdict">The runs are of different images[^<]*: 64 [^;]*; 64 [^;]* others\./,
    );
    holds(apart, /SNGP, out-domain others</);
    const evaluated = evalVerdict({
      model: "Mine",
      inDomain: { count: 10 },
      outDomain: { ...figures.clean, count: 64 },
    });
    assert.match(
      evaluated,
      /^Of 64 images of no class that it knows .* taken for something known\.$/,
    );
  }));

Deno.test("hostile names stay text, and figures that nobody knows are shown", () =>
  inFolder(async (savePath) => {
    const content = await readContent(await folderOf(attack, { savePath }));
    assert.ok(content.command === "attack");
    const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;`;
    const { figures, run } = content;
    assert.ok(figures.inDomain);
    const page = await reportOn([{
      ...content,
      name: hostile,
      run: { ...run, versions: { [hostile]: hostile }, adapter: { description: hostile } },
      figures: {
        ...figures,
        mode: hostile,
        model: `LeNet${hostile}`,
        warnings: [hostile],
        inDomain: { ...figures.inDomain, name: hostile },
        outDomain: { ...figures.outDomain, name: hostile },
        another: { [hostile]: 0.5 },
      },
    }]);
    assert.ok(!/<script|onerror=alert\(2\)>|<img src=x/.test(page));
    assert.ok(page.includes("&#60;script&#62;alert(1)"));
    checkPage(page);

    const further = furtherFigures({
      clean: { entropy: 1, detection: { areaUnderRoc: 0.91234567 } },
      adversarial: { detection: { areaUnderRoc: 0.25 } },
      seed: 3,
      curve: [0.1, 0.2],
      calibration: { bins: 15 },
    }, ["seed", "clean.entropy"]);
    const { text } = markup`${further}`;
    assert.match(text, /<th scope="col">detection<\/th>/);
    assert.match(text, /area under roc<\/th><td>0.9123<\/td><td>0.25<\/td>/);
    assert.match(text, /bins<\/th><td>15<\/td>/);
    assert.ok(!/seed|entropy|curve/.test(text));
    assert.equal(furtherFigures({ seed: 1 }, ["seed"]), null);
  }));

Deno.test("the page lists the checks in words, and counts as whole numbers", async () => {
  const figure = (
    ...names: string[]
  ): { holds: true; figures: Record<string, number>; warning: null } => ({
    holds: true,
    figures: Object.fromEntries(names.map((name) => [name, 0.25])),
    warning: null,
  });
  const results: ChecksResult["results"] = {
    zeroGradient: { ...figure(), figures: { share: 0.25, images: 3 } },
    finiteGradient: { ...figure(), figures: { share: 0, images: 0 } },
    ball: figure("largest", "allowed", "share"),
    box: { ...figure(), figures: { largest: 0, allowed: 0, share: 0 } },
    loss: figure("before", "after"),
    control: { ...figure(), figures: { attack: 0.25, noise: -0.023, margin: 0.01 } },
    epsilon: figure("full", "half"),
    convergence: figure("full", "stronger", "auroc", "aurocStronger"),
    accuracy: { ...figure(), figures: { accuracy: 0.9731, chance: 0.1, images: 2000 } },
  };
  const checks = { images: 200, effect: "entropy", results } as const;
  const page = markup`${await evidenceSections(evidenceOf({ checks }))}`.text;
  assert.doesNotMatch(
    page,
    /zeroGradient|finiteGradient|>(ball|box|control)<|aurocStronger|2000\.0/,
  );
  for (
    const line of [
      /first step<\/th><td>yes<\/td><td>3 images \(25\.0 %\) fail</,
      /at every step<\/th><td>yes<\/td><td>no image fails</,
      /changes of 0\.2500 at most, allowed is 0\.2500; beyond it: 25\.0 % of the images</,
      /0 and 1<\/th><td>yes<\/td><td>no pixel leaves them</,
      /<td>from 0\.250 to 0\.250</,
      /falls by 0\.250, under noise it rises by 0\.023; the attack&#39;s fall must be larger by 0\.010</,
      /the entropy falls by 0\.250, at half the radius by 0\.250</,
      /under the stronger attack by 0\.250; AUROC is 0\.250, and there 0\.250</,
      /97\.3 % of 2000 images are right, by guessing 10\.0 %</,
    ]
  ) assert.match(page, line);
});

Deno.test("a comparison names the epochs that were used, not those that were asked for", () =>
  inFolder(async (savePath) => {
    const runs: string[] = [];
    for (const epochs of [2, 3]) {
      await folderOf(train, { savePath, epochs });
      // Asked for one epoch, the attack takes the model as it is.
      runs.push(await folderOf(attack, { savePath }));
    }
    holds(await report(runs), /SNGP, epochs 2<[^]*SNGP, epochs 3</);
    // So does a training that finds more epochs behind it than it is to make.
    const again = await folderOf(train, { savePath, epochs: 1 });
    const other = await folderOf(train, { savePath, epochs: 1, seed: 1 });
    holds(await report([again, other]), /SNGP, seed 0, epochs 3<[^]*SNGP, seed 1, epochs 1</);
    const [radii = ""] = /<h2>In common[^]*$/.exec(await report(runs)) ?? [];
    holds(radii, /attack&#39;s epsilon<[^]*0\.1/);
    assert.ok(!/epsilonAttack/.test(radii));
  }));

Deno.test("`mirage attack` leaves a report, `mirage report` makes it again, and failures are told", () =>
  inFolder(async (folder) => {
    // Deno is found here, and nothing that opens pages.
    const env = { PATH: dirname(Deno.execPath()) };
    const mirage = async (args: readonly string[]): Promise<[number, string, string]> => {
      const [name = "", ...rest] = args;
      const { code, stdout, stderr } = await task(name, rest, { cwd: folder, env });
      return [code, stdout, stderr];
    };
    const command = ["attack", "--limit", "20", "--epochs", "1", "--json"];
    const [code, , stderr] = await mirage(command);
    assert.equal(code, 0, stderr);
    const [, path = ""] = /\nreport: (.*report\.html)\n$/.exec(stderr) ?? [];
    const made = await Deno.readTextFile(join(folder, path));
    checkPage(made);
    await Deno.remove(join(folder, path));
    const run = path.replace(/.report\.html$/, "");
    const [, printed] = await mirage(["report", run, "--json"]);
    assert.equal(reportResultSchema.parse(JSON.parse(printed)).report, path);
    assert.ok(await Deno.readTextFile(join(folder, path)) === made);

    const opened = await mirage(["report", run, "--open"]);
    assert.deepEqual(opened.slice(0, 2), [1, `${path}\n`]);
    assert.match(opened[2], /^Cannot open "\S+": there is no \S+ that may be started; [^\n]+\n$/);
    const mistakes: [args: string[], message: RegExp][] = [
      [
        ["no"],
        /^Cannot read "no": it is no folder of a run; \S+ task runs lists those there are\n$/,
      ],
      [[run, "--out", "no/such/page.html"], /^Cannot write "no\/such\/page.html": its folder does/],
      [[], /^Error: Expected the folder of a run\. See \S+ task report --help-all\.\n$/],
    ];
    for (const [args, message] of mistakes) {
      const [code, stdout, stderr] = await mirage(["report", ...args]);
      assert.deepEqual([code, stdout, message.test(stderr)], [1, "", true], stderr);
    }

    // A folder where the page should be: the result is none the worse.
    await Deno.remove(join(folder, path));
    await Deno.mkdir(join(folder, path, "in the way"), { recursive: true });
    const [still, document, said] = await mirage(command);
    assert.equal(still, 0, said);
    assert.match(document, /"schema": "mirage\/attack@\d+"/);
    assert.match(said, /\nNo report on attack-sngp-\S+: Cannot write "[^\n]+\n$/);
  }));

Deno.test("`meanNote()` says of images without labels, or without any in-domain, only what there is", () => {
  const rejection = { "0.9": 0.5 };
  const set = { entropy: 1, rejection, rejectedImages: 3, nanRows: 0, readings: {} };
  for (const inDomain of [null, { count: 5, accuracy: null, right: null }]) {
    assert.match(meanNote([set], { count: 5 }, inDomain) ?? "", /^Mean entropy and rejection are /);
    assert.equal(meanNote([set], { count: 6 }, inDomain), null);
  }
  const { rejectedImages: _, ...older } = set;
  assert.equal(meanNote([older], { count: 5 }, { count: 5, accuracy: 0.7 }), null);
  assert.equal(meanNote([set], { count: 6 }, { count: 5, accuracy: 0.8, right: 4 }), null);
});
