/** What is told of the models behind a result: how long they learned, from what, and what that is not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { showAttack, showEval } from "../src/cli/show.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { type Reporter, silent } from "../src/base/reporter.ts";
import { attack } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { train } from "../src/experiment/train.ts";
import { table } from "../src/experiment/table.ts";
import { figuresOf } from "../src/runs/figures.ts";
import { runsFolder } from "../src/runs/folder.ts";
import { inFolder } from "./support.ts";

/** A reporter that keeps what it is told. */
function listening(): { notes: string[]; reporter: Reporter } {
  const notes: string[] = [];
  return { notes, reporter: { ...silent, note: (message) => void notes.push(message) } };
}

/** The notes of an evaluation. */
async function notesOf(options: RunOptions): Promise<string> {
  const { notes, reporter } = listening();
  await evaluate(runConfig(options), reporter);
  return notes.join("\n");
}

const small = { mode: "baseline", limit: 20 } as const;

Deno.test("a result says how long its models learned, from what, and where nobody knows", () =>
  inFolder(async (savePath) => {
    const options = { ...small, savePath };
    const { members: [member] } = await train(runConfig({ ...options, epochs: 2 }));
    const { epoch, path } = member?.best ?? assert.fail();
    const data = { name: "embedded digits train", count: 20 };
    const result = await attack(runConfig(options));
    assert.deepEqual(result.trained, [{ epochs: epoch + 1, data }]);
    assert.match(
      showAttack(result),
      /^trained: (1 epoch|2 epochs) on 20 images of embedded digits train$/m,
    );
    const foreign = join(savePath, "foreign.safetensors");
    const { tensors } = await readSafetensors(path);
    // Other weights: the same ones would be the same member twice.
    const [bias] = tensors.get("fc_2.0.bias")?.data.fill(0.5) ?? [];
    assert.equal(bias, 0.5);
    await writeSafetensors(foreign, { tensors, metadata: {} });
    const ensemble = await evaluate(
      runConfig({ ...options, mode: "deep_ensemble", checkpoint: [path, foreign] }),
    );
    assert.deepEqual(ensemble.trained, [{ epochs: epoch + 1, data }, null]);
    assert.match(
      showEval(ensemble),
      /^trained: seed 0: \d epochs? on 20 images of .*; seed 1: the checkpoint does not say how long/m,
    );
    const file = { model: "a.onnx", trained: [null], checkpoints: ["m/a.onnx"] };
    const imported = showAttack({ ...result, ...file });
    assert.match(imported, /^trained: not known \(model file\)$/m);
    assert.match(imported, /^model file: m\/a\.onnx$/m);
  }));

Deno.test("a run that trains first goes by the best epoch, as one does that finds the model", () =>
  inFolder(async (savePath) => {
    // The last epochs are worse than the fourth.
    const options = { ...small, limit: 200, epochs: 12, lr: 0.1, savePath };
    const trained = await evaluate(runConfig(options));
    const [{ epochs = 12 } = {}] = trained.trained.filter((of) => of !== null);
    assert.ok(epochs < 12, `the best epoch is the last of ${epochs}`);
    await Deno.remove(runsFolder(savePath), { recursive: true });
    const found = await evaluate(runConfig(options));
    assert.deepEqual(figuresOf(found), figuresOf(trained));
    const { members: [member] } = await train(runConfig(options));
    assert.equal(found.inDomain.accuracy, member?.best.accuracy);
  }));

Deno.test("a model of fewer epochs than usual, or of more than were asked for, is told wherever it is used", () =>
  inFolder(async (savePath) => {
    const options = { ...small, savePath };
    assert.match(
      await notesOf({ ...options, epochs: 2 }),
      /yet: training one for 2 epochs on the first 20 of 8000 images \(--limit\)$/m,
    );
    assert.match(
      await notesOf(options),
      /^Using a model of 2 epochs \(asked: none given, default 20\), the .*; --epochs 20 goes on$/m,
    );
    // Its file made again from the last epoch, or gone on with to fewer than usual, it is told too.
    const { members: [member] } = await train(runConfig({ ...options, seed: 5, epochs: 1 }));
    await Deno.remove(member?.best.path ?? assert.fail());
    assert.match(
      await notesOf({ ...options, seed: 5 }),
      /has its 1 epoch, but no best model\n(.*\n)*Using a model of 1 epoch \(/,
    );
    assert.match(
      await notesOf({ ...options, seed: 5, epochs: 2 }),
      /has 1 of 2 epochs: training goes on, on the first 20 of 8000 images \(--limit\)$/m,
    );
    assert.match(
      await notesOf(options),
      /^Using a model trained on the first 20 of 8000 images \(--limit\)$/m,
    );
    const more = /^The LeNet in .* has 2 epochs, more than 1: using it$/m;
    assert.match(await notesOf({ ...options, epochs: 1 }), more);
    const trained = listening();
    await train(runConfig({ ...options, epochs: 1 }), trained.reporter);
    assert.match(trained.notes.join("\n"), more);
    const made = listening();
    const run = { savePath, limit: 20, epochs: 1, numEnsembles: 1 };
    await table(
      { pair: "mnist", run, seeds: 1, ensembles: 1, modes: ["deep_ensemble"], ablate: [] },
      made.reporter,
    );
    assert.equal(made.notes.filter((note) => more.test(note)).length, 1, `${made.notes}`);
  }));

Deno.test("members of an ensemble are brought to as many epochs as the longest training among them", () =>
  inFolder(async (savePath) => {
    const options = { ...small, savePath };
    await train(runConfig({ ...options, seed: 1, epochs: 3 }));
    const ensemble = { ...options, mode: "deep_ensemble", numEnsembles: 2, epochs: 1 } as const;
    assert.match(
      await notesOf(ensemble),
      /no LeNet of seed 0 .* training one for 3 epochs, as another member of the ensemble has on the/,
    );
    const { members } = await train(runConfig(ensemble));
    assert.deepEqual(members.map(({ epochs }) => epochs.length), [3, 3]);
  }));
