/**
 * Steps of projected gradient descent on images: one `jit` over the whole step.
 *
 * @module
 */
import { jit, numpy as np, valueAndGrad } from "@jax-js/jax";
import { attackSteps, type Runner, type Workload } from "../../workload.ts";
import { array, type Arrays, collect, dispose, inputs, type JaxArray, keep } from "./arrays.ts";
import { crossEntropy } from "./networks.ts";

/** Prepares the attack on a network; the images start anew after ten steps. */
export function attack(
  network: (w: Arrays, x: JaxArray) => JaxArray,
  workload: Workload,
): Runner {
  const { epsilon, shape: [batch] } = workload;
  const { x: clean, y } = inputs(workload);
  const weights = Object.fromEntries(
    [...workload.models[0] ?? []].map(([name, { data, shape }]) => [name, array(data, shape)]),
  );
  const loss = (x: JaxArray, w: Arrays, labels: JaxArray): JaxArray =>
    crossEntropy(network(w, x), labels);
  const step = jit((x: JaxArray, x0: JaxArray, w: Arrays, labels: JaxArray) => {
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
      dispose(clean, y, ...Object.values(weights));
      step.dispose();
    },
  };
}
