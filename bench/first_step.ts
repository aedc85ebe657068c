/**
 * One library from nothing to the loss of its first training step; run by the start-up benchmark.
 *
 * @module
 */
import { makeWorkload } from "./workload.ts";

const openers = {
  Mirage: async () => await (await import("./contenders/mirage.ts")).mirage(),
  "jax-js": async () => await (await import("./contenders/jax/mod.ts")).jax(),
  "TensorFlow.js": async () => await (await import("./contenders/tfjs/mod.ts")).tfjs(),
} as const;

/** Libraries whose start is measured. */
export type Starter = keyof typeof openers;

/** Their names. */
export const starters = Object.keys(openers) as Starter[];

if (import.meta.main) {
  const open = openers[Deno.args[0] as Starter];
  const contender = await open();
  const runner = await contender.prepare(await makeWorkload("train"));
  const [loss] = await runner?.run(1) ?? [];
  console.log(loss);
  // The libraries keep the process alive: what is measured is over.
  Deno.exit(0);
}
