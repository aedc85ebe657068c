/** Verdicts in plain words, for every way an attack may go. */
import assert from "node:assert/strict";
import { showAttack } from "../src/cli/show.ts";
import type { SeparationResult } from "../src/measure/schema.ts";
import { evidenceOf, evidenceSections } from "../src/report/evidence.ts";
import { markup } from "../src/report/html.ts";
import { type AttackResult, attackResultSchema } from "../src/experiment/documents.ts";
import { evalVerdict, verdict } from "../src/report/verdicts.ts";

function separation(value: number): SeparationResult {
  const estimate = { value, low: value - 0.01, high: value + 0.01 };
  const fprAt95Tpr = { value: 1 - value, low: null, high: null };
  return { auroc: estimate, auprIn: estimate, auprOut: estimate, fprAt95Tpr, rejected: value };
}

type WithInDomain = AttackResult & { readonly inDomain: object };

function result(before: number, after: number, change: Partial<AttackResult> = {}): WithInDomain {
  const rejection = (at09: number): Record<string, number> =>
    Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((t) => [`0.${t}`, t === 9 ? at09 : 0]));
  return attackResultSchema.parse({
    schema: "mirage/attack@10",
    mode: "sngp",
    model: "LeNet_SNGP",
    protocol: "paper",
    procedure: { attack: "published" },
    hyperparameters: {},
    seed: 0,
    seeds: [0],
    checkpoints: ["best.safetensors"],
    trained: [{ epochs: 3, data: { name: "MNIST train", count: 60_000 } }],
    adapter: { vendor: "", architecture: "", device: "", description: "a GPU", software: false },
    versions: { mirage: "0", deno: "0", v8: "0" },
    epsilonAttack: 0.1,
    attack: {
      name: "pgd",
      objective: "published",
      norm: "linf",
      steps: 10,
      stepSize: 0.01,
      start: { noise: 0.001, projected: false },
      ...{ direction: "over", on: "out", keepLabel: false, init: null, restarts: 0, eot: 1 },
      targeted: null,
    },
    inDomain: {
      name: "MNIST test",
      count: 10,
      classes: 10,
      accuracy: 0.9,
      right: 9,
      nanRows: 0,
      brier: 0.01,
      nll: 0.1,
      nllInfinite: 0,
      ...{ classNames: null, skipped: 0, prepared: {} },
    },
    outDomain: {
      name: "notMNIST",
      count: 1000,
      sha256: "",
      listSha256: null,
      ...{ skipped: 2, prepared: {}, classNames: null },
    },
    clean: {
      entropy: 1.12,
      rejection: rejection(before),
      rejectedImages: 1000 * before,
      targeted: null,
      nanRows: 0,
      readings: {},
    },
    adversarial: {
      entropy: 0.21,
      rejection: rejection(after),
      rejectedImages: Math.round(1000 * after),
      targeted: null,
      distance: 0.1,
      nanRows: 0,
      readings: {},
    },
    detection: {
      positive: "in-domain",
      negative: "out-domain",
      inDomain: 10,
      bootstrap: { resamples: 1000, confidence: 0.95, seed: 0 },
      scores: {
        mutualInformation: {
          higher: "out-domain",
          threshold: 0.25,
          kept: 0.95,
          clean: separation(0.95),
          attacked: separation(0.6),
        },
      },
    },
    calibration: {
      ece: 0.0125,
      bins: [{ from: 0, to: 1, count: 0, confidence: null, accuracy: null }],
    },
    confident: { inDomain: 0.9, clean: 0.2, attacked: 0.88 },
    curves: { tau: [], epsilon: [] },
    checks: {
      images: 200,
      effect: "entropy",
      results: {
        loss: { holds: false, figures: { before: 0.5, after: 0.6 }, warning: "It does not fall" },
        control: { holds: true, figures: { attack: 0.91, noise: 0.05 }, warning: null },
      },
    },
    inDomainAttack: null,
    warnings: [],
    seconds: { setup: 1, train: 0, attack: 2 },
    ...change,
  }) as WithInDomain;
}

Deno.test("`verdict()` counts the images that pass now", () => {
  assert.equal(
    verdict(result(0.8, 0.12)),
    "The attack works: SNGP had rejected 80.0 % of the images below a confidence of 0.9, now " +
      "12.0 %, so 680 more of 1000 out-domain images are taken for digits; the mean entropy went " +
      "from 1.120 to 0.210 nats. No pixel changed by more than 0.1.",
  );
});

Deno.test("`verdict()` says when an attack backfires or does nothing", () => {
  assert.match(verdict(result(0.5, 0.7)), /^The attack backfires: .* 50.0 % .* now 70.0 %/);
  const still = result(0.5, 0.505);
  assert.match(
    verdict({ ...still, adversarial: { ...still.adversarial, entropy: 1.11 } }),
    /^The attack changes next to nothing at epsilon 0.1/,
  );
});

