/**
 * An adversarially trained ensemble under attack, at the radius that it was trained with.
 *
 *     ./denow run --allow-read --allow-write examples/attack_deep_ensemble_at.ts
 *
 * @module
 */
import { attack, runConfig, silent } from "../mod.ts";

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
const { clean, adversarial, warnings } = await attack(config, reporter);

const shown = ({ entropy, rejection }: typeof clean | typeof adversarial): string =>
  `${entropy?.toFixed(2)} nats, ${rejection["0.9"]?.toFixed(2)} rejected at 0.9`;
console.log(`clean:    ${shown(clean)}`);
console.log(`attacked: ${shown(adversarial)}`);
for (const warning of warnings) console.log(`Warning: ${warning}`);
