/**
 * Your own network, in code: a hidden layer is taught digits and attacked on letters, which it has never seen.
 *
 *     ./denow run --allow-read --allow-write examples/own_network.ts
 *
 * @module
 */
import * as mirage from "../mod.ts";
import { nn } from "../mod.ts";

const quick = Deno.args.includes("--quick"); // a minute's look; the figures mean little then
using device = await nn.openDevice();
const random = new nn.Random(0);
const hidden = new nn.Linear(random.fork("hidden"), 28 * 28, 64, { activation: "relu" });
const output = new nn.Linear(random.fork("output"), 64, 10);
const network: nn.Layer = {
  state: nn.nest({ hidden, output }),
  forward: (x, pass) => output.forward(hidden.forward(nn.reshape(x, [-1, 28 * 28]), pass), pass),
};
const set = await mirage.loadEmbedded("train");
const epochs = quick ? 1 : 10;
const losses = await mirage.trainNetwork({ device, network, set, epochs, lr: 0.05 });
console.log(`The last epoch's mean loss is ${losses.at(-1)?.toFixed(2)} nats.`);

// The attack asks for a function from images to logits, and for nothing else of a model.
const { result } = await mirage.attackModel({
  device,
  logits: (images) => network.forward(images, new nn.Pass(false)),
  name: "one hidden layer",
  inDomain: await mirage.loadEmbedded("test"),
  outDomain: mirage.limit(await mirage.loadEmbedded("letters"), quick ? 200 : 1000),
  epsilon: 0.1,
});
console.log(mirage.verdict(result));
for (const warning of result.warnings) console.log(`Warning: ${warning}`);
