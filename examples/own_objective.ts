/**
 * Your own attack objective: instead of its favourite class, push the gap between a model's two largest logits.
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
const random = new nn.Random(0);
const model = new mirage.Classifier("LeNet", { random });
await mirage.loadCheckpoint(model, member?.best.path ?? "");

/** The lower, the further the first class is ahead of the second: `[B]`. */
function gap(x: nn.Tensor): nn.Tensor {
  const logits = model.logits(x);
  const first = nn.oneHot(nn.argmax(logits), 10);
  const others = nn.sub(logits, nn.scale(first, 1e4));
  return nn.sub(nn.max(others), nn.max(logits));
}

const subject = mirage.single([model]);
const objectives = { "its favourite class": subject.confidenceLoss, "the gap": gap };
const set = new mirage.ResidentSet(mirage.limit(await mirage.loadEmbedded("letters"), 1000));
for (const [name, confidenceLoss] of Object.entries(objectives)) {
  const { clean, adversarial } = await mirage.attackSet({
    device,
    subject: { ...subject, confidenceLoss },
    set,
    settings: mirage.attacks.pgd.settings(0.1),
    ...{ seed: 0, batchSize: 200, reporter: mirage.silent },
    explain: { explain: false, time: false },
  });
  const [h0, h1] = [clean, adversarial].map(({ predictions }) => mirage.entropy(predictions));
  console.log(`by ${name}: mean entropy ${h0?.toFixed(3)} -> ${h1?.toFixed(3)} nats`);
}