Deno.test("`verdict()` names a change of entropy alone, up or down", () => {
  assert.match(verdict(result(0.5, 0.5)), /^The attack makes the answers surer but hardly/);
  const up = result(0.5, 0.5);
  assert.match(
    verdict({ ...up, adversarial: { ...up.adversarial, entropy: 1.3 } }),
    /^The attack makes the answers less sure .* from 1.120 to 1.300 nats/,
  );
});

Deno.test("`verdict()` judges an attack that steers by the images in its class, not by how sure they are", () => {
  const steered = (
    [before, after]: readonly (number | null)[],
    rejected: readonly [number, number],
    entropy: number,
  ): AttackResult => {
    const { attack, clean, adversarial } = result(...rejected);
    return result(...rejected, {
      attack: { ...attack, targeted: 3 },
      clean: { ...clean, targeted: before ?? null },
      adversarial: { ...adversarial, targeted: after ?? null, entropy },
    });
  };
  assert.equal(
    verdict(steered([100, 820], [0.8, 0.7], 1.2)),
    "The attack, steered to class 3, works: of 1000 out-domain images 100 (10.0 %) were taken for it, now " +
      "820 (82.0 %). The answers are surer by one figure and less sure by another: SNGP had rejected 80.0 % " +
      "of the images below a confidence of 0.9, now 70.0 %; the mean entropy went from 1.120 to 1.200 nats. " +
      "No pixel changed by more than 0.1.",
  );
  const cases: readonly (readonly [number, string])[] = [
    [50, "backfires"],
    [109, "moves next to nothing there"],
    [200, "works in part"],
    [500, "works"],
  ];
  for (const [after, how] of cases) {
    const [said = ""] = verdict(steered([100, after], [0.8, 0.1], 0.2)).split(". ");
    assert.ok(said.startsWith(`The attack, steered to class 3, ${how}: of 1000 `), said);
  }
  const sure = (rejected: readonly [number, number], entropy: number): string | undefined =>
    /The answers are ([^:]*):/.exec(verdict(steered([0, 900], rejected, entropy)))?.[1];
  assert.equal(sure([0.8, 0.1], 0.2), "surer");
  assert.equal(sure([0.1, 0.8], 1.12), "less sure");
  assert.equal(sure([0.5, 0.5], 1.12), "about as sure as before");
  // Runs of older versions do not count them.
  assert.match(
    verdict(steered([null, null], [0.8, 0.1], 0.2)),
    /^The attack, steered to class 3, was made on 1000 images\. The answers are surer: /,
  );
  const accuracy = { holds: false, warning: "The model is no better than guessing" };
  assert.match(
    verdict({ ...steered([100, 820], [0.8, 0.1], 0.2), checks: { results: { accuracy } } }),
    /^The model is no better than guessing\. The attack, steered to class 3, gives: of 1000 /,
  );
  const lines = showAttack(steered([100, 820], [0.8, 0.1], 0.2)).split("\n");
  assert.ok(lines.some((line) => /taken for class 3 .* 0\.100 .* 0\.820 .* \+0\.720 /.test(line)));
  assert.ok(!showAttack(result(0.8, 0.1)).includes("taken for class"));
});

Deno.test("`verdict()` speaks of what the network was taught", () => {
  const taught = (model: string, name: string): string =>
    verdict(result(0.8, 0.1, { model, inDomain: { ...result(0.8, 0.1).inDomain, name } }));
  assert.match(taught("ResNet-18_SNGP", "CIFAR-10 test"), /are taken for objects;/);
  assert.match(taught("ResNet-18_SNGP", "embedded digits test"), /are taken for digits;/);
  assert.match(taught("LeNet_SNGP", "Fashion-MNIST test"), /are taken for clothes;/);
  // Of images that no set has, the network says what it was published with.
  assert.match(taught("ResNet-18_SNGP", "a set of somebody's"), /are taken for objects;/);
});

Deno.test("`verdict()` counts images, and says about where only a mean of batch means is known", () => {
  const counted = result(0.8, 0.12);
  // What a last, smaller batch makes of a mean over batches.
  const rejection = { ...counted.adversarial.rejection, "0.9": 0.4 };
  const adversarial = { ...counted.adversarial, rejection };
  assert.match(
    verdict({ ...counted, adversarial }),
    / 80\.0 % .* now 12\.0 %, so 680 more of 1000 /,
  );
  const note = /^Accuracy, Brier score, NLL, mean entropy and rejection are means over batches, /m;
  assert.match(showAttack({ ...counted, adversarial }), note);
  assert.doesNotMatch(showAttack(counted), / means over batches, /);
  assert.match(showAttack({ ...counted, inDomain: { ...counted.inDomain, accuracy: 0.8 } }), note);
  const { rejectedImages: _, ...older } = adversarial;
  assert.match(verdict({ ...counted, adversarial: older }), /so about 400 more of 1000 /);
});

