/**
 * Which node of a program lies in which buffer.
 *
 * @module
 */
import type { Arrangement } from "./arrange.ts";
import { BufferPool, type BufferSource, padded, type PlannedBuffer } from "./buffer_pool.ts";
import { madeInPacks, type Packed } from "./packing.ts";
import { alignment, size, type Tensor } from "../graph/tensor.ts";
import type { TexelFormat } from "../graph/kernel.ts";
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

/** A texture to allocate. */
export interface PlannedTexture {
  readonly rows: number;
  readonly format: TexelFormat;
}

/** Which node lies in which buffer, as the work goes on. */
export class Memory {
  readonly #graph: Arrangement;
  readonly #pool = new BufferPool();
  readonly #homes = new Map<Tensor, number>();
  /** The last work that reads a node; infinite where it is read after a run, or in the next. */
  readonly #lastUse: ReadonlyMap<Tensor, number>;
  readonly #inPacks: ReadonlyMap<Tensor, Packed>;
  /** Nodes that some dispatch reads from a texture, and what its texels are. */
  readonly #asTexture: ReadonlyMap<Tensor, ReadonlySet<TexelFormat>>;
  /** Those of them that no dispatch reads from a buffer: theirs is free as soon as it has been copied. */
  readonly #onlyAsTexture: ReadonlySet<Tensor>;
  readonly #textures = new Map<Tensor, Map<TexelFormat, number>>();
  readonly #planned: PlannedTexture[] = [];
  readonly #freeTextures: number[] = [];

  constructor(graph: Arrangement) {
    const { order, work, same, inputsOf, copied, locate } = graph;
    this.#graph = graph;
    this.#lastUse = lastUses(graph);
    const asTexture = new Map<Tensor, Set<TexelFormat>>();
    const bound = new Set<Tensor>();
    for (const t of work) {
      inputsOf(t).forEach((x, i) => {
        const { owner } = locate(x);
        const format = graph.formatsOf(t)[i];
        if (!format) bound.add(owner);
        else asTexture.set(owner, (asTexture.get(owner) ?? new Set()).add(format));
      });
    }
    this.#asTexture = asTexture;
    // Copies of a part lie as far apart as those of its pack: what goes to a texture is made by itself.
    this.#inPacks = new Map(
      [...madeInPacks(work, inputsOf, copied, locate)]
        .filter(([part]) => !copied.has(part) || !asTexture.has(part)),
    );
    this.#onlyAsTexture = new Set(
      [...asTexture.keys()].filter((t) => !bound.has(t) && !graph.keptOwners.has(t)),
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

  /** The textures that were asked for so far. */
  get textures(): readonly PlannedTexture[] {
    return this.#planned;
  }

  /** The formats of the textures that a node is read from. */
  formatsOf(t: Tensor): Iterable<TexelFormat> {
    return this.#asTexture.get(t) ?? [];
  }

  /** A node's values as a texture: where they are copied from, once they are there; undefined where there is none yet. */
  texture(t: Tensor, format: TexelFormat): Binding | undefined {
    const texture = this.#textures.get(t)?.get(format);
    return texture === undefined ? undefined : { ...this.binding(t), texture };
  }

  /** Gives a node the textures that it is read from. */
  takeTextures(t: Tensor): void {
    for (const format of this.formatsOf(t)) {
      const taken = this.#textures.get(t) ?? new Map<TexelFormat, number>();
      this.#textures.set(t, taken.set(format, this.#takeTexture(this.rowsOf(t), format)));
    }
  }

  /** Rows of the texture that holds all copies of a node. */
  rowsOf(t: Tensor): number {
    const { copied, copies } = this.#graph;
    // A block may hold several models' parameters, of which a program of one model reads any.
    if (t.source.kind === "parameter") return texelRows(t.source.parameter.data.length);
    return texelRows(copied.has(t) ? copies * this.#strideOf(t) / 4 : size(t.shape));
  }

  /** Bytes of all copies of a node that owns memory; of what is copied to a texture, of whole rows. */
  bytesOf(t: Tensor): number {
    const { copied, copies } = this.#graph;
    // A parameter's buffer is not this program's.
    const whole = this.#asTexture.has(t) && t.source.kind !== "parameter";
    if (whole) return this.rowsOf(t) * texelRowBytes;
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
    this.takeTextures(t);
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
      this.#freeTextures.push(...this.#textures.get(owner)?.values() ?? []);
    }
  }

  /** A free texture that is no more than twice as tall, or a new one. */
  #takeTexture(rows: number, format: TexelFormat): number {
    const fits = (i: number): boolean => {
      const have = this.#planned[i];
      return have?.format === format && have.rows >= rows && have.rows <= 2 * rows;
    };
    const found = this.#freeTextures.findIndex(fits);
    const [free] = found < 0 ? [] : this.#freeTextures.splice(found, 1);
    return free ?? this.#planned.push({ rows, format }) - 1;
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
