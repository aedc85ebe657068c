/**
 * The command line: train, eval, attack, data, doctor. The only user of Deno.args and Deno.exit.
 *
 * @module
 */
import { message, text } from "@optique/core/message";
import { run } from "@optique/run";
import { data, showData } from "./src/cli/data.ts";
import { doctor, showDoctor } from "./src/cli/doctor.ts";
import { commandLine, commands, type Invocation, normalise } from "./src/cli/flags.ts";
import { terminal } from "./src/cli/reporter.ts";
import { toRun } from "./src/cli/request.ts";
import { showAttack, showEval, showTrain } from "./src/cli/show.ts";
import { writeAtomic } from "./src/atomic.ts";
import { UserError } from "./src/errors.ts";
import { attack, evaluate, train } from "./src/run.ts";
import { version } from "./src/version.ts";

/** A finished command: the document, the same for people, and whether it went well. */
interface Answer {
  readonly document: unknown;
  readonly text: string;
  readonly ok: boolean;
}

async function answer(invocation: Invocation): Promise<Answer> {
  if (invocation.command === "data") {
    const document = await data(invocation.names, invocation.dataPath, terminal);
    return { document, text: showData(document), ok: true };
  }
  if (invocation.command === "doctor") {
    const document = await doctor(invocation.dataPath, terminal);
    return { document, text: showDoctor(document), ok: document.healthy };
  }
  const { command, config } = toRun(invocation);
  switch (command) {
    case "attack": {
      const document = await attack(config, terminal);
      return { document, text: showAttack(document), ok: true };
    }
    case "eval": {
      const document = await evaluate(config, terminal);
      return { document, text: showEval(document), ok: true };
    }
    case "train": {
      const document = await train(config, terminal);
      return { document, text: showTrain(document), ok: true };
    }
  }
}

async function main(): Promise<number> {
  // A task runs in the project's folder; the user's paths are relative to where the user stands.
  const folder = Deno.env.get("INIT_CWD");
  if (folder) Deno.chdir(folder);
  const args = Deno.args.length === 0 ? ["--help"] : normalise(Deno.args);
  const command = Object.entries(commands).find(([name]) => name === args[0])?.[1];
  const invocation: Invocation = run(command ?? commandLine, {
    programName: "mirage",
    args,
    brief: message`Mirage attacks the uncertainty of deep nets on out-of-domain images.`,
    examples: message`${text("mirage attack --mode sngp")}`,
    help: "both",
    version,
    completion: "both",
    showDefault: { prefix: " [default: " },
    showChoices: true,
    aboveError: "none",
    onExit: (code) => Deno.exit(code),
  });
  const { document, text: prose, ok } = await answer(invocation);
  const json = JSON.stringify(document, null, 2);
  // Printed first: a file that cannot be written costs no result.
  await print(invocation.json ? json : prose);
  if ("out" in invocation && invocation.out !== undefined) {
    await writeAtomic(invocation.out, json + "\n");
  }
  return ok ? 0 : 1;
}

/** Prints to stdout; a reader that has left is no error. */
async function print(line: string): Promise<void> {
  const bytes = new TextEncoder().encode(line + "\n");
  try {
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

if (import.meta.main) {
  Deno.addSignalListener("SIGINT", () => {
    console.error("\nStopped; the same command goes on from the last finished epoch");
    Deno.exit(130);
  });
  try {
    Deno.exit(await main());
  } catch (error) {
    if (error instanceof UserError) {
      console.error(error.message);
      Deno.exit(1);
    }
    if (Deno.env.get("MIRAGE_DEBUG")) throw error;
    const state = error instanceof Error ? error.message : String(error);
    console.error(
      `Cannot go on: ${state}; this is a fault of Mirage, MIRAGE_DEBUG=1 shows where it happened`,
    );
    Deno.exit(70);
  }
}