Deno.test("`verdict()` speaks of AUROC, and of a model that knows nothing", () => {
  const scores = { maxProbability: { clean: separation(0.9), attacked: separation(0.4) } };
  assert.match(
    verdict({ ...result(0.8, 0.1), detection: { scores } }),
    /; AUROC by MSP went from 0\.900 to 0\.400\. No pixel/,
  );
  const accuracy = { holds: false, warning: "The model is no better than guessing" };
  assert.match(
    verdict({ ...result(0.8, 0.1), checks: { results: { accuracy } } }),
    /^The model is no better than guessing\. The attack gives: SNGP had rejected/,
  );
});

Deno.test("`verdict()` judges by counts where means of batch means would say otherwise", () => {
  const counted = result(0.5, 0.7);
  const rejection = { ...counted.adversarial.rejection, "0.9": 0.3 };
  assert.match(
    verdict({ ...counted, adversarial: { ...counted.adversarial, rejection } }),
    /^The attack backfires: .* now 70\.0 %/,
  );
});

Deno.test("`evalVerdict()` counts images, and says where the model only guesses", () => {
  const { model, inDomain, outDomain, clean } = result(0.8, 0.1);
  const rejection = { ...clean.rejection, "0.9": 0.4 };
  const figures = { model, inDomain, outDomain: { ...clean, ...outDomain, rejection } };
  assert.equal(
    evalVerdict(figures),
    "Of 1000 images that are no digits 80.0 % are rejected at a confidence of 0.9, the others taken for " +
      "digits.",
  );
  assert.match(
    evalVerdict({ ...figures, inDomain: { ...inDomain, right: 1 } }),
    /^The model is no better than guessing in-domain: 1 of 10 images are right \(10\.0 %\), .* Of 1000 images/,
  );
  const { right: _, ...older } = inDomain;
  assert.match(evalVerdict({ ...figures, inDomain: older }), /^Of 1000 images/);
});

Deno.test("`showAttack()` says how many images make a figure infinite, or have no answer", () => {
  const { inDomain, clean } = result(0.8, 0.1);
  const reading = {
    entropy: null,
    rejection: clean.rejection,
    logConfidence: -0.5,
    logConfidenceInfinite: 0,
  };
  const adversarial = {
    ...result(0.8, 0.1).adversarial,
    readings: { kernel: { ...reading, logConfidence: null, logConfidenceInfinite: 7 } },
  };
  const text = showAttack(result(0.8, 0.1, {
    inDomain: { ...inDomain, nll: null, nllInfinite: 3, nanRows: 2 },
    clean: { ...clean, readings: { kernel: reading } },
    adversarial,
  }));
  assert.match(
    text,
    /NLL infinite \(3 of 10 images\); 2 answers are no numbers and count as wrong$/m,
  );
  assert.match(text, /mean of log max │ +-0\.500 │ infinite \(7 of 1000\) │/);
});

Deno.test("`showAttack()` shows no change as zero without a sign, and stays within 80 columns", () => {
  const still = result(0.5, 0.4999);
  const lines = showAttack(still).split("\n");
  assert.ok(lines.some((line) => /rejected at 0.9 .* 0.500 .* 0.500 │ +0.000 /.test(line)));
  assert.ok(lines.filter((line) => /^[│┌├└]/.test(line)).every((line) => line.length <= 80));
});

Deno.test("an attack fits a terminal of 80 columns and one of 40, and leaves nothing out", () => {
  const attacked = result(0.8, 0.12);
  for (const width of [80, 40]) {
    const text = showAttack(attacked, width);
    for (const line of text.split("\n")) {
      if (/^[│┌├└ ]/.test(line)) assert.ok(line.length <= width, line);
    }
    for (const figure of ["1.120", "-0.910", "0.950 [0.940, 0.960]", "0.600 [0.590, 0.610]"]) {
      assert.ok(text.includes(figure), `${figure} at ${width}`);
    }
  }
});

