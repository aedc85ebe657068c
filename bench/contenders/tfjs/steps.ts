/**
 * The two kinds of steps: of SGD, and of an attack.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { attackSteps, type Runner, training, type Weights, type Workload } from "../../workload.ts";
import { crossEntropy, inputs, type Network, type Tensors, tensorsOf } from "./networks.ts";

/** Prepares the training of one model, or of several one after the other. */
export function train(network: Network, workload: Workload): Runner {
  const { x, y } = inputs(workload);
  const learners = workload.models.map((weights) => learner(network, weights, x, y));
  const step = (): tf.Tensor => tf.tidy(() => tf.mean(tf.stack(learners.map((one) => one.step()))));
  return {
    run: (steps) => collect(Array.from({ length: steps }, step)),
    close(): void {
      tf.dispose([x, y]);
      for (const one of learners) one.close();
    },
  };
}

function learner(
  network: Network,
  weights: Weights,
  x: tf.Tensor,
  y: tf.Tensor,
): { step(): tf.Tensor; close(): void } {
  const all = Object.entries(tensorsOf(weights)).map(([name, t]) =>
    [name, tf.variable(t)] as const
  );
  const trains = ([name]: readonly [string, tf.Variable]): boolean =>
    weights.get(name)?.trainable ?? false;
  const variables = all.filter(trains);
  const moving = Object.fromEntries(all.filter((entry) => !trains(entry)));
  const velocities = variables.map(([, t]) => tf.variable(tf.zerosLike(t)));
  const named = (ts: readonly tf.Tensor[]): Tensors =>
    Object.fromEntries(variables.map(([name], i) => [name, ts[i] ?? x]));
  const gradient = tf.valueAndGrads((...ts: tf.Tensor[]) =>
    tf.mean(crossEntropy(network(x, named(ts), moving), y))
  );
  return {
    step: () =>
      tf.tidy(() => {
        const { value, grads } = gradient(variables.map(([, t]) => t));
        variables.forEach(([, w], i) => {
          const [g, v] = [grads[i], velocities[i]];
          if (!g || !v) return;
          const decayed = tf.add(g, tf.mul(w, training.weightDecay));
          v.assign(tf.add(tf.mul(v, training.momentum), decayed));
          w.assign(tf.sub(w, tf.mul(v, training.lr)));
        });
        return value;
      }),
    close: () => tf.dispose([...velocities, ...all.map(([, t]) => t)]),
  };
}

/** Prepares the attack on a network; the images start anew after ten steps. */
export function attack(network: Network, workload: Workload): Runner {
  const { epsilon, shape: [batch], models: [weights = new Map()] } = workload;
  const { x, y } = inputs(workload);
  const w = tensorsOf(weights);
  const [low, high] = [tf.sub(x, epsilon), tf.add(x, epsilon)];
  const gradient = tf.valueAndGrad((image: tf.Tensor) =>
    tf.sum(crossEntropy(network(image, w), y))
  );
  const length = epsilon / attackSteps;
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
          losses.push(tf.keep(tf.div(value, batch)));
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
