/**
 * Reads damaged files: each is to give a result or a refusal in a sentence, in bounded time and memory.
 *
 * @module
 */
import { PickleError } from "../../src/base/pickle.ts";
import { UserError } from "../../src/base/errors.ts";
import { Random } from "../../src/nn/graph/random.ts";
import { mutate } from "./mutate.ts";
import type { Reader } from "./readers.ts";

/** Characters that a refusal may have. */
const longestSentence = 500;

/** Milliseconds for one input of at most 256 KiB: far above what a busy machine needs for any of them. */
const longestRead = 30_000;

/** Bytes by which a process may grow over a reader's inputs, once it is warm: garbage comes and goes. */
const mostGrowth = 2 ** 29;

/** How one reader is fuzzed. */
export interface FuzzOptions {
  readonly inputs: number;
  /** Of all inputs: input `i` depends on it, the reader and `i` alone. */
  readonly seed: number;
  /** The first input; 0 unless told. */
  readonly from?: number;
  /** Called now and then with the number of inputs that are done. */
  readonly onProgress?: (done: number) => void;
}

/** What came of it. */
export interface FuzzResult {
  readonly reader: string;
  readonly inputs: number;
  readonly read: number;
  readonly refused: number;
  /** The input that took longest, and its milliseconds. */
  readonly slowest: { readonly index: number; readonly milliseconds: number };
  /** Bytes of memory that the process had in use at most. */
  readonly memory: number;
}

/** An input that a reader does not stand; the message says how to read it again. */
export class FuzzFailure extends Error {
  override name = "FuzzFailure";
}

/** Input `index` of a reader. */
export function inputOf(
  files: readonly Uint8Array[],
  { mend }: Pick<Reader, "mend">,
  seed: number,
  index: number,
): Uint8Array<ArrayBuffer> {
  const random = new Random(seed, index);
  const pick = (): Uint8Array => files[random.integer(files.length)] ?? new Uint8Array();
  const damaged = mutate(pick(), random, pick());
  // Some stay as they are: what checks the checksums is a reader too.
  return mend && random.integer(4) > 0 ? mend(damaged) : damaged;
}

/**
 * Reads so many damaged files.
 *
 * @throws FuzzFailure at the first that gives neither a result nor a sentence, or takes too much
 */
export async function fuzz(
  reader: Reader,
  { inputs, seed, from = 0, onProgress }: FuzzOptions,
): Promise<FuzzResult> {
  const files = reader.files();
  // A reader that refuses whatever it is given would pass all that follows.
  for (const file of files) {
    const bytes = Uint8Array.from(file);
    await reader.read(reader.mend?.(bytes) ?? bytes);
  }
  let [read, refused, memory, warm] = [0, 0, 0, 0];
  let slowest = { index: from, milliseconds: 0 };
  for (let index = from; index < from + inputs; index++) {
    const bytes = inputOf(files, reader, seed, index);
    const start = performance.now();
    let fault: string | undefined;
    try {
      await reader.read(bytes);
      read++;
    } catch (error) {
      refused++;
      fault = faultOf(error);
    }
    const milliseconds = performance.now() - start;
    if (milliseconds > slowest.milliseconds) slowest = { index, milliseconds };
    if (milliseconds > longestRead) fault ??= `took ${(milliseconds / 1000).toFixed(1)} s`;
    const done = index - from + 1;
    if (done % 1000 === 0 || done === inputs) {
      const { rss } = Deno.memoryUsage();
      memory = Math.max(memory, rss);
      if (done <= inputs / 10 || warm === 0) warm = rss;
      if (rss > warm + mostGrowth) fault ??= `grew from ${warm} to ${rss} bytes`;
      onProgress?.(done);
      // What zlib has left is cleared away between turns of the event loop alone.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (fault !== undefined) {
      throw new FuzzFailure(
        `The reader ${reader.name} ${fault} at input ${index} of seed ${seed}; again: ./denow task ` +
          `fuzz --reader ${reader.name} --seed ${seed} --from ${index} --inputs 1`,
      );
    }
  }
  return { reader: reader.name, inputs, read, refused, slowest, memory };
}

/** What is wrong with an error; nothing where it is a sentence of ours. */
function faultOf(error: unknown): string | undefined {
  if (!(error instanceof UserError || error instanceof PickleError)) {
    const trace = error instanceof Error ? error.stack ?? error.message : String(error);
    return `threw what is no refusal (${trace.slice(0, 600)})`;
  }
  const { message } = error;
  if (message.length > longestSentence) return `said ${message.length} characters`;
  // deno-lint-ignore no-control-regex -- a terminal would obey them
  if (/[\u0000-\u001f\u007f-\u009f]/.test(message)) {
    return `said more than a line (${JSON.stringify(message)})`;
  }
  return undefined;
}

/** A line for people. */
export function lineOf({ reader, inputs, read, refused, slowest, memory }: FuzzResult): string {
  const took = slowest.milliseconds.toFixed(1);
  return `${reader}: ${inputs} inputs, ${read} read, ${refused} refused, slowest ${took} ms (input ` +
    `${slowest.index}), ${Math.round(memory / 2 ** 20)} MiB`;
}
