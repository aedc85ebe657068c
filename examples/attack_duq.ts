/**
 * DUQ under attack: the kernel to the nearest centroid is pushed up.
 *
 *     ./denow run --allow-read --allow-write examples/attack_duq.ts
 *
 * @module
 */
import { attack, runConfig, silent, verdict } from "../mod.ts";

const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean nothing then
const reporter = { ...silent, note: (message: string): void => console.error(message) };
const config = runConfig({
  mode: "duq",
  seed: 0,
  lambdaReg: 0.1,
  epsilonAttack: 0.1,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 64 } : {}),
});
const result = await attack(config, reporter);

console.log(verdict(result));
for (const warning of result.warnings) console.log(`Warning: ${warning}`);
