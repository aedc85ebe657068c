/**
 * Several rows at once on this machine: a process each, of this very program.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import config from "../../deno.json" with { type: "json" };
import { makeFolder } from "../base/atomic.ts";
import { shortened, UserError } from "../base/errors.ts";
import { inOneFile } from "../base/invocation.ts";
import { duration, isHeld } from "../base/lock.ts";
import { type Plan, type Row, wordsOf } from "./plan.ts";
import { openState, outcomeOf, rowFolder } from "./state.ts";

/** The exit code of a row that was stopped and goes on when it is started again: `EX_TEMPFAIL` of sysexits.h. */
export const tryAgain = 75;

/** Exit codes of rows that were told to stop: by Ctrl-C, which reaches all of a terminal's processes, and others. */
const stops: readonly number[] = [tryAgain, 129, 130, 143];

/** How rows are spread. */
export interface JobSettings {
  /** Path of the plan's file. */
  readonly path: string;
  /** Rows at once, 1 or more. */
  readonly jobs: number;
  /** What each process finds in its environment, in turn: how a driver is told which GPU to show. */
  readonly gpus: readonly (readonly [name: string, value: string])[];
  /** Which of them the first process has. */
  readonly firstGpu: number;
  /** Told a line a row. */
  readonly say: (line: string) => void;
}

/** What became of the rows that were asked for. */
export interface JobsResult {
  /** Rows that finished now. */
  readonly finished: readonly number[];
  /** Rows that had finished before. */
  readonly before: readonly number[];
  /** Rows that failed, each with its sentence. */
  readonly failed: readonly { readonly index: number; readonly sentence: string }[];
  /** Rows that were told to stop, or whose process was killed: they go on when they are run again. */
  readonly stopped: readonly number[];
}

/** Milliseconds between two looks at what other processes do. */
const pause = 1000;

/**
 * Runs rows, so many at once, and goes on with others where one fails. A row waits until the trainings that it needs
 * are there; one that another process runs is left to it, and looked at again.
 *
 * @param rows of the plan, those to run
 * @throws UserError where this program may start no other, or the plan's folder is another's
 */
export async function runJobs(
  plan: Plan,
  rows: readonly Row[],
  settings: JobSettings,
): Promise<JobsResult> {
  const start = starter();
  await openState(plan, settings.path);
  return await new Jobs(plan, rows, settings, start).run();
}

type Start = (args: readonly string[], env: Record<string, string>) => Deno.ChildProcess;

/** Whether a row may start, has to wait, or needs one that did not finish. */
type Readiness = "ready" | "wait" | { readonly failed: Row };

