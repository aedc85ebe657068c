/**
 * How the effect of an attack grows with its radius: one training, six attacks.
 *
 *     ./denow run --allow-read --allow-write examples/epsilon_sweep.ts
 *
 * @module
 */
import { attack, runConfig, train } from "../mod.ts";

const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean nothing then
const config = runConfig({
  mode: "sngp",
  seed: 0,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 64 } : {}),
});

const reporter = {
  note: (message: string): void => console.error(message),
  progress: (name: string, total: number) => ({
    update: (done: number, fields = {}): void =>
      console.error(`${name} ${done}/${total} ${Object.values(fields).join(" ")}`),
    stop: (): void => {},
  }),
};

const { members: [member] } = await train(config, reporter);
console.log(`${(100 * (member?.best.accuracy ?? 0)).toFixed(2)} % of the test digits are right`);
console.log("epsilon  entropy (nats)  rejected at 0.9");
for (const epsilonAttack of [0, 0.02, 0.05, 0.1, 0.2, 0.3]) {
  const { adversarial } = await attack(runConfig({ ...config, epsilonAttack }));
  const { entropy, rejection } = adversarial;
  console.log(
    `${epsilonAttack.toFixed(2).padEnd(8)} ${(entropy ?? NaN).toFixed(3).padEnd(15)} ` +
      (rejection["0.9"] ?? NaN).toFixed(3),
  );
}
