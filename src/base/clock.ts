/**
 * Seconds of a run by phase.
 *
 * @module
 */

/** Measures from its making on; what is neither training nor work is setup. */
export class Clock {
  readonly #start = performance.now();
  #train = 0;
  #work = 0;

  async time<T>(phase: "train" | "work", work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    const seconds = (performance.now() - start) / 1000;
    if (phase === "train") this.#train += seconds;
    else this.#work += seconds;
    return result;
  }

  get train(): number {
    return this.#train;
  }

  get work(): number {
    return this.#work;
  }

  get setup(): number {
    return (performance.now() - this.#start) / 1000 - this.#train - this.#work;
  }
}