Deno.test("one is shown as one, and what is not known not at all", () => {
  const { attack, outDomain, inDomain } = result(0.8, 0.1);
  const text = showAttack(result(0.8, 0.1, {
    mode: "my model",
    model: "Mine",
    trained: [{ epochs: 1, data: { name: "shapes", count: 1 } }],
    attack: { ...attack, steps: 1, targeted: 7, norm: "l2", objective: "margin" },
    outDomain: { ...outDomain, skipped: 1 },
    inDomain: { ...inDomain, classNames: ["a", "b"] },
  }));
  assert.match(text, /^my model \(Mine, protocol paper, seed 0\)$/m);
  assert.match(text, /^trained: 1 epoch on 1 image of shapes$/m);
  assert.match(text, /\(1 broken file left out\)$/m);
  assert.match(text, /, 1 step of 0\.01, L2, objective margin, steered to class 7$/m);
  const mine = { ...result(0.8, 0.1, { model: "Mine" }), inDomain: { name: "shapes" } };
  assert.match(verdict(mine), /are taken for something known;/);
  assert.match(
    verdict(result(0.8, 0.1, {
      attack: { ...attack, targeted: 1 },
      inDomain: { ...inDomain, classNames: ["letter A", "letter B"] },
    })),
    /^The attack, steered to letter B, /,
  );
  const own = { ...result(0.8, 0.1), seeds: [], trained: [], checkpoints: [] };
  assert.doesNotMatch(showAttack(own), /undefined|null|trained:|checkpoint:/);
});

Deno.test("`showAttack()` and the page print next to nothing as less than can be shown, and shares alike", async () => {
  const checks: AttackResult["checks"] = {
    images: 200,
    effect: "entropy",
    results: {
      control: {
        holds: false,
        figures: { attack: -0.00004, noise: 0.0003, margin: 0.01 },
        warning: null,
      },
    },
  };
  const confident = { inDomain: 0.7745, clean: 0.0215, attacked: 0.5405 };
  const small = result(0.8, 0.1, { checks, confident });
  const text = showAttack(small);
  assert.match(text, /entropy falls by less than 0\.001, under noise .* by less than 0\.001$/m);
  assert.doesNotMatch(text, /-0\.000/);
  const page = markup`${await evidenceSections(evidenceOf({ ...small }))}`.text;
  assert.doesNotMatch(page, /-0\.000/);
  for (
    const share of /in-domain (.*), out-domain (.*), attacked (.*)$/m.exec(text)?.slice(1) ?? []
  ) {
    assert.ok(page.includes(`<td>${share}</td>`), share);
  }
});

Deno.test("`verdict()` tells of answers that are no numbers", () => {
  const bad = result(0.5, 0.1);
  const text = verdict({
    ...bad,
    adversarial: { ...bad.adversarial, entropy: null, nanRows: 7 },
  });
  assert.match(text, /7 answers were no numbers and count as rejected/);
  assert.ok(!text.includes("entropy"));
});

Deno.test("the heading tells the seed of the run from those of the models", () => {
  const heading = (seed: number, ...seeds: (number | null)[]): string => {
    const { length } = seeds;
    const [line = ""] = showAttack(result(0.8, 0.1, { seed, seeds })).split("\n");
    return line.replace(
      `SNGP (${length > 1 ? `${length} x ` : ""}LeNet_SNGP, protocol paper, `,
      "",
    );
  };
  assert.equal(heading(0, 0), "seed 0)");
  assert.equal(heading(7, 0), "seed 7; model of seed 0)");
  assert.equal(heading(7, null), "seed 7; model of unknown seed)");
  assert.equal(heading(3, 3, 4, 5), "seeds 3 to 5)");
  assert.equal(heading(0, 3, 4, 5), "seed 0; models of seeds 3 to 5)");
  assert.equal(heading(0, 1, 0), "seed 0; models of seeds 1, 0)");
  assert.equal(heading(0, null, null), "seed 0; models of unknown seeds)");
  assert.equal(heading(0, 0, null), "seed 0; models of seeds 0, unknown)");
});

Deno.test("`showAttack()` shows table, verdict, warnings, broken files and times", () => {
  const text = showAttack(result(0.8, 0.12, { warnings: ["1.0 % of the images left [0, 1]"] }));
  assert.match(text, /mean entropy \(nats\) │ 1.120 │ +0.210 │ -0.910/);
  assert.match(text, /rejected at 0.9 .* 0.800 .* 0.120 .* -0.680/);
  assert.match(text, /2 broken files left out/);
  assert.match(text, /Warning: 1.0 % of the images left \[0, 1\]/);
  assert.match(
    text,
    /│ mutual inf. │ 0.950 \[0.940, 0.960\] │ 0.600 \[0.590, 0.610\] │ 0.050 │ +0.400 │/,
  );
  assert.match(text, /ECE 0.0125; .* in-domain 90.0 %, out-domain 20.0 %, attacked 88.0 %/);
  assert.match(text, /: 1 of 2 hold, not "the attack .*"; .* 200 images .* by 0.910, .* by 0.050/);
  assert.match(text, /on a GPU: setup 1.0 s, train 0.0 s, attack 2.0 s/);
});
