/**
 * How cost grows with the work: time and bytes against one quantity after the other, with a straight
 * line through them.
 *
 * @module
 */
import { linearRegression, linearRegressionLine, median, rSquared } from "simple-statistics";
import { limit, loadEmbedded } from "../data/mod.ts";
import { attacks } from "../src/attack/mod.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { single } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { attackSet } from "../src/evaluate/attack_set.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import { silent } from "../src/base/reporter.ts";
import { useTuning } from "../src/nn/device/tuning.ts";
import { modelOf } from "./models.ts";
import { attackStep, trainingStep } from "./programs.ts";

/** One quantity's measurements. */
export interface ScalingRow {
  /** What grows, and what is measured. */
  readonly quantity: string;
  readonly measure: "ms" | "MiB" | "dispatches";
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Of the line through them. */
  readonly slope: number;
  readonly intercept: number;
  readonly r2: number;
}

/** Measures all of them. */
export async function measureScaling(say: (line: string) => void): Promise<ScalingRow[]> {
  using device = await nn.openDevice();
  await useTuning(device);
  const rows: ScalingRow[] = [];
  const add = (
    quantity: string,
    measure: ScalingRow["measure"],
    points: [number, number][],
  ): void => {
    rows.push(fit(quantity, measure, points));
    say(`${quantity}: ${points.map(([x, y]) => `${x}: ${y.toFixed(2)} ${measure}`).join(", ")}`);
  };

  const times: [number, number][] = [];
  const bytes: [number, number][] = [];
  for (const batch of [32, 64, 128, 256, 512]) {
    using step = await trainingStep(device, "baseline", "LeNet", batch);
    times.push([batch, await timed(device, () => step.run())]);
    bytes.push([batch, step.program.stats.bytes / 2 ** 20]);
  }
  add("images in a training step", "ms", times);
  add("images in a training step", "MiB", bytes);

  const memberTimes: [number, number][] = [];
  const memberDispatches: [number, number][] = [];
  for (const members of [1, 2, 5, 10]) {
    using step = await trainingStep(device, "baseline", "LeNet", 256, members);
    memberTimes.push([members, await timed(device, () => step.run())]);
    memberDispatches.push([members, step.program.stats.dispatches]);
  }
  add("members of an ensemble, a step of all", "ms", memberTimes);
  add("members of an ensemble, a step of all", "dispatches", memberDispatches);

  const attackTimes: [number, number][] = [];
  {
    using step = await attackStep(device, "baseline", "LeNet", 100);
    for (const steps of [5, 10, 20, 40]) {
      attackTimes.push([steps, await timed(device, () => step.run(steps))]);
    }
    add("steps of an attack", "ms", attackTimes);
  }

  const letters = await loadEmbedded("letters");
  const attackOf = async (images: number, radii: readonly number[]): Promise<number> => {
    const model = modelOf("baseline", "LeNet");
    const set = new ResidentSet(limit(letters, images));
    const samples: number[] = [];
    for (let i = 0; i < 4; i++) {
      const started = performance.now();
      for (const epsilon of radii) {
        await attackSet({
          device,
          reporter: silent,
          subject: single([model]),
          set,
          seed: 0,
          batchSize: 100,
          explain: { explain: false, time: false },
          settings: attacks.pgd.settings(epsilon, { ...iterationOf(procedureOf("paper", {})) }),
        });
      }
      // The first one compiles the pipelines.
      if (i > 0) samples.push(performance.now() - started);
    }
    nn.release(device, [...set.parameters, ...model.state.values()]);
    return median(samples);
  };
  const many: [number, number][] = [];
  for (const images of [200, 400, 800, 1600]) many.push([images, await attackOf(images, [0.1])]);
  add("images attacked, in batches of 100", "ms", many);
  const radii: [number, number][] = [];
  for (const count of [1, 2, 3, 4]) {
    const list = [0.1, 0.2, 0.3, 0.4].slice(0, count);
    radii.push([count, await attackOf(200, list)]);
  }
  add("radii that 200 images are attacked with", "ms", radii);

  const compileTimes: [number, number][] = [];
  for (const layers of [8, 16, 32, 64, 128]) {
    const samples: number[] = [];
    let nodes = 0;
    for (let i = 0; i < 9; i++) {
      const started = performance.now();
      using program = await nn.compile(device, deepNetwork(layers));
      samples.push(performance.now() - started);
      nodes = program.stats.dispatches;
    }
    compileTimes.push([nodes, median(samples)]);
  }
  add("dispatches of a program, traced and compiled", "ms", compileTimes);

  const long: [number, number][] = [];
  {
    using step = await attackStep(device, "baseline", "LeNet", 4);
    for (const thousands of [1, 2, 4]) {
      for (let i = 0; i < 1000 * thousands / 50; i++) {
        step.run(50);
        await device.idle();
      }
      long.push([1000 * thousands, Deno.memoryUsage().rss / 2 ** 20]);
    }
    add("steps run, and the process's memory", "MiB", long);
  }
  return rows;
}

/** A network of equal layers with its gradient: as many distinct nodes as it is deep. */
function deepNetwork(layers: number): nn.ProgramSpec {
  const weights = Array.from(
    { length: layers },
    (_, i) => new nn.Parameter([16, 16], new nn.Random(i).uniform(256)).tensor,
  );
  let x: nn.Tensor = nn.constant(new nn.Random(1).uniform(64), [4, 16]);
  for (const w of weights) x = nn.tanh(nn.matmul(x, w));
  const loss = nn.sum(nn.square(x));
  return { outputs: [loss, ...nn.grad(loss, weights)] };
}

/** Median milliseconds of some work until the device has done it. */
async function timed(device: nn.Device, work: () => void): Promise<number> {
  const samples: number[] = [];
  work();
  await device.idle();
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    work();
    await device.idle();
    samples.push(performance.now() - started);
  }
  return median(samples);
}

function fit(
  quantity: string,
  measure: ScalingRow["measure"],
  points: [number, number][],
): ScalingRow {
  const { m, b } = linearRegression(points);
  const constant = new Set(points.map(([, y]) => y)).size === 1;
  return {
    quantity,
    measure,
    points,
    slope: m,
    intercept: b,
    // What never changes lies on its line.
    r2: constant ? 1 : rSquared(points, linearRegressionLine({ m, b })),
  };
}
