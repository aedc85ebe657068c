/** Only what was made as the paper's row is set against it; what differs is named. */
import assert from "node:assert/strict";
import type { Statement } from "../src/checkpoint/statement.ts";
import { showTable } from "../src/cli/show_table.ts";
import { differsIn, type Made, trainedUnlike, waysOf } from "../src/experiment/likeness.ts";
import { methods } from "../src/methods/mod.ts";
import { paperTables } from "../src/experiment/paper.ts";
import { concerning, procedureOf } from "../src/methods/protocol.ts";
import type { AttackResult } from "../src/experiment/documents.ts";
import { summarise } from "../src/experiment/table_rows.ts";
import type { TableResult } from "../src/experiment/table_document.ts";

const figures = { entropy: 0.5, rejection: { "0.9": 0.5 } };

/** An attack as the paper's, with what a test changes in it. */
function result(mode: "deep_ensemble" | "due", changed: object = {}): AttackResult {
  return {
    mode,
    protocol: "paper",
    procedure: concerning(procedureOf("paper"), { mode, model: "LeNet" }),
    checkpoints: Array.from({ length: methods[mode].ensemble ? 10 : 1 }, (_, i) => `${i}/best`),
    epsilonAttack: 0.1,
    attack: { name: methods[mode].attack, steps: 10, targeted: null },
    inDomain: { name: "MNIST test", count: 10_000, accuracy: 0.99 },
    outDomain: { name: "notMNIST", count: 10_000 },
    clean: figures,
    adversarial: figures,
    seed: 0,
    ...changed,
    detection: { scores: {} },
  } as unknown as AttackResult;
}

function statement(changed: object = {}, data: object = {}, training: object = {}): Statement {
  return {
    model: "LeNet",
    hyperparameters: {},
    history: Array(80).fill({}),
    training: {
      lr: 0.01,
      momentum: 0.9,
      weightDecay: 1e-4,
      batchSize: 256,
      augment: false,
      ...training,
    },
    data: { name: "MNIST train", count: 60_000, ...data },
    ...changed,
  } as unknown as Statement;
}

function made(changed: Partial<Made> = {}): Made {
  return {
    pair: "mnist",
    batchSize: 200,
    results: [result("due")],
    trainings: [statement({ hyperparameters: { nInducingPoints: 10, kernel: "RBF" } })],
    ...changed,
  };
}

/** `made()` whose attack, or whose training, is another. */
const of = (...results: AttackResult[]): Made => made({ results });
const after = (...trainings: (Statement | undefined)[]): Made => made({ trainings });

Deno.test("what was made as the paper's differs in nothing", () => {
  assert.deepEqual(differsIn(made()), []);
  assert.deepEqual(differsIn(of(result("deep_ensemble"))), []);
  // Crops are noted down in pixels of padding.
  assert.deepEqual(differsIn(after(statement({ model: "ResNet-18" }, {}, { augment: 4 }))), []);
});

const others: readonly (readonly [what: Made, differs: string])[] = [
  [after(statement({ history: Array(10) })), "10 epochs, not 80"],
  [after(statement({ history: Array(1) })), "1 epoch, not 80"],
  // More than were asked for are behind it.
  [after(statement(), statement({ history: Array(81) })), "81 epochs, not 80"],
  [after(undefined), "an unknown number of epochs, not 80"],
  [
    after(statement({}, { name: "embedded digits train" })),
    "trained on embedded digits train, not MNIST train",
  ],
  // --limit 10000 leaves both of the test sets whole.
  [after(statement({}, { count: 10_000 })), "10000 training images, not 60000"],
  [after(statement({}, {}, { lr: 0.1 })), "lr 0.1, not 0.01"],
  [after(statement({}, {}, { batchSize: 64 })), "batchSize 64, not 256"],
  [after(statement({ model: "ResNet-18" })), "no augmentation"],
  [after(statement({ hyperparameters: { lambdaReg: 5 } })), "lambdaReg 5, not 0.1 or 0.3"],
  [after(statement({ hyperparameters: { kernel: "RQ" } })), "kernel RQ, not RBF"],
  [after(statement({ hyperparameters: { width: 16 } })), "width 16, not 64"],
  [
    of(result("due", { inDomain: { name: "a", count: 10_000 } })),
    "tested on a, not MNIST test",
  ],
  [
    of(result("due", { outDomain: { name: "notMNIST", count: 500 } })),
    "500 out-domain images, not 10000",
  ],
  [
    of(result("due", { outDomain: { name: "embedded letters", count: 10_000 } })),
    "attacked on embedded letters, not notMNIST",
  ],
  [of(result("deep_ensemble", { checkpoints: ["a/b"] })), "1 member, not 10"],
  [
    of(result("due", { protocol: "corrected", procedure: procedureOf("corrected") })),
    "protocol corrected",
  ],
  [
    of(result("due", { procedure: procedureOf("paper", { dueSamples: 1000 }) })),
    "dueSamples 1000",
  ],
  [of(result("due", { attack: { name: "pgd", steps: 40, targeted: null } })), "40 steps, not 10"],
  [
    of(result("due", { attack: { name: "pgd", steps: 10, targeted: 3 } })),
    "steered to class 3",
  ],
  [made({ batchSize: 100 }), "evaluated in batches of 100, not 200"],
];

Deno.test("whatever is not as the paper's is named, and nothing else", () => {
  for (const [what, differs] of others) assert.deepEqual(differsIn(what), [differs]);
});

Deno.test("the paper's figure has a difference beside like, and stands apart beside unlike", () => {
  const [row = assert.fail()] = paperTables.mnist.rows.filter(({ mode }) => mode === "due");
  const shown = (differs: string[]): string => {
    const results = [result("due")];
    const document = {
      pair: "mnist",
      protocol: "paper",
      epochs: 80,
      inDomain: "MNIST test",
      outDomain: { name: "notMNIST", count: 10_000 },
      epsilons: [0.1],
      rows: [summarise(row, results, differs, waysOf([statement()]))],
      notes: [],
      ablation: [],
    };
    return showTable(document as unknown as TableResult);
  };
  assert.match(shown([]), /\| 0\.50 \(paper 0\.83, -0\.33\) \|/);
  assert.doesNotMatch(shown([]), /Not made as the paper's/);
  const apart = shown(["1 epoch, not 80", "5 members, not 10"]);
  assert.match(apart, /\| 0\.50 \(paper 0\.83\) \|/);
  assert.match(apart, /stand beside them without a difference:\n- DUE: 1 epoch, not 80; 5 members/);
});

Deno.test("only models trained for as many epochs on the same images are like", () => {
  const [brief, few] = [statement({ history: Array(1) }), statement({}, { count: 60 })];
  assert.deepEqual(trainedUnlike([statement(), brief], [statement(), brief]), []);
  const says = (own: Statement | undefined, other: Statement | undefined): string[] =>
    trainedUnlike([own], [other]);
  assert.deepEqual(says(brief, statement()), [
    "1 epoch on 60000 images, not 80 epochs on 60000 images",
  ]);
  assert.deepEqual(says(few, statement()), [
    "80 epochs on 60 images, not 80 epochs on 60000 images",
  ]);
  assert.deepEqual(says(statement({}, { sha256: "other" }), statement()), [
    "80 epochs on 60000 images, but not the same ones",
  ]);
  assert.equal(says(undefined, undefined).length, 1);
});
