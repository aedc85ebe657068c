/** A model of the user's own gets what the methods' models get, to the same figures. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as mirage from "../mod.ts";
import { nn } from "../mod.ts";
import { figuresOf } from "../src/runs/figures.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";
import { trained } from "./trained.ts";

const epsilon = 0.1;
const own = ["mode", "model", "seeds", "trained", "procedure", "attack", "hyperparameters"];

/** Figures but for what is said of the model. */
function plain(document: unknown): Record<string, unknown> {
  const figures = figuresOf(document) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(figures).filter(([key]) => !own.includes(key)));
}

async function sets(count: number): Promise<Pick<mirage.OwnAttack, "inDomain" | "outDomain">> {
  const [inDomain, outDomain] = await Promise.all([
    mirage.loadEmbedded("test"),
    mirage.loadEmbedded("letters"),
  ]);
  return { inDomain: mirage.limit(inDomain, count), outDomain: mirage.limit(outDomain, count) };
}

Deno.test("`attackModel()` on a baseline's network, and on its logits alone, has the figures of `attack`", () =>
  inFolder(async (savePath) => {
    const checkpoint = await trained(savePath, { epochs: 2 });
    const run = { mode: "baseline", attack: "pgd", checkpoint, savePath, limit: 40 } as const;
    for (
      const changed of [{}, { protocol: "corrected", norm: "l2", epsilonAttack: 1.5 }] as const
    ) {
      const wanted = await mirage.attack(mirage.runConfig({ ...run, ...changed }));
      using device = await nn.openDevice();
      const model = new mirage.Classifier("LeNet", { random: new nn.Random(0) });
      await mirage.loadCheckpoint(model, checkpoint);
      const { epsilonAttack = epsilon, ...options } = { epsilonAttack: epsilon, ...changed };
      const common = { device, savePath, ...await sets(40), epsilon: epsilonAttack, ...options };
      for (const which of [{ model }, { logits: (x: nn.Tensor) => model.logits(x) }]) {
        const { result } = await mirage.attackModel({ ...common, ...which });
        assert.deepEqual(plain(result), plain(wanted));
        assert.equal(result.attack.norm, wanted.attack.norm);
        assert.deepEqual([result.mode, result.checkpoints, result.seeds], ["own", [], [null]]);
      }
    }
  }));

Deno.test("`attackModel()` attacks every score with the figures of `attack --scores`, and verifies it", () =>
  inFolder(async (savePath) => {
    const [limit, names] = [60, ["energy", "gaussian"] as const];
    const checkpoint = await trained(savePath, { epochs: 2, limit });
    const run = { mode: "baseline", attack: "pgd", steps: 2, checkpoint, savePath, limit } as const;
    const wanted = await mirage.attack(mirage.runConfig({ ...run, scores: names.join(",") }));
    using device = await nn.openDevice();
    const model = new mirage.Classifier("LeNet", { random: new nn.Random(0) });
    await mirage.loadCheckpoint(model, checkpoint);
    const training = mirage.limit(await mirage.loadEmbedded("train"), limit);
    const common = { device, savePath, ...await sets(limit), epsilon, steps: 2, training };
    const asked = { ...common, model, scores: names };
    const { result, folder } = await mirage.attackModel(asked);
    assert.deepEqual(Object.keys(result.scores?.attacks.results ?? {}), names);
    assert.deepEqual(plain(result), plain(wanted));
    const { verified } = await mirage.verifyModel(folder, asked);
    assert.ok(verified);

    const logits = (x: nn.Tensor): nn.Tensor => model.logits(x);
    const all = await mirage.attackModel({ ...common, logits, scores: "all" });
    const left = all.result.scores?.leftOut.map(({ name }) => name) ?? [];
    assert.ok(left.includes("knn") && !left.includes("energy"), `${left}`);
    const one = mirage.ofLogits(logits);
    const two = { ...mirage.single([one]), attacked: [one, one] };
    const wrong: readonly (readonly [object, RegExp])[] = [
      [
        { logits, scores: ["knn"] },
        /^UserError: Cannot score by "knn": the model has no features; choose /,
      ],
      [
        { model, scores: ["mine"] },
        /^UserError: Cannot score by mine: give "all", or a list of maxPr/,
      ],
      [{ model, scores: [] }, /^UserError: Cannot score by : give "all", /],
      [
        { model, scores: "all", training: undefined },
        /^UserError: Cannot fit scores without images /,
      ],
      [
        { subject: two, scores: "all" },
        /^UserError: Cannot score a subject of 2 parts/,
      ],
    ];
    for (const [options, says] of wrong) {
      const given = { ...common, ...options } as mirage.OwnAttack;
      await assert.rejects(mirage.attackModel(given), says);
    }
  }));

