/**
 * The command line: train, eval, attack, table, runs, verify, report, data, doctor,
 * tune. The only user of Deno.args and Deno.exit.
 *
 * @module
 */
import { message, text } from "@optique/core/message";
import { run } from "@optique/run";
import { data, showData } from "./src/cli/data.ts";
import { doctor, showDoctor } from "./src/cli/doctor.ts";
import { commandLine, commands, type Invocation } from "./src/cli/commands.ts";
import { formatComplaint, sayOfParser } from "./src/cli/complaints.ts";
import { failure } from "./src/cli/failure.ts";
import { nameOf, normalise } from "./src/cli/flags.ts";
import { helpAsked, helpOf, type Layout, overview } from "./src/cli/help.ts";
import { leaveReport, openPage, pageOf, writeReport } from "./src/cli/report.ts";
import { stopBars, terminal } from "./src/cli/reporter.ts";
import { say } from "./src/cli/stderr.ts";
import { fromFile, toRun, toTable } from "./src/cli/request.ts";
import { showBattery } from "./src/cli/show_battery.ts";
import { showAttack, showEval, showTrain } from "./src/cli/show.ts";
import { showRuns, showVerify } from "./src/cli/show_runs.ts";
import { showTable } from "./src/cli/show_table.ts";
import { checkTarget } from "./src/cli/target.ts";
import { writeAtomic } from "./src/base/atomic.ts";
import { sweep } from "./src/cli/sweep.ts";
import { stopsRow } from "./src/cli/sweep_stops.ts";
import { showTune, tune } from "./src/cli/tune.ts";
import { attack } from "./src/experiment/attack.ts";
import { battery } from "./src/experiment/battery.ts";
import { evaluate } from "./src/experiment/evaluate.ts";
import { train } from "./src/experiment/train.ts";
import { listRuns, sortKeys } from "./src/runs/list.ts";
import { table } from "./src/experiment/table.ts";
import { verify } from "./src/experiment/verify.ts";
import type { Reporter } from "./src/base/reporter.ts";
import { type Kept, kept, stop } from "./src/base/stopping.ts";
import { version } from "./src/base/version.ts";

/** A finished command: the document, the same for people, and whether it went well. */
interface Answer {
  readonly document: unknown;
  readonly text: string;
  readonly ok: boolean;
  /** What is left to do when it has been printed; whether that went well. */
  readonly afterwards?: () => Promise<boolean>;
}

async function answer(
  invocation: Exclude<Invocation, { command: "sweep" }>,
  args: readonly string[],
): Promise<Answer> {
  if (invocation.command === "data") {
    const document = await data(invocation.names, invocation.dataPath, terminal);
    return { document, text: showData(document), ok: true };
  }
  if (invocation.command === "doctor") {
    const document = await doctor(invocation.dataPath, terminal);
    return { document, text: showDoctor(document), ok: document.healthy };
  }
  if (invocation.command === "table") {
    const { reporter, afterwards } = reporting();
    const document = await table(toTable(invocation, args), reporter);
    return { document, text: showTable(document), ok: true, afterwards };
  }
  if (invocation.command === "tune") {
    const document = await tune(terminal);
    return { document, text: showTune(document), ok: true };
  }
  if (invocation.command === "runs") {
    const { savePath, sort, of, mode, state } = invocation;
    const key = sortKeys.find((name) => nameOf(name) === sort) ?? "started";
    const document = await listRuns(savePath, { command: of, mode, state, sort: key });
    return { document, text: showRuns(document), ok: true };
  }
  if (invocation.command === "verify") {
    const document = await verify(invocation.run, invocation.dataPath, terminal);
    return { document, text: showVerify(document), ok: document.verified };
  }
  if (invocation.command === "report") {
    const document = await writeReport(invocation.runs, invocation.page, terminal.note);
    const afterwards = async (): Promise<boolean> => {
      if (invocation.open) await openPage(document.report);
      return true;
    };
    return { document, text: document.report, ok: true, afterwards };
  }
  return await answerRun(invocation, args);
}

/** As {@linkcode answer}, of a run, which leaves a report when it has been printed. */
async function answerRun(
  invocation: Extract<Invocation, { command: "attack" | "eval" | "train" }>,
  args: readonly string[],
): Promise<Answer> {
  const { reporter, afterwards } = reporting();
  const { command, config } = invocation.config === undefined
    ? await toRun(invocation, args)
    : await fromFile(invocation, args);
  switch (command) {
    case "attack": {
      if (config.battery !== undefined) {
        const document = await battery(config, reporter);
        return { document, text: showBattery(document), ok: true, afterwards };
      }
      const document = await attack(config, reporter);
      return { document, text: showAttack(document), ok: true, afterwards };
    }
    case "eval": {
      const document = await evaluate(config, reporter);
      return { document, text: showEval(document), ok: true, afterwards };
    }
    case "train": {
      const document = await train(config, reporter);
      return { document, text: showTrain(document), ok: true, afterwards };
    }
  }
}

