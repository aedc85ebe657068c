/**
 * The training of a network of the user's own: stochastic gradient descent on the cross-entropy of its labels.
 *
 * Everything that is easily forgotten is done here: trainable parameters are packed before anything reads them,
 * and what a pass changes, as the running statistics of batch normalisation, is kept.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { ResidentSet } from "../evaluate/resident_set.ts";
import {
  compile,
  crossEntropy,
  type Device,
  Draws,
  flatGradient,
  grad,
  input,
  type Layer,
  mean,
  Parameter,
  Pass,
  Random,
  release,
  sgd,
} from "../nn/mod.ts";

/** What is trained, and how. */
export interface NetworkTraining {
  /** The GPU to train on; the network's parameters stay there. */
  readonly device: Device;
  /** Images `[B, C, H, W]` with pixels from 0 to 1, to logits `[B, K]`. */
  readonly network: Layer;
  /** Labelled images, labels being below K. */
  readonly set: ResidentSet["set"];
  /** Passes over the set, 1 or more; 1 when not given. */
  readonly epochs?: number;
  /** Images in a step; 128, or all where there are fewer, when not given. The rest of an epoch is left out. */
  readonly batchSize?: number;
  /** Learning rate; 0.01 when not given. */
  readonly lr?: number;
  /** Momentum, 0 to 1; 0.9 when not given. */
  readonly momentum?: number;
  /** L2 penalty on every trainable parameter; 1e-4 when not given. */
  readonly weightDecay?: number;
  /** Seed of the images' order and of what the network draws; 0 when not given. */
  readonly seed?: number;
  /** Shows progress; silent when not given. */
  readonly reporter?: Reporter;
}

/**
 * Trains a network in place.
 *
 * @returns mean loss of each epoch in nats
 * @throws UserError for a network that answered before it was trained, or a loss that is no finite number
 */
export async function trainNetwork(
  { device, network, set, ...options }: NetworkTraining,
): Promise<number[]> {
  const { epochs = 1, batchSize = 128, lr = 0.01, seed = 0, reporter = silent } = options;
  const { momentum = 0.9, weightDecay = 1e-4 } = options;
  const batch = Math.min(batchSize, set.count);
  const random = new Random(seed);
  const packed = packedOf(network);
  const resident = new ResidentSet(set);
  const [index, step, rate] = [input([batch]), input([1]), input([1])];
  const pass = new Pass(true, new Draws(random.fork("samples"), step));
  const logits = network.forward(resident.images(index), pass);
  const loss = mean(crossEntropy(logits, resident.labels(index)));
  const gradient = flatGradient(packed, grad(loss, packed.parameters.map((p) => p.tensor)));
  const moved = sgd(packed, gradient, rate, { momentum, weightDecay });
  using program = await compile(device, {
    name: "train",
    inputs: [index, step, rate],
    updates: new Map([...pass.updates, [packed.block, moved]]),
    records: [loss],
  });
  const losses: number[] = [];
  const steps = Math.floor(set.count / batch);
  const bar = reporter.progress("train", epochs * steps, "steps");
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = random.permutation(set.count);
      for (let i = 0; i < steps; i++) {
        const images = Float32Array.from(order.subarray(i * batch, (i + 1) * batch));
        program.run([images, Float32Array.of(epoch * steps + i), Float32Array.of(lr)]);
      }
      const [each = new Float32Array()] = await program.drain();
      const average = each.reduce((a, b) => a + b, 0) / steps;
      if (!Number.isFinite(average)) throw diverged(epoch);
      losses.push(average);
      bar.update((epoch + 1) * steps, { loss: average.toFixed(3) });
    }
  } finally {
    bar.stop();
    release(device, resident.parameters);
  }
  return losses;
}

function packedOf({ state }: Layer): ReturnType<typeof Parameter.pack> {
  const trainable = [...state.values()].filter((parameter) => parameter.trainable);
  if (trainable.length === 0) {
    throw new UserError(
      "Cannot train the network: its state holds no trainable parameter; name them there",
    );
  }
  if (trainable.some((parameter) => parameter.used)) {
    throw new UserError(
      "Cannot train the network: it has been traced or trained already; train it once, before it answers",
    );
  }
  return Parameter.pack(trainable, 2);
}

function diverged(epoch: number): UserError {
  return new UserError(
    `Cannot go on with the training: the loss is no finite number in epoch ${
      epoch + 1
    }; use a smaller lr`,
  );
}
