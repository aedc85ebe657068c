/**
 * From a graph to an order of work: what is computed, once for all or for every copy, and what is fused.
 *
 * @module
 */
import { scale } from "../ops/elementwise.ts";
import { topologicalOrder } from "./grad.ts";
import { type Location, locationOf, shareEqualWork } from "./equal_work.ts";
import { fuseElementwise, type Fusion } from "./fuse.ts";
import { alignment, type Dispatch, type Parameter, size, type Tensor } from "../graph/tensor.ts";
import { type TileProfile, tileProfiles } from "../graph/tiles.ts";
import { type Formats, formatsOf, type Operand } from "./textured.ts";

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

/**
 * When a node is computed: whenever a parameter that the program leaves alone has changed, once a run, or in every
 * repetition of a run.
 */
export const phases = { settled: 0, once: 1, repeated: 2 } as const;

/** What is computed, and in which order. */
export interface Arrangement {
  /** Every node, what it is computed from before it. */
  readonly order: readonly Tensor[];
  /** New values of parameters. */
  readonly updates: readonly { readonly parameter: Parameter; readonly value: Tensor }[];
  /** Nodes that are computed, phase by phase. */
  readonly work: readonly Tensor[];
  /** The phase of a node, one of `phases`. */
  readonly phaseOf: (t: Tensor) => number;
  /** Those that have values of their own in each copy. */
  readonly copied: ReadonlySet<Tensor>;
  /** How many copies there are. */
  readonly copies: number;
  /** Those that do the work of a chain. */
  readonly fusions: ReadonlyMap<Tensor, Fusion>;
  /** Owners of what is read after a run. */
  readonly keptOwners: ReadonlySet<Tensor>;
  /** The node that another's work is shared from; itself where it is the first. */
  readonly same: ReadonlyMap<Tensor, Tensor>;
  /** The node that owns the memory of a node, and where in it that lies. */
  readonly locate: (t: Tensor) => Location;
  /** What a node is computed from; of one that does the work of a chain, what the chain is. */
  readonly inputsOf: (t: Tensor) => readonly Tensor[];
  /** Which of those it reads from textures. */
  readonly formatsOf: (t: Tensor) => Formats;
  /** How a node that is dispatched, or a chain that it does the work of, is dispatched. */
  readonly dispatchOf: (t: Tensor) => Dispatch | undefined;
}

/** Orders the nodes, shares equal work, and fuses chains. */
export function arrange(spec: ProgramSpec): Arrangement {
  const updates = [...spec.updates ?? []].map(([parameter, value]) => ({
    parameter,
    // Another parameter's own buffer may change under the copies: take its value first.
    value: locationOf(value).owner.source.kind === "parameter" ? scale(value, 1) : value,
  }));
  const kept = [
    ...spec.outputs ?? [],
    ...spec.records ?? [],
    ...updates.map((u) => u.value),
  ];
  const { copies = 1, tiles = tileProfiles.portable } = spec;
  const instead = alternatives(tiles, copies);
  const roots = [...kept, ...updates.map((u) => u.parameter.tensor)];
  // What a node is computed from in truth: another one where that makes its values.
  const below = (t: Tensor): readonly Tensor[] => {
    const other = instead(t);
    return other ? [other] : t.inputs;
  };
  const order = topologicalOrder(roots, undefined, below);
  const same = shareEqualWork(order, instead);
  const locate = (t: Tensor): Location => locationOf(t, same);
  const updated = new Set(updates.map((u) => u.parameter.owner));
  const phaseOf = phasesOf(order, below, updated);
  const copied = dependents(order, below, (t) => copies > 1 && leafCopies(t) === copies);
  const computed = order.filter((t) =>
    same.get(t) === t && (t.source.kind === "dispatch" || t.source.kind === "pack")
  );
  const all = Object.values(phases).flatMap((phase) =>
    computed.filter((t) => phaseOf(t) === phase)
  );
  const keptOwners = new Set(kept.map((t) => locate(t).owner));
  const { fusions, absorbed } = spec.fuse === false
    ? { fusions: new Map<Tensor, Fusion>(), absorbed: new Set<Tensor>() }
    : fuseElementwise(all, keptOwners, phaseOf, locate);
  const work = all.filter((t) => !absorbed.has(t));
  const inputsOf = (t: Tensor): readonly Tensor[] => fusions.get(t)?.inputs ?? t.inputs;
  const dispatches = dispatchesOf(work, fusions, tiles);
  const formats = formatsOfAll(dispatches, { inputsOf, locate, copied, copies }, tiles);
  return {
    order,
    updates,
    work,
    phaseOf,
    copied,
    copies,
    fusions,
    keptOwners,
    same,
    locate,
    inputsOf,
    formatsOf: (t) => formats.get(t) ?? [],
    dispatchOf: (t) => dispatches.get(t),
  };
}

