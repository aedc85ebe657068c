/**
 * Says of work that holds up the program's thread that it takes long, from another thread.
 *
 * @module
 */

/** Milliseconds from which on work takes long. */
const patience = 5000;

let watcher: Pick<Worker, "postMessage"> | undefined;

/**
 * Watches a piece of work that begins: a line on stderr says so where it takes longer than five seconds.
 *
 * @param what the work as a sentence's beginning: `Compiling "matmul"`
 * @param after milliseconds from which on it takes long
 * @returns to be called at its end
 */
export function watch(what: string, after: number = patience): () => void {
  watcher ??= start();
  watcher.postMessage({ what, after });
  return () => watcher?.postMessage({});
}

/** The thread needs no file of its own, for a packed program has none. */
function start(): Pick<Worker, "postMessage"> {
  const source = encodeURIComponent(`(${wait})()`);
  try {
    const worker = new Worker(`data:application/javascript,${source}`, { type: "module" });
    worker.addEventListener("error", (event) => event.preventDefault());
    return worker;
  } catch {
    // Where no thread can be had, nothing is said.
    return { postMessage: () => {} };
  }
}

/** What the other thread does. */
function wait(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  globalThis.addEventListener("message", (event) => {
    const { what, after = 0 } = (event as MessageEvent<{ what?: string; after?: number }>).data;
    clearTimeout(timer);
    if (what === undefined) return;
    timer = setTimeout(() => {
      // A bar on a terminal leaves the line open.
      const line = `${Deno.stderr.isTerminal() ? "\n" : ""}${what} takes long: more than ${
        after / 1000
      } s so far\n`;
      try {
        Deno.stderr.writeSync(new TextEncoder().encode(line));
      } catch {
        // There is no other place to say so.
      }
    }, after);
  });
}
