/**
 * Values kept on the device run after run, and where the copies of a value lie.
 *
 * @module
 */
import type { Device } from "./device.ts";
import { type Resource, usage } from "./storage.ts";
import { size, type Tensor } from "../graph/tensor.ts";

/** A piece of a buffer of which there are several copies. */
export interface CopiedResource extends Resource {
  /** Bytes from one copy to the next; 0 where there is one for all. */
  readonly stride: number;
  /** How many there are, 1 or more. */
  readonly copies: number;
}

/** From the first copy's start to the last one's end. */
export function whole({ buffer, offset, size, stride, copies }: CopiedResource): Resource {
  return { buffer, offset, size: stride * (copies - 1) + size };
}

/** The first n values of every copy. */
export function dense(
  values: Float32Array,
  n: number,
  { stride, copies }: Pick<CopiedResource, "stride" | "copies">,
): Float32Array {
  if (copies === 1) return values.subarray(0, n);
  const found = new Float32Array(copies * n);
  for (let i = 0; i < copies; i++) {
    found.set(values.subarray(i * stride / 4, i * stride / 4 + n), i * n);
  }
  return found;
}

/** A growing list of one tensor's values, kept on the device. */
export class Recorder {
  #buffer: GPUBuffer;
  #count = 0;
  #capacity: number;
  #closed = false;

  /** All copies of one value, as one piece. */
  readonly from: Resource;

  /**
   * An empty list with room for 64 KiB, or for one value where that is larger.
   *
   * @param of where the value lies after a run
   * @param tensor whose value it is, padding not counted
   */
  constructor(readonly device: Device, readonly of: CopiedResource, readonly tensor: Tensor) {
    this.from = whole(of);
    this.#capacity = Math.max(1, Math.floor(2 ** 16 / this.from.size));
    this.#buffer = this.#create();
  }

  #create(): GPUBuffer {
    const label = `record of ${this.tensor.name}`;
    return this.device.gpu.createBuffer({ label, size: this.from.size * this.#capacity, usage });
  }

  /**
   * Makes room for as many values more: the buffer doubles until they fit, and keeps what it holds.
   *
   * @throws Error when it would exceed the device's `maxBufferSize`
   */
  reserve(times: number): void {
    if (this.#count + times <= this.#capacity) return;
    const old = this.#buffer;
    let capacity = this.#capacity;
    while (this.#count + times > capacity) capacity *= 2;
    const limit = this.device.limits.maxBufferSize;
    if (this.from.size * capacity > limit) {
      throw new Error(
        `Cannot record "${this.tensor.name}": ${this.#count} values take ${
          this.from.size * this.#count
        } bytes, a buffer may have ${limit}; drain more often`,
      );
    }
    this.#capacity = capacity;
    this.#buffer = this.#create();
    const encoder = this.device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, this.#buffer, 0, this.from.size * this.#count);
    this.device.gpu.queue.submit([encoder.finish()]);
    old.destroy();
  }

  /** Encodes the copy of the value as it is then; room for it must have been made. */
  append(encoder: GPUCommandEncoder): void {
    const { buffer, offset, size } = this.from;
    encoder.copyBufferToBuffer(buffer, offset, this.#buffer, size * this.#count++, size);
  }

  /** What was recorded; starts afresh at once, so that a run during the read-back is kept. */
  take(): Resource {
    const taken = { buffer: this.#buffer, offset: 0, size: this.from.size * this.#count };
    this.#count = 0;
    return taken;
  }

  /** Drops the padding between records, and between their copies. */
  unpad(values: Float32Array): Float32Array {
    const [n, stride] = [size(this.tensor.shape), this.from.size / 4];
    if (n === stride) return values;
    const count = values.length / stride;
    const all = new Float32Array(n * this.of.copies * count);
    for (let i = 0; i < count; i++) {
      const one = values.subarray(i * stride, (i + 1) * stride);
      all.set(dense(one, n, this.of), i * n * this.of.copies);
    }
    return all;
  }

  /** Frees the buffer; a second call does nothing. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.#buffer.destroy();
    this.#closed = true;
  }
}
