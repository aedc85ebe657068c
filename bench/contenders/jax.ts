/**
 * jax-js on its WebGPU backend, written as its users write it: one `jit` over the whole step.
 *
 * An array is consumed by the function it is passed to; `.ref` keeps it.
 *
 * @module
 */
import {
  type Array as JaxArray,
  defaultDevice,
  init,
  jit,
  lax,
  nn,
  numpy as np,
  valueAndGrad,
} from "@jax-js/jax";
import manifest from "../../deno.json" with { type: "json" };
import { attackSteps, type Contender, type Runner, training, type Workload } from "../workload.ts";

type Weights = Record<string, JaxArray>;

/** Sets the backend up. */
export async function jax(): Promise<Contender> {
  const found = await init("webgpu");
  if (!found.includes("webgpu")) throw new Error("jax-js found no WebGPU");
  defaultDevice("webgpu");
  return {
    name: "jax-js",
    version: manifest.imports["@jax-js/jax"].split("@").at(-1) ?? "",
    where: "WebGPU",
    prepare: (workload) =>
      Promise.resolve(workload.name === "train" ? train(workload) : attack(workload)),
  };
}

const array = (data: Float32Array, shape: readonly number[]): JaxArray =>
  np.array(Float32Array.from(data)).reshape([...shape]);

function weightsOf({ weights }: Workload): Weights {
  return Object.fromEntries(
    [...weights].map(([name, { shape, data }]) => [name, array(data, shape)]),
  );
}

function oneHot({ labels, batch }: Workload): JaxArray {
  const rows = new Float32Array(batch * 10);
  labels.forEach((label, i) => rows[10 * i + label] = 1);
  return array(rows, [batch, 10]);
}

/** Consumes its arguments. */
function forward(w: Weights, x: JaxArray): JaxArray {
  const take = (name: string): JaxArray => {
    const found = w[name];
    if (!found) throw new Error(`Unreachable: no weight ${name}`);
    return found;
  };
  const convolve = (h: JaxArray, name: string, pad: number): JaxArray => {
    const y = lax.convGeneralDilated(h, take(`${name}.weight`), [1, 1], [[pad, pad], [pad, pad]]);
    const biased = y.add(take(`${name}.bias`).reshape([-1, 1, 1]));
    return lax.reduceWindow(nn.relu(biased), np.max, [2, 2], [2, 2]);
  };
  const features = convolve(convolve(x, "conv1.0", 2), "conv2.0", 0).reshape([-1, 400]);
  const dense = (h: JaxArray, name: string): JaxArray =>
    np.matmul(h, take(`${name}.weight`).transpose()).add(take(`${name}.bias`));
  return dense(nn.relu(dense(features, "fc_1.0")), "fc_2.0");
}

/** Sum over the images; consumes its arguments. */
function crossEntropy(w: Weights, x: JaxArray, y: JaxArray): JaxArray {
  return nn.logSoftmax(forward(w, x)).mul(y).sum().mul(-1);
}

const keep = (w: Weights): Weights =>
  Object.fromEntries(Object.entries(w).map(([name, a]) => [name, a.ref]));

const each = (w: Weights, f: (a: JaxArray, name: string) => JaxArray): Weights =>
  Object.fromEntries(Object.entries(w).map(([name, a]) => [name, f(a, name)]));

function train(workload: Workload): Runner {
  const x = array(workload.images, [workload.batch, 1, 28, 28]);
  const y = oneHot(workload);
  let weights = weightsOf(workload);
  let velocities = each(weights, (a) => np.zeros(a.shape));
  const loss = (w: Weights, images: JaxArray, labels: JaxArray): JaxArray =>
    crossEntropy(w, images, labels).mul(1 / workload.batch);
  const step = jit((w: Weights, v: Weights, images: JaxArray, labels: JaxArray) => {
    const [value, gradient] = valueAndGrad(loss)(keep(w), images, labels) as unknown as [
      JaxArray,
      Weights,
    ];
    const next = each(v, (a, name) => {
      const [g, p] = [gradient[name], w[name]];
      if (!g || !p) throw new Error(`Unreachable: no gradient of ${name}`);
      return a.mul(training.momentum).add(g).add(p.ref.mul(training.weightDecay));
    });
    const moved = each(w, (p, name) => {
      const velocity = next[name];
      if (!velocity) throw new Error(`Unreachable: no velocity of ${name}`);
      return p.sub(velocity.ref.mul(training.lr));
    });
    return { value, weights: moved, velocities: next };
  });
  return {
    run(steps): Promise<number[]> {
      const losses: JaxArray[] = [];
      for (let i = 0; i < steps; i++) {
        const made = step(weights, velocities, x.ref, y.ref);
        losses.push(made.value);
        [weights, velocities] = [made.weights, made.velocities];
      }
      return collect(losses);
    },
    close(): void {
      for (const a of [x, y, ...Object.values(weights), ...Object.values(velocities)]) a.dispose();
      step.dispose();
    },
  };
}

function attack(workload: Workload): Runner {
  const { batch, epsilon } = workload;
  const clean = array(workload.images, [batch, 1, 28, 28]);
  const y = oneHot(workload);
  const weights = weightsOf(workload);
  const loss = (x: JaxArray, w: Weights, labels: JaxArray): JaxArray => crossEntropy(w, x, labels);
  const step = jit((x: JaxArray, x0: JaxArray, w: Weights, labels: JaxArray) => {
    const [value, gradient] = valueAndGrad(loss)(x.ref, w, labels) as unknown as [
      JaxArray,
      JaxArray,
    ];
    const next = x.sub(np.sign(gradient).mul(epsilon / attackSteps));
    const inBall = np.minimum(np.maximum(next, x0.ref.sub(epsilon)), x0.add(epsilon));
    return { value: value.mul(1 / batch), x: np.clip(inBall, 0, 1) };
  });
  return {
    run(steps): Promise<number[]> {
      const losses: JaxArray[] = [];
      let x = clean.ref;
      for (let i = 0; i < steps; i++) {
        if (i % attackSteps === 0 && i > 0) {
          x.dispose();
          x = clean.ref;
        }
        const made = step(x, clean.ref, keep(weights), y.ref);
        losses.push(made.value);
        x = made.x;
      }
      return collect(losses, x);
    },
    close(): void {
      for (const a of [clean, y, ...Object.values(weights)]) a.dispose();
      step.dispose();
    },
  };
}

/** Losses are read together at the end, which waits for the device. */
async function collect(losses: JaxArray[], last?: JaxArray): Promise<number[]> {
  const values = await np.stack(losses).data();
  // What the last step made besides its loss is computed too.
  if (last) {
    await last.blockUntilReady();
    last.dispose();
  }
  return [...values];
}
