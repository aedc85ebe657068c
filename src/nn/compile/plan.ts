/**
 * From a graph to a plan: which dispatches in which order, over which buffers. Pure; no device.
 *
 * @module
 */
import { arrange, type Arrangement, phases, type ProgramSpec } from "./arrange.ts";
import { label, type PlannedBuffer } from "./buffer_pool.ts";
import { copiesOf, copyOverrides } from "./copies.ts";
import { resolveOverrides } from "../graph/kernel.ts";
import { type Binding, Memory, type PlannedTexture } from "./memory.ts";
import { type Dispatch, type Parameter, show, size, type Tensor } from "../graph/tensor.ts";
import { texelRowBytes } from "../graph/tiles.ts";
import { texturedKernel, textureOverrides } from "./textured.ts";
import { flopOf } from "./work.ts";

export type { ProgramSpec, Updates } from "./arrange.ts";
export type { Binding } from "./memory.ts";

/** One thing to do. */
export type Step =
  | {
    readonly kind: "dispatch";
    readonly tensor: Tensor;
    readonly dispatch: Dispatch;
    /** Name of its kernel's file, or of its chain, however it is changed for textures and copies. */
    readonly file: string;
    /** What it reads: the tensor's inputs, but where it does the work of a chain those of the chain. */
    readonly inputs: readonly Tensor[];
    /** How many copies it does the work of. */
    readonly copies: number;
    /** Useful floating-point operations, of all copies. */
    readonly flop: number;
    /** Inputs, then the output. */
    readonly bindings: readonly Binding[];
  }
  | {
    readonly kind: "copy";
    readonly tensor: Tensor;
    readonly from: Binding;
    readonly to: Binding;
  }
  | {
    /** What was computed to a buffer goes to the texture that it is read from. */
    readonly kind: "texture";
    readonly tensor: Tensor;
    readonly from: Binding;
    readonly rows: number;
  };

/** What a program costs. */
export interface Stats {
  /** Dispatches of one run; of a repeated one, those that depend on no updated parameter are left out. */
  readonly dispatches: number;
  /** Kernels times distinct overrides. */
  readonly pipelines: number;
  /** Buffers it binds, its parameters' among them. */
  readonly buffers: number;
  /** Bytes this program allocates: inputs, constants, intermediates. */
  readonly bytes: number;
  /** Bytes it would allocate if every intermediate had a buffer of its own. */
  readonly unsharedBytes: number;
  /** Bytes of the parameters it uses. */
  readonly parameterBytes: number;
  /** Billions of floating-point operations in products and convolutions. */
  readonly gigaflop: number;
}

/** A graph made ready to run. */
export interface Plan {
  readonly steps: readonly Step[];
  /** How many leading steps depend on parameters that stay, and on nothing else: they are done when one has changed. */
  readonly settled: number;
  /** Those parameters, or the blocks they lie in. */
  readonly staying: readonly Parameter[];
  /** How many leading steps depend on no updated parameter: a repeated run does them once. */
  readonly invariant: number;
  readonly updates: readonly { readonly from: Binding; readonly to: Binding }[];
  readonly buffers: readonly PlannedBuffer[];
  /** Textures to allocate. */
  readonly textures: readonly PlannedTexture[];
  readonly stats: Stats;
  /** Where a node that was asked for lies after a run. */
  binding(t: Tensor): Binding;
  /** Whether anything reads this node. */
  uses(t: Tensor): boolean;
}

