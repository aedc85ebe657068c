/**
 * Which node of a program lies in which buffer.
 *
 * @module
 */
import type { Arrangement } from "./arrange.ts";
import { BufferPool, type BufferSource, padded, type PlannedBuffer } from "./buffer_pool.ts";
import { madeInPacks, type Packed } from "./packing.ts";
import { alignment, size, type Tensor } from "../graph/tensor.ts";
import { texelRowBytes, texelRows } from "../graph/tiles.ts";

/** A piece of a planned buffer, in bytes. */
export interface Binding {
  readonly buffer: number;
  readonly offset: number;
  /** Of one copy. */
  readonly size: number;
  /** From one copy to the next; 0 where there is one for all. */
  readonly stride: number;
  /** The texture that it is read from, where it is. */
  readonly texture?: number;
}

/** Which node lies in which buffer, as the work goes on. */
export class Memory {
  readonly #graph: Arrangement;
  readonly #pool = new BufferPool();
  readonly #homes = new Map<Tensor, number>();
  /** The last work that reads a node; infinite where it is read after a run, or in the next. */
  readonly #lastUse: ReadonlyMap<Tensor, number>;
  readonly #inPacks: ReadonlyMap<Tensor, Packed>;
  /** Nodes that some dispatch reads from a texture. */
  readonly #asTexture: ReadonlySet<Tensor>;
  /** Those of them that no dispatch reads from a buffer: theirs is free as soon as it has been copied. */
  readonly #onlyAsTexture: ReadonlySet<Tensor>;
  readonly #textures = new Map<Tensor, number>();
  readonly #rows: number[] = [];
  readonly #freeTextures: number[] = [];

  constructor(graph: Arrangement) {
    const { order, work, same, inputsOf, copied, locate } = graph;
    this.#graph = graph;
    this.#lastUse = lastUses(graph);
    this.#inPacks = madeInPacks(work, inputsOf, copied, locate);
    this.#asTexture = new Set(work.flatMap((t) => readAsTextures(t).map((x) => locate(x).owner)));
    const bound = new Set<Tensor>(
      work.flatMap((t) => boundBy(t, inputsOf(t)).map((x) => locate(x).owner)),
    );
    this.#onlyAsTexture = new Set(
      [...this.#asTexture].filter((t) => !bound.has(t) && !graph.keptOwners.has(t)),
    );
    for (const t of order) {
      const { source } = t;
      if (same.get(t) !== t || source.kind === "dispatch" || source.kind === "pack") continue;
      if (source.kind === "input") this.#own(t, { kind: "input" });
      else if (source.kind !== "view") this.#own(t, source);
    }
  }

  /** What was asked for so far, leaves first. */
  get buffers(): readonly PlannedBuffer[] {
    return this.#pool.buffers;
  }

  /** Rows of the textures that were asked for so far. */
  get textures(): readonly number[] {
    return this.#rows;
  }

  /** A node's values as a texture: where they are copied from, once they are there; undefined where it is read from none. */
  texture(t: Tensor): Binding | undefined {
    const texture = this.#textures.get(t);
    return texture === undefined ? undefined : { ...this.binding(t), texture };
  }

