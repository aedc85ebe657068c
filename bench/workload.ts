/**
 * What the benchmark's contenders have in common: the same network, weights, images and steps.
 *
 * @module
 */
import { limit, loadEmbedded } from "../data/mod.ts";
import { LeNet, type Parameter, Random } from "../src/nn/mod.ts";

/** Everything that determines a workload; every contender gets the same. */
export interface Workload {
  readonly name: WorkloadName;
  /** LeNet's parameters by PyTorch's names, with their shapes. */
  readonly weights: ReadonlyMap<
    string,
    { readonly shape: readonly number[]; readonly data: Float32Array }
  >;
  /** `[B, 1, 28, 28]`, in [0, 1]. */
  readonly images: Float32Array;
  /** `[B]`: the digits, or what an attack steers to. */
  readonly labels: Float32Array;
  readonly batch: number;
  readonly epsilon: number;
}

/** What is measured. */
export const workloads = {
  train: {
    title: "LeNet training step, 256 digits",
    about: "SGD, learning rate 0.01, momentum 0.9, weight decay 0.0001",
    batch: 256,
  },
  attack: {
    title: "LeNet PGD step, 200 letters",
    about: "one of ten steps of epsilon / 10, epsilon 0.1",
    batch: 200,
  },
} as const;

/** The name of a workload. */
export type WorkloadName = keyof typeof workloads;

/** Hyper-parameters of the training step. */
export const training = { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 } as const;

/** Steps of one attack; the images start anew after so many. */
export const attackSteps = 10;

/** One library's version of a workload, ready to run: data and weights are on its device. */
export interface Runner {
  /** Makes steps, waits until they are done, and returns the loss before each. */
  run(steps: number): Promise<number[]>;
  close(): Promise<void> | void;
}

/** A library that is measured. */
export interface Contender {
  readonly name: string;
  readonly version: string;
  /** Where it computes. */
  readonly where: string;
  prepare(workload: Workload): Promise<Runner>;
  close?(): Promise<void> | void;
}

/** Makes a workload of embedded images and of the weights of seed 0. */
export async function makeWorkload(name: WorkloadName): Promise<Workload> {
  const { batch } = workloads[name];
  const set = limit(await loadEmbedded(name === "train" ? "train" : "letters"), batch);
  const state = new LeNet(new Random(0)).state;
  const weights = [...state].map(([key, { shape, data }]: [string, Parameter]) =>
    [key, { shape, data: Float32Array.from(data) }] as const
  );
  return {
    name,
    weights: new Map(weights),
    images: Float32Array.from(set.images, (byte) => byte / 255),
    // Letters have no digit: what is attacked is to look like a digit drawn for it.
    labels: Float32Array.from(
      { length: batch },
      (_, i) => name === "train" ? set.labels[i] ?? 0 : (7 * i + 3) % 10,
    ),
    batch,
    epsilon: 0.1,
  };
}
