/** Options that would change nothing are refused with what does; every other is taken. */
import assert from "node:assert/strict";
import { checkEffects } from "../src/cli/effect.ts";
import { checkTableEffects } from "../src/cli/table_effect.ts";
import { flagOf, tableModes } from "../src/cli/flags.ts";
import { modes, runConfig, type RunOptions } from "../src/experiment/config.ts";
import { UserError } from "../src/base/errors.ts";
import {
  type Hyperparameter,
  hyperparameterNames,
  type Method,
  methods,
} from "../src/methods/mod.ts";
import {
  concerning,
  procedureOf,
  type ProtocolOption,
  type ProtocolOptionName,
  protocolOptionNames,
  protocolOptions,
  type Stage,
} from "../src/methods/protocol.ts";
import type { TableOptions } from "../src/experiment/table.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

type Command = "train" | "eval" | "attack";
const commands = ["train", "eval", "attack"] as const;

/** What is said against a flag; undefined where it is taken. */
function said(check: () => void, flag: string): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof UserError);
    assert.ok(error.message.startsWith(`Cannot use ${flag} here: `), error.message);
    return error.message;
  }
}

function against(command: Command, flag: string, options: RunOptions): string | undefined {
  return said(() => checkEffects(command, runConfig(options), [command, flag]), flag);
}

/** As {@linkcode against}, in a table. */
function inTable(flag: string, options: Partial<TableOptions> = {}): string | undefined {
  const table = { pair: "mnist", run: {}, seeds: 1, ensembles: 1, modes: [], ablate: [] } as const;
  const [name = ""] = flag.split(" ");
  return said(() => checkTableEffects({ ...table, ...options }, ["table", "mnist", name]), flag);
}

const ofAttack = ["--epsilon-attack", "--targeted", "--save-images"];
const ofTraining = ["--epochs", "--lr", "--momentum", "--weight-decay", "--micro-batch"];

/** Stages that a protocol's option acts in. */
const stagesOf = (name: ProtocolOptionName): readonly Stage[] => {
  const { stage, also = [] }: ProtocolOption = protocolOptions[name];
  return [stage, ...also];
};

/** Protocol options that act in an attack only, and those that an evaluation is needed for. */
const attackOptions = [
  "attack",
  "stepFactor",
  "start",
  "keep",
  "ensembleAttack",
  "dueAttackSamples",
  "dueNoise",
] as const;
const evalOptions = ["ensembleMean", "mean"] as const;

Deno.test("options of methods are taken where they concern the mode, and nowhere else", () => {
  for (const mode of modes) {
    const method: Method = methods[mode];
    for (const command of commands) {
      for (const name of hyperparameterNames) {
        const refused = against(command, flagOf(name), { mode }) !== undefined;
        const option: Hyperparameter | undefined = method.hyperparameters[name];
        const acts = option && !(option.stage === "evaluation" && command === "train");
        assert.equal(refused, !acts, `${mode} ${name}`);
      }
      assert.equal(against(command, "--num-ensembles", { mode }) === undefined, method.ensemble);
      for (const model of method.models) {
        const crops = against(command, "--no-augmentation", { mode, model }) === undefined;
        assert.equal(crops, !model.startsWith("LeNet"));
      }
    }
  }
});

Deno.test("options of the protocol are taken by the commands, modes and networks that they act in", () => {
  for (const name of attackOptions) assert.deepEqual(stagesOf(name), ["attack"]);
  for (const name of evalOptions) assert.deepEqual(stagesOf(name), ["evaluation"]);
  for (const mode of modes) {
    const method: Method = methods[mode];
    for (const model of method.models) {
      const own = concerning(procedureOf("paper"), { mode, model });
      for (const command of commands) {
        for (const name of protocolOptionNames) {
          const acts = name in own &&
            (command === "attack" || stagesOf(name).includes("training") ||
              (command === "eval" && stagesOf(name).includes("evaluation")));
          // One step of fgsm leaves nothing to choose; where no noise is added, the start is the image.
          const options = { mode, model, attack: "pgd", laplacePrediction: "samples" } as const;
          const stepless = name === "start" && method.startNoise === 0;
          const refused = against(command, flagOf(name), options) !== undefined;
          assert.equal(refused, !acts || stepless, `${command} ${mode} ${model} ${name}`);
        }
      }
    }
  }
});

