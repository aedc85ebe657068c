/**
 * What the paper's second experiment costs, CIFAR-10 against SVHN with ResNet-18: the time of a
 * training step and of a step of the attack for every variant, and what both tables would take.
 *
 * @module
 */
import { type MethodName, methods } from "../src/methods/mod.ts";
import { openDevice } from "../src/nn/mod.ts";
import { paperTables } from "../src/experiment/paper.ts";
import { useTuning } from "../src/nn/device/tuning.ts";
import { attackStep, type Step, trainingStep } from "./programs.ts";
import { summarise, type Summary } from "./statistics.ts";

/** The paper's numbers: images in the sets, passes, steps of the attack, members of an ensemble. */
const paper = {
  train: 50_000,
  outDomain: 26_032,
  epochs: 80,
  steps: 10,
  members: 10,
} as const;

/**
 * A GPU of the A100's class: 19.5 TFLOP/s of f32 (NVIDIA's data sheet), and a quarter of that reached. The
 * quarter is an assumption, not a measurement.
 */
const a100 = { gflops: 19_500, share: 0.25 } as const;

/** One variant's costs, an image. */
export interface ExperimentRow {
  readonly mode: MethodName;
  readonly network: string;
  /** Milliseconds an image. */
  readonly train: Summary;
  readonly attack: Summary;
  /** Billions of operations an image. */
  readonly trainGigaflop: number;
  readonly attackGigaflop: number;
  /** Bytes of a training step of the measured batch. */
  readonly trainBytes: number;
  /** Hours of all trainings and attacks of this method in the tables. */
  readonly hoursHere: number;
  /** The same on a GPU of the A100's class: an estimate by operations alone. */
  readonly hoursA100: number;
}

/** The report. */
export interface ExperimentReport {
  readonly adapter: string;
  readonly batch: number;
  readonly rows: readonly ExperimentRow[];
}

/** Measures every variant at a batch that fits the patience of this machine. */
export async function measureExperiment(
  batch: number,
  rounds: number,
  say: (line: string) => void,
): Promise<ExperimentReport> {
  using device = await openDevice();
  await useTuning(device);
  const rows: ExperimentRow[] = [];
  for (const mode of Object.keys(methods) as MethodName[]) {
    // An ensemble's members are baselines; and of methods beyond the paper's its tables have no rows.
    if (mode !== "baseline" && !inTables(mode) || mode === "deep_ensemble") continue;
    const network = methods[mode].models.find((name) => name.startsWith("ResNet-18"));
    if (!network) continue;
    const measure = async (make: () => Promise<Step>): Promise<Measured> => {
      using step = await make();
      const times: number[] = [];
      for (let i = 0; i <= rounds; i++) {
        const started = performance.now();
        step.run();
        await device.idle();
        // The first one compiles.
        if (i > 0) times.push((performance.now() - started) / batch);
      }
      const { gigaflop, bytes } = step.program.stats;
      return { time: summarise(times), gigaflop: gigaflop / batch, bytes };
    };
    const train = await measure(() => trainingStep(device, mode, network, batch));
    const attack = await measure(() => attackStep(device, mode, network, batch));
    say(`${network} (${mode}): ${train.time.median.toFixed(0)} ms to train on an image`);
    rows.push(rowOf(mode, network, train, attack));
  }
  return { adapter: device.adapter.description, batch, rows };
}

/** Whether the paper's tables have a method. */
function inTables(mode: MethodName): boolean {
  return paperTables.cifar10.rows.some((row) => row.mode === mode);
}

interface Measured {
  readonly time: Summary;
  readonly gigaflop: number;
  readonly bytes: number;
}

function rowOf(
  mode: MethodName,
  network: string,
  train: Measured,
  attack: Measured,
): ExperimentRow {
  const { rows, epsilons } = paperTables.cifar10;
  // The plain ensemble shares the baseline's trainings; an adversarially trained one has its own.
  const family = mode === "baseline" ? "deep_ensemble" : mode;
  const listed = rows.filter((row) => row.mode === family).length;
  const models = listed * (methods[family].ensemble ? paper.members : 1);
  const trained = models * paper.train * paper.epochs;
  const steps = methods[family].attack === "fgsm" ? 1 : paper.steps;
  const attacked = models * paper.outDomain * epsilons.length * steps;
  const hours = (ms: number): number => ms / 3.6e6;
  const onA100 = (gigaflop: number): number => 1000 * gigaflop / (a100.gflops * a100.share);
  return {
    mode,
    network,
    train: train.time,
    attack: attack.time,
    trainGigaflop: train.gigaflop,
    attackGigaflop: attack.gigaflop,
    trainBytes: train.bytes,
    hoursHere: hours(trained * train.time.median + attacked * attack.time.median),
    hoursA100: hours(trained * onA100(train.gigaflop) + attacked * onA100(attack.gigaflop)),
  };
}
