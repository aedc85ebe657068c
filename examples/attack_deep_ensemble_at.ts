/**
 * An adversarially trained ensemble under attack, at the radius that it was trained with.
 *
 *     ./denow run --allow-read --allow-write examples/attack_deep_ensemble_at.ts
 *
 * @module
 */
import { attack, runConfig, silent, verdict } from "../mod.ts";

const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean nothing then
const reporter = { ...silent, note: (message: string): void => console.error(message) };
const config = runConfig({
  mode: "deep_ensemble_at",
  seed: 0,
  numEnsembles: quick ? 2 : 5,
  epsilon: 0.1,
  epsilonAttack: 0.1,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 64 } : {}),
});
const result = await attack(config, reporter);

console.log(verdict(result));
for (const warning of result.warnings) console.log(`Warning: ${warning}`);