Deno.test("a subject of a function, or written by hand, is all that the pieces ask for besides device and set", () =>
  inFolder(async (savePath) => {
    using device = await nn.openDevice();
    const linear = new nn.Linear(new nn.Random(0), 784, 10);
    const logits = (x: nn.Tensor): nn.Tensor =>
      nn.scale(linear.forward(nn.reshape(x, [-1, 784]), new nn.Pass(false)), 20);
    const { inDomain, outDomain } = await sets(30);
    const set = new mirage.ResidentSet(outDomain);
    const settings = mirage.attacks.pgd.settings(epsilon, { stepFactor: 1, keepBest: false });
    const answering = mirage.ofLogits(logits);
    const byHand: mirage.Subject = {
      attacked: [answering],
      logProbabilities: ([x = nn.input([])], draws) => answering.logProbabilities(x, draws),
    };
    const explicit = {
      ...{ seed: 0, batchSize: 200, reporter: mirage.silent },
      explain: { explain: false, time: false },
    };
    const made = { device, logits, inDomain, outDomain, epsilon, savePath };
    const { result, folder } = await mirage.attackModel(made);
    for (const subject of [mirage.single([answering]), byHand]) {
      const { clean, adversarial } = await mirage.attackSet({ device, subject, set, settings });
      const asked = { device, subject, set, settings, ...explicit };
      assert.deepEqual(adversarial, (await mirage.attackSet(asked)).adversarial);
      assert.deepEqual(clean, await mirage.predict({ device, subject, set }));
      assert.deepEqual([clean.readings, clean.scores], [{}, {}]);
      const entropies = [clean, adversarial].map((of) => mirage.entropy(of.predictions));
      assert.deepEqual(entropies, [result.clean.entropy, result.adversarial.entropy]);
      assert.ok((entropies[1] ?? NaN) < (entropies[0] ?? NaN) - 0.1, `${entropies}`);
    }
    const [before, after] = [result.clean, result.adversarial].map((of) => of.entropy?.toFixed(3));
    assert.ok(
      mirage.verdict(result).includes(`the mean entropy went from ${before} to ${after} nats`),
      mirage.verdict(result),
    );
    const page = await mirage.report([folder]);
    assert.ok(page.includes(mirage.verdict(result)), "the page says the same");
  }));

