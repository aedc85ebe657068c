/**
 * One folder a run, named by a digest of what determines it: all to understand, check and repeat it.
 *
 *     run.json                    what determines it, and what it ran on
 *     log.jsonl                   a line an epoch or a batch
 *     checkpoints/                the models it used or made, and their digests in run.json
 *     predictions.safetensors     answers to every image, clean and attacked
 *     adversarial.safetensors     the images themselves, with --save-images
 *     metrics.json                its figures; written last: a run that has it is finished
 *     report.html                 pictures of them
 *
 * @module
 */
import { type Run, runSchema } from "./schema.ts";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { checkRegular, makeFolder, sweep, writeAtomic } from "../base/atomic.ts";
import { type NamedArray, readSafetensors, writeSafetensors } from "../checkpoint/safetensors.ts";
import { digestOf, sha256 } from "../base/digest.ts";
import { ifStopped } from "../base/stopping.ts";
import { commandOf } from "../base/invocation.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display, explain, isFile, readFile } from "../base/files.ts";
import { type Held, hold, lockName } from "../base/lock.ts";
import type { Reporter } from "../base/reporter.ts";
import { contradiction } from "./agreement.ts";
import { extension, keepBeside } from "./copies.ts";
import { figuresOf } from "./figures.ts";

/** The file of what was told on the way. */
const logName = "log.jsonl";

/** The file of the figures. */
const metricsName = "metrics.json";

/** What determines a run, and what is kept with it. */
export interface RunSpec {
  readonly command: Run["command"];
  /** Shown in the folder's name besides the digest. */
  readonly label: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly identity: Readonly<Record<string, unknown>>;
  readonly adapter: Readonly<Record<string, unknown>>;
  readonly versions: Readonly<Record<string, string>>;
}

/** A model that a run was made with. */
export interface UsedModel {
  readonly path: string;
  /** SHA-256 of its file when it was loaded. */
  readonly sha256: string;
  /** Paths of files that hold a part of it, from its file's folder on; none when not given. */
  readonly beside?: readonly string[];
}

/** What a run leaves. */
export interface RunResults {
  /** The document, of which the figures are kept. */
  readonly document: unknown;
  /** Paths of the models that it made, in the order of the members. */
  readonly checkpoints?: readonly string[];
  /** Further archives by their names. */
  readonly archives?: Readonly<Record<string, ReadonlyMap<string, NamedArray>>>;
}

/** The folder of a run that goes on. Disposing of it gives the folder back. */
export interface RunFolder extends AsyncDisposable {
  readonly path: string;
  /** Hands on what it is told, and writes the figures among it to the log. */
  readonly reporter: Reporter;
  /** Writes lines to the log that were told before there was a folder. */
  catchUp(lines: readonly Readonly<Record<string, string | number>>[]): void;
  /**
   * Keeps what came out: all of it, or the run counts as unfinished.
   *
   * @param used the models that it was made with, as they were loaded
   */
  finish(results: RunResults, used: readonly UsedModel[]): Promise<void>;
  /** Removes the folder of a run that was refused, where it is new and its log has no figure: nothing came of it. */
  refuse(): Promise<void>;
}

/** Where the folders of runs are. */
export function runsFolder(savePath: string): string {
  return join(savePath, "runs");
}

/**
 * Opens the folder of a run: a new one, or the one of the same run before.
 *
 * @throws UserError when another process makes the same run, or the folder may not be written
 */
