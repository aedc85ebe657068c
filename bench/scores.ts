/**
 * What `--scores all` adds to an attack as it is typed, on a model that is trained already and on one that is trained
 * first, in turns.
 *
 * @module
 */
import { summarise, type Summary } from "./statistics.ts";

/** One way to run it. */
export interface ScoresRow {
  /** Whether the run finds a trained model, or trains it first. */
  readonly model: "trained" | "trains first";
  /** Seconds of the command without scores. */
  readonly without: Summary;
  /** Seconds of the command with all of them. */
  readonly all: Summary;
  /** How many times as long as without scores, of the same round. */
  readonly ratio: Summary;
}

/** Measures SNGP on the embedded data, so often in turns, after one round on a trained model that fills the driver's cache. */
export async function measureScores(
  rounds: number,
  say: (line: string) => void,
): Promise<ScoresRow[]> {
  const models = ["trained", "trains first"] as const;
  const times = models.map(() => ({ without: [] as number[], all: [] as number[] }));
  const trained = await Deno.makeTempDir();
  try {
    await attack(trained, []);
    await attack(trained, ["--scores", "all"]);
    for (let round = 0; round < rounds; round++) {
      for (const [i, model] of models.entries()) {
        for (const [kind, asked] of [["without", []], ["all", ["--scores", "all"]]] as const) {
          const seconds = model === "trained"
            ? await attack(trained, asked)
            : await inNewFolder((folder) => attack(folder, asked));
          times[i]?.[kind].push(seconds);
        }
      }
      say(`scores: round ${round + 1} of ${rounds}`);
    }
  } finally {
    await Deno.remove(trained, { recursive: true });
  }
  return models.map((model, i) => {
    const { without = [], all = [] } = times[i] ?? {};
    const ratios = all.map((seconds, round) => seconds / (without[round] ?? NaN));
    return {
      model,
      without: summarise(without),
      all: summarise(all),
      ratio: summarise(ratios),
    };
  });
}

async function inNewFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Seconds of a run that keeps models and results in a folder, from the start of the process to its end. */
async function attack(folder: string, asked: readonly string[]): Promise<number> {
  const config = new URL("../deno.json", import.meta.url).pathname;
  const started = performance.now();
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["task", "--quiet", "--config", config, "attack"],
      ...["--mode", "sngp", "--save-path", folder, ...asked],
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    const lines = new TextDecoder().decode(stderr).trim().split("\n");
    throw new Error(`Cannot attack with ${asked.join(" ")}: ${lines.at(-1)}`);
  }
  return (performance.now() - started) / 1000;
}
