/**
 * What the benchmark's contenders have in common: the same networks, weights, images and steps.
 *
 * @module
 */
import { limit, loadEmbedded } from "../data/mod.ts";
import type { MethodName } from "../src/methods/mod.ts";
import { type Data, Random, size, type State } from "../src/nn/mod.ts";
import { modelOf } from "./models.ts";

/** Hyper-parameters of the training steps. */
export const training = { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 } as const;

/** Steps of one attack; the images start anew after so many. */
export const attackSteps = 10;

/** What decides a workload, and how it is shown. */
interface Spec {
  readonly title: string;
  readonly about: string;
  readonly mode: MethodName;
  readonly network: string;
  /** Models: more than one side by side. */
  readonly members: number;
  readonly batch: number;
  readonly images: "digits" | "letters" | "noise";
  /** Radius of the attack; 0 where the step is one of training. */
  readonly epsilon: number;
}

const sgd = "SGD, learning rate 0.01, momentum 0.9, weight decay 0.0001";

/** What all training steps on digits have in common. */
const digits = { members: 1, batch: 256, images: "digits", epsilon: 0 } as const;

/** What training steps of ResNet-18 have in common. */
const noise = {
  about: `${sgd}; batch normalisation in train mode`,
  mode: "baseline",
  network: "ResNet-18",
  members: 1,
  images: "noise",
  epsilon: 0,
} as const;

/** What is measured. */
export const workloads = {
  train: {
    ...digits,
    title: "LeNet training step, 256 digits",
    about: sgd,
    mode: "baseline",
    network: "LeNet",
  },
  attack: {
    title: "LeNet PGD step, 200 letters",
    about: "one of ten steps of epsilon / 10, epsilon 0.1",
    mode: "baseline",
    network: "LeNet",
    members: 1,
    batch: 200,
    images: "letters",
    epsilon: 0.1,
  },
  sngp: {
    ...digits,
    title: "LeNet_SNGP training step, 256 digits",
    about: `${sgd}; power iterations and precision with it`,
    mode: "sngp",
    network: "LeNet_SNGP",
  },
  duq: {
    ...digits,
    title: "LeNet_DUQ training step, 256 digits",
    about: `${sgd}; gradient penalty, lambda 0.3, and centroids with it`,
    mode: "duq",
    network: "LeNet_DUQ",
  },
  ensemble: {
    ...digits,
    title: "Training step of ten LeNets, 256 digits",
    about: sgd,
    mode: "baseline",
    network: "LeNet",
    members: 10,
  },
  resnet: {
    title: "ResNet-18 PGD step, 4 images of noise",
    about: "one of ten steps of epsilon / 10, epsilon 0.016, in evaluation",
    mode: "baseline",
    network: "ResNet-18",
    members: 1,
    batch: 4,
    images: "noise",
    epsilon: 0.016,
  },
  resnet8: { ...noise, title: "ResNet-18 training step, 8 images of noise", batch: 8 },
  resnet32: { ...noise, title: "ResNet-18 training step, 32 images of noise", batch: 32 },
} as const satisfies Record<string, Spec>;

/** The name of a workload. */
export type WorkloadName = keyof typeof workloads;

/** Their names. */
export const workloadNames = Object.keys(workloads) as WorkloadName[];

/** A model's whole state by PyTorch's names. */
export type Weights = ReadonlyMap<string, {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
  /** Whether SGD moves it. */
  readonly trainable: boolean;
}>;

/** Everything that determines a workload; every contender gets the same. */
export interface Workload {
  readonly name: WorkloadName;
  /** One model's weights, or those of the members of an ensemble. */
  readonly models: readonly Weights[];
  /** `[B, C, H, W]` */
  readonly shape: readonly [number, number, number, number];
  /** Of that shape, in [0, 1]. */
  readonly images: Float32Array<ArrayBuffer>;
  /** `[B]`: the digits, or those that are drawn for what is none. */
  readonly labels: Float32Array<ArrayBuffer>;
  /** Radius of the attack, where it is one. */
  readonly epsilon: number;
}

/** One library's version of a workload, ready to run: data and weights are on its device. */
export interface Runner {
  /** Makes steps, waits until they are done, and returns the loss before each: of an ensemble the mean. */
  run(steps: number): Promise<number[]>;
  close(): Promise<void> | void;
}

/** A library that is measured. */
export interface Contender {
  readonly name: string;
  readonly version: string;
  /** Where it computes. */
  readonly where: string;
  /** Its version of a workload; undefined where it has none. */
  prepare(workload: Workload): Promise<Runner | undefined>;
  close?(): Promise<void> | void;
}

/** Makes a workload of embedded images, or of noise, and of the weights of seeds 0, 1, ... */
export async function makeWorkload(name: WorkloadName): Promise<Workload> {
  const { mode, network, members, batch, images, epsilon }: Spec = workloads[name];
  const models = Array.from({ length: members }, (_, seed) => modelOf(mode, network, seed));
  const [channels = 1, height = 1, width = 1] = models[0]?.imageShape ?? [];
  const shape = [batch, channels, height, width] as const;
  // Letters and noise have no digit: they are to look like a digit drawn for them.
  const drawn = Float32Array.from({ length: batch }, (_, i) => (7 * i + 3) % 10);
  const common = { name, models: models.map(({ state }) => weightsOf(state)), shape, epsilon };
  if (images === "noise") {
    return { ...common, images: new Random(1).uniform(size(shape)), labels: drawn };
  }
  const set = limit(await loadEmbedded(images === "digits" ? "train" : "letters"), batch);
  return {
    ...common,
    images: Float32Array.from(set.images, (byte) => byte / 255),
    labels: images === "digits" ? Float32Array.from(set.labels) : drawn,
  };
}

/**
 * A state whose losses tell a wrong step from a right one: as it is made, no layer reaches its spectral
 * bound, and normalising by running statistics changes nothing.
 */
function weightsOf(state: State): Weights {
  const random = new Random(2);
  const valuesOf = (name: string, data: Data): Float32Array<ArrayBuffer> => {
    if (name.endsWith("weight_orig")) return Float32Array.from(data, (w) => 8 * w);
    if (name.endsWith("running_mean")) return random.normal(data.length).map((n) => 0.1 * n);
    if (name.endsWith("running_var")) return random.uniform(data.length).map((u) => 0.1 + 0.2 * u);
    return Float32Array.from(data);
  };
  return new Map(
    [...state].map(([name, { shape, data, trainable }]) =>
      [name, { shape, data: valuesOf(name, data), trainable }] as const
    ),
  );
}
