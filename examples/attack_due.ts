/**
 * DUE under attack: ten steps against samples of its Gaussian process.
 *
 *     ./denow run --allow-read --allow-write examples/attack_due.ts
 *
 * @module
 */
import { attack, runConfig, silent, verdict } from "../mod.ts";

const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean nothing then
const reporter = { ...silent, note: (message: string): void => console.error(message) };
const config = runConfig({
  mode: "due",
  seed: 0,
  nInducingPoints: 10,
  kernel: "RBF",
  epsilonAttack: 0.1,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 64 } : {}),
});
const result = await attack(config, reporter);

console.log(verdict(result));
for (const warning of result.warnings) console.log(`Warning: ${warning}`);
