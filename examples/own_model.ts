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
const logits = (x: nn.Tensor, pass = new nn.Pass(false)): nn.Tensor =>
  output.forward(hidden.forward(nn.reshape(x, [-1, 28 * 28]), pass), pass);

// Training: a loss, its gradient, an update, compiled to one program.
const digits = new mirage.ResidentSet(await mirage.loadEmbedded("train"));
const parameters = [...hidden.state.values(), ...output.state.values()];
const packed = nn.Parameter.pack(parameters, 2);
const [index, lr] = [nn.input([100]), nn.constant(0.05, [1])];
const predicted = logits(digits.images(index), new nn.Pass(true));
const loss = nn.mean(nn.crossEntropy(predicted, digits.labels(index)));
const gradient = nn.flatGradient(packed, nn.grad(loss, packed.parameters.map((p) => p.tensor)));
const moved = nn.sgd(packed, gradient, lr, { momentum: 0.9, weightDecay: 1e-4 });
const updates = new Map([[packed.block, moved]]);
using step = await nn.compile(device, { inputs: [index], updates, records: [loss] });
for (let i = 0; i < (quick ? 50 : 1000); i++) {
  step.run([Float32Array.from(random.permutation(digits.count).subarray(0, 100))]);
}
const [losses = []] = await step.drain();
console.log(`loss ${losses[0]?.toFixed(2)} -> ${losses.at(-1)?.toFixed(2)}`);

// The attack needs a function from images to logits, and nothing else.
const { result, folder } = await mirage.attackModel({
  device,
  logits,
  name: "one hidden layer",
  inDomain: await mirage.loadEmbedded("test"),
  outDomain: mirage.limit(await mirage.loadEmbedded("letters"), 1000),
  epsilon: 0.1,
});
const { clean, adversarial, warnings } = result;
console.log(`entropy ${clean.entropy?.toFixed(2)} -> ${adversarial.entropy?.toFixed(2)} nats`);
for (const warning of warnings) console.log(`Warning: ${warning}`);
console.log(`The run is kept in ${folder}`);
