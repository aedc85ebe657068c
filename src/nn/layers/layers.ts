/**
 * Layers: parameters with their initial values, and how they map a batch.
 *
 * @module
 */
import { div, maximum, mul, scale } from "../ops/elementwise.ts";
import { conv2d, conv2dInput } from "../ops/conv2d.ts";
import { layerNorm, unit } from "../ops/functions.ts";
import { convolvedSize, type ConvOptions } from "../ops/geometry.ts";
import { matmul } from "../ops/matmul.ts";
import type { Draws } from "../ops/noise.ts";
import type { Random } from "../graph/random.ts";
import { sum } from "../ops/sum.ts";
import { reshape } from "../ops/shape.ts";
import { Parameter, size, stopGradient, type Tensor } from "../graph/tensor.ts";

/**
 * One walk through a model: train or eval, and the state it leaves behind. A layer reads parameters
 * by `get`, and sets a running statistic by `set`; a later `get` in the same pass sees the new value.
 */
export class Pass {
  readonly #updates = new Map<Parameter, Tensor>();

  readonly #draws: Draws | undefined;

  /**
   * A walk that has changed nothing yet.
   *
   * @param train whether running statistics move
   * @param draws the pass's supply of noise, where a model needs one
   */
  constructor(readonly train: boolean, draws?: Draws) {
    this.#draws = draws;
  }

  /**
   * The supply of noise.
   *
   * @throws Error when the pass was made without one
   */
  get draws(): Draws {
    if (!this.#draws) throw new Error("Cannot draw noise: the pass was made without a supply");
    return this.#draws;
  }

  /** What the pass changes, for a program's `updates`. */
  get updates(): ReadonlyMap<Parameter, Tensor> {
    return this.#updates;
  }

  /** The parameter's value at this point of the pass. */
  get(parameter: Parameter): Tensor {
    return this.#updates.get(parameter) ?? parameter.tensor;
  }

  /** Gives the parameter a new value from here on. */
  set(parameter: Parameter, value: Tensor): void {
    this.#updates.set(parameter, value);
  }
}

/** Parameters by their name in a checkpoint. */
export type State = ReadonlyMap<string, Parameter>;

/** A part of a model. */
export interface Layer {
  /** Maps a batch. */
  forward(x: Tensor, pass: Pass): Tensor;
  /** Its parameters by PyTorch's names. */
  readonly state: State;
}

/** Joins the states of parts under their prefixes: `{ "conv1.0": layer }` gives `conv1.0.weight`. */
export function nest(parts: Readonly<Record<string, { readonly state: State }>>): State {
  const all = new Map<string, Parameter>();
  for (const [prefix, { state }] of Object.entries(parts)) {
    for (const [name, parameter] of state) all.set(`${prefix}.${name}`, parameter);
  }
  return all;
}

/** Uniform in +-1/sqrt(fanIn): PyTorch's default for weights and biases of linear and conv layers. */
export function defaultInit(random: Random, shape: readonly number[], fanIn: number): Parameter {
  const n = shape.reduce((a, b) => a * b, 1);
  const bound = 1 / Math.sqrt(fanIn);
  return new Parameter(shape, random.uniform(n).map((u) => (2 * u - 1) * bound), true);
}

/** What linear and convolution layers take. */
export interface LayerOptions {
  /** Function of the sums, relu being `max(x, 0)`; none when not given. */
  readonly activation?: "none" | "relu";
}

/** `act(x W^T + b)`: x `[B, in]`, W `[out, in]`, b `[out]`. */
export class Linear implements Layer {
  /** The learned factors, by the class's formula. */
  readonly weight: Parameter;
  /** The learned offsets. */
  readonly bias: Parameter;
  /** Both, as `weight` and `bias`. */
  readonly state: State;

  /**
   * Weights and offsets uniform in +-1/sqrt(inputs).
   *
   * @param inputs features of a row
   * @param outputs features that are made of them
   */
  constructor(
    random: Random,
    inputs: number,
    outputs: number,
    readonly options: LayerOptions = {},
  ) {
    this.weight = defaultInit(random, [outputs, inputs], inputs);
    this.bias = defaultInit(random, [outputs], inputs);
    this.state = new Map([["weight", this.weight], ["bias", this.bias]]);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return matmul(x, pass.get(this.weight), {
      transposeB: true,
      bias: pass.get(this.bias),
      ...this.options,
    });
  }
}

/** What convolutions take. */
export interface ConvLayerOptions extends LayerOptions, ConvOptions {
  /** Whether offsets are learned; yes when not given. */
  readonly bias?: boolean;
}

/** `act(x * W + b)` as a cross-correlation: W `[out, in / groups, k, k]`, b `[out]`. */
export class Conv2d implements Layer {
  /** The learned factors, by the class's formula. */
  readonly weight: Parameter;
  /** The learned offsets, if there are any. */
  readonly bias: Parameter | undefined;
  /** Both, as `weight` and `bias`. */
  readonly state: State;

