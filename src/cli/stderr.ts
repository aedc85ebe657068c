/**
 * Speaking on stderr. A reader that has gone away, or a full disk behind it, costs what would have been
 * said and nothing else: the work goes on.
 *
 * @module
 */
import process from "node:process";

// The bars write by Node's stream, which throws unless somebody listens.
process.stderr.on("error", () => {});

/** Says a line. */
export function say(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
  } catch {
    // There is no other place to say so.
  }
}
