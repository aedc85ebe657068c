/**
 * What flows along the edges of an ONNX graph while it is traced: arrays that are known on the host, such as
 * shapes and weights, and tensors that follow from the images.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { constant, Parameter, show, size, type Tensor } from "../nn/mod.ts";
import { elementKinds } from "./elements.ts";
import type { Lifting } from "./lifting.ts";
import type { HostTensor, OnnxNode } from "./model.ts";

/** An array on the host, or a tensor of the graph. */
export type Value =
  | { readonly kind: "host"; readonly array: HostTensor }
  | { readonly kind: "tensor"; readonly tensor: Tensor };

/**
 * Operators whose parameters are learned: an infinite one is of a training that went wrong, and no bound or mask. The
 * third input of each is added: -infinity there takes a class out, as a mask does.
 */
const learned: ReadonlySet<string> = new Set([
  "BatchNormalization",
  "Conv",
  "ConvTranspose",
  "Gemm",
  "GroupNormalization",
  "InstanceNormalization",
  "LayerNormalization",
  "MatMul",
]);

/** Elements from which an array of the file is held on the device once for all programs. */
const worthHolding = 64;

/** Arrays of a model as tensors: large ones are parameters, which all programs of a device share. */
export class Weights {
  readonly #held = new Map<string, Parameter>();
  readonly #from = new Map<string, HostTensor>();
  readonly #notFinite = new WeakMap<HostTensor, { readonly at: number | undefined }>();

  /** What is held, by name. */
  get state(): ReadonlyMap<string, Parameter> {
    return this.#held;
  }

  /** Where an array has its first NaN, else its first number that is infinite as f32; undefined where all are finite. */
  notFinite(array: HostTensor): number | undefined {
    const before = this.#notFinite.get(array);
    if (before) return before.at;
    const { data } = array;
    const isBad = (value: number): boolean => !Number.isFinite(Math.fround(value));
    // Of whole numbers none is.
    const first = elementKinds[array.type].range ? -1 : data.findIndex(isBad);
    const none = first < 0 ? -1 : data.findIndex(Number.isNaN);
    const at = first < 0 ? undefined : none < 0 ? first : none;
    this.#notFinite.set(array, { at });
    return at;
  }

  /** The values as f32; bool as 0 and 1. */
  tensor(name: string, array: HostTensor): Tensor {
    const { data, shape } = array;
    if (size(shape) < worthHolding) return constant(Float32Array.from(data), shape);
    // What follows from the batch has one shape a batch.
    const key = `${name} ${show(shape)}`;
    const [parameter, from] = [this.#held.get(key), this.#from.get(key)];
    if (parameter && from) {
      // The same name may be computed to other values, of another batch.
      const same = from === array || from.data.every((value, i) => Object.is(value, data[i]));
      return same ? parameter.tensor : constant(Float32Array.from(data), shape);
    }
    const made = new Parameter(shape, Float32Array.from(data));
    this.#held.set(key, made);
    this.#from.set(key, array);
    return made.tensor;
  }
}

/** One node, where its inputs are known: what an op's rule is given. */
export class Site {
  /**
   * @param node as the file has it
   * @param inputs undefined where one is left out
   * @param opset of the file
   * @param batch images at once, how many the file has written into its shapes, if it has, and where they lie
   *   if these are others
   * @param weights that the model holds
   * @param readers how many nodes and outputs read a value, by its name
   */
  constructor(
    readonly node: OnnxNode,
    readonly inputs: readonly (Value | undefined)[],
    readonly opset: number,
    readonly batch: {
      readonly size: number;
      readonly written: number | undefined;
      readonly lifting?: Lifting;
    },
    private readonly weights: Weights,
    private readonly readers: ReadonlyMap<string, number>,
  ) {}

  /** Whether nothing else reads an input. */
  readHereOnly(at: number): boolean {
    return this.readers.get(this.node.inputs[at] ?? "") === 1;
  }

  /** An input as a tensor. */
  tensor(at: number): Tensor {
    const found = this.optional(at);
    if (!found) throw this.refused(`its input ${at + 1} is missing`);
    return found;
  }

  /** An input as a tensor; undefined where it is left out. */
  optional(at: number): Tensor | undefined {
    const value = this.inputs[at];
    if (value?.kind !== "host") return value?.tensor;
    const name = this.node.inputs[at] ?? "";
    this.#checkNumbers(at, name, value.array);
    return this.weights.tensor(name, value.array);
  }

  /** Refuses NaN, but for what Where may leave aside, and as what is learned numbers that are infinite in 32 bits. */
  #checkNumbers(at: number, name: string, array: HostTensor): void {
    const bad = this.weights.notFinite(array);
    const { op } = this.node;
    if (bad === undefined || op === "Where") return;
    const number = array.data[bad] ?? NaN;
    const isMask = !learned.has(op) || at === 2 && Math.fround(number) === -Infinity;
    if (!Number.isNaN(number) && isMask) return;
    const beyond = Number.isFinite(number) ? ", which is more than 32 bits hold" : "";
    throw this.refused(
      `"${shortened(name, 60)}" holds ${number} at ${bad}${beyond}; train the model again`,
    );
  }

  /** All inputs as tensors. */
  tensors(): Tensor[] {
    return this.inputs.map((_, at) => this.tensor(at));
  }

  /** An input that has to be known on the host; undefined where it is left out. */
  host(at: number): HostTensor | undefined {
    const value = this.inputs[at];
    if (!value) return undefined;
    if (value.kind === "host") return value.array;
    throw this.refused(`its input ${at + 1} follows from the images, and has to be a constant`);
  }

  /** Whole numbers of an input. */
  integers(at: number): number[] | undefined {
    const array = this.host(at);
    return array && Array.from(array.data, Number);
  }

  /** A number of an attribute. */
  number(name: string, otherwise: number): number {
    const value = this.node.attributes.get(name);
    if (value === undefined) return otherwise;
    if (typeof value === "number") return value;
    throw this.refused(`its ${name} is no number`);
  }

  /** A word of an attribute. */
  word(name: string, otherwise: string): string {
    const value = this.node.attributes.get(name);
    if (value === undefined) return otherwise;
    if (typeof value === "string") return value;
    throw this.refused(`its ${name} is no text`);
  }

  /** Numbers of an attribute. */
  numbers(name: string): number[] | undefined {
    const value = this.node.attributes.get(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((n) => typeof n === "number")) return value;
    throw this.refused(`its ${name} are no numbers`);
  }

  /** Numbers that older opsets have in an attribute and newer ones in an input. */
  either(name: string, at: number): number[] | undefined {
    return this.numbers(name) ?? this.integers(at);
  }

  /** An axis from its front. */
  axis(axis: number, rank: number): number {
    const found = axis < 0 ? axis + rank : axis;
    if (Number.isInteger(found) && found >= 0 && found < rank) return found;
    throw this.refused(`it has no axis ${axis} among ${rank}`);
  }

  /** Axes from their front, in order, each of them once. */
  axes(axes: readonly number[], rank: number): number[] {
    const found = axes.map((axis) => this.axis(axis, rank)).toSorted((a, b) => a - b);
    if (new Set(found).size === found.length) return found;
    throw this.refused("it names an axis twice");
  }

  /** A sentence that names the node. */
  refused(why: string): UserError {
    const { op, name } = this.node;
    return new UserError(
      `Cannot use the ${shortened(op, 40)} node "${shortened(name, 80)}": ${shortened(why, 200)}`,
    );
  }
}

/** What a node gives, in the order of its outputs. */
export type Rule = (site: Site) => Tensor | readonly Tensor[];
