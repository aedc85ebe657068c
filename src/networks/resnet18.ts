/**
 * ResNet-18 for small images (K. He et al., "Deep residual learning for image recognition", CVPR
 * 2016): a 3 x 3 stem, no max-pool, four stages of two basic blocks.
 *
 * @module
 */
import {
  BatchNorm2d,
  Conv2d,
  type Layer,
  Linear,
  mean,
  nest,
  type Pass,
  type Random,
  SpectralConv2d,
  type State,
  type Tensor,
} from "../nn/mod.ts";
import type { ClassifierNetwork, Features, ImageShape, NetworkOf, NetworkOwn } from "./network.ts";

const own = {
  width: {
    about: "Channels of ResNet-18's first stage, of which the others have 2, 4 and 8 times as many",
    min: 1,
    max: 256,
    whole: true,
    default: 64,
    folder: "width",
    shownBy: { parameter: "conv1.weight", axis: 0 },
  },
} as const satisfies NetworkOwn;

/** ResNet-18. */
export const resnet18: NetworkOf<typeof own> = {
  name: "ResNet-18",
  imageShape: [3, 32, 32],
  classes: 10,
  inDomain: "cifar10",
  outDomain: "svhn",
  epsilon: 0.016,
  augmentation: 4,
  batchNorm: true,
  hyperparameters: own,
  synonyms: [["linear", "fc"], ["shortcut", "downsample"]],
  caution:
    "the network is taken to have a stem of stride 1 and no max-pool, which its arrays do not show",
  features: (random, options) => new ResNet18Features(random, options),
  classifier: (random, shape) => new ResNet18(random, shape),
};

/** What varies between the networks of the paper. */
export interface ResNetOptions {
  /** Bound on the norms of all layers but the stem; plain layers when not given. */
  readonly coeff?: number | undefined;
  /** What the state calls the branch that changes a shape. */
  readonly branch?: "shortcut" | "downsample";
  /** Channels of the first stage; 64 in the paper. */
  readonly width?: number | undefined;
  /** `[C, H, W]` of an image; `[3, 32, 32]` in the paper. */
  readonly imageShape?: ImageShape;
  /** Classes of a classifier; 10 in the paper. */
  readonly classes?: number;
}

/** `[B, C, H, W]` to features `[B, 8 width]`: 512 in the paper. */
export class ResNet18Features implements Features {
  readonly features: number;
  readonly state: State;
  readonly #stem: Conv2d;
  readonly #norm: BatchNorm2d;
  readonly #blocks: readonly BasicBlock[];

  /**
   * Initial weights as PyTorch draws them.
   *
   * @param random what they are drawn from
   */
  constructor(random: Random, options: ResNetOptions = {}) {
    const { width = own.width.default, imageShape = resnet18.imageShape } = options;
    const [colours, ...sides] = imageShape;
    this.#stem = new Conv2d(random, colours, width, 3, { padding: 1, bias: false });
    this.#norm = new BatchNorm2d(width);
    const blocks: [string, BasicBlock][] = [];
    let channels = width;
    let size: Size = sides;
    for (const [stage, stride] of [1, 2, 2, 2].entries()) {
      const outputs = width * 2 ** stage;
      for (const [i, s] of [stride, 1].entries()) {
        const block = new BasicBlock(random, channels, outputs, s, size, options);
        blocks.push([`layer${stage + 1}.${i}`, block]);
        channels = outputs;
        size = shrunk(size, s);
      }
    }
    this.#blocks = blocks.map(([, block]) => block);
    this.features = channels;
    this.state = nest({ conv1: this.#stem, bn1: this.#norm, ...Object.fromEntries(blocks) });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    let y = this.#norm.forward(this.#stem.forward(x, pass), pass, { activation: "relu" });
    for (const block of this.#blocks) y = block.forward(y, pass);
    return mean(y, [2, 3]);
  }
}

/** ResNet-18 with a linear layer on its features: `[B, C, H, W]` to logits `[B, K]`. */
export class ResNet18 implements ClassifierNetwork {
  readonly state: State;
  readonly #features: ResNet18Features;
  readonly #linear: Linear;

  /**
   * Initial weights as PyTorch draws them.
   *
   * @param random what they are drawn from
   */
  constructor(random: Random, options: ResNetOptions = {}) {
    this.#features = new ResNet18Features(random, options);
    const { classes = resnet18.classes } = options;
    this.#linear = new Linear(random, this.#features.features, classes);
    this.state = new Map([...this.#features.state, ...nest({ linear: this.#linear })]);
  }

  get featureCount(): number {
    return this.#features.features;
  }

  features(x: Tensor, pass: Pass): Tensor {
    return this.#features.forward(x, pass);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return this.#linear.forward(this.features(x, pass), pass);
  }
}

/** Height and width. */
type Size = readonly [height: number, width: number];

/** What a stride leaves of an image. */
function shrunk([height, width]: Size, stride: number): Size {
  return [Math.ceil(height / stride), Math.ceil(width / stride)];
}

/** `relu(bn(conv(relu(bn(conv x)))) + shortcut(x))`; the shortcut is x where the shape stays. */
class BasicBlock implements Layer {
  readonly state: State;
  readonly #conv1: Layer;
  readonly #norm1: BatchNorm2d;
  readonly #conv2: Layer;
  readonly #norm2: BatchNorm2d;
  readonly #branch: { readonly conv: Layer; readonly norm: BatchNorm2d } | undefined;

  constructor(
    random: Random,
    inputs: number,
    outputs: number,
    stride: number,
    size: Size,
    { coeff, branch = "shortcut" }: ResNetOptions,
  ) {
    const norm = (): BatchNorm2d =>
      new BatchNorm2d(outputs, coeff === undefined ? {} : { coeff, momentum: 0.01 });
    const conv = (from: number, kernel: number, stride: number, imageSize: Size): Layer => {
      const geometry = { stride, padding: (kernel - 1) / 2, bias: false };
      return coeff === undefined
        ? new Conv2d(random, from, outputs, kernel, geometry)
        : new SpectralConv2d(random, from, outputs, kernel, {
          ...geometry,
          coeff,
          imageSize,
        });
    };
    this.#conv1 = conv(inputs, 3, stride, size);
    this.#norm1 = norm();
    this.#conv2 = conv(outputs, 3, 1, shrunk(size, stride));
    this.#norm2 = norm();
    if (stride !== 1 || inputs !== outputs) {
      this.#branch = { conv: conv(inputs, 1, stride, size), norm: norm() };
    }
    this.state = nest({
      conv1: this.#conv1,
      bn1: this.#norm1,
      conv2: this.#conv2,
      bn2: this.#norm2,
      ...(this.#branch
        ? { [`${branch}.0`]: this.#branch.conv, [`${branch}.1`]: this.#branch.norm }
        : {}),
    });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const inner = this.#norm1.forward(this.#conv1.forward(x, pass), pass, { activation: "relu" });
    const residual = this.#branch
      ? this.#branch.norm.forward(this.#branch.conv.forward(x, pass), pass)
      : x;
    const outer = this.#conv2.forward(inner, pass);
    return this.#norm2.forward(outer, pass, { residual, activation: "relu" });
  }
}