/** Orders, shares equal work, and assigns buffers. */
export function plan(spec: ProgramSpec): Plan {
  const graph = arrange(spec);
  const { work, phaseOf, updates, inputsOf, locate } = graph;
  const memory = new Memory(graph);
  const steps: Step[] = [];
  let [settled, invariant, next] = [0, 0, 0];
  for (const phase of Object.values(phases)) {
    for (let t = work[next]; t && phaseOf(t) === phase; t = work[++next]) {
      memory.take(t);
      if (t.source.kind === "pack") steps.push(...packed(t, t.source.offsets, memory));
      else {
        const read = inputsOf(t).map((x) => locate(x).owner);
        steps.push(...leafTextures(read, memory), dispatched(t, graph, memory));
      }
      steps.push(...copiedToTextures(t, memory));
      memory.release(next, t);
    }
    // What only later phases read is copied once all the same.
    steps.push(...leafTextures(graph.order.filter((t) => phaseOf(t) === phase), memory));
    if (phase <= phases.settled) settled = steps.length;
    if (phase <= phases.once) invariant = steps.length;
  }
  return {
    steps,
    settled,
    staying: stayingParameters(graph),
    invariant,
    updates: updates.map(({ parameter, value }) => {
      const exact = 4 * size(parameter.shape);
      return {
        from: { ...memory.binding(value), size: exact },
        to: { ...memory.binding(parameter.tensor), size: exact },
      };
    }),
    buffers: memory.buffers,
    textures: memory.textures,
    stats: statsOf(steps, memory, work),
    binding: (t) => memory.binding(t),
    uses: (t) => memory.holds(t),
  };
}

/** Parameters that a program reads and leaves alone. */
function stayingParameters({ order, phaseOf }: Arrangement): readonly Parameter[] {
  const found = order.flatMap((t) =>
    t.source.kind === "parameter" && phaseOf(t) === phases.settled ? [t.source.parameter.owner] : []
  );
  return [...new Set(found)];
}

/** Copies of those parts of a pack that are not computed where they belong. */
function packed(t: Tensor, offsets: readonly number[], memory: Memory): Step[] {
  const to = memory.binding(t);
  return t.inputs.flatMap((x, j): Step[] => {
    if (memory.madeInPlace(x, t, j)) return [];
    const bytes = 4 * size(x.shape);
    const from = { ...memory.binding(x), size: bytes };
    const offset = 4 * (offsets[j] ?? 0);
    return [{ kind: "copy", tensor: t, from, to: { ...to, offset, size: bytes } }];
  });
}

/** What brings a node's values to the textures that they are read from. */
function copiedToTextures(t: Tensor, memory: Memory): Step[] {
  return [...memory.formatsOf(t)].flatMap((format): Step[] => {
    const from = memory.texture(t, format);
    return from ? [{ kind: "texture", tensor: t, from, rows: memory.rowsOf(t) }] : [];
  });
}

/** The same of those that are computed by no step and have not been copied yet. */
function leafTextures(owners: readonly Tensor[], memory: Memory): Step[] {
  return [...new Set(owners)].flatMap((owner) => {
    const [format] = memory.formatsOf(owner);
    if (!format || !memory.holds(owner) || memory.texture(owner, format)) return [];
    memory.takeTextures(owner);
    return copiedToTextures(owner, memory);
  });
}

function dispatched(t: Tensor, graph: Arrangement, memory: Memory): Step {
  const cut = graph.dispatchOf(t);
  if (!cut) throw new Error(`Unreachable: "${t.name}" is not dispatched`);
  const formats = graph.formatsOf(t);
  const inputs = graph.inputsOf(t);
  const starts = inputs.map((x) => graph.locate(x).offset);
  const one = {
    ...cut,
    kernel: texturedKernel(cut.kernel, formats),
    overrides: { ...cut.overrides, ...textureOverrides(cut.kernel, formats, starts) },
  };
  if (one.hostOnly !== undefined) {
    throw new Error(`Cannot dispatch "${t.name}" of ${show(t.shape)}: ${one.hostOnly}`);
  }
  const bindings = [...inputs, t].map((x, i) => {
    const format = formats[i];
    if (!format) return memory.binding(x);
    const from = memory.texture(graph.locate(x).owner, format) ?? unreachable(x);
    return { ...from, size: memory.binding(x).size };
  });
  if (bindings.length !== one.kernel.bindings.length) {
    throw new Error(
      `Cannot dispatch "${one.kernel.name}": it has ${one.kernel.bindings.length} bindings, ` +
        `"${t.name}" gives ${bindings.length}`,
    );
  }
  const copies = graph.copied.has(t) ? graph.copies : 1;
  const dispatch = graph.copied.has(t) ? copiedDispatch(one, bindings) : one;
  const flop = flopOf(cut) * copies;
  const file = cut.kernel.name;
  return { kind: "dispatch", tensor: t, dispatch, file, inputs, copies, flop, bindings };
}

