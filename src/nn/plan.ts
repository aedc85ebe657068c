/**
 * From a graph to a plan: which dispatches in which order, over which buffers. Pure; no device.
 *
 * @module
 */
import { scale } from "./elementwise.ts";
import { topologicalOrder } from "./grad.ts";
import { resolveOverrides } from "./kernel.ts";
import {
  type Data,
  type Dispatch,
  type Parameter,
  show,
  size,
  type Source,
  type Tensor,
} from "./tensor.ts";

/** New values of parameters: all read the old ones, all are written after the last dispatch. */
export type Updates = ReadonlyMap<Parameter, Tensor>;

/** What to compile. */
export interface ProgramSpec {
  /** Label in messages. */
  readonly name?: string;
  /** Placeholders, in the order `run` takes their values. */
  readonly inputs?: readonly Tensor[];
  /**
   * Nodes that `read` can return after a run: values of before its updates, but for an updated
   * parameter itself, which reads as it is then.
   */
  readonly outputs?: readonly Tensor[];
  readonly updates?: Updates;
  /** Nodes whose values are kept on the device at every run, until `drain` reads all of them at once. */
  readonly records?: readonly Tensor[];
}

/** A piece of a planned buffer; offset and size in bytes. */
export interface Binding {
  readonly buffer: number;
  readonly offset: number;
  readonly size: number;
}

/** One thing to do. */
export type Step =
  | {
    readonly kind: "dispatch";
    readonly tensor: Tensor;
    readonly dispatch: Dispatch;
    /** Inputs, then the output. */
    readonly bindings: readonly Binding[];
  }
  | {
    readonly kind: "copy";
    readonly tensor: Tensor;
    readonly from: Binding;
    readonly to: Binding;
  };

/** Where a planned buffer comes from. */
export type BufferSource =
  | { readonly kind: "pool" }
  | { readonly kind: "input" }
  | { readonly kind: "constant"; readonly data: Data }
  | { readonly kind: "parameter"; readonly parameter: Parameter };

/** A buffer to allocate (a parameter's exists already, or is shared with other programs). */
export interface PlannedBuffer {
  readonly bytes: number;
  /** Name and shape of the largest tensor in it. */
  readonly label: string;
  readonly source: BufferSource;
}

/** What a program costs. */
export interface Stats {
  readonly dispatches: number;
  /** Kernels times distinct overrides. */
  readonly pipelines: number;
  readonly buffers: number;
  /** Bytes this program allocates: inputs, constants, intermediates. */
  readonly bytes: number;
  /** Bytes it would allocate if every intermediate had a buffer of its own. */
  readonly unsharedBytes: number;
  /** Bytes of the parameters it uses. */
  readonly parameterBytes: number;
}

/** A graph made ready to run. */
export interface Plan {
  readonly steps: readonly Step[];
  /** How many leading steps depend on no updated parameter: a repeated run does them once. */
  readonly invariant: number;
  readonly updates: readonly { readonly from: Binding; readonly to: Binding }[];
  readonly buffers: readonly PlannedBuffer[];
  readonly stats: Stats;
  /** Where a node that was asked for lies after a run. */
  binding(t: Tensor): Binding;
  /** Whether anything reads this node. */
  uses(t: Tensor): boolean;
}

type Owned = Exclude<Source, { readonly kind: "view" }>;

/** A node that owns memory, and where in it another node starts (in floats). */
interface Place {
  readonly owner: Tensor & { readonly source: Owned };
  readonly offset: number;
}

