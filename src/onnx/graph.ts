/**
 * From an ONNX graph to a graph of tensors: node by node, for as many images as are asked for.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import {
  constant,
  dim,
  div,
  input,
  type Parameter,
  permute,
  reshape,
  type Shape,
  show,
  size,
  sub,
  type Tensor,
} from "../nn/mod.ts";
import type { OnnxModel, OnnxNode } from "./model.ts";
import { Lifting } from "./lifting.ts";
import { lower } from "./lower.ts";
import { type Choices, type Plan, planOf } from "./plan.ts";
import { Site, type Value, Weights } from "./value.ts";

/** What is done to pixels before the network takes them: `(x - mean) / std` by channel. */
export interface Preprocess {
  /** One number, or one a channel. */
  readonly mean: readonly number[];
  /** One number, or one a channel; none of them 0. */
  readonly std: readonly number[];
}

/** What a graph makes of images. */
export interface Traced {
  /** `[B, K]` */
  readonly logits: Tensor;
  /** Shape of the logits in the file, `[B, K]`, or with more axes, which are laid in rows. */
  readonly answer: Shape;
  /** `[B, D]`; undefined of a network without a last linear layer, and where what that takes is no row an image. */
  readonly features: Tensor | undefined;
}

/** An ONNX graph that can be traced, as often as it takes. */
export class TraceableGraph {
  readonly #model: OnnxModel;
  readonly #preprocess: Preprocess | undefined;
  readonly #choices: Choices;
  readonly #weights = new Weights();
  readonly #traced = new WeakMap<Tensor, Traced>();
  #hasFeatures: boolean;
  /** Shapes of values as the file is written, by the images' shape. */
  readonly #written = new Map<string, ReadonlyMap<string, Shape>>();
  /** What is computed. */
  readonly plan: Plan;

  /** @throws UserError as {@linkcode planOf} does */
  constructor(model: OnnxModel, choices: Choices = {}, preprocess?: Preprocess) {
    this.#model = model;
    this.#preprocess = preprocess;
    this.#choices = choices;
    this.plan = planOf(model, choices);
    this.#hasFeatures = this.plan.features !== undefined;
  }

  /** Whether there are features, as far as images have shown it. */
  get hasFeatures(): boolean {
    return this.#hasFeatures;
  }

  /** The weights that the device holds, by name; complete once a graph was traced. */
  get state(): ReadonlyMap<string, Parameter> {
    return this.#weights.state;
  }

  /** Whether the file is written for a fixed number of images, which other numbers take the place of. */
  get isLifted(): boolean {
    return typeof this.plan.input.shape?.[0] === "number";
  }

  /** `[C, H, W]` of an image, as far as the file says it: undefined where it is open. */
  get imageShape(): readonly (number | undefined)[] | undefined {
    const { shape } = this.plan.input;
    if (shape?.length !== 4) return undefined;
    const [, a, b, c] = shape.map((n) => typeof n === "number" ? n : undefined);
    return isLast(shape) ? [c, a, b] : [a, b, c];
  }