Deno.test("a run of one's own model is listed, reported, compared, verified by its program, and refused elsewhere", () =>
  inFolder(async (cwd) => {
    using device = await nn.openDevice();
    const savePath = join(cwd, "models");
    const layer = (seed: number): nn.Linear => new nn.Linear(new nn.Random(seed), 784, 10);
    const options = (seed: number) => {
      const linear = layer(seed);
      return {
        device,
        savePath,
        name: `a "plain" <model>`,
        logits: (x: nn.Tensor) =>
          nn.scale(linear.forward(nn.reshape(x, [-1, 784]), new nn.Pass(false)), 20),
        epsilon,
      };
    };
    const data = await sets(30);
    const { result, folder } = await mirage.attackModel({ ...options(0), ...data });
    assert.ok(result.warnings.some((warning) => /guess/.test(warning)), result.warnings.join());
    const again = await mirage.attackModel({ ...options(0), ...data });
    assert.equal(again.folder, folder);
    // A device is left as it was, and a run is made again as it was made.
    const { tiles } = device;
    const exact = await mirage.attackModel({ ...options(0), ...data, exactConvolutions: true });
    assert.equal(device.tiles, tiles);
    const whole = await mirage.verifyModel(exact.folder, { ...options(0), ...data });
    assert.deepEqual([whole.sameMachine, whole.verified], [true, true]);
    const other = await mirage.attackModel({ ...options(1), ...data });
    assert.notEqual(other.folder, folder, "another model is another run");

    const verified = await mirage.verifyModel(folder, { ...options(0), ...data });
    assert.ok(verified.verified && verified.figures > 200, `${verified.figures}`);
    const not = await mirage.verifyModel(folder, { ...options(1), ...data });
    assert.ok(!not.verified && not.differences.length > 0);
    await assert.rejects(
      mirage.verifyModel(folder, { ...options(0), ...data, epsilon: 0.2 }),
      /^UserError: Cannot verify ".*": it was made with other options or data; /,
    );

    const listed = await task("runs", ["--save-path", "models"], { cwd });
    assert.match(listed.stdout, /own/);
    for (const folders of [[folder], [folder, other.folder]]) {
      const { code, stdout, stderr } = await task("report", folders, { cwd });
      assert.equal(code, 0, stderr);
      const page = await Deno.readTextFile(join(cwd, stdout.trim()).replace(join(cwd, cwd), cwd));
      assert.ok(page.includes("a &#34;plain&#34; &#60;model&#62;"), "the name is escaped");
      assert.doesNotMatch(page, /undefined|\[object/);
    }
    for (
      const [command, args, says] of [
        ["verify", [folder], /its model is a function of a program of yours/],
        ["attack", ["--config", join(folder, "run.json")], /its model is a function of a program/],
      ] as const
    ) {
      const { code, stderr } = await task(command, [...args], { cwd });
      assert.equal(code, 1);
      assert.match(stderr.replaceAll(/\s+/g, " "), says);
    }
  }));

Deno.test("one's own attack and objective work as Mirage's do, and what cannot be is refused", () =>
  inFolder(async (savePath) => {
    using device = await nn.openDevice();
    const linear = new nn.Linear(new nn.Random(0), 784, 10);
    const logits = (x: nn.Tensor): nn.Tensor =>
      nn.scale(linear.forward(nn.reshape(x, [-1, 784]), new nn.Pass(false)), 20);
    const common = { device, savePath, logits, epsilon, ...await sets(30) };
    const { pgd } = mirage.attacks;
    const twice: mirage.Attack = {
      ...pgd,
      name: "twice",
      settings: (radius, options) => ({
        ...pgd.settings(radius, { ...options, steps: 2 }),
        name: "twice",
      }),
    };
    const topTwo: mirage.Objective = { ...mirage.objectives.margin, name: "own gap" };
    const { result } = await mirage.attackModel({ ...common, attack: twice, objective: topTwo });
    assert.deepEqual([result.attack.name, result.attack.steps], ["twice", 2]);
    assert.equal(result.attack.objective, "own gap");
    const named = await mirage.attackModel({ ...common, steps: 2, objective: "margin" });
    assert.deepEqual(result.adversarial, named.result.adversarial);

    const [refusals, { inDomain }] = [assert.rejects, common];
    const small = mirage.imageSet({
      ...inDomain,
      name: "small",
      images: inDomain.images.slice(0, inDomain.count * 14 * 14),
      shape: [1, 14, 14],
    });
    await refusals(
      mirage.attackModel({ ...common, outDomain: small }),
      /^UserError: Cannot attack small against .*: their images are \[1, 14, 14\] and \[1, 28, 28\]; /,
    );
    await refusals(
      mirage.attackModel({ ...common, target: 10 }),
      /Cannot steer to class 10: the model has 10 classes/,
    );
    await refusals(
      mirage.attackModel({ ...common, target: 1, objective: "entropy" }),
      /Cannot attack by the objective "entropy": it steers to no class/,
    );
    const empty = mirage.imageSet({ ...inDomain, images: new Uint8Array(), labels: [] });
    // A program without types may give anything.
    const wrong: readonly (readonly [object, RegExp])[] = [
      [
        { epsilon: NaN },
        /^UserError: Cannot attack with epsilon NaN: give a number from 0 to 1000$/,
      ],
      [{ epsilon: -1 }, /with epsilon -1: /],
      [{ epsilon: Infinity }, /with epsilon Infinity: /],
      [{ steps: 0 }, /with steps 0: give a whole number from 1 to 10000$/],
      [{ batchSize: 1.5 }, /with batchSize 1\.5: /],
      [{ target: -1 }, /with target -1: /],
      [
        { norm: "l3" },
        /^UserError: Cannot attack by the norm "l3": there is none; choose linf, l2, l1$/,
      ],
      [{ attack: "cw" }, /the attack "cw": there is none; choose fgsm, pgd, apgd, square$/],
      [{ objective: "hope" }, /the objective "hope": there is none; choose published, /],
      [{ protocol: "mine" }, /the protocol "mine": there is none; choose paper, corrected$/],
      [
        { logits: (x: nn.Tensor) => x },
        /^UserError: Cannot take \[30, 1, 28, 28\] for the logits of \[30, 1, 28, 28\] images: give one row an image/,
      ],
      [
        { logits: (x: nn.Tensor) => nn.reshape(x, [-1]) },
        /Cannot take \[23520\] for the logits of /,
      ],
      [
        { logits: (x: nn.Tensor) => nn.add(logits(x), nn.sum(x)) },
        /^UserError: Cannot use "own model" on several images at once: one changes the logits of another; leave out /,
      ],
      [{ outDomain: empty }, /it has no images; give a set with at least one$/],
    ];
    for (const [options, says] of wrong) {
      await refusals(mirage.attackModel({ ...common, ...options }), says);
    }
  }));
