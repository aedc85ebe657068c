/**
 * TensorFlow.js on its WebGPU backend, written as its users write it: variables, `tf.grads`, `tf.tidy`.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";
import { attackSteps, type Contender, type Runner, training, type Workload } from "../workload.ts";

/** Sets the backend up. */
export async function tfjs(): Promise<Contender> {
  if (!await tf.setBackend("webgpu")) throw new Error("TensorFlow.js found no WebGPU");
  await tf.ready();
  return {
    name: "TensorFlow.js",
    version: tf.version.tfjs,
    where: "WebGPU",
    prepare: (workload) =>
      Promise.resolve(workload.name === "train" ? train(workload) : attack(workload)),
  };
}

type Weights = Record<string, tf.Tensor>;

/** PyTorch's layouts to TensorFlow's: filters [KH, KW, CI, CO], matrices [in, out]. */
function weightsOf({ weights }: Workload): Weights {
  const found: Weights = {};
  for (const [name, { shape, data }] of weights) {
    const t = tf.tensor(data, [...shape]);
    found[name] = shape.length === 4
      ? t.transpose([2, 3, 1, 0])
      : shape.length === 2
      ? t.transpose()
      : t;
  }
  return found;
}

function forward(x: tf.Tensor, w: Weights): tf.Tensor {
  const get = (name: string): tf.Tensor => {
    const found = w[name];
    if (!found) throw new Error(`Unreachable: no weight ${name}`);
    return found;
  };
  const convolve = (h: tf.Tensor, name: string, pad: number | "valid"): tf.Tensor => {
    const filter = get(`${name}.weight`) as tf.Tensor4D;
    const y = tf.add(tf.conv2d(h as tf.Tensor4D, filter, 1, pad), get(`${name}.bias`));
    return tf.maxPool(tf.relu(y) as tf.Tensor4D, 2, 2, "valid");
  };
  const a = convolve(x, "conv1.0", 2);
  const b = convolve(a, "conv2.0", "valid");
  // PyTorch flattens channels first.
  const flat = b.transpose([0, 3, 1, 2]).reshape([-1, 400]);
  const h = tf.relu(
    tf.add(tf.matMul(flat as tf.Tensor2D, get("fc_1.0.weight") as tf.Tensor2D), get("fc_1.0.bias")),
  );
  return tf.add(
    tf.matMul(h as tf.Tensor2D, get("fc_2.0.weight") as tf.Tensor2D),
    get("fc_2.0.bias"),
  );
}

function inputs({ images, labels, batch }: Workload): { x: tf.Tensor; y: tf.Tensor } {
  // One channel: [B, 1, 28, 28] and [B, 28, 28, 1] are the same numbers.
  const x = tf.tensor(images, [batch, 28, 28, 1]);
  return { x, y: tf.oneHot(tf.tensor1d(labels, "int32"), 10) };
}

function crossEntropy(logits: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(logits)), -1));
}

function train(workload: Workload): Runner {
  const { x, y } = inputs(workload);
  const variables = Object.entries(weightsOf(workload)).map(([name, t]) =>
    [name, tf.variable(t)] as const
  );
  const velocities = variables.map(([, t]) => tf.variable(tf.zerosLike(t)));
  const named = (ts: readonly tf.Tensor[]): Weights =>
    Object.fromEntries(variables.map(([name], i) => [name, ts[i] ?? x]));
  const gradient = tf.valueAndGrads((...ts: tf.Tensor[]) =>
    tf.mean(crossEntropy(forward(x, named(ts)), y))
  );
  const step = (): tf.Tensor =>
    tf.tidy(() => {
      const { value, grads } = gradient(variables.map(([, t]) => t));
      variables.forEach(([, w], i) => {
        const [g, v] = [grads[i], velocities[i]];
        if (!g || !v) return;
        const decayed = tf.add(g, tf.mul(w, training.weightDecay));
        v.assign(tf.add(tf.mul(v, training.momentum), decayed));
        w.assign(tf.sub(w, tf.mul(v, training.lr)));
      });
      return tf.keep(value);
    });
  return {
    run: (steps) => collect(Array.from({ length: steps }, step)),
    close: () => tf.dispose([x, y, ...velocities, ...variables.map(([, t]) => t)]),
  };
}

function attack(workload: Workload): Runner {
  const { x, y } = inputs(workload);
  const w = weightsOf(workload);
  const [low, high] = [tf.sub(x, workload.epsilon), tf.add(x, workload.epsilon)];
  const gradient = tf.valueAndGrad((image: tf.Tensor) =>
    tf.sum(crossEntropy(forward(image, w), y))
  );
  const length = workload.epsilon / attackSteps;
  return {
    run(steps): Promise<number[]> {
      const losses: tf.Tensor[] = [];
      let current = x.clone();
      for (let i = 0; i < steps; i++) {
        if (i % attackSteps === 0 && i > 0) {
          current.dispose();
          current = x.clone();
        }
        const before = current;
        current = tf.tidy(() => {
          const { value, grad } = gradient(before);
          losses.push(tf.keep(tf.div(value, workload.batch)));
          const next = tf.sub(before, tf.mul(tf.sign(grad), length));
          return tf.keep(tf.clipByValue(tf.minimum(tf.maximum(next, low), high), 0, 1));
        });
        before.dispose();
      }
      return collect(losses, [current]);
    },
    close: () => tf.dispose([x, y, low, high, w]),
  };
}

/** Losses are read together at the end, which waits for the device. */
async function collect(losses: readonly tf.Tensor[], others: tf.Tensor[] = []): Promise<number[]> {
  const all = tf.stack([...losses]);
  const values = [...await all.data()];
  tf.dispose([all, ...losses, ...others]);
  return values;
}
