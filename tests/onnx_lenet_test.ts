/** One LeNet by two ways in, a state_dict under `--checkpoint` and an ONNX file under `--model-file`: the same figures. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeSafetensors } from "../src/checkpoint/safetensors.ts";
import { readCheckpointArrays } from "../src/checkpoint/torch.ts";
import { type AttackResult, attackResultSchema } from "../src/experiment/documents.ts";
import { LeNet } from "../src/networks/mod.ts";
import { Random } from "../src/nn/mod.ts";
import { lenetFile } from "./onnx_writer.ts";
import { task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";

/** What both ways in are attacked on, and by. */
interface Under {
  readonly mode: "baseline" | "deep_ensemble";
  /** Checkpoints of the members. */
  readonly checkpoints: readonly string[];
  /** Flags of both. */
  readonly flags: readonly string[];
}

/** Attacks the same models by both ways in, as a user does. */
async function both(cwd: string, { mode, checkpoints, flags }: Under): Promise<AttackResult[]> {
  const files = await Promise.all(checkpoints.map(async (path, i) => {
    const file = join(cwd, `lenet_${i}.onnx`);
    await Deno.writeFile(file, lenetFile((await readCheckpointArrays(path)).tensors));
    return file;
  }));
  const named = (flag: string, paths: readonly string[]): string[] =>
    paths.flatMap((path) => [flag, path]);
  const results: AttackResult[] = [];
  for (
    const models of [
      named("--model-file", files),
      ["--mode", mode, ...named("--checkpoint", checkpoints)],
    ]
  ) {
    const sets = ["--in-domain", "mnist", "--out-domain", "notmnist"];
    const args = [...models, ...sets, "--epsilon-attack", "0.1", "--json", ...flags];
    const { code, stdout, stderr } = await task("attack", args, { cwd });
    assert.equal(code, 0, stderr);
    results.push(attackResultSchema.parse(JSON.parse(stdout)));
  }
  return results;
}

/** The figures of a run by name. */
function figuresOf({ inDomain, clean, adversarial, detection }: AttackResult): Map<string, number> {
  const { accuracy, brier, nll } = inDomain ?? assert.fail();
  const figures: Record<string, number | null | undefined> = { accuracy, brier, nll };
  for (const [part, { entropy, rejection }] of Object.entries({ clean, adversarial })) {
    figures[`${part} entropy`] = entropy;
    for (const [tau, share] of Object.entries(rejection)) figures[`${part} ${tau}`] = share;
  }
  for (const [score, { clean, attacked }] of Object.entries(detection?.scores ?? {})) {
    figures[`AUROC of ${score}`] = clean.auroc.value;
    figures[`AUROC of ${score}, attacked`] = attacked.auroc.value;
  }
  return new Map(Object.entries(figures).map(([name, figure]) => [name, figure ?? NaN]));
}

/** Holds the figures of one way in against those of the other, to three digits. */
function alike([byFile, byCheckpoint]: readonly AttackResult[]): void {
  assert.ok(byFile && byCheckpoint);
  assert.equal(byFile.mode, byCheckpoint.mode);
  assert.deepEqual(byFile.attack, byCheckpoint.attack);
  const [file, checkpoint] = [figuresOf(byFile), figuresOf(byCheckpoint)];
  assert.deepEqual([...file.keys()], [...checkpoint.keys()]);
  assert.ok(file.size > 20);
  for (const [name, figure] of file) {
    const wanted = checkpoint.get(name) ?? NaN;
    assert.ok(Math.abs(figure - wanted) < 5e-4, `${name}: ${figure} by file, ${wanted}`);
  }
  // An attack that did nothing would leave the same figures too.
  const { clean, adversarial } = byCheckpoint;
  assert.ok((adversarial.entropy ?? NaN) < (clean.entropy ?? NaN) - 0.1);
}

const pgd = ["--limit", "20", "--attack", "pgd"];

Deno.test("a LeNet that a test drew has the same figures by both ways in", () =>
  inFolder(async (cwd) => {
    const { state } = new LeNet(new Random(0));
    // Wider than what training starts with, so that there is confidence to gain.
    const tensors = new Map(
      Array.from(state, ([name, { shape, data }]) => [
        name,
        { shape, data: Float32Array.from(data, (v) => 2.5 * v) },
      ]),
    );
    const path = join(cwd, "drawn.safetensors");
    await Deno.writeFile(path, encodeSafetensors({ tensors, metadata: {} }));
    alike(await both(cwd, { mode: "baseline", checkpoints: [path], flags: pgd }));
  }));

const checkpoints = [0, 1].map((seed) => `reference/checkpoints/de_seed${seed}.checkpoint`);
const needed = [...checkpoints, "data/MNIST", "data/notMNIST_small.tar.gz"];
const data = ["--data-path", sharedPath("data")];

testWithShared(
  "the original's LeNet has the same figures by both ways in, by pgd",
  needed,
  () =>
    inFolder(async (cwd) => {
      const [path = ""] = checkpoints.map(sharedPath);
      alike(
        await both(cwd, {
          mode: "baseline",
          checkpoints: [path],
          flags: [...pgd, ...data],
        }),
      );
    }),
);

testWithShared(
  "the original's ensemble has the same figures by both ways in, by the attack published on it",
  needed,
  () =>
    inFolder(async (cwd) => {
      const published = ["--limit", "20", "--attack", "fgsm", "--ensemble-attack", "per-member"];
      alike(
        await both(cwd, {
          mode: "deep_ensemble",
          checkpoints: checkpoints.map(sharedPath),
          flags: [...published, "--ensemble-mean", "logits", ...data],
        }),
      );
    }),
);
