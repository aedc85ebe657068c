/**
 * The benchmark: `./denow task bench`, `bench kernels`, `bench scaling`, `bench startup`,
 * `bench experiment`, `bench attacks`, `bench scores`, `bench imports`.
 *
 * @module
 */
import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, withDefault } from "@optique/core/modifiers";
import type { InferValue } from "@optique/core/parser";
import { command, constant, flag, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { run } from "@optique/run";
import { failure } from "../src/cli/failure.ts";
import { whole } from "../src/cli/whole.ts";
import { measureAttacks } from "./attacks.ts";
import { measureExperiment } from "./experiment.ts";
import { measureImports } from "./imports.ts";
import { measureKernels } from "./kernels.ts";
import { comparePeers, openContenders, type PeerRow } from "./peers.ts";
import { measureScaling } from "./scaling.ts";
import { measureScores } from "./scores.ts";
import {
  showAttacks,
  showExperiment,
  showImports,
  showKernels,
  showPeers,
  showScaling,
  showScores,
  showStartup,
} from "./show.ts";
import { measureStartup } from "./startup.ts";
import { workloadNames } from "./workload.ts";

const json = {
  json: withDefault(
    flag("--json", { description: message`Print one JSON document on stdout, all else on stderr` }),
    false,
  ),
};
const rounds = (value: number) => ({
  rounds: withDefault(
    option("--rounds", whole({ min: 1, max: 1000 }), {
      description: message`How often the libraries take turns`,
    }),
    value,
  ),
});

const peers = merge(
  object({ command: constant("peers") }),
  object({
    ...json,
    ...rounds(5),
    seconds: withDefault(
      option("--seconds", whole({ min: 1, max: 600 }), {
        description: message`Length of a turn; at least one step`,
      }),
      1,
    ),
    only: multiple(option("--only", choice(workloadNames, { suggest: "nearest" }), {
      description: message`Measure this workload; once more for another; all when not given`,
    })),
  }),
);

const parser = or(
  command(
    "kernels",
    merge(
      object({ command: constant("kernels") }),
      object({
        ...json,
        batch: withDefault(
          option("--batch", whole({ min: 1, max: 4096 }), {
            description: message`Images that ResNet-18 sees at once`,
          }),
          8,
        ),
      }),
    ),
    {
      description: message`Speed of every kernel and shape, beside what the adapter can do at best`,
    },
  ),
  command("scaling", merge(object({ command: constant("scaling") }), object(json)), {
    description: message`Time and memory against the amount of work`,
  }),
  command(
    "startup",
    merge(object({ command: constant("startup") }), object({ ...json, ...rounds(5) })),
    {
      description: message`From the start of a process to the first training step`,
    },
  ),
  command(
    "experiment",
    merge(
      object({ command: constant("experiment") }),
      object({
        ...json,
        ...rounds(5),
        batch: withDefault(
          option("--batch", whole({ min: 1, max: 4096 }), {
            description: message`Images of a step`,
          }),
          8,
        ),
      }),
    ),
    { description: message`What the paper's experiment with ResNet-18 costs, method by method` },
  ),
  command(
    "attacks",
    merge(object({ command: constant("attacks") }), object({ ...json, ...rounds(5) })),
    {
      description:
        message`What a step of each attack costs, beside a forward pass and jax-js's pgd`,
    },
  ),
  command(
    "scores",
    merge(object({ command: constant("scores") }), object({ ...json, ...rounds(3) })),
    {
      description:
        message`What all scores add to an attack, on a trained model and with its training`,
    },
  ),
  command(
    "imports",
    merge(
      object({ command: constant("imports") }),
      object({
        ...json,
        ...rounds(5),
        batch: withDefault(
          option("--batch", whole({ min: 1, max: 4096 }), {
            description: message`Images of a pass`,
          }),
          8,
        ),
        size: withDefault(
          option("--size", whole({ min: 32, max: 512 }), {
            description: message`Height and width of the images`,
          }),
          64,
        ),
      }),
    ),
    { description: message`Imported networks beside other libraries that read ONNX files` },
  ),
  command("peers", peers, { description: message`Mirage beside other libraries; the default` }),
  peers,
);

/** Progress goes to stderr: stdout is the report. */
const say = (line: string): void => console.error(line);

async function answer(
  invocation: ReturnType<typeof parse>,
): Promise<{ document: unknown; text: string }> {
  switch (invocation.command) {
    case "kernels": {
      const report = await measureKernels(invocation.batch, say);
      return { document: report, text: showKernels(report) };
    }
    case "scaling": {
      const rows = await measureScaling(say);
      return { document: rows, text: showScaling(rows) };
    }
    case "startup": {
      const rows = await measureStartup(invocation.rounds, say);
      return { document: rows, text: showStartup(rows) };
    }
    case "imports": {
      const report = await measureImports(invocation, say);
      return { document: report, text: showImports(report) };
    }
    case "attacks": {
      const report = await measureAttacks(invocation.rounds, say);
      return { document: report, text: showAttacks(report) };
    }
    case "scores": {
      const rows = await measureScores(invocation.rounds, say);
      return { document: rows, text: showScores(rows) };
    }
    case "experiment": {
      const report = await measureExperiment(invocation.batch, invocation.rounds, say);
      return { document: report, text: showExperiment(report) };
    }
    case "peers": {
      const turns = { rounds: invocation.rounds, milliseconds: 1000 * invocation.seconds };
      const contenders = await openContenders(say);
      const rows: PeerRow[] = [];
      const { only } = invocation;
      for (const name of only.length > 0 ? only : workloadNames) {
        rows.push(...await comparePeers(name, contenders, turns, say));
      }
      for (const contender of contenders) await contender.close?.();
      return { document: rows, text: showPeers(rows) };
    }
  }
}

/** What was typed. */
function parse(): InferValue<typeof parser> {
  return run(parser, { programName: "bench", help: "option", aboveError: "usage" });
}

if (import.meta.main) {
  try {
    const invocation = parse();
    const { document, text } = await answer(invocation);
    console.log(invocation.json ? JSON.stringify(document, null, 2) : text);
    // The other libraries keep the process alive.
    Deno.exit(0);
  } catch (error) {
    const { message, code } = failure(error);
    console.error(message);
    Deno.exit(code);
  }
}
