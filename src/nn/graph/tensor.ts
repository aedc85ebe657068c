/**
 * The graph: immutable nodes that say what to compute, never when or where.
 *
 * A node is a leaf (input, constant, parameter), a view of another node's buffer, a dispatch of one
 * kernel, or a pack (copies into one flat buffer). Derivative rules are written with the same nodes,
 * so the gradient of a gradient needs no further code.
 *
 * @module
 */
import type { Kernel, Overrides } from "./kernel.ts";
import type { TileProfile } from "./tiles.ts";

/** Sizes of a row-major array; `[]` is a scalar. */
export type Shape = readonly number[];

/** What a leaf's values are stored as. */
export type Data = Float32Array | Uint32Array;

/** One call of one kernel. */
export interface Dispatch {
  /** Its bindings are the node's inputs and its output. */
  readonly kernel: Kernel;
  /** Sizes and choices that it is compiled with; its own defaults where they are left out. */
  readonly overrides: Overrides;
  /** Invocations; the workgroup size is the kernel's own. */
  readonly threads: number;
  /** Where the work can be cut in several ways: overrides and invocations by the device's profile. */
  readonly cut?: (tiles: TileProfile) => Pick<Dispatch, "overrides" | "threads">;
  /** A node that makes the same values, which a program of so many copies computes in its place by such a profile. */
  readonly instead?: (tiles: TileProfile, copies: number) => Tensor | undefined;
  /** Useful floating-point operations, where the kernel's sizes do not tell. */
  readonly flop?: number;
  /** Why no device takes it on, where none does; it can be evaluated on the host all the same. */
  readonly hostOnly?: string;
}

/** The vector-Jacobian product: gradients of the operands, given that of the output `y`. */
export type Vjp = (g: Tensor, y: Tensor) => readonly (Tensor | null)[];

/** An immutable node of a graph. */
export interface Tensor {
  /** Number in order of making. */
  readonly id: number;
  /** Label in errors and dumps. */
  readonly name: string;
  /** Sizes of its values. */
  readonly shape: Shape;
  /** What its values are computed from. */
  readonly inputs: readonly Tensor[];
  /**
   * What its derivative is taken by: the inputs, but where a sum is made in two dispatches the second
   * answers for both, and its operands are the inputs of the first; and where one dispatch does the work of
   * two nodes, it is taken by the first of them, which need not be computed.
   */
  readonly operands: readonly Tensor[];
  /** Where the values come from: exactly one of these. */
  readonly source: Source;
  /**
   * Where one node does the work of two, and its operands are those of the first: the same values by the
   * second. Its derivative is taken by that where the gradient of the first is asked for.
   */
  readonly apart?: { readonly first: Tensor; readonly second: Tensor };
  /** What its planes hold, if most of it is zeros. */
  readonly sparse?: SparsePlanes;
  /** Gradients of `operands`; no gradient flows through a node without it. */
  readonly vjp?: Vjp;
}

/** The last two axes of `[B, C, H, W]` by windows, in each of which one element is not zero. */
export interface SparsePlanes {
  /** `[B, C, OH, OW]`: that element of each window. Sums over a plane are the same of these. */
  readonly values: Tensor;
  /** `[B, C, OH, OW]`: its place h W + w. */
  readonly places: Tensor;
  /** Side of a window. */
  readonly window: number;
}

/** How a node gets its values. */
export type Source =
  | { readonly kind: "input"; readonly dtype: "f32" | "u32"; readonly copies: number }
  | { readonly kind: "constant"; readonly data: Data }
  | { readonly kind: "parameter"; readonly parameter: Parameter }
  | { readonly kind: "view"; readonly offset: number }
  | { readonly kind: "pack"; readonly offsets: readonly number[] }
  | ({ readonly kind: "dispatch" } & Dispatch);

/** WebGPU binds at multiples of 256 bytes: 64 floats. */
export const alignment = 64;

let count = 0;

/** Makes a node. Only ops call this. */
export function node(
  name: string,
  inputs: readonly Tensor[],
  shape: Shape,
  source: Source,
  vjp?: Vjp,
  operands: readonly Tensor[] = inputs,
): Tensor {
  const base = { id: count++, name, shape, inputs, operands, source };
  return vjp ? { ...base, vjp } : base;
}

/**
 * A placeholder, written at every run.
 *
 * @param copies in a program of as many copies, each has values of its own
 */
export function input(shape: Shape, dtype: "f32" | "u32" = "f32", copies = 1): Tensor {
  return node("input", [], shape, { kind: "input", dtype, copies });
}

/** Fixed values; a number makes a scalar, or fills `shape`. */
export function constant(value: number | Data | readonly number[], shape?: Shape): Tensor {
  const data = typeof value === "number"
    ? new Float32Array(size(shape ?? [])).fill(value)
    : value instanceof Uint32Array || value instanceof Float32Array
    ? value
    : Float32Array.from(value);
  const dims = shape ?? (typeof value === "number" ? [] : [data.length]);
  if (size(dims) !== data.length) {
    throw new Error(`Cannot make a constant ${show(dims)}: got ${data.length} values`);
  }
  return node("constant", [], dims, { kind: "constant", data });
}