Deno.test("options of the attack are refused elsewhere, those of the training beside a checkpoint", () => {
  const mode = "sngp";
  for (const flag of [...ofAttack, "--steps", "--start", "--keep", "--attack", "--step-factor"]) {
    assert.equal(against("attack", flag, { mode }), undefined);
    for (const command of ["eval", "train"] as const) {
      assert.match(against(command, flag, { mode }) ?? "", /does not attack; use attack$/);
    }
  }
  for (const flag of [...ofTraining, "--selection", "--precision"]) {
    for (const command of commands) assert.equal(against(command, flag, { mode }), undefined);
    for (const command of ["eval", "attack"] as const) {
      assert.match(
        against(command, flag, { mode, checkpoint: "a" }) ?? "",
        /the checkpoint is trained already; leave out one of them$/,
      );
    }
    // A battery that attacks a model of another seed trains that.
    const beside = { mode, checkpoint: "a" } as const;
    assert.equal(against("attack", flag, { ...beside, battery: "plus" }), undefined);
    assert.match(against("attack", flag, { ...beside, battery: "rand" }) ?? "", /trained already/);
  }
  // It decides how such a model answers, too.
  const duq = { mode: "duq", checkpoint: "a" } as const;
  assert.equal(against("eval", "--kernel-arithmetic", duq), undefined);
  assert.match(against("eval", "--epoch-order", duq) ?? "", /trained already/);
  assert.match(
    against("train", "--mean", { mode }) ?? "",
    /does not evaluate; use eval or attack$/,
  );
});

Deno.test("options of the steps are refused where the attack has one", () => {
  for (const flag of ["--steps", "--step-factor", "--keep"]) {
    const mode = "deep_ensemble";
    assert.match(against("attack", flag, { mode }) ?? "", /^.*fgsm.*; add --attack pgd$/);
    assert.equal(against("attack", flag, { mode, attack: "pgd" }), undefined);
    assert.equal(against("attack", flag, { mode, protocol: "corrected" }), undefined);
    assert.match(against("attack", flag, { mode: "sngp", attack: "fgsm" }) ?? "", /add --attack/);
  }
});

Deno.test("options of several members are refused where there is one", () => {
  for (const mode of ["deep_ensemble", "deep_ensemble_at"] as const) {
    for (const flag of ["--ensemble-attack", "--ensemble-mean"]) {
      const of = (options: Partial<RunOptions>): string | undefined =>
        against("attack", flag, { mode, ...options });
      for (const one of [{ numEnsembles: 1 }, { checkpoint: "a" }, { checkpoint: ["a"] }]) {
        assert.match(of(one) ?? "", /: there is one member; leave it out$/);
      }
      const several = [{}, { numEnsembles: 2 }, { checkpoint: "{seed}" }, {
        checkpoint: ["a", "b"],
      }];
      for (const options of several) assert.equal(of(options), undefined);
    }
  }
  const one = { modes: ["deep_ensemble"], run: { numEnsembles: 1 } } as const;
  assert.match(inTable("--ensemble-mean", one) ?? "", /: there is one member; leave it out$/);
  assert.match(
    inTable("--ablate-only ensemble-mean", { ...one, ablate: ["ensembleMean"] }) ?? "",
    /: it changes no row of this table; leave it out$/,
  );
});

Deno.test("a table refuses what concerns none of its rows", () => {
  const flags = ["--lambda-reg", "--kernel", "--n-inducing-points", "--num-ensembles", "--steps"];
  for (const flag of flags) assert.equal(inTable(flag), undefined, flag);
  for (const name of protocolOptionNames) {
    const { modes }: ProtocolOption = protocolOptions[name];
    const inRows = modes?.some((mode) => tableModes.some((row) => row === mode)) ?? true;
    const taken = inRows && name !== "batchStatistics";
    assert.equal(inTable(flagOf(name)) === undefined, taken, name);
    assert.equal(inTable(flagOf(name), { pair: "cifar10" }) === undefined, inRows, name);
  }
  assert.match(inTable("--no-augmentation") ?? "", /LeNet never learns from crops; leave it out$/);
  assert.equal(inTable("--no-augmentation", { pair: "cifar10" }), undefined);

  const sngp = { modes: ["sngp"] } as const;
  for (const flag of flags.slice(0, 4)) assert.ok(inTable(flag, sngp), flag);
  assert.match(inTable("--ensemble-mean", sngp) ?? "", /it concerns deep_ensemble, deep_ensemble/);
  assert.match(
    inTable("--lambda-reg", { modes: ["sngp", "due"] }) ?? "",
    /it concerns no row of this table; leave it out$/,
  );
  assert.match(inTable("--ensembles", sngp) ?? "", /no row is an ensemble; use --seeds$/);
  assert.equal(inTable("--seeds", sngp), undefined);
  const ensemble = { modes: ["deep_ensemble"] } as const;
  assert.match(inTable("--seeds", ensemble) ?? "", /every row is an ensemble; use --ensembles$/);
  assert.equal(inTable("--ensembles", ensemble), undefined);

  assert.equal(inTable("--ablate-only", { ...sngp, ablate: ["keep", "precision"] }), undefined);
  assert.match(
    inTable("--ablate-only due-noise", { ...sngp, ablate: ["keep", "dueNoise"] }) ?? "",
    /it changes no row of this table; leave it out$/,
  );
});

