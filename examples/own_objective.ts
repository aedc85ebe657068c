/**
 * Your own objective: instead of one class's probability, push the share of the two most probable classes.
 *
 *     ./denow run --allow-read --allow-write examples/own_objective.ts
 *
 * @module
 */
import * as mirage from "../mod.ts";
import { nn } from "../mod.ts";

const quick = Deno.args.includes("--quick");
const config = mirage.runConfig({
  mode: "baseline",
  epochs: quick ? 1 : 10,
  ...(quick ? { limit: 256 } : {}),
});
const { members: [member] } = await mirage.train(config, {
  ...mirage.silent,
  note: (message) => console.error(message),
});

using device = await nn.openDevice();
const model = new mirage.Classifier("LeNet", { random: new nn.Random(0) });
await mirage.loadCheckpoint(model, member?.best.path ?? "");

/** The lower, the more of the probability two classes have between them: `[B]`. */
const topTwo: mirage.Objective = {
  name: "topTwo",
  about: "minus the logarithm of the two largest probabilities' sum",
  loss(model, images, { draws }): nn.Tensor {
    const p = nn.exp(model.logProbabilities(images, draws));
    const others = nn.mul(p, nn.sub(1, nn.oneHot(nn.argmax(p), 10)));
    return nn.neg(nn.log(nn.add(nn.max(p), nn.max(others))));
  },
};

const [inDomain, letters] = await Promise.all([
  mirage.loadEmbedded("test"),
  mirage.loadEmbedded("letters"),
]);
for (const objective of ["published", "margin", topTwo] as const) {
  const { result: { attack, clean, adversarial } } = await mirage.attackModel({
    ...{ device, model, inDomain, outDomain: mirage.limit(letters, quick ? 100 : 1000) },
    ...{ epsilon: 0.1, objective },
  });
  const [h0, h1] = [clean, adversarial].map(({ entropy }) => entropy?.toFixed(3));
  console.log(`by ${attack.objective}: mean entropy ${h0} -> ${h1} nats`);
}