/** How each node that is dispatched is, as a profile cuts it. */
function dispatchesOf(
  work: readonly Tensor[],
  fusions: ReadonlyMap<Tensor, Fusion>,
  tiles: TileProfile,
): ReadonlyMap<Tensor, Dispatch> {
  return new Map(work.flatMap((t): [Tensor, Dispatch][] => {
    const one = fusions.get(t)?.dispatch ?? (t.source.kind === "dispatch" ? t.source : undefined);
    return one ? [[t, { ...one, ...one.cut?.(tiles) }]] : [];
  }));
}

/** Which inputs each of them reads from textures. */
function formatsOfAll(
  dispatches: ReadonlyMap<Tensor, Dispatch>,
  { inputsOf, locate, copied, copies }: Pick<
    Arrangement,
    "inputsOf" | "locate" | "copied" | "copies"
  >,
  { textured }: TileProfile,
): ReadonlyMap<Tensor, Formats> {
  return new Map([...dispatches].map(([t, one]) => {
    const operands = inputsOf(t).map((x) => operandOf(x, locate(x), copied, copies));
    const made = (copied.has(t) ? copies : 1) * size(t.shape);
    return [t, formatsOf(one, operands, made, textured)];
  }));
}

/** What is known of an input, all its copies counted. */
function operandOf(
  x: Tensor,
  { owner }: Location,
  copied: ReadonlySet<Tensor>,
  copies: number,
): Operand {
  const { source } = owner;
  const floats = size(x.shape);
  const around = source.kind === "parameter" ? source.parameter.data.length : size(owner.shape);
  if (!copied.has(owner)) return { floats, around };
  if (source.kind === "parameter") return { floats: copies * floats, around };
  // Copies lie where they can be bound.
  return { floats: copies * floats, around: copies * alignment * Math.ceil(around / alignment) };
}

/** Which node is computed in a node's place. */
function alternatives(tiles: TileProfile, copies: number): (t: Tensor) => Tensor | undefined {
  const found = new Map<Tensor, Tensor | undefined>();
  return (t) => {
    if (t.source.kind !== "dispatch" || !t.source.instead) return undefined;
    if (!found.has(t)) found.set(t, t.source.instead(tiles, copies));
    return found.get(t);
  };
}

/** The phases of all nodes. */
function phasesOf(
  order: readonly Tensor[],
  below: (t: Tensor) => readonly Tensor[],
  updated: ReadonlySet<Parameter>,
): (t: Tensor) => number {
  const varying = dependents(
    order,
    below,
    ({ source }) => source.kind === "parameter" && updated.has(source.parameter),
  );
  const fed = dependents(order, below, ({ source }) => source.kind === "input");
  return (t) => varying.has(t) ? phases.repeated : fed.has(t) ? phases.once : phases.settled;
}

/** The nodes whose values depend on a leaf of some kind. */
function dependents(
  order: readonly Tensor[],
  below: (t: Tensor) => readonly Tensor[],
  isLeaf: (t: Tensor) => boolean,
): ReadonlySet<Tensor> {
  const found = new Set<Tensor>();
  for (const t of order) {
    if (isLeaf(t) || below(t).some((x) => found.has(x))) found.add(t);
  }
  return found;
}

/** How many copies of a program have values of their own in a leaf. */
function leafCopies({ source }: Tensor): number {
  if (source.kind === "input") return source.copies;
  return source.kind === "parameter" ? source.parameter.copies : 1;
}
