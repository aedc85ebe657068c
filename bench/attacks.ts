/**
 * What a step of each attack costs on LeNet, beside a forward pass and beside another library's step of the same
 * pgd, in turns.
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
}

interface Steps {
  readonly name: string;
  run(steps: number): Promise<unknown>;
  close(): Promise<void> | void;
}

/** Steps in a turn, of which the first turn warms up. */
const steps = 20;

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
    rows: runners.map(({ name }, i) => ({
      name,
      step: summarise(times[i] ?? []),
      ratio: summarise((times[i] ?? []).map((ms, round) => ms / (pgd[round] ?? NaN))),
    })),
    besideForward: summarise(square.map((ms, i) => 1 - (forward[i] ?? NaN) / ms)),
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
