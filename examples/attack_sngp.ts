/**
 * SNGP under attack: ten steps against its mean-field logits.
 *
 *     ./denow run --allow-read --allow-write examples/attack_sngp.ts
 *
 * @module
 */
import { attack, runConfig, silent, verdict } from "../mod.ts";

const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean nothing then
const reporter = { ...silent, note: (message: string): void => console.error(message) };
const config = runConfig({
  mode: "sngp",
  seed: 0,
  epsilonAttack: 0.1,
  steps: 10,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 64 } : {}),
});
const result = await attack(config, reporter);

console.log(verdict(result));
for (const warning of result.warnings) console.log(`Warning: ${warning}`);
