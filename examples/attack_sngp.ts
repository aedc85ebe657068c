/**
 * The whole experiment in one file: train SNGP on digits, attack its uncertainty on letters.
 *
 *     deno run --allow-read --allow-write examples/attack_sngp.ts
 *
 * @module
 */
import { attack, nn, runConfig, train } from "../mod.ts";

const quick = Deno.args.includes("--quick");
const config = runConfig({
  mode: "sngp",
  seed: 0,
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 256 } : {}),
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
console.log(
  `trained: ${(100 * (member?.best.accuracy ?? 0)).toFixed(2)} % of the test digits right`,
);

for (const epsilonAttack of [0.05, 0.1, 0.2]) {
  const { clean, adversarial } = await attack(runConfig({ ...config, epsilonAttack }));
  const figures = [clean, adversarial].map(({ entropy, rejection }) =>
    `${entropy?.toFixed(2)} nats, ${rejection["0.9"]?.toFixed(2)} rejected`
  );
  console.log(`epsilon ${epsilonAttack}: ${figures.join(" -> ")}`);
}

using device = await nn.openDevice();
console.log(`on ${device.adapter.description || device.adapter.device}`);
