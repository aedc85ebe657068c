/**
 * Every method against golden arrays that come with the tests: random weights, 32 embedded letters, and what
 * golden/make_methods.py, which writes the methods down a second time, made of them in f64.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { loadEmbedded } from "../data/mod.ts";
import { attacks } from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { type Attacked, attackSet } from "../src/evaluate/attack_set.ts";
import { chosen, ResidentSet } from "../src/evaluate/resident_set.ts";
import { entropies, entropy, rejectionRate } from "../src/measure/metrics.ts";
import { Due } from "../src/methods/due.ts";
import { type MethodName, methods, type Subject } from "../src/methods/mod.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { compare, draws, errorsOf, type Expected, type Golden, goldenModel } from "./golden.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { relativeError, withDevice } from "./support.ts";

const figures = z.object({ entropy: z.number(), rejection: z.number() });
const told = z.object({ steps: z.int(), clean: figures, attacked: figures });
const pixels = 28 * 28;

/** What a file holds, and the images that it is about. */
interface Fixture {
  readonly golden: Golden;
  readonly set: ResidentSet;
  readonly x: Float32Array;
  readonly metadata: Readonly<Record<string, string>>;
}

async function load(mode: MethodName): Promise<Fixture> {
  const path = new URL(`golden/${mode}.safetensors`, import.meta.url);
  const { tensors, metadata } = await readSafetensors(decodeURIComponent(path.pathname));
  const index = z.array(z.int()).parse(JSON.parse(metadata["images"] ?? ""));
  const set = chosen(await loadEmbedded("letters"), index);
  const array = (name: string): Float32Array =>
    Float32Array.from(tensors.get(name)?.data ?? assert.fail(`no "${name}"`));
  return {
    golden: (name) =>
      name.endsWith(".precision_matrix") ? precision(array("state.0.phi")) : array(name),
    set: new ResidentSet(set),
    x: Float32Array.from(set.images, (byte) => byte / 255),
    metadata,
  };
}

/** `I + phi^T phi` of features `[n, d]`. */
function precision(phi: Float32Array, d = 256): Float32Array {
  return Float32Array.from({ length: d * d }, (_, at) => {
    const [i, j] = [Math.floor(at / d), at % d];
    let s = i === j ? 1 : 0;
    for (let n = 0; n < phi.length; n += d) s += (phi[n + i] ?? NaN) * (phi[n + j] ?? NaN);
    return s;
  });
}

/** The subject of the golden models, all of whose first biases are moved by `moved`. */
async function subjectOf(
  device: nn.Device,
  mode: MethodName,
  golden: Golden,
  moved = 0,
): Promise<Subject> {
  const models = [];
  for (let i = 0; i < (methods[mode].ensemble ? 2 : 1); i++) {
    const model = await goldenModel(
      device,
      mode,
      (name) => {
        const value = golden(name.replace("state.", `state.${i}.`));
        return name.endsWith("conv1.0.bias") ? value.map((v) => v + moved) : value;
      },
    );
    models.push(model);
  }
  return methods[mode].subject(models, procedureOf("paper"), hyperparametersOf());
}

/** Log-probabilities, and each member's losses and their gradient at the first images. */
function answers(subject: Subject, golden: Golden): [nn.Tensor, Expected[]] {
  const x = nn.input([32, 1, 28, 28]);
  const members = subject.attacked.map((member, copy) => {
    const losses = member.confidenceLoss(x, { draws: draws() });
    const [slope = x] = nn.grad(nn.sum(losses), [x]);
    const of = (name: string, length: number): Float32Array =>
      golden(name).subarray(copy * length, (copy + 1) * length);
    return [
      [`losses of member ${copy}`, losses, of("losses", 32)],
      [
        `input gradient of member ${copy}`,
        nn.slice(slope, [0, 0, 0, 0], [4, 1, 28, 28]),
        of("slope", 4 * pixels),
      ],
    ] as const;
  });
  const answer = subject.logProbabilities(subject.attacked.map(() => x), draws());
  return [x, [["log-probabilities", answer, golden("log_probabilities")], ...members.flat()]];
}

function attacked(
  device: nn.Device,
  subject: Subject,
  set: ResidentSet,
  steps: number,
  epsilon = 0.1,
): Promise<Attacked> {
  const attack = attacks[steps === 1 ? "fgsm" : "pgd"];
  return attackSet({
    device,
    subject,
    set,
    seed: 0,
    batchSize: 16,
    reporter: silent,
    explain: { explain: false, time: false },
    settings: attack.settings(epsilon, { steps, ...iterationOf(procedureOf("paper")) }),
    keep: 4,
  });
}

for (const mode of ["baseline", "deep_ensemble", "duq", "sngp"] as const) {
  Deno.test(`\`${mode}\` evaluates as written down a second time: answers, losses, input gradients`, () =>
    withDevice(async (device) => {
      const { golden, x } = await load(mode);
      const [input, expected] = answers(await subjectOf(device, mode, golden), golden);
      await compare(device, new Map([[input, x]]), expected);

      const moved = answers(await subjectOf(device, mode, golden, 1e-3), golden);
      const [error] = await errorsOf(device, new Map([[moved[0], x]]), moved[1].slice(0, 1));
      const { onDevice, inDouble } = error ?? assert.fail();
      assert.ok(Math.min(onDevice, inDouble) > 2e-4, "biases moved by 0.001 go unnoticed");
    }));

  Deno.test(`an attack on \`${mode}\` has the figures of one written down a second time`, () =>
    withDevice(async (device) => {
      const { golden, set, metadata } = await load(mode);
      const { steps, ...figures } = told.parse(JSON.parse(metadata["figures"] ?? ""));
      const subject = await subjectOf(device, mode, golden);
      const { clean, adversarial, examples } = await attacked(device, subject, set, steps);
      for (
        const [{ predictions }, wanted] of [
          [clean, figures.clean],
          [adversarial, figures.attacked],
        ] as const
      ) {
        assert.ok(Math.abs(entropy(predictions) - wanted.entropy) <= 1e-3);
        assert.equal(rejectionRate(predictions, 0.9), wanted.rejection);
      }
      const wanted = golden("entropies");
      const agreeing = entropies(adversarial.predictions).filter((h, i) =>
        Math.abs(h - (wanted[i] ?? NaN)) <= 1e-3
      );
      const moved = relativeError(examples.adversarial, golden("attacked").subarray(0, 4 * pixels));
      assert.ok(agreeing.length >= 30, `${agreeing.length} of 32 images agree`);
      assert.ok(moved <= 1e-2, `images: relative error ${moved}`);

      const weaker = await attacked(device, subject, set, steps, 0.09);
      const short = entropy(weaker.adversarial.predictions) - figures.attacked.entropy;
      assert.ok(short > 2e-3, `a weaker attack goes unnoticed: ${short}`);
    }));
}

// What DUE answers hangs on numbers that it draws; this is what it draws them for.
Deno.test("`due` has the marginals and the divergence of one written down a second time", () =>
  withDevice(async (device) => {
    const { golden, x } = await load("due");
    const model = await goldenModel(
      device,
      "due",
      (name) => golden(name.replace("state.", "state.0.")),
    );
    assert.ok(model instanceof Due);
    const input = nn.input([32, 1, 28, 28]);
    const pass = new nn.Pass(false);
    const { mean, variance } = model.process.posterior(model.encode(input, pass), pass);
    const expected: Expected[] = [
      ["mean", mean, golden("mean")],
      ["variance", variance, golden("variance")],
      ["divergence", model.process.divergence(pass), golden("divergence")],
    ];
    await compare(device, new Map([[input, x]]), expected);
  }));