  /** Rows of the texture that holds all copies of a node. */
  rowsOf(t: Tensor): number {
    const { copied, copies } = this.#graph;
    return texelRows(copied.has(t) ? copies * this.#strideOf(t) / 4 : size(t.shape));
  }

  /** Bytes of all copies of a node that owns memory; of what is copied to a texture, of whole rows. */
  bytesOf(t: Tensor): number {
    const { copied, copies } = this.#graph;
    if (this.#asTexture.has(t)) return this.rowsOf(t) * texelRowBytes;
    return copied.has(t) ? copies * this.#strideOf(t) : padded(4 * size(t.shape));
  }

  /** Where a node lies that is a leaf, or whose work has been reached. */
  binding(t: Tensor): Binding {
    const { owner, offset: within } = this.#graph.locate(t);
    const pack = this.#inPacks.get(owner);
    const buffer = this.#homes.get(pack?.pack ?? owner);
    const offset = within + (pack?.offset ?? 0);
    if (buffer === undefined) throw new Error(`Unreachable: "${t.name}" is not in the program`);
    const stride = this.#strideOf(pack?.pack ?? owner);
    return { buffer, offset: 4 * offset, size: padded(4 * size(t.shape)), stride };
  }

  /** Whether a node has a buffer. */
  holds(t: Tensor): boolean {
    const { owner } = this.#graph.locate(t);
    return this.#homes.has(this.#inPacks.get(owner)?.pack ?? owner);
  }

  /** Whether a part of a pack is computed where it belongs. */
  madeInPlace(part: Tensor, pack: Tensor, index: number): boolean {
    const inPlace = this.#inPacks.get(this.#graph.locate(part).owner);
    return inPlace?.pack === pack && inPlace.index === index;
  }

  /** Gives a node its buffer, before its inputs give up theirs: no dispatch reads what it writes. */
  take(t: Tensor): void {
    const pack = this.#inPacks.get(t)?.pack ?? (t.source.kind === "pack" ? t : undefined);
    if (this.#asTexture.has(t)) this.#textures.set(t, this.#takeTexture(this.rowsOf(t)));
    if (!pack) this.#homes.set(t, this.#pool.take(t, this.bytesOf(t)));
    else if (!this.#homes.has(pack)) this.#own(pack, { kind: "pack" });
  }

  /** Gives up the buffers that nothing reads after a piece of work. */
  release(index: number, t: Tensor): void {
    const { inputsOf, locate } = this.#graph;
    if (this.#onlyAsTexture.has(t)) this.#pool.free(this.#homes.get(t));
    for (const owner of new Set(inputsOf(t).map((x) => locate(x).owner))) {
      if (this.#lastUse.get(owner) !== index) continue;
      if (!this.#onlyAsTexture.has(owner)) this.#pool.free(this.#homes.get(owner));
      const texture = this.#textures.get(owner);
      if (texture !== undefined) this.#freeTextures.push(texture);
    }
  }

  /** A free texture that is no more than twice as tall, or a new one. */
  #takeTexture(rows: number): number {
    const fits = (i: number): boolean => {
      const have = this.#rows[i] ?? 0;
      return have >= rows && have <= 2 * rows;
    };
    const found = this.#freeTextures.findIndex(fits);
    const [free] = found < 0 ? [] : this.#freeTextures.splice(found, 1);
    return free ?? this.#rows.push(rows) - 1;
  }

  #own(t: Tensor, source: BufferSource): void {
    this.#homes.set(t, this.#pool.own(t, source, this.bytesOf(t)));
  }

  /** Bytes from one copy of a node that owns memory to the next. */
  #strideOf(t: Tensor): number {
    if (!this.#graph.copied.has(t)) return 0;
    return t.source.kind === "parameter" ? 4 * size(t.shape) : aligned(4 * size(t.shape));
  }
}

/** What a node's dispatch reads from textures. */
function readAsTextures({ source, inputs }: Tensor): readonly Tensor[] {
  if (source.kind !== "dispatch") return [];
  return inputs.filter((_, i) => source.kernel.bindings[i]?.texture);
}

/** What a node's dispatch, or pack, reads from buffers. */
function boundBy({ source }: Tensor, inputs: readonly Tensor[]): readonly Tensor[] {
  if (source.kind !== "dispatch") return inputs;
  return inputs.filter((_, i) => !source.kernel.bindings[i]?.texture);
}

function lastUses(graph: Arrangement): ReadonlyMap<Tensor, number> {
  const { work, phaseOf, keptOwners, locate, inputsOf } = graph;
  const lastUse = new Map<Tensor, number>();
  work.forEach((t, i) =>
    inputsOf(t).forEach((x) => {
      const { owner } = locate(x);
      const outlives = phaseOf(t) > phaseOf(owner);
      lastUse.set(owner, outlives ? Infinity : Math.max(i, lastUse.get(owner) ?? 0));
    })
  );
  for (const owner of keptOwners) lastUse.set(owner, Infinity);
  return lastUse;
}

/** Bytes up to where WebGPU can bind the next copy. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / (4 * alignment)) * 4 * alignment;
}
