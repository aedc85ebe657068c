/**
 * Where the images lie in the values of a file that is written for a fixed number of them. Attention keeps them
 * in the middle, `[S, B, D]`, and merges them with its heads, `[S, B H, D / H]`: a reshape that states the file's
 * own number means the axis at the same place in memory. Of a reshape that leaves a choice the last axis, which
 * weights are multiplied by, stays as it is.
 *
 * @module
 */
import type { Shape } from "../nn/mod.ts";
import type { OnnxNode } from "./model.ts";

/** An axis that grows with the number of images. */
interface Growing {
  readonly axis: number;
  /** What the file has of it for one image. */
  readonly each: number;
  /** Elements before the axis, in the file. */
  readonly before: number;
}

/** Operators that leave a value in memory as it is. */
const reshaping = new Set(["Flatten", "Reshape", "Squeeze", "Unsqueeze"]);

/** Follows the images through a graph, node by node. */
export class Lifting {
  /** How many of an axis's elements lie before the images', by value, of axes that hold more than these. */
  readonly #leads = new Map<string, number>();

  /**
   * @param batch images at once
   * @param written how many the file is written for
   * @param shapes that values have for so many, by name
   */
  constructor(
    private readonly batch: number,
    private readonly written: number,
    private readonly shapes: ReadonlyMap<string, Shape>,
  ) {}

  /** Takes note of where the images lie in what a node has made. */
  note(
    node: OnnxNode,
    outputs: ReadonlyMap<string, Shape>,
    inputs: ReadonlyMap<string, Shape>,
  ): void {
    for (const [name, shape] of outputs) {
      const growing = this.#growing(name, shape);
      if (!growing || growing.each === 1) continue;
      const lead = reshaping.has(node.op)
        ? (this.#before(node.inputs[0] ?? "", inputs) ?? NaN) / growing.before
        : this.#inherited(growing, inputs);
      this.#leads.set(name, lead);
    }
  }

  /**
   * The shape that a reshape means.
   *
   * @param name of what it reshapes
   * @param x its shape
   * @param target as the file states it, for its own number of images: 0 copies an axis, -1 is left to be computed
   * @returns undefined where it cannot be told
   */
  reshaped(name: string, x: Shape, target: Shape): Shape | undefined {
    const before = this.#before(name, new Map([[name, x]]));
    const from = this.shapes.get(name);
    if (before === undefined || from === undefined) return undefined;
    const all = product(from, from.length);
    const copied = target.map((n, axis) => n === 0 ? from[axis] ?? NaN : n);
    const known = copied.reduce((a, n) => n < 0 ? a : a * n, 1);
    const stated = copied.map((n) => n < 0 ? all / known : n);
    if (!stated.every(Number.isInteger) || product(stated, stated.length) !== all) return undefined;
    const leads = stated.map((n, axis) => {
      const lead = before / product(stated, axis);
      return Number.isInteger(lead) && n % (lead * this.written) === 0 ? lead : undefined;
    });
    const alone = leads.findIndex((lead, axis) => lead === 1 && stated[axis] === this.written);
    const inner = leads.slice(0, -1);
    const first = inner.findIndex((lead) => lead === 1);
    const at = alone >= 0 ? alone : first >= 0 ? first : inner.findIndex((lead) => lead);
    if (at < 0) return undefined;
    return stated.map((n, axis) => axis === at ? n / this.written * this.batch : n);
  }

  /** Elements before the first image's in memory, in the file; undefined where the images do not lie in one axis. */
  #before(name: string, shapes: ReadonlyMap<string, Shape>): number | undefined {
    const growing = this.#growing(name, shapes.get(name));
    if (!growing) return undefined;
    const before = growing.before * (growing.each === 1 ? 1 : this.#leads.get(name) ?? NaN);
    return Number.isInteger(before) ? before : undefined;
  }

  /** The axis that grows; undefined where none does, or several do. */
  #growing(name: string, shape: Shape | undefined): Growing | undefined {
    const written = this.shapes.get(name);
    if (!written || written.length !== shape?.length) return undefined;
    const axes = written.flatMap((n, axis) => n === shape[axis] ? [] : [axis]);
    const [axis] = axes;
    if (axis === undefined || axes.length > 1) return undefined;
    const each = (written[axis] ?? 0) / this.written;
    if (!Number.isInteger(each) || shape[axis] !== each * this.batch) return undefined;
    return { axis, each, before: product(written, axis) };
  }

  /** What a value has from one of those that it is made of. */
  #inherited({ each }: Growing, inputs: ReadonlyMap<string, Shape>): number {
    for (const [name, shape] of inputs) {
      if (this.#growing(name, shape)?.each === each) return this.#leads.get(name) ?? NaN;
    }
    return NaN;
  }
}

/** Elements before an axis. */
function product(shape: Shape, axis: number): number {
  return shape.slice(0, axis).reduce((a, n) => a * n, 1);
}
