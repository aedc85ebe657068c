/** Tables of runs and of the paper's figures on terminals of several widths. */
import assert from "node:assert/strict";
import { showRuns } from "../src/cli/show_runs.ts";
import { showTable } from "../src/cli/show_table.ts";
import type { TableResult } from "../src/experiment/table_document.ts";
import type { RunRow } from "../src/runs/list.ts";

Deno.test("`runs` fits a terminal of any width, and leaves nothing out", () => {
  const row: RunRow = {
    folder: "trained_models/runs/attack-deep_ensemble_at-0123456789ab",
    command: "attack",
    mode: "deep_ensemble_at",
    model: "ResNet-18",
    hyperparameters: { epsilon: 0.01 },
    seed: 30,
    members: 10,
    protocol: "corrected",
    attack: "fgsm",
    battery: null,
    targeted: 3,
    limit: 5000,
    options: {
      temperatureScaling: true,
      mean: "samples",
      resize: false,
      scores: "all",
      attack: "fgsm",
    },
    epsilon: 0.016,
    images: 4999,
    entropy: 1.25,
    entropyAttacked: 0.75,
    rejected: 0.5,
    rejectedAttacked: 0.25,
    accuracy: 0.9321,
    started: new Date().toISOString(),
    state: "finished",
  };
  const training = {
    ...row,
    command: "train",
    attack: null,
    targeted: null,
    epsilon: null,
  } as const;
  const battery: RunRow = {
    ...row,
    command: "battery",
    attack: null,
    battery: "fast",
    epsilon: 8 / 255,
  };
  const runs = [
    row,
    { ...training, entropyAttacked: null, rejectedAttacked: null, images: 1 },
    { ...battery, targeted: null },
  ];
  for (const width of [300, 80, 40]) {
    const text = showRuns({ schema: "mirage/runs@5", folder: "trained_models/runs", runs }, width);
    for (const line of text.split("\n")) assert.ok(line.length <= width, line);
    for (
      const figure of [
        "attack-deep_ensemble_at-0123456789ab",
        "10 x ResNet-18, epsilon 0.01",
        "30",
        "4999",
        "5000",
        "temperature scaling",
        "fgsm 0.016 to class 3",
        "battery fast 8/255",
        "corrected",
        "0.9321",
        "1.250",
        "0.750",
        "0.500",
        "0.250",
        "finished",
      ]
    ) assert.ok(text.includes(figure), `${figure} at ${width}:\n${text}`);
  }
});

Deno.test("a table for a terminal that is too narrow is a list of its rows, and Markdown elsewhere", () => {
  const statistic = { values: [0.25], mean: 0.25, halfWidth: null, paper: 0.5, difference: null };
  const { paper: _, difference: __, ...auroc } = { ...statistic, mean: 0.8765 };
  const figures = { entropy: statistic, rejection: statistic, auroc };
  const document: TableResult = {
    schema: "mirage/table@4",
    pair: "mnist",
    protocol: "paper",
    epochs: 1,
    inDomain: "MNIST test",
    outDomain: { name: "notMNIST", count: 10, sha256: "" },
    epsilons: [0.1, 0.2],
    rows: [{
      title: "SNGP",
      mode: "sngp",
      hyperparameters: {},
      seeds: [[0]],
      accuracy: [0.9],
      trained: [null],
      differs: [],
      clean: figures,
      attacked: [{ epsilon: 0.1, ...figures }, { epsilon: 0.2, ...figures }],
    }],
    notes: [],
    ablation: [],
    adapter: { vendor: "", architecture: "", device: "", description: "", software: true },
    versions: { mirage: "0", deno: "0", v8: "0" },
    seconds: 1,
  };
  const wide = showTable(document, Infinity);
  assert.match(wide, /, 1 epoch$/m);
  assert.match(
    wide,
    /^\| SNGP \| 1 +\| 0\.9000 +\| 0\.25 \(paper 0\.50\) .* 0\.876 +\| 0\.876 +\|$/m,
  );
  const rows = showTable(document, 48).split("\n").filter((line) => /^(- | {2}|\|)/.test(line));
  assert.ok(rows.every((line) => line.length <= 48 && !line.startsWith("|")), rows.join("\n"));
  assert.match(rows.join(" "), /- SNGP +runs 1, .* AUROC attacked 0\.876 /);
  assert.equal([...rows.join(" ").matchAll(/0\.25 \(paper 0\.50\)/g)].length, 6);
});
