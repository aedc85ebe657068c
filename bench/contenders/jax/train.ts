/**
 * Steps of SGD: one `jit` over the whole step, one `vmap` over the members of an ensemble.
 *
 * @module
 */
import { jit, numpy as np, type OwnedFunction, valueAndGrad, vmap } from "@jax-js/jax";
import { type Runner, training, type Weights, type Workload } from "../../workload.ts";
import {
  array,
  type Arrays,
  collect,
  dispose,
  each,
  inputs,
  type JaxArray,
  keep,
  take,
} from "./arrays.ts";

/** What is trained; every function consumes its arguments. */
export interface Method {
  /** The batch's loss, and the state after it: images, labels one-hot. */
  loss(w: Arrays, state: Arrays, x: JaxArray, y: JaxArray): [JaxArray, Arrays];
  /** The state after SGD has moved the weights. */
  after?(w: Arrays, state: Arrays, x: JaxArray, y: JaxArray): Arrays;
}

/** What a step changes; an alias, for the library takes no interface. */
type Moving = { weights: Arrays; velocities: Arrays; state: Arrays };

type Step = (moving: Moving, x: JaxArray, y: JaxArray) => { value: JaxArray; moved: Moving };

/** Consumes its arguments. */
function stepOf({ loss, after }: Method): Step {
  return ({ weights: w, velocities: v, state: s }, x, y) => {
    // State and data are closed over: the library cannot return an argument as it is.
    const [[value, next], gradient] = valueAndGrad(
      (w: Arrays) => loss(w, s, x.ref, y.ref),
      { hasAux: true },
    )(keep(w)) as unknown as [[JaxArray, Arrays], Arrays];
    const velocities = each(v, (a, name) => {
      const decayed = take(gradient, name).add(take(w, name).ref.mul(training.weightDecay));
      return a.mul(training.momentum).add(decayed);
    });
    const weights = each(w, (p, name) => p.sub(take(velocities, name).ref.mul(training.lr)));
    if (!after) dispose(x, y);
    const state = after ? after(keep(weights), next, x, y) : next;
    return { value, moved: { weights, velocities, state } };
  };
}

/** Prepares the training of one model. */
export function train(method: Method, workload: Workload): Runner {
  const [weights = new Map()] = workload.models;
  return runner(workload, jit(stepOf(method)), (trainable) => arraysOf(weights, trainable));
}

/** Prepares the training of all members side by side: their arrays have one axis more, the first. */
export function trainTogether(method: Method, workload: Workload): Runner {
  const all = vmap(stepOf(method), [0, null, null]) as Step;
  const step = jit((...given: Parameters<Step>): ReturnType<Step> => {
    const { value, moved } = all(...given);
    return { value: np.mean(value), moved };
  });
  return runner(workload, step, (trainable) => {
    const all = workload.models.map((weights) => arraysOf(weights, trainable));
    return each(all[0] ?? {}, (_, name) => np.stack(all.map((arrays) => take(arrays, name))));
  });
}

function arraysOf(weights: Weights, trainable: boolean): Arrays {
  const wanted = [...weights].filter(([, entry]) => entry.trainable === trainable);
  return Object.fromEntries(wanted.map(([name, { shape, data }]) => [name, array(data, shape)]));
}

function runner(
  workload: Workload,
  step: OwnedFunction<Step>,
  initial: (trainable: boolean) => Arrays,
): Runner {
  const { x, y } = inputs(workload);
  const weights = initial(true);
  const velocities = each(weights, (a) => np.zeros(a.shape));
  let moving: Moving = { weights, velocities, state: initial(false) };
  return {
    run(steps): Promise<number[]> {
      const losses: JaxArray[] = [];
      for (let i = 0; i < steps; i++) {
        const { value, moved } = step(moving, x.ref, y.ref);
        losses.push(value);
        moving = moved;
      }
      return collect(losses);
    },
    close(): void {
      dispose(x, y, ...Object.values(moving).flatMap((all: Arrays) => Object.values(all)));
      step.dispose();
    },
  };
}
