/** Models whose numbers overflow: their runs end with what can be said, never with a fault of ours. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeSafetensors } from "../src/checkpoint/safetensors.ts";
import { runConfig } from "../src/experiment/config.ts";
import { type MethodName, methods } from "../src/methods/mod.ts";
import { Random } from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { type AttackResult, attackResultSchema } from "../src/experiment/documents.ts";
import { attack } from "../src/experiment/attack.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";

/** Writes an untrained model whose parameters of some names are changed. */
async function writeModel(
  path: string,
  mode: MethodName,
  change: (name: string, values: Float32Array) => Float32Array,
): Promise<void> {
  const model = methods[mode].create(methods[mode].models[0] ?? "", {
    random: new Random(1),
    procedure: procedureOf("paper"),
    ...hyperparametersOf(),
  });
  const tensors = new Map([...model.state].map(([name, { shape, data }]) => [name, {
    shape,
    data: change(name, Float32Array.from(data)),
  }]));
  await Deno.writeFile(path, encodeSafetensors({ tensors, metadata: {} }));
}

/** What the task says of an attack, which must end well. */
async function attacked(
  folder: string,
  mode: MethodName,
  checkpoint: string,
): Promise<AttackResult> {
  const args = ["--mode", mode, "--checkpoint", checkpoint, "--limit", "20", "--json"];
  const { code, stdout, stderr } = await task("attack", args, { cwd: folder });
  assert.equal(code, 0, stderr);
  return attackResultSchema.parse(JSON.parse(stdout));
}

function blind({ checks, adversarial, warnings, inDomain, outDomain }: AttackResult): void {
  const { finiteGradient } = checks.results;
  const images = finiteGradient?.figures["images"] ?? 0;
  assert.ok(!finiteGradient?.holds && images > 0);
  assert.ok(warnings.join().includes(`${images} of ${outDomain.count} images (`), warnings.join());
  assert.ok(adversarial.distance <= 0.1 + 1e-6);
  assert.equal(checks.results["ball"]?.holds, true);
  assert.ok(inDomain);
  assert.ok(inDomain.nanRows <= inDomain.count);
}

Deno.test("gradients that are no numbers are counted, and their images stay in the ball", () =>
  inFolder(async (folder) => {
    const path = join(folder, "huge.safetensors");
    for (const mode of ["baseline", "sngp"] as const) {
      await writeModel(path, mode, (name, values) =>
        // Powers of two keep the sign's pattern; products of two such weights overflow.
        name.endsWith("weight") ? values.map((v) => Math.sign(v) * 3e38) : values);
      const result = await attacked(folder, mode, "huge.safetensors");
      blind(result);
    }
  }));

testWithShared(
  "finite weights whose logits are inf - inf end in a warning, not in a fault",
  ["cases/nan_gradient.checkpoint"],
  () =>
    inFolder(async (folder) => {
      blind(await attacked(folder, "baseline", sharedPath("cases/nan_gradient.checkpoint")));
    }),
);

/** An infinite mean is null, and the images that make it so are counted. */
function infinite({ inDomain }: AttackResult): void {
  assert.ok(inDomain);
  assert.equal(inDomain.nll, null);
  const { nllInfinite } = inDomain;
  assert.ok(nllInfinite !== null && nllInfinite > 0 && nllInfinite <= inDomain.count);
  assert.ok(inDomain.brier !== null, "the other figures are there");
}

Deno.test("a centroid far away makes the NLL infinite for its images, which are counted", () =>
  inFolder(async (folder) => {
    const path = join(folder, "far.safetensors");
    await writeModel(path, "duq", (name, values) =>
      // One centroid beyond reach: the last class's kernel value is exactly 0.
      name.endsWith("m") ? values.map((v, i) => i % 10 === 9 ? 1e9 : v) : values);
    const config = runConfig({ mode: "duq", checkpoint: path, limit: 40, savePath: folder });
    const result = await attack(config);
    infinite(result);
    const kernel = result.clean.readings["kernel"];
    assert.equal(kernel?.logConfidenceInfinite, 0);
    assert.ok(kernel.logConfidence !== null);
  }));

testWithShared(
  "DUQ with one centroid far away has an infinite NLL, said so",
  ["cases/infinite_nll.checkpoint"],
  () =>
    inFolder(async (folder) => {
      const checkpoint = sharedPath("cases/infinite_nll.checkpoint");
      const args = ["--mode", "duq", "--checkpoint", checkpoint, "--limit", "200"];
      const { code, stdout, stderr } = await task("eval", args, { cwd: folder });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /NLL infinite \(21 of 200 images\)$/m);
    }),
);

Deno.test("a training whose last step breaks the model says so, and leaves no such model", () =>
  inFolder(async (cwd) => {
    // One step an epoch: no loss comes after it.
    const args = "--mode due --epochs 1 --limit 300 --lr 1e30".split(" ");
    const { code, stdout, stderr } = await task("train", args, { cwd });
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^Cannot continue training: after epoch 1 .* use a smaller --lr/m);
    for await (const path of filesIn(cwd)) assert.ok(!path.endsWith(".safetensors"), path);
  }));

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* filesIn(`${folder}/${name}`);
    else yield `${folder}/${name}`;
  }
}
