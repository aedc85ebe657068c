/** The program as a user starts it: by the tasks of deno.json, with their permissions and no more. */
import assert from "node:assert/strict";

const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
const config = `${root}deno.json`;

/** How a command ended, and what it said. */
export interface Outcome {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a command stands, and what it finds in its environment besides. */
export interface Surroundings {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `deno task NAME ARGS` in a folder, as `denow` does, to its end. */
export async function task(
  name: string,
  args: readonly string[],
  { cwd, env }: Surroundings,
): Promise<Outcome> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--node-modules-dir=manual", "--config", config, name, ...args],
    cwd,
    stdin: "null",
    env: { NO_COLOR: "1", INIT_CWD: cwd, ...env },
  });
  return outcome(await command.output());
}

/** The commands that have a task of their own name. */
export const commands = "attack eval train table sweep runs verify report data doctor tune".split(
  " ",
);

/** Runs a command in a folder as its task is typed; what is no task of its own goes by `mirage`. */
export function mirage(args: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const [first = "", ...rest] = args;
  return commands.includes(first)
    ? task(first, rest, surroundings)
    : task("mirage", args, surroundings);
}

/**
 * Starts what the task would, with its permissions, as one process that a test can send signals to: `deno
 * task` itself is another, which cannot hand on a kill.
 */
export function startTask(
  name: string,
  args: readonly string[],
  { cwd, env }: Surroundings,
): Deno.ChildProcess {
  const [program, ...rest] = taskLine(name).split(" ");
  assert.equal(program, "deno");
  const [verb = "", ...flags] = rest;
  return new Deno.Command(Deno.execPath(), {
    args: [verb, "--config", config, ...flags, ...args],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", INIT_CWD: cwd, ...env },
  }).spawn();
}

/** A task as deno.json has it. */
export function taskLine(name: string): string {
  const { tasks } = JSON.parse(Deno.readTextFileSync(config)) as { tasks: Record<string, string> };
  const line = tasks[name];
  assert.ok(line !== undefined, `deno.json has no task "${name}"`);
  return line;
}

/** What a process that was started left. */
export async function ended(child: Deno.ChildProcess): Promise<Outcome> {
  return outcome(await child.output());
}

function outcome({ code, signal, stdout, stderr }: Deno.CommandOutput): Outcome {
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, signal, stdout: text(stdout), stderr: text(stderr) };
}
