/**
 * What a step of each attack costs on LeNet, beside a forward pass and beside another library's step of the same
 * pgd, in turns; and whether restarts side by side are faster than one after the other.
 *
 * @module
 */
import { type Attack, attacks } from "../src/attack/mod.ts";
import { Classifier } from "../src/methods/classifier.ts";
import {
  add,
  compile,
  constant,
  crossEntropy,
  Parameter,
  Random,
  release,
  type Tensor,
} from "../src/nn/mod.ts";
import { jax } from "./contenders/jax/mod.ts";
import { load, mirage } from "./contenders/mirage.ts";
import { summarise, type Summary } from "./statistics.ts";
import { makeWorkload, type Workload, workloads } from "./workload.ts";

/** One kind of step. */
export interface AttackRow {
  /** `apgd`, `pgd`, `square`, `forward pass`, or another library's pgd. */
  readonly name: string;
  /** Milliseconds of one step. */
  readonly step: Summary;
  /** How many times as long as pgd's step of the same round. */
  readonly ratio: Summary;
}

/** What was measured. */
export interface AttackReport {
  readonly where: string;
  readonly rows: readonly AttackRow[];
  /** Share of a square step that is not its forward pass, 0 to 1. */
  readonly besideForward: Summary;
  /** What is gained where restarts of a batch run side by side, as one batch of their copies. */
  readonly sideBySide: readonly {
    /** Images of a run. */
    readonly images: number;
    /** Runs at once. */
    readonly runs: number;
    /** How many times as long they take one after the other. */
    readonly gain: Summary;
  }[];
}

interface Steps {
  readonly name: string;
  run(steps: number): Promise<unknown>;
  close(): Promise<void> | void;
}

/** Steps in a turn, of which the first turn warms up. */
const steps = 20;

/** Restarts that run side by side, and of how many images. */
const copied = { runs: 4, images: [20, 200] } as const;

/** Measures in turns. */
export async function measureAttacks(
  rounds: number,
  say: (line: string) => void,
): Promise<AttackReport> {
  const workload = await makeWorkload("attack");
  const own = await mirage();
  const runners: Steps[] = [];
  for (const name of ["pgd", "apgd", "square"] as const) {
    runners.push(await stepsOf(own, workload, name));
  }
  runners.push(await stepsOf(own, workload, undefined));
  const other = await jax().catch(() => undefined);
  const theirs = await other?.prepare(workload);
  if (other && theirs) {
    runners.push({
      name: `${other.name}, pgd`,
      run: (n) => theirs.run(n),
      close: () => theirs.close(),
    });
  } else say("jax is not on this machine; going on without it");
  const named = runners.length;
  for (const images of copied.images) {
    runners.push(await stepsOf(own, repeated(workload, images), "pgd"));
    runners.push(await stepsOf(own, repeated(workload, images * copied.runs), "pgd"));
  }
  for (const runner of runners) await runner.run(steps);
  const times = runners.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [i, runner] of runners.entries()) {
      const started = performance.now();
      await runner.run(steps);
      times[i]?.push((performance.now() - started) / steps);
    }
    say(`attacks: round ${round + 1} of ${rounds}`);
  }
  for (const runner of runners) await runner.close();
  const where = own.where;
  await own.close?.();
  await other?.close?.();
  const [pgd = [], , square = [], forward = []] = times;
  return {
    where,
    rows: runners.slice(0, named).map(({ name }, i) => ({
      name,
      step: summarise(times[i] ?? []),
      ratio: summarise((times[i] ?? []).map((ms, round) => ms / (pgd[round] ?? NaN))),
    })),
    besideForward: summarise(square.map((ms, i) => 1 - (forward[i] ?? NaN) / ms)),
    sideBySide: copied.images.map((images, i) => {
      const [one = [], all = []] = times.slice(named + 2 * i);
      const gain = one.map((ms, round) => copied.runs * ms / (all[round] ?? NaN));
      return { images, runs: copied.runs, gain: summarise(gain) };
    }),
  };
}

/** The same with so many images, the given ones again and again. */
function repeated({ shape, images, labels, ...rest }: Workload, count: number): Workload {
  const [given = 1, ...image] = shape;
  const one = images.length / given;
  return {
    ...rest,
    shape: [count, ...image],
    images: Float32Array.from({ length: count * one }, (_, i) => images[i % images.length] ?? 0),
    labels: Float32Array.from({ length: count }, (_, i) => labels[i % given] ?? 0),
  };
}

/** Steps of an attack, or forward passes alone. */
async function stepsOf(
  { device }: Awaited<ReturnType<typeof mirage>>,
  { name, shape, images, labels, epsilon, models }: Workload,
  attack: keyof typeof attacks | undefined,
): Promise<Steps> {
  const model = new Classifier(workloads[name].network, { random: new Random(0) });
  load(model.state, models[0]);
  const data = new Parameter(shape, images);
  const loss = (x: Tensor): Tensor => crossEntropy(model.logits(x), constant(labels));
  const held = [data, ...model.state.values()];
  if (attack === undefined) {
    // What nothing changes would be computed once.
    const same = add(data.tensor, 0);
    const pass = await compile(device, {
      name: "forward",
      records: [loss(data.tensor)],
      updates: new Map([[data, same]]),
    });
    return {
      name: "forward pass",
      run: (n) => {
        pass.run([], n);
        return pass.drain();
      },
      close(): void {
        pass[Symbol.dispose]();
        release(device, held);
      },
    };
  }
  const of: Attack = attacks[attack];
  const settings = of.settings(epsilon, { steps: 10_000 });
  const state = of.prepare({ loss, shape }, settings);
  const start = await compile(device, { updates: state.start(data.tensor, new Random(0)) });
  const { updates, losses } = state.step();
  const step = await compile(device, {
    name: attack,
    updates,
    records: losses ? [losses] : [],
  });
  start.run();
  return {
    name: attack,
    run: (n) => {
      step.run([], n);
      return step.drain();
    },
    close(): void {
      start[Symbol.dispose]();
      step[Symbol.dispose]();
      release(device, [...state.parameters, ...held]);
    },
  };
}
