/**
 * From a graph to a plan: which dispatches in which order, over which buffers. Pure; no device.
 *
 * @module
 */
import { scale } from "../ops/elementwise.ts";
import { topologicalOrder } from "./grad.ts";
import { resolveOverrides } from "../graph/kernel.ts";
import { BufferPool, label, padded, type PlannedBuffer } from "./buffer_pool.ts";
import { copiesOf, copyOverrides } from "./copies.ts";
import { type Place, place, shareEqualWork } from "./equal_work.ts";
import { fuseElementwise, type Fusion } from "./fuse.ts";
import { madeInPacks } from "./packing.ts";
import {
  alignment,
  type Dispatch,
  type Parameter,
  show,
  size,
  type Tensor,
} from "../graph/tensor.ts";
import { type TileProfile, tileProfiles } from "../graph/tiles.ts";
import { flopOf } from "./work.ts";

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
  /** Parameters with the values they take at the end of every run; none when not given. */
  readonly updates?: Updates;
  /** Nodes whose values are kept on the device at every run, until `drain` reads all of them at once. */
  readonly records?: readonly Tensor[];
  /** Whether chains of elementwise operations become single kernels; true when not given. */
  readonly fuse?: boolean;
  /**
   * Does the work of so many copies of the graph, which differ in their parameters and inputs that have as
   * many: one dispatch does what all of them need. What depends on neither is done once for all.
   */
  readonly copies?: number;
  /** How convolutions are cut; as the device likes it when not given. */
  readonly tiles?: TileProfile;
}

/** A piece of a planned buffer, in bytes. */
export interface Binding {
  readonly buffer: number;
  readonly offset: number;
  /** Of one copy. */
  readonly size: number;
  /** From one copy to the next; 0 where there is one for all. */
  readonly stride: number;
}