class Jobs {
  readonly #settings: JobSettings;
  readonly #start: Start;
  readonly #byDigest: ReadonlyMap<string, Row>;
  readonly #open: Set<Row>;
  /** Open rows of which it is known that they had not finished before. */
  readonly #unfinished = new Set<Row>();
  readonly #count: number;
  readonly #running = new Map<Row, { readonly slot: number; readonly child: Deno.ChildProcess }>();
  readonly #result = {
    finished: [] as number[],
    before: [] as number[],
    failed: [] as { index: number; sentence: string }[],
    stopped: [] as number[],
  };
  #stopping = false;

  constructor(plan: Plan, rows: readonly Row[], settings: JobSettings, start: Start) {
    this.#byDigest = new Map(plan.rows.map((row) => [row.digest, row]));
    this.#settings = settings;
    this.#start = start;
    this.#open = new Set(rows);
    this.#count = rows.length;
  }

  async run(): Promise<JobsResult> {
    using _ = handOn((signal) => {
      this.#stopping = true;
      for (const { child } of this.#running.values()) child.kill(signal);
    });
    const ending = new Set<Promise<void>>();
    while (this.#open.size > 0 || ending.size > 0) {
      if (this.#stopping) {
        for (const { index } of this.#open) this.#result.stopped.push(index);
        this.#open.clear();
      }
      const row = this.#running.size < this.#settings.jobs ? await this.#next() : undefined;
      // Told to stop while it was looked for: nobody would tell a process that starts now.
      if (row && this.#stopping) {
        this.#result.stopped.push(row.index);
      } else if (row) {
        const end = this.#make(row).finally(() => ending.delete(end));
        ending.add(end);
      } else if (this.#open.size > 0 || ending.size > 0) {
        await Promise.race([...ending, new Promise((wake) => setTimeout(wake, pause))]);
      }
    }
    return this.#result;
  }

  /**
   * The next row that may start now, taken out of those that are open; undefined where all of them wait. Of a row that
   * waits for a training nothing is read again before that has ended, and of the training once, however many wait.
   */
  async #next(): Promise<Row | undefined> {
    const { path } = this.#settings;
    const looked = new Map<string, Readiness>();
    for (const row of [...this.#open]) {
      if (this.#stopping) break;
      const before = this.#unfinished.has(row);
      if (!before && await this.#finishedBefore(row)) continue;
      const ready = await this.#readiness(row, looked);
      if (ready === "wait") continue;
      // Another process may have finished it while it waited.
      if (before && await this.#finishedBefore(row)) continue;
      if (await isHeld(rowFolder(path, row))) continue;
      this.#open.delete(row);
      if (ready === "ready") return row;
      this.#fail(row, `it needs row ${ready.failed.index}, which did not finish`);
    }
    return undefined;
  }

  /** Whether a row had finished; it is then no longer open. */
  async #finishedBefore(row: Row): Promise<boolean> {
    const { state } = await outcomeOf(this.#settings.path, row) ?? {};
    if (state !== "finished") {
      this.#unfinished.add(row);
      return false;
    }
    this.#open.delete(row);
    this.#result.before.push(row.index);
    return true;
  }

  /**
   * Whether the trainings that a row needs are there.
   *
   * @param looked what was found of trainings, by their digest: each is looked at once
   */
  async #readiness(row: Row, looked: Map<string, Readiness>): Promise<Readiness> {
    for (const digest of row.needs) {
      const found = looked.get(digest) ?? await this.#readinessOf(digest);
      looked.set(digest, found);
      if (found !== "ready") return found;
    }
    return "ready";
  }

  /** Whether a training is there, or may be made by the row that needs it. */
  async #readinessOf(digest: string): Promise<Readiness> {
    const needed = this.#byDigest.get(digest);
    if (!needed) throw new Error("Unreachable: a row needs one that the plan has not");
    const outcome = await outcomeOf(this.#settings.path, needed);
    if (outcome?.state === "finished") return "ready";
    const { failed, stopped } = this.#result;
    const ended = failed.some(({ index }) => index === needed.index) ||
      stopped.includes(needed.index);
    const coming = this.#open.has(needed) || this.#running.has(needed);
    if (ended || outcome?.state === "failed" && !coming) return { failed: needed };
    // One that was not asked for the row makes by itself, unless another process is at it.
    return coming || await isHeld(rowFolder(this.#settings.path, needed)) ? "wait" : "ready";
  }

  /** Runs a row in a process of its own, to its end. */
  async #make(row: Row): Promise<void> {
    const { path, gpus, firstGpu } = this.#settings;
    const used = new Set([...this.#running.values()].map(({ slot }) => slot));
    const slot = firstFree(used);
    const gpu = gpus.length === 0 ? undefined : gpus[(firstGpu + slot) % gpus.length];
    const started = Date.now();
    const child = this.#start(
      ["sweep", "run", path, "--index", String(row.index)],
      gpu ? { [gpu[0]]: gpu[1] } : {},
    );
    this.#running.set(row, { slot, child });
    const said = await this.#log(row, child);
    const { code, signal } = await child.status;
    this.#running.delete(row);
    const took = duration(Date.now() - started);
    if (code === 0) {
      this.#result.finished.push(row.index);
      return this.#say(`${wordsOf(row)} (${took})`);
    }
    if (stops.includes(code) || signal !== null) {
      this.#result.stopped.push(row.index);
      const why = signal === null ? "stopped" : `its process was ended by ${signal}`;
      return this.#say(`row ${row.index} ${why}; run it again, and it goes on: ${wordsOf(row)}`);
    }
    this.#fail(row, said.at(-1) ?? `it ended with ${code}`);
  }

  #fail(row: Row, sentence: string): void {
    this.#result.failed.push({ index: row.index, sentence });
    this.#say(`row ${row.index} failed: ${shortened(sentence, 600)}`);
  }

  #say(line: string): void {
    const { finished, before, failed, stopped } = this.#result;
    const done = finished.length + before.length + failed.length + stopped.length;
    this.#settings.say(`${done}/${this.#count} ${line}`);
  }

  /** Keeps what a row's process says, and returns its last lines. */
  async #log(row: Row, child: Deno.ChildProcess): Promise<string[]> {
    const folder = rowFolder(this.#settings.path, row);
    await makeFolder(folder);
    using file = await Deno.open(join(folder, "log.txt"), { append: true, create: true });
    let last = "";
    const decoder = new TextDecoder();
    for await (const piece of child.stderr) {
      for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
      last = (last + decoder.decode(piece, { stream: true })).slice(-4000);
    }
    const lines = stripVTControlCharacters(last).split(/[\r\n]+/);
    return lines.map((line) => line.trim()).filter((line) => line !== "");
  }
}

/** The least number from 0 on that is not in use. */
export function firstFree(used: ReadonlySet<number>): number {
  return Math.min(...[-1, ...used].map((n) => n + 1).filter((n) => !used.has(n)));
}

/** Hands signals on to the processes of rows, until it is disposed of. */
function handOn(to: (signal: Deno.Signal) => void): Disposable {
  const signals = ["SIGINT", "SIGTERM", "SIGUSR1"] as const;
  const listeners = signals.map((signal) => {
    // Who presses Ctrl-C means all of them, and rows go on by themselves.
    const listener = (): void => to(signal === "SIGINT" ? "SIGTERM" : signal);
    return { signal, listener };
  });
  if (Deno.build.os === "windows") return { [Symbol.dispose]: () => {} };
  for (const { signal, listener } of listeners) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]: () => {
      for (const { signal, listener } of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
}

/**
 * What starts this program anew, as `sweep` may: with its permissions, but without that to start programs.
 *
 * @throws UserError where this program may not
 */
function starter(): Start {
  const program = [Deno.execPath(), "deno"].find((command) =>
    Deno.permissions.querySync({ name: "run", command }).state === "granted"
  );
  if (program === undefined) {
    throw new UserError(
      "Cannot start processes for rows: this program may start none; run each row by --index, " +
        "several at once by xargs -P or a scheduler",
    );
  }
  const first = argumentsOf();
  return (args, env) =>
    new Deno.Command(program, {
      args: [...first, ...args],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      env: { ...env, INIT_CWD: Deno.cwd(), NO_COLOR: "1" },
    }).spawn();
}

/** What Deno is told before `sweep`. */
function argumentsOf(): string[] {
  if (Deno.build.standalone) return [];
  const where = inOneFile()
    ? ["--quiet", "--no-config", "--no-lock", "--no-npm"]
    : ["--quiet", "--config", inProject("deno.json")];
  return ["run", ...where, ...granted, fileURLToPath(Deno.mainModule)];
}

/** Permissions of a row. */
const granted = config.tasks.sweep.split(" ").filter((word) =>
  word.startsWith("--") && !word.startsWith("--allow-run")
);

function inProject(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}

/** The command line that starts this program elsewhere, up to `sweep`; no process stands between it and a signal. */
export function programLine(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  // A packed file is found on the PATH, where its messages say that it is.
  if (inOneFile()) return ["mirage"];
  return [inProject("denow"), "run", "--quiet", ...granted, inProject("main.ts")];
}