  /**
   * Weights and offsets uniform in +-1/sqrt(inputs / groups kernelSize^2).
   *
   * @param inputs channels
   * @param outputs channels that are made of them
   * @param kernelSize side of the square kernel
   */
  constructor(
    random: Random,
    inputs: number,
    outputs: number,
    kernelSize: number,
    readonly options: ConvLayerOptions = {},
  ) {
    this.weight = filters(random, [inputs, outputs, kernelSize], options);
    const fanIn = size(this.weight.shape.slice(1));
    this.bias = options.bias === false ? undefined : defaultInit(random, [outputs], fanIn);
    this.state = new Map([["weight", this.weight], ...named("bias", this.bias)]);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const { bias: _, ...options } = this.options;
    const bias = this.bias && pass.get(this.bias);
    return conv2d(x, pass.get(this.weight), { ...options, ...(bias ? { bias } : {}) });
  }
}

/** Layer normalisation over the last axis with learned scale and offset (Ba et al. 2016). */
export class LayerNorm implements Layer {
  /** The learned factors, by the class's formula. */
  readonly weight: Parameter;
  /** The learned offsets. */
  readonly bias: Parameter;
  /** Both, as `weight` and `bias`. */
  readonly state: State;

  /**
   * Scale 1 and offset 0, `[features]` each.
   *
   * @param features of a row
   */
  constructor(features: number) {
    this.weight = new Parameter([features], 1, true);
    this.bias = new Parameter([features], 0, true);
    this.state = new Map([["weight", this.weight], ["bias", this.bias]]);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return layerNorm(x, 1, pass.get(this.weight), pass.get(this.bias));
  }
}

/** A linear map and its adjoint, for the power iteration. */
export interface Operator {
  /** `W v`: of the layer's inputs, with a batch of one, the outputs. */
  readonly apply: (v: Tensor, w: Tensor) => Tensor;
  /** `W^T u`: of the layer's outputs, with a batch of one, the inputs. */
  readonly adjoint: (u: Tensor, w: Tensor) => Tensor;
}

/**
 * Soft spectral normalisation (Gouk et al. 2021; for convolutions on the operator itself, Behrmann
 * et al. 2019): `W / max(1, sigma / coeff)`, with sigma = u . (W v) and one power iteration a pass in
 * train mode only. No gradient flows through u and v.
 */
export class SpectralWeight {
  /** Left singular vector so far, of length 1: the outputs' shape. */
  readonly u: Parameter;
  /** Right singular vector so far, of length 1: the inputs' shape. */
  readonly v: Parameter;
  /** Spectral norm by the last pass in train mode, as far as the iteration knows it, `[1]`; 1 at first. */
  readonly sigma = new Parameter([1], 1);

  /**
   * Draws u and v: normal numbers, scaled to length 1.
   *
   * @param weight what is normalised; it is learned as it is
   * @param inputShape of v, with a batch of one
   * @param outputShape of u, with a batch of one
   * @param coeff bound on the spectral norm, above 0
   */
  constructor(
    random: Random,
    readonly weight: Parameter,
    inputShape: readonly number[],
    outputShape: readonly number[],
    readonly operator: Operator,
    readonly coeff: number,
  ) {
    this.u = randomUnit(random, outputShape);
    this.v = randomUnit(random, inputShape);
  }

  /** `weight_orig`, `weight_u`, `weight_v` and `weight_sigma`. */
  get state(): State {
    return new Map([
      ["weight_orig", this.weight],
      ["weight_u", this.u],
      ["weight_v", this.v],
      ["weight_sigma", this.sigma],
    ]);
  }

  /** The normalised weight. */
  value(pass: Pass): Tensor {
    const w = pass.get(this.weight);
    let [u, v] = [pass.get(this.u), pass.get(this.v)];
    if (pass.train) {
      v = unit(this.operator.adjoint(u, w));
      u = unit(this.operator.apply(v, w));
      pass.set(this.u, u);
      pass.set(this.v, v);
      [u, v] = [stopGradient(u), stopGradient(v)];
    }
    const sigma = reshape(sum(mul(u, this.operator.apply(v, w))), [1]);
    if (pass.train) pass.set(this.sigma, sigma);
    return div(w, maximum(scale(sigma, 1 / this.coeff), 1));
  }
}

/** A linear layer whose weight has a spectral norm of about `coeff` at most. */
export class SpectralLinear implements Layer {
  /** The weight and its power iteration. */
  readonly spectral: SpectralWeight;
  /** The learned offsets. */
  readonly bias: Parameter;
  /** `bias`, and the weight's `weight_orig`, `weight_u`, `weight_v` and `weight_sigma`. */
  readonly state: State;

