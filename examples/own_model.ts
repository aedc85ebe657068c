/**
 * Your own model under attack: a small network of `nn`'s pieces, trained on digits and attacked on letters.
 *
 *     ./denow run --allow-read --allow-write examples/own_model.ts
 *
 * @module
 */
import * as mirage from "../mod.ts";
import { nn } from "../mod.ts";

const quick = Deno.args.includes("--quick");
using device = await nn.openDevice();
const random = new nn.Random(0);
const hidden = new nn.Linear(random.fork("hidden"), 28 * 28, 64, { activation: "relu" });
const output = new nn.Linear(random.fork("output"), 64, 10);
const network: nn.Layer = {
  state: nn.nest({ hidden, output }),
  forward: (x, pass) => output.forward(hidden.forward(nn.reshape(x, [-1, 28 * 28]), pass), pass),
};
const losses = await mirage.trainNetwork({
  ...{ device, network, set: await mirage.loadEmbedded("train") },
  ...{ epochs: quick ? 1 : 10, lr: 0.05 },
});
console.log(`loss ${losses[0]?.toFixed(2)} -> ${losses.at(-1)?.toFixed(2)}`);

// The attack needs a function from images to logits, and nothing else.
const { result, folder } = await mirage.attackModel({
  device,
  logits: (x) => network.forward(x, new nn.Pass(false)),
  name: "one hidden layer",
  inDomain: await mirage.loadEmbedded("test"),
  outDomain: mirage.limit(await mirage.loadEmbedded("letters"), 1000),
  epsilon: 0.1,
});
const { clean, adversarial, warnings } = result;
console.log(`entropy ${clean.entropy?.toFixed(2)} -> ${adversarial.entropy?.toFixed(2)} nats`);
for (const warning of warnings) console.log(`Warning: ${warning}`);
console.log(`The run is kept in ${folder}`);