/** The same values, through which no gradient flows. */
export function stopGradient(x: Tensor): Tensor {
  return node("stopGradient", [x], x.shape, { kind: "view", offset: 0 }, () => [null]);
}

/** The values of x with a derivative of their own, by the given operands. */
export function withVjp(x: Tensor, operands: readonly Tensor[], vjp: Vjp): Tensor {
  return node(x.name, [x], x.shape, { kind: "view", offset: 0 }, vjp, operands);
}

/**
 * State that outlives a program: weights, running statistics, an image under attack.
 *
 * `data` is the host's copy. Programs share one device buffer a parameter; `push` and `pull` in
 * storage.ts move values between the two.
 */
export class Parameter {
  #tensor: Tensor | undefined;
  #data: Data;
  #home: { readonly block: Parameter; readonly offset: number } | undefined;

  /**
   * Values on the host; the device has them when a program first uses them.
   *
   * @param shape sizes
   * @param data row-major values, or the number that fills it
   * @param trainable whether an optimiser moves it
   * @param copies models that have values of their own, one after the other: see `ProgramSpec.copies`
   * @throws Error when there are more or fewer values than that takes
   */
  constructor(
    readonly shape: Shape,
    data: Data | number,
    readonly trainable: boolean = false,
    readonly copies: number = 1,
  ) {
    const length = copies * size(shape);
    this.#data = typeof data === "number" ? new Float32Array(length).fill(data) : data;
    if (this.#data.length !== length) {
      throw new Error(`Cannot make a parameter ${show(shape)}: got ${this.#data.length} values`);
    }
  }

  /** Row-major values on the host, copy after copy. The device's may be newer: see `pull`. */
  get data(): Data {
    return this.#data;
  }

  /** Whether a graph reads it, or a block holds it: then it can be packed no more. */
  get used(): boolean {
    return this.#tensor !== undefined || this.#home !== undefined;
  }

  /** The parameter that owns the device buffer: the block it was packed into, or itself. */
  get owner(): Parameter {
    return this.#home?.block ?? this;
  }

  /** The node that reads it. */
  get tensor(): Tensor {
    this.#tensor ??= this.#home
      ? node("parameter", [this.#home.block.tensor], this.shape, {
        kind: "view",
        offset: this.#home.offset,
      })
      : node("parameter", [], this.shape, { kind: "parameter", parameter: this });
    return this.#tensor;
  }

  /**
   * Moves parameters into one flat block `[rows, P]`, whose first row holds their values and whose
   * other rows are zero (an optimiser's state). P counts padding: each starts at a multiple of 64.
   * Gradients are taken by the parameters, not by the block.
   */
  static pack(parameters: readonly Parameter[], rows: number): PackedParameters {
    return Parameter.packCopies([parameters], rows);
  }

  /**
   * As `pack`, the parameters of several equal models, each a copy of the block: what the first one's
   * parameters are in a graph, the others' are in a program of as many copies.
   */
  static packCopies(models: readonly (readonly Parameter[])[], rows: number): PackedParameters {
    const [parameters = []] = models;
    const offsets: number[] = [];
    let total = 0;
    for (const p of parameters) {
      offsets.push(total);
      total += Math.ceil(p.data.length / alignment) * alignment;
    }
    const block = new Parameter([rows, total], 0, false, models.length);
    models.forEach((model, copy) =>
      model.forEach((p, i) => {
        if (p.used) {
          throw new Error(
            "Cannot pack a parameter that is in use already: pack before it is traced",
          );
        }
        if (!sameShape(p.shape, parameters[i]?.shape ?? [])) {
          throw new Error(
            `Cannot pack ${show(p.shape)} as a copy of ${show(parameters[i]?.shape ?? [])}`,
          );
        }
        const offset = copy * rows * total + (offsets[i] ?? 0);
        const home = block.data.subarray(offset, offset + p.data.length);
        home.set(p.data);
        p.#data = home;
        p.#home = { block, offset };
      })
    );
    return { block, offsets, parameters, length: total };
  }
}

/** Parameters that lie in one flat buffer, in order; of several models, those of the first. */
export interface PackedParameters {
  /** `[rows, P]`, P being `length`: the values, then the rows that start at zero; a copy for every model. */
  readonly block: Parameter;
  /** First float of each parameter. */
  readonly offsets: readonly number[];
  /** Those that were packed; their values now lie in the block. */
  readonly parameters: readonly Parameter[];
  /** Floats in one row, padding counted. */
  readonly length: number;
}

/** Number of elements. */
export function size(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** `[2, 3]`, as messages show a shape. */
export function show(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** A size of a shape; negative axes count from the end. */
export function dim(x: Tensor, axis: number): number {
  const n = x.shape.at(axis);
  if (n === undefined) throw new Error(`Cannot take axis ${axis} of ${show(x.shape)}`);
  return n;
}

/**
 * The shape two operands broadcast to, by NumPy's rule.
 *
 * @throws Error naming both shapes when they do not fit
 */
export function broadcastShapes(name: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new Error(`Cannot ${name} ${show(a)} and ${show(b)}: sizes ${m} and ${n} differ`);
    }
    return m === 1 ? n : m;
  });
}
