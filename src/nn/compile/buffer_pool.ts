/**
 * The buffers that a plan asks for.
 *
 * @module
 */
import { type Data, type Parameter, show, size, type Tensor } from "../graph/tensor.ts";

/** Where a planned buffer comes from. */
export type BufferSource =
  | { readonly kind: "pool" }
  /** Zeros at first, between its parts for good. */
  | { readonly kind: "pack" }
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

/** Whole buffers, reused as soon as nothing reads them any more. */
export class BufferPool {
  readonly buffers: PlannedBuffer[] = [];
  readonly #free: number[] = [];
  readonly #pooled = new Set<number>();

  /** A buffer of its own, never reused. */
  own(t: Tensor, source: BufferSource, bytes: number = padded(4 * size(t.shape))): number {
    this.buffers.push({ bytes, label: label(t), source });
    return this.buffers.length - 1;
  }

  /** The smallest free buffer that fits and is at most twice as large, or a new one. */
  take(t: Tensor, bytes: number): number {
    let best: number | undefined;
    for (const i of this.#free) {
      const have = this.buffers[i]?.bytes ?? 0;
      if (have < bytes || have > 2 * bytes + 4096) continue;
      if (best === undefined || have < (this.buffers[best]?.bytes ?? 0)) best = i;
    }
    if (best === undefined) {
      const made = this.own(t, { kind: "pool" }, bytes);
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

/** Bytes as WebGPU binds them here: a multiple of 16, for kernels that go by four. */
export function padded(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

/** Name and shape of a tensor. */
export function label(t: Tensor): string {
  return `${t.name} ${show(t.shape)}`;
}