/** Orders, shares equal work, and assigns buffers. */
export function plan(spec: ProgramSpec): Plan {
  const updates = [...spec.updates ?? []].map(([parameter, value]) => ({
    parameter,
    // Another parameter's own buffer may change under the copies: take its value first.
    value: place(value).owner.source.kind === "parameter" ? scale(value, 1) : value,
  }));
  const kept = [
    ...spec.outputs ?? [],
    ...spec.records ?? [],
    ...updates.map((u) => u.value),
  ];
  const order = topologicalOrder([...kept, ...updates.map((u) => u.parameter.tensor)]);
  const same = shareEqualWork(order);
  const locate = (t: Tensor): Place => place(t, same);
  const varying = dependents(order, new Set(updates.map((u) => u.parameter.owner)));
  const computed = order.filter((t) =>
    same.get(t) === t && (t.source.kind === "dispatch" || t.source.kind === "pack")
  );
  const once = computed.filter((t) => !varying.has(t));
  const work = [...once, ...computed.filter((t) => varying.has(t))];

  const lastUse = new Map<Tensor, number>();
  work.forEach((t, i) =>
    t.inputs.forEach((x) => {
      const { owner } = locate(x);
      const outlives = varying.has(t) && !varying.has(owner);
      lastUse.set(owner, outlives ? Infinity : Math.max(i, lastUse.get(owner) ?? 0));
    })
  );
  for (const t of kept) lastUse.set(locate(t).owner, Infinity);

  const pool = new BufferPool();
  const homes = new Map<Tensor, number>();
  for (const t of order) {
    const { source } = t;
    if (same.get(t) !== t || source.kind === "dispatch" || source.kind === "pack") continue;
    if (source.kind === "input") homes.set(t, pool.own(t, { kind: "input" }));
    if (source.kind === "constant") homes.set(t, pool.own(t, source));
    if (source.kind === "parameter") homes.set(t, pool.own(t, source));
  }
  const binding = (t: Tensor): Binding => {
    const { owner, offset } = locate(t);
    const buffer = homes.get(owner);
    if (buffer === undefined) throw new Error(`Unreachable: "${t.name}" is not in the program`);
    return { buffer, offset: 4 * offset, size: padded(4 * size(t.shape)) };
  };

  const steps: Step[] = [];
  let invariant = 0;
  const pipelines = new Set<string>();
  let unshared = 0;
  work.forEach((t, i) => {
    unshared += padded(4 * size(t.shape));
    // The output takes its buffer before the inputs give up theirs: no dispatch reads what it writes.
    const packs = t.source.kind === "pack";
    homes.set(t, packs ? pool.own(t, { kind: "pool" }) : pool.take(t));
    if (t.source.kind === "pack") {
      const to = binding(t);
      for (const [j, x] of t.inputs.entries()) {
        const bytes = 4 * size(x.shape);
        const offset = 4 * (t.source.offsets[j] ?? 0);
        const from = { ...binding(x), size: bytes };
        steps.push({ kind: "copy", tensor: t, from, to: { ...to, offset, size: bytes } });
      }
    } else if (t.source.kind === "dispatch") {
      const { kernel, overrides, threads } = t.source;
      const bindings = [...t.inputs, t].map(binding);
      if (bindings.length !== kernel.bindings.length) {
        throw new Error(
          `Cannot dispatch "${kernel.name}": it has ${kernel.bindings.length} bindings, ` +
            `"${t.name}" gives ${bindings.length}`,
        );
      }
      steps.push({
        kind: "dispatch",
        tensor: t,
        dispatch: { kernel, overrides, threads },
        bindings,
      });
      pipelines.add(`${kernel.name} ${JSON.stringify(resolveOverrides(kernel, overrides))}`);
    }
    for (const owner of new Set(t.inputs.map((x) => locate(x).owner))) {
      if (lastUse.get(owner) === i) pool.free(homes.get(owner));
    }
    if (!varying.has(t)) invariant = steps.length;
  });

  const bytes = (kinds: readonly string[]): number =>
    pool.buffers.reduce((sum, b) => kinds.includes(b.source.kind) ? sum + b.bytes : sum, 0);
  const own = bytes(["input", "constant"]);
  return {
    steps,
    invariant,
    updates: updates.map(({ parameter, value }) => {
      const exact = 4 * size(parameter.shape);
      return {
        from: { ...binding(value), size: exact },
        to: { ...binding(parameter.tensor), size: exact },
      };
    }),
    buffers: pool.buffers,
    stats: {
      dispatches: steps.filter((s) => s.kind === "dispatch").length,
      pipelines: pipelines.size,
      buffers: pool.buffers.length,
      bytes: own + bytes(["pool"]),
      unsharedBytes: own + unshared,
      parameterBytes: bytes(["parameter"]),
    },
    binding,
    uses: (t) => homes.has(locate(t).owner),
  };
}

/** Whole buffers, reused as soon as nothing reads them any more. */
class BufferPool {
  readonly buffers: PlannedBuffer[] = [];
  readonly #free: number[] = [];
  readonly #pooled = new Set<number>();

  /** A buffer of its own, never reused. */
  own(t: Tensor, source: BufferSource): number {
    this.buffers.push({ bytes: padded(4 * size(t.shape)), label: label(t), source });
    return this.buffers.length - 1;
  }