function unreachable(t: Tensor): never {
  throw new Error(`Unreachable: "${t.name}" is read from a texture, and computed into none`);
}

function statsOf(steps: readonly Step[], memory: Memory, work: readonly Tensor[]): Stats {
  const { buffers, textures } = memory;
  const dispatches = steps.filter((s) => s.kind === "dispatch");
  const pipelines = new Set(
    dispatches.map(({ dispatch: { kernel, overrides } }) =>
      `${kernel.name} ${JSON.stringify(resolveOverrides(kernel, overrides))}`
    ),
  );
  const bytes = (kinds: readonly string[]): number =>
    buffers.reduce((sum, b) => kinds.includes(b.source.kind) ? sum + b.bytes : sum, 0);
  const own = bytes(["input", "constant"]);
  const apart = work.reduce((sum, t) => sum + memory.bytesOf(t), 0) +
    steps.reduce((sum, s) => s.kind === "texture" ? sum + s.rows * texelRowBytes : sum, 0);
  return {
    dispatches: dispatches.length,
    pipelines: pipelines.size,
    buffers: buffers.length,
    bytes: own + bytes(["pool", "pack"]) +
      textures.reduce((sum, { rows }) => sum + rows * texelRowBytes, 0),
    unsharedBytes: own + apart,
    parameterBytes: bytes(["parameter"]),
    gigaflop: dispatches.reduce((sum, { flop }) => sum + flop / 1e9, 0),
  };
}

function copiedDispatch(one: Dispatch, bindings: readonly Binding[]): Dispatch {
  const { kernel, overrides, threads } = one;
  const steps = copyOverrides(kernel, bindings);
  return { kernel: copiesOf(kernel), overrides: { ...overrides, ...steps }, threads };
}

/** A program as text: a line a step, then what it costs. */
export function describe(name: string, { steps, stats }: Plan): string {
  const lines = steps.map((step, i) => {
    const head = `${String(i).padStart(4)}  ${label(step.tensor).padEnd(34)}`;
    if (step.kind === "texture") {
      return `${head} texture  b${step.from.buffer} -> t${step.from.texture}  ${step.rows} rows`;
    }
    if (step.kind === "copy") return `${head} copy  b${step.from.buffer} -> b${step.to.buffer}`;
    const { kernel, overrides, threads } = step.dispatch;
    const values = Object.entries(overrides).map(([k, v]) => `${k}=${v}`).join(" ");
    const buffers = step.bindings.map(({ buffer, texture }) =>
      texture === undefined ? `b${buffer}` : `t${texture}`
    );
    return `${head} ${kernel.name}  ${buffers.slice(0, -1).join(" ")} -> ${buffers.at(-1)}` +
      `  ${threads} threads${step.copies > 1 ? ` x ${step.copies} copies` : ""}  ${values}`;
  });
  const mib = (n: number): string => `${(n / 2 ** 20).toFixed(2)} MiB`;
  return [
    `program "${name}": ${stats.dispatches} dispatches, ${stats.pipelines} pipelines, ` +
    `${stats.buffers} buffers, ${mib(stats.bytes)} (${mib(stats.unsharedBytes)} unshared), ` +
    `parameters ${mib(stats.parameterBytes)}, ${stats.gigaflop.toPrecision(3)} GFLOP`,
    ...lines,
  ].join("\n");
}