/** One thing to do. */
export type Step =
  | {
    readonly kind: "dispatch";
    readonly tensor: Tensor;
    readonly dispatch: Dispatch;
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
  const updated = new Set(updates.map((u) => u.parameter.owner));
  const varying = dependents(
    order,
    ({ source }) => source.kind === "parameter" && updated.has(source.parameter),
  );
  const { copies = 1 } = spec;
  const copied = dependents(order, (t) => copies > 1 && leafCopies(t) === copies);
  const computed = order.filter((t) =>
    same.get(t) === t && (t.source.kind === "dispatch" || t.source.kind === "pack")
  );
  const once = computed.filter((t) => !varying.has(t));
  const all = [...once, ...computed.filter((t) => varying.has(t))];
  const keptOwners = new Set(kept.map((t) => locate(t).owner));
  const { fusions, absorbed } = spec.fuse === false
    ? { fusions: new Map<Tensor, Fusion>(), absorbed: new Set<Tensor>() }
    : fuseElementwise(all, keptOwners, varying, locate);
  const work = all.filter((t) => !absorbed.has(t));
  const inputsOf = (t: Tensor): readonly Tensor[] => fusions.get(t)?.inputs ?? t.inputs;

  const lastUse = new Map<Tensor, number>();
  work.forEach((t, i) =>
    inputsOf(t).forEach((x) => {
      const { owner } = locate(x);
      const outlives = varying.has(t) && !varying.has(owner);
      lastUse.set(owner, outlives ? Infinity : Math.max(i, lastUse.get(owner) ?? 0));
    })
  );
  for (const owner of keptOwners) lastUse.set(owner, Infinity);

  const inPacks = madeInPacks(work, inputsOf, copied, locate);
  const pool = new BufferPool();
  const homes = new Map<Tensor, number>();
  /** Bytes from one copy of a node that owns memory to the next, and of all of them. */
  const strideOf = (t: Tensor): number =>
    !copied.has(t)
      ? 0
      : t.source.kind === "parameter"
      ? 4 * size(t.shape)
      : aligned(4 * size(t.shape));
  const bytesOf = (t: Tensor): number =>
    copied.has(t) ? copies * strideOf(t) : padded(4 * size(t.shape));
  for (const t of order) {
    const { source } = t;
    if (same.get(t) !== t || source.kind === "dispatch" || source.kind === "pack") continue;
    if (source.kind === "input") homes.set(t, pool.own(t, { kind: "input" }, bytesOf(t)));
    if (source.kind === "constant") homes.set(t, pool.own(t, source));
    if (source.kind === "parameter") homes.set(t, pool.own(t, source, bytesOf(t)));
  }
  const binding = (t: Tensor): Binding => {
    const { owner, offset: within } = locate(t);
    const pack = inPacks.get(owner);
    const buffer = homes.get(pack?.pack ?? owner);
    const offset = within + (pack?.offset ?? 0);
    if (buffer === undefined) throw new Error(`Unreachable: "${t.name}" is not in the program`);
    const stride = strideOf(pack?.pack ?? owner);
    return { buffer, offset: 4 * offset, size: padded(4 * size(t.shape)), stride };
  };

  const steps: Step[] = [];
  let invariant = 0;
  const pipelines = new Set<string>();
  let [unshared, gigaflop] = [0, 0];
  work.forEach((t, i) => {
    unshared += bytesOf(t);
    // The output takes its buffer before the inputs give up theirs: no dispatch reads what it writes.
    const pack = inPacks.get(t)?.pack ?? (t.source.kind === "pack" ? t : undefined);
    if (!pack) homes.set(t, pool.take(t, bytesOf(t)));
    else if (!homes.has(pack)) homes.set(pack, pool.own(pack, { kind: "pack" }, bytesOf(pack)));
    if (t.source.kind === "pack") {
      const to = binding(t);
      for (const [j, x] of t.inputs.entries()) {
        const inPlace = inPacks.get(locate(x).owner);
        if (inPlace?.pack === t && inPlace.index === j) continue;
        const bytes = 4 * size(x.shape);
        const offset = 4 * (t.source.offsets[j] ?? 0);
        const from = { ...binding(x), size: bytes };
        steps.push({ kind: "copy", tensor: t, from, to: { ...to, offset, size: bytes } });
      }
    } else if (t.source.kind === "dispatch") {
      const whole: Dispatch = fusions.get(t)?.dispatch ?? t.source;
      const one = { ...whole, ...whole.cut?.(spec.tiles ?? tileProfiles.portable) };
      if (one.hostOnly !== undefined) {
        throw new Error(`Cannot dispatch "${t.name}" of ${show(t.shape)}: ${one.hostOnly}`);
      }
      const inputs = inputsOf(t);
      const bindings = [...inputs, t].map(binding);
      const count = copied.has(t) ? copies : 1;
      const flop = flopOf(one) * count;
      gigaflop += flop / 1e9;
      if (bindings.length !== one.kernel.bindings.length) {
        throw new Error(
          `Cannot dispatch "${one.kernel.name}": it has ${one.kernel.bindings.length} bindings, ` +
            `"${t.name}" gives ${bindings.length}`,
        );
      }
      const dispatch = copied.has(t) ? copiedDispatch(one, bindings) : one;
      steps.push({
        kind: "dispatch",
        tensor: t,
        dispatch,
        inputs,
        copies: count,
        flop,
        bindings,
      });
      const { kernel, overrides } = dispatch;
      pipelines.add(`${kernel.name} ${JSON.stringify(resolveOverrides(kernel, overrides))}`);
    }
    for (const owner of new Set(inputsOf(t).map((x) => locate(x).owner))) {
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
      bytes: own + bytes(["pool", "pack"]),
      unsharedBytes: own + unshared,
      parameterBytes: bytes(["parameter"]),
      gigaflop,
    },
    binding,
    uses: (t) => homes.has(inPacks.get(locate(t).owner)?.pack ?? locate(t).owner),
  };
}

/** The nodes whose values depend on a leaf of some kind. */
function dependents(
  order: readonly Tensor[],
  isLeaf: (t: Tensor) => boolean,
): ReadonlySet<Tensor> {
  const found = new Set<Tensor>();
  for (const t of order) {
    if (isLeaf(t) || t.inputs.some((x) => found.has(x))) found.add(t);
  }
  return found;
}

/** How many copies of a program have values of their own in a leaf. */
function leafCopies({ source }: Tensor): number {
  if (source.kind === "input") return source.copies;
  return source.kind === "parameter" ? source.parameter.copies : 1;
}

function copiedDispatch(one: Dispatch, bindings: readonly Binding[]): Dispatch {
  const { kernel, overrides, threads } = one;
  const steps = copyOverrides(kernel, bindings);
  return { kernel: copiesOf(kernel), overrides: { ...overrides, ...steps }, threads };
}

/** Bytes up to where WebGPU can bind the next copy. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / (4 * alignment)) * 4 * alignment;
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
