/** A network of one's own is trained without traps: packing, running statistics, and what cannot be. */
import assert from "node:assert/strict";
import * as mirage from "../mod.ts";
import { nn } from "../mod.ts";
import { withDevice } from "./support.ts";

const set = mirage.limit(await mirage.loadEmbedded("train"), 512);

/** A convolution with batch normalisation, and a linear layer. */
function small(): nn.Layer {
  const random = new nn.Random(0);
  const conv = new nn.Conv2d(random.fork("conv"), 1, 4, 5, { stride: 2 });
  const norm = new nn.BatchNorm2d(4);
  const head = new nn.Linear(random.fork("head"), 4 * 12 * 12, 10);
  return {
    state: nn.nest({ conv, norm, head }),
    forward(x, pass): nn.Tensor {
      const h = nn.relu(norm.forward(conv.forward(x, pass), pass));
      return head.forward(nn.reshape(h, [-1, 4 * 12 * 12]), pass);
    },
  };
}

Deno.test("`trainNetwork()` lowers the loss, moves running statistics, and gives the same bits again", () =>
  withDevice(async (device) => {
    const runs: { losses: number[]; state: number[] }[] = [];
    for (let again = 0; again < 2; again++) {
      const network = small();
      const before = [...network.state].map(([name, { data }]) => [name, [...data]] as const);
      const losses = await mirage.trainNetwork({ device, network, set, epochs: 4, lr: 0.05 });
      await nn.pull(device, network.state.values());
      assert.ok((losses.at(-1) ?? NaN) < 0.5 * (losses[0] ?? NaN), losses.join());
      for (const [name, values] of before) {
        const now = [...network.state.get(name)?.data ?? []];
        if (!name.endsWith("num_batches_tracked")) assert.notDeepEqual(now, values, name);
      }
      const logits = (x: nn.Tensor): nn.Tensor => network.forward(x, new nn.Pass(false));
      const { predictions } = await mirage.predict({
        device,
        subject: mirage.single([mirage.ofLogits(logits)]),
        set: new mirage.ResidentSet(set),
        ...{ seed: 0, batchSize: 128, reporter: mirage.silent },
        explain: { explain: false, time: false },
      });
      assert.ok(mirage.accuracy(predictions, set.labels) > 0.8);
      const state = [...network.state.values()].flatMap(({ data }) => [...data]);
      runs.push({ losses, state });
      nn.release(device, network.state.values());
    }
    assert.deepEqual(runs[1], runs[0]);
  }));

Deno.test("`trainNetwork()` refuses what was traced, what has nothing to train, and a loss that is lost", () =>
  withDevice(async (device) => {
    const traced = small();
    traced.forward(nn.input([1, 1, 28, 28]), new nn.Pass(false));
    await assert.rejects(
      mirage.trainNetwork({ device, network: traced, set }),
      /^UserError: Cannot train the network: it has been traced or trained already; /,
    );
    const nothing = { state: new Map(), forward: (x: nn.Tensor): nn.Tensor => x };
    await assert.rejects(
      mirage.trainNetwork({ device, network: nothing, set }),
      /^UserError: Cannot train the network: its state holds no trainable parameter; /,
    );
    await assert.rejects(
      mirage.trainNetwork({ device, network: small(), set, epochs: 3, lr: 1e30 }),
      /^UserError: Cannot go on with the training: the loss is no finite number in epoch [12]; use a smaller lr$/,
    );
  }));