/** Flags that act wherever they are taken. */
const always = new Set(
  ("--mode --model --seed --protocol --batch-size --limit --checkpoint --data-path --save-path " +
    "--in-domain --config --out --json --exact-convolutions --explain --time --help --seeds --ensembles --ablate --ablate-only")
    .split(" "),
);

Deno.test("every flag that help shows either acts everywhere or has a rule", () =>
  inFolder(async (cwd) => {
    const flags = new Set<string>();
    for (const command of [...commands, "table"]) {
      const { stdout } = await task(command, ["--help-all"], { cwd });
      for (const [flag] of stdout.matchAll(/(?<=^ {2})--[a-z-]+/gm)) flags.add(flag);
    }
    assert.ok(flags.size > 40, `${flags.size}`);
    const somewhere = (flag: string): boolean =>
      commands.some((command) =>
        modes.some((mode) =>
          [undefined, "a"].some((checkpoint) =>
            against(command, flag, { mode, ...(checkpoint && { checkpoint }) }) !== undefined
          )
        )
      );
    for (const flag of flags) assert.equal(somewhere(flag), !always.has(flag), flag);
  }));

Deno.test("what was typed counts, however it is written, and ends with exit code 1", () =>
  inFolder(async (cwd) => {
    const refused: readonly (readonly [args: string[], stderr: string])[] = [
      [
        ["attack", "--epsilon", "0.3"],
        "Cannot use --epsilon here: sngp does not use it, deep_ensemble_at does; " +
        "the attack's radius is --epsilon-attack\n",
      ],
      [
        ["eval", "--epsilon_attack=0.1"],
        "Cannot use --epsilon-attack here: eval does not attack; use attack\n",
      ],
      // The default's value, too: it has no effect either.
      [
        ["attack", "--mode", "deep_ensemble", "--steps", "10"],
        "Cannot use --steps here: fgsm, the attack on deep_ensemble, has no use for it; " +
        "add --attack pgd\n",
      ],
      [
        ["table", "mnist", "--mode", "due", "--lambda-reg", "0.1"],
        "Cannot use --lambda-reg here: due does not use it, duq and duq_ensemble do; leave it out\n",
      ],
    ];
    for (const [[name = "", ...args], message] of refused) {
      const { code, stdout, stderr } = await task(name, args, { cwd });
      assert.deepEqual([code, stdout, stderr], [1, "", message]);
    }
  }));

Deno.test("Laplace's samples are taken where it answers by samples, its prior where it is used", () => {
  for (const mode of ["laplace", "laplace_ensemble"] as const) {
    assert.match(
      against("attack", "--laplace-samples", { mode }) ?? "",
      /: --laplace-prediction is probit; add --laplace-prediction samples$/,
    );
    const sampled = { mode, laplacePrediction: "samples" } as const;
    assert.equal(against("eval", "--laplace-samples", sampled), undefined);
    const corrected = { mode, protocol: "corrected" } as const;
    assert.equal(against("attack", "--laplace-samples", corrected), undefined);
    for (const flag of ["--prior-precision", "--laplace-prediction"]) {
      assert.equal(against("attack", flag, { mode, checkpoint: "a" }), undefined);
      assert.match(against("train", flag, { mode }) ?? "", /train does not evaluate; use eval/);
    }
  }
});

Deno.test("draws of a step's loss are taken where the answer is a mean of samples", () => {
  const eot = (options: RunOptions): string | undefined =>
    against("attack", "--eot", { ...options, eot: 2 });
  for (const mode of ["due", "mc_dropout", "due_ensemble"] as const) {
    assert.equal(eot({ mode }), undefined);
  }
  assert.equal(eot({ mode: "laplace", laplacePrediction: "samples" }), undefined);
  for (const mode of ["laplace", "evidential", "sngp"] as const) {
    assert.match(eot({ mode }) ?? "", /draws no samples/);
  }
});