  /** The smallest free buffer that fits and is at most twice as large, or a new one. */
  take(t: Tensor): number {
    const bytes = padded(4 * size(t.shape));
    let best: number | undefined;
    for (const i of this.#free) {
      const have = this.buffers[i]?.bytes ?? 0;
      if (have < bytes || have > 2 * bytes + 4096) continue;
      if (best === undefined || have < (this.buffers[best]?.bytes ?? 0)) best = i;
    }
    if (best === undefined) {
      const made = this.own(t, { kind: "pool" });
      this.#pooled.add(made);
      return made;
    }
    this.#free.splice(this.#free.indexOf(best), 1);
    return best;
  }

  free(i: number | undefined): void {
    if (i !== undefined && this.#pooled.has(i)) this.#free.push(i);
  }
}

/** The nodes whose values depend on one of these parameters. */
function dependents(
  order: readonly Tensor[],
  parameters: ReadonlySet<Parameter>,
): ReadonlySet<Tensor> {
  const found = new Set<Tensor>();
  for (const t of order) {
    const own = t.source.kind === "parameter" && parameters.has(t.source.parameter);
    if (own || t.inputs.some((x) => found.has(x))) found.add(t);
  }
  return found;
}

/** Maps every node to the first one that computes the same. */
function shareEqualWork(order: readonly Tensor[]): Map<Tensor, Tensor> {
  const same = new Map<Tensor, Tensor>();
  const byKey = new Map<string, Tensor>();
  for (const t of order) {
    const key = workKey(t, same);
    const first = key === undefined ? t : byKey.get(key) ?? t;
    if (key !== undefined) byKey.set(key, first);
    same.set(t, first);
  }
  return same;
}

function workKey(t: Tensor, same: ReadonlyMap<Tensor, Tensor>): string | undefined {
  const { source } = t;
  const inputs = t.inputs.map((x) => {
    const { owner, offset } = place(x, same);
    return `${owner.id}+${offset}`;
  }).join(" ");
  switch (source.kind) {
    case "dispatch": {
      const overrides = JSON.stringify(resolveOverrides(source.kernel, source.overrides));
      return `${source.kernel.name} ${overrides} ${source.threads} ${show(t.shape)} ${inputs}`;
    }
    case "constant":
      return constantKey(source.data);
    case "pack":
      return `pack ${source.offsets.join()} ${inputs}`;
    case "view":
    case "input":
    case "parameter":
      return undefined;
  }
}

/** Small constants, and large ones of a single value, are shared by value. */
function constantKey(data: Data): string | undefined {
  const type = data instanceof Uint32Array ? "u32" : "f32";
  const [first] = data;
  const signed = (v = 0): string => Object.is(v, -0) ? "-0" : String(v);
  if (data.length > 64) {
    const uniform = data.every((v) => Object.is(v, first));
    return uniform ? `${type} ${data.length} x ${signed(first)}` : undefined;
  }
  return `${type} [${Array.from(data, signed).join()}]`;
}

/** Follows views down to the node that owns the memory. */
function place(t: Tensor, same?: ReadonlyMap<Tensor, Tensor>): Place {
  let [owner, offset] = [t, 0];
  while (owner.source.kind === "view") {
    offset += owner.source.offset;
    const [next] = owner.inputs;
    if (!next) throw new Error("Unreachable: a view of nothing");
    owner = next;
  }
  return { owner: (same?.get(owner) ?? owner) as Place["owner"], offset };
}

function padded(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

function label(t: Tensor): string {
  return `${t.name} ${show(t.shape)}`;
}

/** A program as text: a line a step, then what it costs. */
export function describe(name: string, { steps, stats }: Plan): string {
  const lines = steps.map((step, i) => {
    const head = `${String(i).padStart(4)}  ${label(step.tensor).padEnd(34)}`;
    if (step.kind === "copy") return `${head} copy  b${step.from.buffer} -> b${step.to.buffer}`;
    const { kernel, overrides, threads } = step.dispatch;
    const values = Object.entries(overrides).map(([k, v]) => `${k}=${v}`).join(" ");
    const buffers = step.bindings.map((b) => `b${b.buffer}`);
    return `${head} ${kernel.name}  ${buffers.slice(0, -1).join(" ")} -> ${buffers.at(-1)}` +
      `  ${threads} threads  ${values}`;
  });
  const mib = (n: number): string => `${(n / 2 ** 20).toFixed(2)} MiB`;
  return [
    `program "${name}": ${stats.dispatches} dispatches, ${stats.pipelines} pipelines, ` +
    `${stats.buffers} buffers, ${mib(stats.bytes)} (${mib(stats.unsharedBytes)} unshared), ` +
    `parameters ${mib(stats.parameterBytes)}`,
    ...lines,
  ].join("\n");
}