/** A reporter that learns where a run is kept, or why it is not, and what then is left to do. */
function reporting(): { readonly reporter: Reporter; readonly afterwards: () => Promise<boolean> } {
  let folder: string | undefined;
  let lost: Error | undefined;
  return {
    reporter: { ...terminal, kept: (path) => folder = path, lost: (reason) => lost = reason },
    async afterwards(): Promise<boolean> {
      if (lost) say(lost.message);
      if (folder !== undefined) await leaveReport(folder, terminal.note);
      return lost === undefined;
    },
  };
}

async function main(): Promise<number> {
  // A task runs in the project's folder; the user's paths are relative to where the user stands.
  const folder = Deno.env.get("INIT_CWD");
  if (folder) Deno.chdir(folder);
  const args = Deno.args.length === 0 ? ["--help"] : normalise(Deno.args);
  const help = helpAsked(args);
  if (help) {
    await print(helpOf(help, layout()));
    return 0;
  }
  if (args.length === 1 && ["--help", "help"].includes(args[0] ?? "")) {
    await print(overview(layout()));
    return 0;
  }
  const named = Object.entries(commands).find(([name]) => name === args[0])?.[1];
  const invocation: Invocation = run(named ?? commandLine, {
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
    messageFormatter: formatComplaint,
    stderr: (text) => sayOfParser(text, args),
    onExit: (code) => Deno.exit(code),
  });
  const { command } = invocation;
  const isRun = command === "attack" || command === "eval" || command === "train" ||
    command === "sweep";
  stopped = () => isRun ? runStops[kept()] : stops[command] ?? "Stopped";
  if (command === "sweep") {
    const { document, text: told, code } = await sweep(invocation, terminal, end);
    await print(invocation.json ? JSON.stringify(document, null, 2) : told);
    return code;
  }
  await checkTargetOf(invocation);
  const { document, text: prose, ok, afterwards } = await answer(invocation, args);
  const json = JSON.stringify(document, null, 2);
  // Printed first: a file that cannot be written costs no result.
  await print(invocation.json ? json : prose);
  if ("out" in invocation && invocation.out !== undefined) {
    // Again: the run itself may have left something there.
    await checkTargetOf(invocation);
    await writeAtomic(invocation.out, json + "\n");
  }
  const finished = await afterwards?.() ?? true;
  return ok && finished ? 0 : 1;
}

/** How help fits the terminal, or 80 columns where it goes elsewhere. */
function layout(): Layout {
  const colors = Deno.stdout.isTerminal();
  const width = colors ? Math.min(120, Math.max(60, Deno.consoleSize().columns)) : 80;
  return { width, colors: colors && !Deno.noColor };
}

/** What is told when a run is stopped, by what there is of it. */
const runStops = {
  nothing: "Stopped; there is nothing to go on from yet: the same command begins anew",
  epochs: "Stopped; the same command goes on from the last finished epoch",
  models: "Stopped; what was trained is kept: the same command goes on with it",
  attacks: "Stopped; the finished attacks are kept: the same command goes on with the next",
} as const satisfies Record<Kept, string>;

/** What is told when another command is stopped. */
const stops: Readonly<Partial<Record<Invocation["command"], string>>> = {
  table: "Stopped; the same command goes on from the last finished epoch or attack",
  data: "Stopped; the same command goes on with what was downloaded",
};
let stopped: () => string = () => "Stopped";

/** Looks whether what the command writes can be written, and costs nothing else. */
async function checkTargetOf(invocation: Invocation): Promise<void> {
  if (invocation.command === "report") {
    const { page, runs } = invocation;
    // The page in a run's own folder is the run's.
    if (page !== undefined || runs.length > 1) await checkTarget(pageOf(runs, page), "page");
  } else if ("out" in invocation && invocation.out !== undefined) {
    const config = "config" in invocation ? invocation.config ?? [] : [];
    const models = "checkpoint" in invocation ? [invocation.checkpoint, invocation.modelFile] : [];
    await checkTarget(
      invocation.out,
      "document",
      [config, ...models].flatMap((paths) => paths ?? []),
    );
  }
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

/** Whether faults are to be shown with their trace; not when the variable may not be read. */
function debugging(): boolean {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "MIRAGE_DEBUG" });
  return state === "granted" && Boolean(Deno.env.get("MIRAGE_DEBUG"));
}

/** Signals that stop the process: Ctrl-C, what a scheduler sends, a terminal that is closed. */
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Ends the process that was told to stop. */
function end(code: number): void {
  stopBars();
  stop();
  say(`\n${stopped()}`);
  Deno.exit(code);
}

function listenForStops(): void {
  for (const [signal, code] of Object.entries(signals)) {
    try {
      const of = signal as Deno.Signal;
      Deno.addSignalListener(of, () => {
        if (!stopsRow(of, end)) end(code);
      });
    } catch (error) {
      // Windows has no SIGTERM.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

if (import.meta.main) {
  listenForStops();
  try {
    Deno.exit(await main());
  } catch (error) {
    stopBars();
    const { message, code } = failure(error);
    if (code !== 1 && debugging()) say(Deno.inspect(error));
    say(message);
    Deno.exit(code);
  }
}