  /**
   * Traces the network.
   *
   * @param images `[B, C, H, W]` with pixels in [0, 1]
   * @throws UserError where the images do not fit, or a node has what is not at hand
   */
  trace(images: Tensor): Traced {
    const before = this.#traced.get(images);
    if (before) return before;
    const values = this.#valuesOf(images);
    const batch = dim(images, 0);
    const rowsOf = (value: Value | undefined): Tensor | undefined =>
      value?.kind === "tensor" && value.tensor.shape[0] === batch
        ? reshape(value.tensor, [batch, -1])
        : undefined;
    const rows = (name: string, what: string): Tensor => {
      const value = values.get(name);
      const found = rowsOf(value);
      if (found) return found;
      throw new UserError(
        `Cannot take "${shortened(name, 80)}" for the ${what}: it is no row an image but ${
          value?.kind === "tensor" ? show(value.tensor.shape) : "a constant"
        } of ${batch} images; name another value by --${what === "logits" ? "output" : what}`,
      );
    };
    const { logits, features, leftOut } = this.plan;
    if (leftOut) checkLeftOut(leftOut, values.get(leftOut.inputs[0] ?? ""), batch, this.#model);
    const traced = {
      logits: rows(logits, "logits"),
      answer: shapesOf([logits], values).get(logits) ?? [],
      features: features === undefined
        ? undefined
        : this.#choices.features === undefined
        ? rowsOf(values.get(features))
        : rows(features, "features"),
    };
    this.#hasFeatures = traced.features !== undefined;
    this.#traced.set(images, traced);
    return traced;
  }

  /** Every value that the plan needs, by name. */
  #valuesOf(images: Tensor): Map<string, Value> {
    const { nodes, readers } = this.plan;
    const { opset, initializers } = this.#model;
    const batch = this.#batchOf(images);
    const values = new Map<string, Value>();
    values.set(this.plan.input.name, { kind: "tensor", tensor: this.#entering(images) });
    const known = (name: string): Value | undefined => {
      const array = initializers.get(name);
      return values.get(name) ?? (array && { kind: "host", array });
    };
    for (const node of nodes) {
      const inputs = node.inputs.map((name) => name === "" ? undefined : known(name));
      const site = new Site(node, inputs, opset, batch, this.#weights, readers);
      const missing = node.inputs.find((name, at) => name !== "" && !inputs[at]);
      // Only what attacks need is computed of a node: no places of maxima, no moments, no masks.
      if (missing) {
        const isGiven = this.#model.inputs.some(({ name }) => name === missing);
        throw site.refused(
          isGiven
            ? `it reads the input "${missing}", which no images are given to; export the model with its value inside`
            : `it reads "${missing}", a further output that is not computed`,
        );
      }
      lower(site).forEach((value, at) => values.set(node.outputs[at] ?? "", value));
      batch.lifting?.note(node, shapesOf(node.outputs, values), shapesOf(node.inputs, values));
    }
    for (const [name, array] of initializers) {
      if (!values.has(name)) values.set(name, { kind: "host", array });
    }
    return values;
  }

  /** How many images there are, and what follows where the file is written for another number. */
  #batchOf(images: Tensor): Site["batch"] {
    const size = dim(images, 0);
    const [written] = this.plan.input.shape ?? [];
    if (typeof written !== "number") return { size, written: undefined };
    if (size === written) return { size, written };
    const image = images.shape.slice(1);
    let shapes = this.#written.get(show(image));
    if (!shapes) {
      const values = this.#valuesOf(input([written, ...image]));
      shapes = shapesOf(values.keys(), values);
      this.#written.set(show(image), shapes);
    }
    return { size, written, lifting: new Lifting(size, written, shapes) };
  }

  /** Images as the network takes them: preprocessed, and their axes in its order. */
  #entering(images: Tensor): Tensor {
    const { name, shape } = this.plan.input;
    const [b = 1, c = 1] = images.shape;
    const x = preprocessed(images, this.#preprocess);
    const refused = (): UserError =>
      new UserError(
        `Cannot give images of [${images.shape.slice(1).join(", ")}] to the input "${
          shortened(name, 40)
        }" of "${shortened(this.#model.name, 80)}": it takes [${
          shape?.map((n) => n ?? "?").slice(0, 8).join(", ")
        }]`,
      );
    const fits = (given: readonly number[]): boolean =>
      shape?.every((n, axis) => axis === 0 || typeof n !== "number" || n === given[axis]) ?? true;
    const given = shape?.length === 2
      ? reshape(x, [b, -1])
      : shape?.length === 3 && c === 1
      ? reshape(x, [b, dim(x, 2), dim(x, 3)])
      : shape && isLast(shape) && !fits(x.shape)
      ? permute(x, [0, 2, 3, 1])
      : x;
    if (shape && shape.length !== given.shape.length || !fits(given.shape)) throw refused();
    return given;
  }
}

/**
 * Whether a softmax that is left out is one over all classes of each image.
 *
 * @throws UserError where it is not: what it takes are no logits of its probabilities then
 */
function checkLeftOut(
  { op, name, attributes, inputs }: OnnxNode,
  before: Value | undefined,
  batch: number,
  { opset }: OnnxModel,
): void {
  const shape = before?.kind === "tensor" ? before.tensor.shape : [];
  const written = Number(attributes.get("axis") ?? (opset < 13 ? 1 : -1));
  const axis = written < 0 ? written + shape.length : written;
  // Until opset 12 it was over all axes from one on.
  const classes = opset < 13 ? size(shape.slice(axis)) : shape[axis];
  if (axis >= 1 && shape[0] === batch && classes === size(shape.slice(1))) return;
  throw new UserError(
    `Cannot take the logits before the ${op} node "${
      shortened(name, 80)
    }": it is over axis ${written} of [${
      shape.join(", ")
    }] and not over all that an image has; name "${
      shortened(inputs[0] ?? "", 80)
    }" or an earlier value by --output`,
  );
}

/** Shapes of those values that follow from the images. */
function shapesOf(names: Iterable<string>, values: ReadonlyMap<string, Value>): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const name of names) {
    const value = values.get(name);
    if (value?.kind === "tensor") shapes.set(name, value.tensor.shape);
  }
  return shapes;
}

/** Whether channels are an input's last axis. */
function isLast(shape: readonly (number | string | undefined)[]): boolean {
  const few = (n: number | string | undefined): boolean => n === 1 || n === 3 || n === 4;
  return shape.length === 4 && few(shape[3]) && !few(shape[1]);
}

function preprocessed(images: Tensor, by: Preprocess | undefined): Tensor {
  if (!by) return images;
  const perChannel = (name: "mean" | "std"): Tensor => {
    const values = by[name];
    const channels = dim(images, 1);
    if (values.length !== 1 && values.length !== channels) {
      throw new UserError(
        `Cannot preprocess images of ${channels} channel${channels === 1 ? "" : "s"} by ` +
          `${values.length} ${name} values: ` +
          "give one, or one a channel",
      );
    }
    return constant(Float32Array.from(values), [1, values.length, 1, 1]);
  };
  return div(sub(images, perChannel("mean")), perChannel("std"));
}