  /**
   * As `Linear`; u and v start as random unit vectors.
   *
   * @param inputs features of a row
   * @param outputs features that are made of them
   */
  constructor(
    random: Random,
    inputs: number,
    outputs: number,
    readonly options: LayerOptions & { readonly coeff: number },
  ) {
    const weight = defaultInit(random, [outputs, inputs], inputs);
    this.bias = defaultInit(random, [outputs], inputs);
    this.spectral = new SpectralWeight(random, weight, [1, inputs], [1, outputs], {
      apply: (v, w) => matmul(v, w, { transposeB: true }),
      adjoint: (u, w) => matmul(u, w),
    }, options.coeff);
    this.state = new Map([["bias", this.bias], ...this.spectral.state]);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return matmul(x, this.spectral.value(pass), {
      transposeB: true,
      bias: pass.get(this.bias),
      activation: this.options.activation ?? "none",
    });
  }
}

/** What a spectral convolution needs to know. */
export interface SpectralConvOptions extends ConvLayerOptions {
  /** Bound on the operator's norm. */
  readonly coeff: number;
  /** `[H, W]` of the layer's input: the operator depends on it. */
  readonly imageSize: readonly [height: number, width: number];
}

/**
 * A convolution whose operator norm on images of the given size is about `coeff` at most; of a 1 x 1
 * convolution without groups the norm of its matrix, whatever the stride.
 */
export class SpectralConv2d implements Layer {
  /** The weight and its power iteration. */
  readonly spectral: SpectralWeight;
  /** The learned offsets, if there are any. */
  readonly bias: Parameter | undefined;
  /** `bias`, and the weight's `weight_orig`, `weight_u`, `weight_v` and `weight_sigma`. */
  readonly state: State;

  /**
   * As `Conv2d`; u and v start as random unit images.
   *
   * @param inputs channels
   * @param outputs channels that are made of them
   * @param kernelSize side of the square kernel
   */
  constructor(
    random: Random,
    inputs: number,
    outputs: number,
    kernelSize: number,
    readonly options: SpectralConvOptions,
  ) {
    const { bias: _bias, activation: _activation, imageSize, coeff, ...geometry } = options;
    const weight = filters(random, [inputs, outputs, kernelSize], options);
    const fanIn = size(weight.shape.slice(1));
    this.bias = options.bias === false ? undefined : defaultInit(random, [outputs], fanIn);
    if (kernelSize === 1 && (options.groups ?? 1) === 1) {
      const matrix = (w: Tensor): Tensor => reshape(w, [outputs, inputs]);
      this.spectral = new SpectralWeight(random, weight, [1, inputs], [1, outputs], {
        apply: (v, w) => matmul(v, matrix(w), { transposeB: true }),
        adjoint: (u, w) => matmul(u, matrix(w)),
      }, coeff);
      this.state = new Map([...named("bias", this.bias), ...this.spectral.state]);
      return;
    }
    const out = convolvedSize(imageSize, [kernelSize, kernelSize], geometry);
    this.spectral = new SpectralWeight(
      random,
      weight,
      [1, inputs, ...imageSize],
      [1, outputs, ...out],
      {
        apply: (v, w) => conv2d(v, w, geometry),
        adjoint: (u, w) => conv2dInput(u, w, imageSize, geometry),
      },
      coeff,
    );
    this.state = new Map([...named("bias", this.bias), ...this.spectral.state]);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const { bias: _bias, coeff: _coeff, imageSize: _imageSize, ...options } = this.options;
    const bias = this.bias && pass.get(this.bias);
    return conv2d(x, this.spectral.value(pass), { ...options, ...(bias ? { bias } : {}) });
  }
}

/** `[out, in / groups, k, k]` uniform in +-1/sqrt(in / groups k^2). */
function filters(
  random: Random,
  [inputs, outputs, kernelSize]: readonly [number, number, number],
  { groups = 1 }: ConvOptions,
): Parameter {
  if (inputs % groups !== 0 || outputs % groups !== 0) {
    throw new Error(`Cannot make ${outputs} channels of ${inputs} in ${groups} equal groups`);
  }
  const each = inputs / groups;
  return defaultInit(
    random,
    [outputs, each, kernelSize, kernelSize],
    each * kernelSize ** 2,
  );
}

function named(name: string, parameter: Parameter | undefined): [string, Parameter][] {
  return parameter ? [[name, parameter]] : [];
}

function randomUnit(random: Random, shape: readonly number[]): Parameter {
  const values = random.normal(shape.reduce((a, b) => a * b, 1));
  const norm = Math.max(Math.hypot(...values), 1e-12);
  return new Parameter(shape, values.map((v) => v / norm));
}
