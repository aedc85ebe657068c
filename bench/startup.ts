/**
 * From the start of a process to the first training step, with an empty shader cache and a filled one.
 *
 * @module
 */
import { type Starter, starters } from "./first_step.ts";
import { summarise, type Summary } from "./statistics.ts";

/** One library's start. */
export interface StartupRow {
  readonly library: Starter;
  /** Seconds. */
  readonly cold: Summary;
  readonly warm: Summary;
}

/** Measures every library in turns; `rounds` cold starts, each followed by a warm one. */
export async function measureStartup(
  rounds: number,
  say: (line: string) => void,
): Promise<StartupRow[]> {
  const times = new Map(
    starters.map((name) => [name, { cold: [] as number[], warm: [] as number[] }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [library, { cold, warm }] of times) {
      const cache = await Deno.makeTempDir();
      try {
        cold.push(await start(library, cache));
        warm.push(await start(library, cache));
      } finally {
        await Deno.remove(cache, { recursive: true });
      }
      say(`${library}: round ${round + 1} of ${rounds}`);
    }
  }
  return [...times].map(([library, { cold, warm }]) => ({
    library,
    cold: summarise(cold),
    warm: summarise(warm),
  }));
}

/** Seconds until the loss is there. */
async function start(library: Starter, cache: string): Promise<number> {
  const script = new URL("first_step.ts", import.meta.url).pathname;
  const config = new URL("../deno.json", import.meta.url).pathname;
  const started = performance.now();
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--config",
      config,
      "--allow-read",
      "--allow-env",
      "--allow-sys",
      script,
      library,
    ],
    // Mesa keeps compiled shaders there; other drivers have caches of their own.
    env: { MESA_SHADER_CACHE_DIR: cache, MESA_GLSL_CACHE_DIR: cache },
    stdout: "null",
    stderr: "piped",
  }).output();
  const seconds = (performance.now() - started) / 1000;
  if (!success) {
    throw new Error(
      `Cannot start ${library}: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`,
    );
  }
  return seconds;
}
