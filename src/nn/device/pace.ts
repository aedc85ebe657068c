/**
 * When to wait for the device: often enough for a bar and a short queue, seldom enough to cost nothing.
 *
 * @module
 */

/** Counts submissions between waits, so that a wait comes about twice a second on any device. */
export class Pace {
  #every = 1;
  #since = 0;
  #last = performance.now();

  /** Counts one submission; true when it is time to wait. */
  due(): boolean {
    this.#since++;
    return this.#since >= this.#every;
  }

  /** To be called after a wait: measures how fast the device is. */
  rest(): void {
    const now = performance.now();
    const each = (now - this.#last) / this.#since;
    this.#every = Math.max(1, Math.min(1024, 2 * this.#every, Math.round(500 / each)));
    this.#since = 0;
    this.#last = now;
  }
}
