/**
 * What the rules of {@linkcode evaluateOnHost} have in common: a node with its inputs, and arrays made from others.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { elements } from "../base/refusal.ts";
import { elementKinds, mostAxes } from "./elements.ts";
import type { Attribute, ElementType, HostTensor, OnnxNode } from "./model.ts";

/** Elements that an array made on the host may have: shapes have few, and what has more is for the device. */
export const mostElements: number = 2 ** 20;

/** An array would have more than {@linkcode mostElements}. */
export class TooLarge extends Error {
  override name = "TooLarge";
}

/** What a node gives, in the order of its outputs. */
export type HostRule = (call: HostCall) => HostTensor | readonly HostTensor[];

/** One node, where its inputs are known. */
export class HostCall {
  /**
   * @param node as the file has it
   * @param inputs undefined where one is left out
   * @param opset of the file
   */
  constructor(
    readonly node: OnnxNode,
    readonly inputs: readonly (HostTensor | undefined)[],
    readonly opset: number,
  ) {}

  /** An input that has to be there. */
  tensor(at: number): HostTensor {
    const found = this.inputs[at];
    if (!found) throw this.refused(`its input ${at + 1} is missing`);
    return found;
  }

  /** Inputs that have to be of one type: all where not told which. */
  alike(from: Iterable<number> = this.inputs.keys()): readonly [HostTensor, ...HostTensor[]] {
    const [first, ...others] = Array.from(from, (at) => this.tensor(at));
    if (!first) throw this.refused("it has no inputs");
    const other = others.find(({ type }) => type !== first.type);
    if (other) throw this.refused(`its inputs are ${first.type} and ${other.type}`);
    return [first, ...others];
  }

  /** Integers of an input; undefined where it is left out. */
  integers(at: number): number[] | undefined {
    const found = this.inputs[at];
    if (!found) return undefined;
    if (!elementKinds[found.type].range) {
      throw this.refused(`its input ${at + 1} is ${found.type}, integers are needed`);
    }
    if (found.data.length > mostElements) throw new TooLarge();
    return Array.from(found.data);
  }

  /** Sizes of axes that an input holds. */
  sizes(at: number): number[] {
    const found = this.integers(at);
    if (!found) throw this.refused(`its input ${at + 1} is missing`);
    if (found.length <= mostAxes) return found;
    throw this.refused(`it makes ${found.length} axes, more than ${mostAxes}`);
  }

  /** Integers of an attribute that became an input in an opset; undefined where they are left out. */
  either(name: string, at: number, since: number): readonly number[] | undefined {
    return this.opset < since ? this.numbers(name) : this.integers(at);
  }

  /** A number of an attribute. */
  number(name: string, otherwise?: number): number {
    const value = this.attribute(name) ?? otherwise;
    if (typeof value === "number") return value;
    throw this.refused(`its attribute ${name} is no number`);
  }

  /** Numbers of an attribute; undefined where it is left out. */
  numbers(name: string): readonly number[] | undefined {
    const value = this.attribute(name);
    if (value === undefined) return undefined;
    const numbers = Array.isArray(value) ? value.filter((n) => typeof n === "number") : [];
    if (Array.isArray(value) && numbers.length === value.length) return numbers;
    throw this.refused(`its attribute ${name} is no list of numbers`);
  }

  /** An attribute, whatever it is. */
  attribute(name: string): Attribute | undefined {
    return this.node.attributes.get(name);
  }

  /** An axis from its front. */
  axis(axis: number, rank: number): number {
    const found = axis < 0 ? axis + rank : axis;
    if (Number.isInteger(found) && found >= 0 && found < rank) return found;
    throw this.refused(`it has no axis ${axis} among ${rank}`);
  }

  /** Axes from their front, each of them once. */
  axes(axes: readonly number[], rank: number): number[] {
    if (axes.length > mostAxes) throw this.refused(`it names ${axes.length} axes`);
    const found = axes.map((axis) => this.axis(axis, rank));
    if (new Set(found).size === found.length) return found;
    throw this.refused("it names an axis twice");
  }

  /** The shape to which shapes are broadcast: axes from the last on are equal, or 1. */
  broadcast(shapes: readonly (readonly number[])[]): number[] {
    const rank = Math.max(0, ...shapes.map((shape) => shape.length));
    return Array.from({ length: rank }, (_, axis) => {
      const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
      const size = sizes.find((n) => n !== 1) ?? 1;
      if (sizes.every((n) => n === 1 || n === size)) return size;
      throw this.refused(`its inputs of [${shapes.join("] and [")}] do not fit together`);
    });
  }

  /** A sentence that names the node. */
  refused(why: string): UserError {
    const { op, name } = this.node;
    return new UserError(
      `Cannot compute the ${shortened(op, 40)} node "${shortened(name, 80)}": ${shortened(why)}`,
    );
  }
}

/**
 * An array of zeros, to be written.
 *
 * @throws TooLarge where it would have more than {@linkcode mostElements}
 */
export function zeros(type: ElementType, shape: readonly number[]): HostTensor {
  const count = elements(shape);
  if (!(count <= mostElements)) throw new TooLarge();
  return { type, shape, data: new elementKinds[type].array(count) };
}

/** Integers as a list. */
export function list(values: readonly number[]): HostTensor {
  return { type: "int64", shape: [values.length], data: Float64Array.from(values) };
}

/** How many elements lie between neighbours along each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elements(shape.slice(axis + 1)));
}

/** The elements of an array that lie so far apart along each axis of another shape, from one of them on. */
export function strided(
  { type, data }: HostTensor,
  shape: readonly number[],
  strides: readonly number[],
  start = 0,
): HostTensor {
  const result = zeros(type, shape);
  const at = shape.map(() => 0);
  let from = start;
  for (let i = 0; i < result.data.length; i++) {
    result.data[i] = data[from] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [size = 1, stride = 0, place = 0] = [shape[axis], strides[axis], at[axis]];
      from += stride;
      at[axis] = place + 1;
      if (place + 1 < size) break;
      from -= stride * size;
      at[axis] = 0;
    }
  }
  return result;
}

/** An array repeated along the axes in which it has one element. */
export function broadcastTo(tensor: HostTensor, shape: readonly number[]): HostTensor {
  const own = stridesOf(tensor.shape);
  const strides = shape.map((_, axis) => {
    const of = axis - shape.length + tensor.shape.length;
    return (tensor.shape[of] ?? 1) === 1 ? 0 : own[of] ?? 0;
  });
  return strided(tensor, shape, strides);
}
