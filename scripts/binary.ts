/**
 * What both kinds of binary share: what lies inside, what it may do, and the trial run.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { allSets } from "../data/mod.ts";
import { failure } from "../src/cli/failure.ts";
import { UserError } from "../src/base/errors.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";

/** The project's folder. */
export const root: string = fileURLToPath(new URL("..", import.meta.url));

/** What is opened at run time and so is not found by imports; a worker's file would stand here too. */
export const included = ["data/embedded", "LICENSE"] as const;

/** The files of {@linkcode included}, by their paths from the root. */
export async function includedFiles(): Promise<string[]> {
  const files: string[] = [];
  for (const path of included) {
    if ((await Deno.stat(join(root, path))).isFile) files.push(path);
    else for await (const { name } of Deno.readDir(join(root, path))) files.push(`${path}/${name}`);
  }
  return files.sort();
}

/** Hosts that `data` downloads from. */
export const hosts: readonly string[] = [
  ...new Set(
    allSets.flatMap(({ downloads }) => downloads)
      .flatMap(({ urls }) => urls.map((u) => new URL(u).host)),
  ),
];

/** What every command may do; `data` may also reach {@linkcode hosts}. */
export const permissions = [
  "--allow-read",
  "--allow-write",
  "--allow-env=INIT_CWD,MIRAGE_DEBUG,HOME,XDG_CACHE_HOME,LOCALAPPDATA",
  "--allow-sys=hostname",
] as const;

/** Variables by which a scheduler tells a row of a sweep which it is, and which GPU is its own. */
export const schedulers = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "SLURM_LOCALID"] as const;

/** How a program ended, and what it said. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without standard input. */
export async function execute(
  file: string,
  args: readonly string[],
  options: Omit<Deno.CommandOptions, "args"> = {},
): Promise<Outcome> {
  const command = new Deno.Command(file, { ...options, args: [...args], stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** What kept Deno from doing something, from what it printed: the outer cause first. */
export function causesOf(stderr: string): string[] {
  const [before = "", after = ""] = stderr.split("Caused by:\n");
  const causes = [...after.matchAll(/^ {4}(?:\d+: )?(\S.*)$/gm)];
  const errors = [...before.matchAll(/^error: (.*?)\.?$/gm)];
  return (causes.length > 0 ? causes : errors).map(([, cause = ""]) => cause);
}

/** Calls `use` with a folder that is removed afterwards. */
export async function inTemporary<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "mirage-" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Has a finished binary train and attack on a few of its embedded images, with nothing in its
 * environment but PATH, HOME and which Vulkan driver to use; returns what it ran on.
 *
 * @throws UserError when it does not run
 */
export function tryOut(path: string): Promise<string> {
  return inTemporary(async (folder) => {
    const driver = Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith("VK_"));
    const args = ["attack", "--mode", "sngp", "--limit", "20", "--epochs", "1", "--json"];
    const { code, stdout, stderr } = await execute("env", [resolve(path), ...args], {
      cwd: folder,
      clearEnv: true,
      env: { ...Object.fromEntries(driver), PATH: "/usr/bin:/bin", HOME: folder },
    });
    if (code !== 0) {
      const said = stripVTControlCharacters(stderr).trim().split("\n").at(-1);
      throw new UserError(`Cannot run "${path}", which was built: ${said}`);
    }
    const { adapter } = attackResultSchema.parse(JSON.parse(stdout));
    return adapter.description || adapter.device || adapter.vendor;
  });
}

/** Runs a script's work; what goes wrong becomes one sentence and an exit code. */
export async function runScript(work: () => Promise<void>): Promise<never> {
  try {
    // A task runs in the project's folder; paths are relative to where the user stands.
    Deno.chdir(Deno.env.get("INIT_CWD") || ".");
    await work();
    Deno.exit(0);
  } catch (error) {
    const { message, code } = failure(error);
    console.error(message);
    Deno.exit(code);
  }
}
