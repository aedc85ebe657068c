/**
 * Mirage beside other libraries on the same adapter: the same steps from the same weights, in turns.
 *
 * @module
 */
import { jax } from "./contenders/jax/mod.ts";
import { mirage } from "./contenders/mirage.ts";
import { tfjs } from "./contenders/tfjs/mod.ts";
import { torch } from "./contenders/torch.ts";
import { summarise, type Summary } from "./statistics.ts";
import { type Contender, makeWorkload, type WorkloadName, workloads } from "./workload.ts";

/** Steps whose losses every contender must agree on, and how closely, as a share of the largest. */
const checked = { steps: 5, tolerance: 1e-3 };

/** Milliseconds after which a contender that is slow at a workload takes no more turns. */
const patience = 15_000;

/** How often contenders take turns, and for how long each (milliseconds; at least one step). */
export interface Turns {
  readonly rounds: number;
  readonly milliseconds: number;
}

/** One contender's figures. */
export interface PeerRow {
  readonly workload: string;
  readonly library: string;
  readonly version: string;
  readonly where: string;
  /** Milliseconds of one step. */
  readonly step: Summary;
  /** How many times as long as Mirage's step of the same round. */
  readonly ratio: Summary;
  /** Largest difference of the first losses from Mirage's, as a share of the largest of these. */
  readonly lossError: number;
}

/** Opens whatever is on this machine; Mirage is the first. */
export async function openContenders(say: (line: string) => void): Promise<Contender[]> {
  const found: Contender[] = [await mirage()];
  for (const [name, open] of Object.entries({ jax, tfjs, torch })) {
    try {
      const contender = await open();
      if (contender) found.push(contender);
      else say(`${name} is not on this machine; going on without it`);
    } catch (error) {
      say(
        `${name} does not start (${
          error instanceof Error ? error.message : error
        }); going on without it`,
      );
    }
  }
  return found;
}

/** Measures one workload: agreement first, then steps in turns (A B C A B C). */
export async function comparePeers(
  name: WorkloadName,
  contenders: readonly Contender[],
  { rounds, milliseconds }: Turns,
  say: (line: string) => void,
): Promise<PeerRow[]> {
  const workload = await makeWorkload(name);
  const runners = [];
  for (const contender of contenders) {
    const runner = await contender.prepare(workload);
    if (!runner) {
      say(`${workloads[name].title}: ${contender.name} has no version`);
      continue;
    }
    const losses = await runner.run(1);
    // Steps in one turn, as many as fit, and turns: by steps that are warm.
    const started = performance.now();
    losses.push(...await runner.run(checked.steps - 1));
    const time = (performance.now() - started) / (checked.steps - 1);
    const steps = Math.max(1, Math.round(milliseconds / time));
    const turns = Math.min(rounds, Math.max(1, Math.round(patience / (steps * time))));
    runners.push({ contender, runner, losses, steps, turns, times: [] as number[] });
    say(
      `${workloads[name].title}: ${contender.name} is ready, ${steps} steps a turn, ${turns} turns`,
    );
  }
  const wanted = runners[0]?.losses ?? [];
  for (let round = 0; round < rounds; round++) {
    for (const { runner, steps, turns, times } of runners) {
      if (round >= turns) continue;
      const started = performance.now();
      await runner.run(steps);
      times.push((performance.now() - started) / steps);
    }
    say(`${workloads[name].title}: round ${round + 1} of ${rounds}`);
  }
  const first = runners[0]?.times ?? [];
  // A loss that training has brought near zero is no measure of its own rounding.
  const largest = Math.max(...wanted.map(Math.abs));
  const rows = runners.map(({ contender, losses, times }): PeerRow => ({
    workload: name,
    library: contender.name,
    version: contender.version,
    where: contender.where,
    step: summarise(times),
    ratio: summarise(times.map((t, i) => t / (first[i] ?? NaN))),
    lossError: Math.max(...wanted.map((loss, i) => Math.abs((losses[i] ?? NaN) - loss))) / largest,
  }));
  for (const { runner } of runners) await runner.close();
  const wrong = rows.find(({ lossError }) => !(lossError <= checked.tolerance));
  if (wrong) {
    throw new Error(
      `Cannot compare ${wrong.library} with Mirage: their first ${checked.steps} losses differ by ` +
        `${wrong.lossError.toExponential(1)} of the largest, more than ${checked.tolerance}`,
    );
  }
  return rows;
}
