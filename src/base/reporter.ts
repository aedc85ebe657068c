/**
 * How a run speaks while it works. The command line draws bars; a test or a script stays silent.
 *
 * @module
 */

/** A piece of long work. */
export interface Progress {
  /** Shows how much of the total is done, and short figures such as `{ loss: "0.31" }`. */
  update(done: number, fields?: Readonly<Record<string, string>>): void;
  /** Ends the bar. */
  stop(): void;
}

/** Where a run's messages go. */
export interface Reporter {
  /** A sentence for people. */
  note(message: string): void;
  /**
   * Starts a bar.
   *
   * @param unit what `total` counts; images when not given
   */
  progress(name: string, total: number, unit?: string): Progress;
  /**
   * Work begins that may hold up this thread: where it takes long, that is said while it does.
   *
   * @param what the work as a sentence's beginning: `Compiling "matmul"`
   * @returns to be called at its end
   */
  watch?(what: string): () => void;
  /** Figures on the way, for a run's log: those of an epoch, or how many images are done. */
  record?(line: Readonly<Record<string, string | number>>): void;
  /** The folder in which a finished run is kept. */
  kept?(folder: string): void;
  /** Why a finished run could not be kept; its figures are returned all the same. */
  lost?(reason: Error): void;
}

/** Says nothing. */
export const silent: Reporter = {
  note: () => {},
  progress: () => ({ update: () => {}, stop: () => {} }),
};