export async function openRunFolder(
  savePath: string,
  spec: RunSpec,
  reporter: Reporter,
): Promise<RunFolder> {
  const named = digestOf({ command: spec.command, ...spec.identity });
  const path = join(runsFolder(savePath), `${spec.command}-${spec.label}-${named.slice(0, 12)}`);
  const held = await hold(path, (message) => reporter.note(message));
  try {
    await sweep(join(path, "checkpoints"));
    await checkRegular(join(path, logName));
    const before = await readRun(path).catch(() => undefined);
    const isNew = !before && !await isFile(join(path, logName));
    const { command, config, identity, adapter, versions } = spec;
    const run: Run = {
      schema: "mirage/run@2",
      command,
      config,
      identity,
      digest: named,
      checkpoints: before?.checkpoints ?? [],
      files: before?.files ?? [],
      started: before?.started ?? new Date().toISOString(),
      adapter,
      versions,
    };
    await writeAtomic(join(path, "run.json"), `${JSON.stringify(run, null, 2)}\n`);
    return new OpenFolder(path, run, held, { outer: reporter, isNew });
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

class OpenFolder implements RunFolder {
  readonly reporter: Reporter;
  readonly #log: string;
  readonly #stopping: Disposable;
  /** Whether there was no such run before, and no figure has been told of this one. */
  #isEmpty: boolean;
  /** Why a line of the log could not be written. */
  #unwritten: unknown;

  constructor(
    readonly path: string,
    readonly run: Run,
    readonly held: Held,
    { outer, isNew }: { readonly outer: Reporter; readonly isNew: boolean },
  ) {
    this.#isEmpty = isNew;
    this.#log = join(path, logName);
    this.#append({ event: "start", time: new Date().toISOString() });
    this.#stopping = ifStopped(() =>
      this.#append({ event: "stop", time: new Date().toISOString() })
    );
    this.reporter = {
      note: (message) => {
        this.#append({ event: "note", message });
        outer.note(message);
      },
      progress: (name, total, unit) => outer.progress(name, total, unit),
      record: (line) => {
        this.catchUp([line]);
        outer.record?.(line);
      },
    };
  }

  /** A line at once, so that a run that is broken off has those before; one that fails is told at the end. */
  #append(line: Readonly<Record<string, unknown>>): void {
    try {
      Deno.writeTextFileSync(this.#log, `${JSON.stringify(line)}\n`, { append: true });
    } catch (error) {
      this.#unwritten ??= explain(error, "write", this.#log);
    }
  }

  catchUp(lines: readonly Readonly<Record<string, string | number>>[]): void {
    for (const line of lines) {
      this.#isEmpty &&= line["event"] === "note";
      this.#append(line);
    }
  }

  async finish(
    { document, checkpoints = [], archives = {} }: RunResults,
    used: readonly UsedModel[],
  ): Promise<void> {
    if (this.#unwritten) throw this.#unwritten;
    this.held.check();
    const figures = `${JSON.stringify(figuresOf(document), null, 2)}\n`;
    await this.#refuseAnother(figures, used.length, checkpoints);
    const kept = join(this.path, "checkpoints");
    await makeFolder(kept);
    const entries: Run["checkpoints"] = [];
    const made = checkpoints.map((path) => ({ path, sha256: undefined, beside: undefined }));
    const models = [...used, ...made];
    for (const [i, { path: source, sha256: loaded, beside = [] }] of models.entries()) {
      const name = beside.length > 0 ? `${i}/${basename(source)}` : `${i}${extension(source)}`;
      const bytes = await readFile(source);
      const digest = sha256(bytes);
      if (loaded !== undefined && loaded !== digest) {
        throw new UserError(
          `Cannot keep the run: "${display(source)}" is not what it was when it was loaded; ` +
            "run the command again when nothing else trains there",
        );
      }
      await keepBeside(beside, dirname(source), join(kept, String(i)));
      await writeAtomic(join(kept, name), bytes);
      entries.push({ name, source, sha256: digest });
    }
    const files: Run["files"] = [];
    for (const [archive, tensors] of Object.entries(archives)) {
      const name = `${archive}.safetensors`;
      const path = join(this.path, name);
      await writeSafetensors(path, { tensors, metadata: {} });
      files.push({ name, sha256: sha256(await readFile(path)) });
    }
    files.push({ name: metricsName, sha256: sha256(figures) });
    const run: Run = { ...this.run, checkpoints: entries, files };
    await writeAtomic(join(this.path, "run.json"), `${JSON.stringify(run, null, 2)}\n`);
    await writeAtomic(join(this.path, metricsName), figures);
    this.#append({ event: "end", time: new Date().toISOString() });
  }

  /** What is finished stays: the same run with another outcome is none, such as of a model that was exchanged. */
  async #refuseAnother(figures: string, used: number, made: readonly string[]): Promise<void> {
    if (!await readFigures(this.path, this.run).catch(() => undefined)) return;
    const { files, checkpoints } = this.run;
    let same = files.some(({ name, sha256: of }) => name === metricsName && of === sha256(figures));
    for (const [i, path] of made.entries()) {
      same &&= checkpoints[used + i]?.sha256 === sha256(await readFile(path));
    }
    if (same) return;
    throw new UserError(
      `Cannot keep the run: "${display(this.path)}" holds the same run with another outcome; ` +
        "move that folder away and run the command again",
    );
  }

  async refuse(): Promise<void> {
    if (!this.#isEmpty) return;
    const own = ["run.json", logName];
    const left = await Array.fromAsync(Deno.readDir(this.path), ({ name }) => name);
    if (left.some((name) => !own.includes(name) && !name.startsWith(lockName))) return;
    this.#stopping[Symbol.dispose]();
    for (const name of own) await Deno.remove(join(this.path, name));
    this.held.removeEmpty();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping[Symbol.dispose]();
    await this.held[Symbol.asyncDispose]();
  }
}

/**
 * A run's `run.json`.
 *
 * @throws UserError when the folder has none, or it is damaged
 */
export async function readRun(folder: string): Promise<Run> {
  const path = join(folder, "run.json");
  if (await isFile(path)) return await readRunFile(path);
  throw new UserError(
    `Cannot read "${display(folder)}": it is no folder of a run; ${
      commandOf("runs")
    } lists those there are`,
  );
}

/** As {@linkcode readRun}, by the path of the file itself. */
export async function readRunFile(path: string): Promise<Run> {
  return parseRun(await readText(path), path);
}

/**
 * A run's figures; undefined where it is not finished.
 *
 * @throws UserError when they are not those that the run left
 */
export async function readFigures(
  folder: string,
  run?: Run,
): Promise<Record<string, unknown> | undefined> {
  const path = join(folder, metricsName);
  if (!await isFile(path)) return undefined;
  await checkFile(folder, run ?? await readRun(folder), metricsName);
  return parseFigures(await readText(path), path);
}

/**
 * Holds every file that a run wrote against what it says of them.
 *
 * @throws UserError naming the first that is missing, or another
 */
export async function checkFiles(folder: string, run: Run): Promise<void> {
  for (const { name } of run.files) await checkFile(folder, run, name);
}

/** As {@linkcode checkFiles}, of one, which the run has to have written. */
export async function checkFile(folder: string, { files }: Run, name: string): Promise<void> {
  const path = join(folder, basename(name));
  const wanted = files.find((file) => file.name === name)?.sha256;
  if (wanted === sha256(await readFile(path))) return;
  throw new UserError(
    `Cannot use "${display(path)}": it is not the file that the run left${
      wanted === undefined ? "" : " (its SHA-256 differs)"
    }; make the run again`,
  );
}

/** An array of an archive: its shape, and its values in rows. */
export type { NamedArray };

/**
 * An archive that a run wrote, as its arrays by name.
 *
 * @param name of the archive: `predictions`
 * @throws UserError when it is missing, or not the file that the run left
 */
export async function readArchive(
  folder: string,
  run: Run,
  name: string,
): Promise<ReadonlyMap<string, NamedArray>> {
  const file = `${name}.safetensors`;
  await checkFile(folder, run, file);
  return (await readSafetensors(join(folder, file))).tensors;
}

/**
 * Paths of the models that a run keeps.
 *
 * @throws UserError when there are none, or they are not those that it used
 */
export async function keptCheckpoints(folder: string, { checkpoints }: Run): Promise<string[]> {
  if (checkpoints.length === 0) {
    throw new UserError(
      `Cannot use "${
        display(folder)
      }": its run.json names no model that it keeps; make the run again`,
    );
  }
  const paths: string[] = [];
  for (const { name, sha256: wanted } of checkpoints) {
    const path = join(folder, "checkpoints", name);
    if (sha256(await readFile(path)) !== wanted) {
      throw new UserError(
        `Cannot use "${
          display(path)
        }": it is not the file that the run used (its SHA-256 differs); make the run again`,
      );
    }
    paths.push(path);
  }
  return paths;
}

/** The text of a `run.json`, checked and held against itself; `path` stands in the errors. */
export function parseRun(text: string, path: string): Run {
  const cannot = (why: string): UserError =>
    new UserError(`Cannot read "${display(path)}": ${why}; make the run again`);
  const older = z.object({ schema: z.literal("mirage/run@1") });
  const value = parseJson(text, path, z.unknown());
  if (older.safeParse(value).success) {
    throw cannot("it is of an older Mirage and does not say which files are the run's");
  }
  const run = checked(value, path, runSchema);
  const { command, identity, digest } = run;
  if (digestOf({ command, ...identity }) !== digest) {
    throw cannot("its identity is not the one that its digest is of");
  }
  const contrary = contradiction(run);
  if (contrary !== undefined) throw cannot(contrary);
  return run;
}

/** The text of a `metrics.json`, checked; `path` stands in the errors. */
export function parseFigures(text: string, path: string): Record<string, unknown> {
  return parseJson(text, path, z.record(z.string(), z.unknown()));
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readFile(path));
}

function parseJson<T>(text: string, path: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UserError(`Cannot read "${display(path)}": it is no JSON; make the run again`);
  }
  return checked(value, path, schema);
}

function checked<T>(value: unknown, path: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(
    `Cannot read "${display(path)}": ${shortened(issue?.path.join(".") || "it")}: ${
      shortened(issue?.message ?? "not valid")
    }; make the run again`,
  );
}
