/**
 * `./denow task compile`: Mirage as one executable of `deno compile`, for this or another system. That
 * puts the program behind a runtime base, denort, which Deno downloads. Where it cannot be had, the
 * whole build is done on a stand-in instead, so that all but running the result is checked.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { dirname, join, resolve } from "node:path";
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { flag, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { run } from "@optique/run";
import { path } from "@optique/run/valueparser";
import { makeFolder } from "../src/base/atomic.ts";
import { UserError } from "../src/base/errors.ts";
import {
  causesOf,
  execute,
  hosts,
  included,
  includedFiles,
  inTemporary,
  type Outcome,
  permissions,
  root,
  runScript,
  schedulers,
  tryOut,
} from "./binary.ts";

const targets = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
] as const;

interface Request {
  readonly target: string;
  readonly output: string;
  /** File to put the program behind; denort for the target when not given. */
  readonly base?: string;
}

async function denoCompile({ target, output, base }: Request): Promise<Outcome> {
  return await inTemporary(async (folder) => {
    // What denow sets, for where the user has not: without Vulkan, Deno would quietly take OpenGL;
    // without a runtime folder, Mesa grumbles.
    const settings = join(folder, "settings");
    await Deno.writeTextFile(settings, "DENO_WEBGPU_BACKEND=vulkan\nXDG_RUNTIME_DIR=/tmp\n");
    const args = [
      "compile",
      "--quiet",
      "--config=deno.json",
      `--target=${target}`,
      `--output=${output}`,
      "--exclude-unused-npm",
      ...included.map((path) => `--include=${path}`),
      ...(target.includes("linux") ? [`--env-file=${settings}`] : []),
      ...permissions,
      `--allow-env=${schedulers.join(",")}`,
      `--allow-net=${hosts.join(",")}`,
      "--no-prompt",
      "main.ts",
    ];
    const env = { NO_COLOR: "1", ...(base === undefined ? {} : { DENORT_BIN: base }) };
    return await execute(Deno.execPath(), args, { cwd: root, env });
  });
}

/**
 * Builds on some executable of this system instead of denort: everything is made and embedded as ever,
 * but what comes out is no Mirage.
 */
export async function compileOnStandIn(output: string): Promise<void> {
  // On Linux any will do, and a small one is quick.
  const base = Deno.build.os === "linux" ? "/bin/sh" : Deno.execPath();
  const { code, stderr } = await denoCompile({ target: Deno.build.target, output, base });
  if (code !== 0) throw failed(stderr);
}

function failed(stderr: string): UserError {
  const reason = causesOf(stderr).join(": ");
  return new UserError(
    `Cannot compile Mirage: ${reason}; see that ./denow task ok passes, and that DENORT_BIN, if set, ` +
      "is denort for the target",
  );
}

/** Looks for every kernel and embedded file in an executable, byte for byte; returns their number. */
export async function checkContents(executable: string): Promise<number> {
  const whole = Buffer.from((await Deno.readFile(executable)).buffer);
  // What is embedded stands behind the base; looking there only saves seconds.
  const embedded = whole.subarray(Math.max(0, whole.indexOf('{"argv":[')));
  const paths = await includedFiles();
  for await (const { name } of Deno.readDir(join(root, "src/shaders"))) {
    paths.push(`src/shaders/${name}`);
  }
  for (const path of paths) {
    if (!embedded.includes(Buffer.from(await Deno.readFile(join(root, path))))) {
      throw new UserError(`Cannot use "${executable}": ${path} is not in it; compile it again`);
    }
  }
  return paths.length;
}

async function compile(target: string, output: string): Promise<void> {
  await makeFolder(dirname(output));
  const { code, stderr } = await denoCompile({ target, output });
  if (code !== 0) {
    if (!stderr.includes("Setting up base binary")) throw failed(stderr);
    await standIn();
    throw new UserError(
      `Cannot make "${output}": the runtime base, denort ${Deno.version.deno} for ${target}, cannot ` +
        `be had (${causesOf(stderr).at(-1)}); compile where Deno can download it, or set ` +
        "DENORT_BIN to its file",
    );
  }
  const count = await checkContents(output);
  const megabytes = ((await Deno.stat(output)).size / 1e6).toFixed(1);
  console.log(
    `Compiled ${output}: ${megabytes} MB, all ${count} kernels and data files are inside`,
  );
  console.log(
    target === Deno.build.target
      ? `It attacked 20 letters in an empty environment, on ${await tryOut(output)}`
      : `Skipped: its trial run, for this is ${Deno.build.target}`,
  );
}

async function standIn(): Promise<void> {
  await inTemporary(async (folder) => {
    const output = join(folder, "mirage.exe");
    await compileOnStandIn(output);
    const count = await checkContents(output);
    console.log(
      `Compiled on a stand-in for the runtime base: all ${count} kernels and data files are inside`,
    );
    console.log("Skipped: the executable itself, and its trial run");
  });
}

if (import.meta.main) {
  const request = run(
    object({
      target: withDefault(
        option("--target", choice(targets, { suggest: "nearest" }), {
          description: message`The system to compile for`,
        }),
        Deno.build.target,
      ),
      output: optional(option("--output", path({ metavar: "FILE" }), {
        description: message`The file to write; dist/TARGET/mirage when not given`,
      })),
      standIn: withDefault(
        flag("--stand-in", {
          description: message`Only check the build, on a stand-in for the runtime base`,
        }),
        false,
      ),
    }),
    { programName: "./denow task compile", args: Deno.args, help: "option", showDefault: true },
  );
  const { target } = request;
  const name = target.includes("windows") ? "mirage.exe" : "mirage";
  const output = request.output ?? join(root, "dist", target, name);
  await runScript(() => request.standIn ? standIn() : compile(target, resolve(output)));
}
