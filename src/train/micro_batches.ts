/**
 * A training step on more images than go through the network at once.
 *
 * @module
 */
import {
  add,
  compile,
  constant,
  drainAll,
  input,
  type PackedParameters,
  Parameter,
  type Program,
  release,
  scale,
  sgd,
  type Tensor,
} from "../nn/mod.ts";
import {
  type MainStep,
  readFigures,
  type StepFigures,
  type StepSpec,
  traceStep,
  type Training,
} from "./step.ts";

/** Micro-batches add their shares to a sum of gradients, which the optimiser then descends. */
export async function splitStep(
  training: Training,
  packed: PackedParameters,
  { size, train, micro }: StepSpec,
  made: Program[],
): Promise<MainStep> {
  const { device, config } = training;
  const copies = training.learners.length;
  const total = new Parameter([packed.length], 0, false, copies);
  const parts = Array<number>(Math.floor(size / micro)).fill(micro);
  if (size % micro > 0) parts.push(size % micro);
  const programs = new Map<number, Program>();
  for (const part of new Set(parts)) {
    const traced = traceStep(training, packed, part, train);
    const share = add(total.tensor, scale(traced.gradient, part / size));
    const program = await compile(device, {
      name: `train step, micro-batch ${part} of ${size}`,
      inputs: [traced.index, traced.count],
      updates: new Map([...traced.updates, [total, share]]),
      records: traced.records,
      copies,
    });
    made.push(program);
    programs.set(part, program);
  }
  const lr = input([1]);
  const descend = await compile(device, {
    name: "descend",
    inputs: [lr],
    updates: new Map<Parameter, Tensor>([
      [packed.block, sgd(packed, total.tensor, lr, config)],
      [total, constant(0, total.shape)],
    ]),
    copies,
  });
  made.push(descend);
  return {
    run(index, rate, step): void {
      let at = 0;
      parts.forEach((part, i) => {
        const count = Float32Array.of(step * parts.length + i);
        programs.get(part)?.run([share(index, size, at, part), count]);
        at += part;
      });
      descend.run([Float32Array.of(rate)]);
    },
    async figures(): Promise<StepFigures[][]> {
      const drained = await drainAll(device, [...programs.values()]);
      const read = drained.map((records) => readFigures(records, copies));
      return Array.from({ length: copies }, (_, learner) => {
        const queues = new Map(
          [...programs.keys()].map((part, i) => [part, read[i]?.[learner] ?? []]),
        );
        const steps = (queues.get(micro)?.length ?? 0) / parts.filter((p) => p === micro).length;
        return Array.from({ length: steps }, () => joinFigures(parts, size, queues));
      });
    },
    release: () => release(device, [total]),
  };
}

/** Images `at` to `at + part` of every learner's step of `size` images. */
function share(index: Float32Array, size: number, at: number, part: number): Float32Array {
  if (index.length === size) return index.subarray(at, at + part);
  const found = new Float32Array(index.length / size * part);
  for (let learner = 0; learner < index.length / size; learner++) {
    const first = learner * size + at;
    found.set(index.subarray(first, first + part), learner * part);
  }
  return found;
}

/** Takes the next figures of every part of a step, and joins them by their shares. */
function joinFigures(
  parts: readonly number[],
  size: number,
  queues: ReadonlyMap<number, StepFigures[]>,
): StepFigures {
  let [loss, correct, nonFinite] = [0, 0, 0];
  for (const part of parts) {
    const next = queues.get(part)?.shift();
    loss += (next?.loss ?? NaN) * part / size;
    correct += next?.correct ?? 0;
    nonFinite += next?.nonFinite ?? 0;
  }
  return { loss, correct, nonFinite };
}
