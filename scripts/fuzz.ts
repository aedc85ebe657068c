/**
 * `./denow task fuzz`: reads very many damaged files of every kind, the same ones for the same seed. It needs
 * no permission: all of them are made in memory.
 *
 * @module
 */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { run } from "@optique/run";
import { terminal } from "../src/cli/reporter.ts";
import { whole } from "../src/cli/whole.ts";
import { fuzz, FuzzFailure, lineOf } from "../tests/fuzz/fuzz.ts";
import { readers } from "../tests/fuzz/readers.ts";

const names = readers.map(({ name }) => name);

const { inputs, seed, from, reader } = run(
  object({
    inputs: withDefault(
      option("--inputs", whole({ min: 1, max: 2 ** 31, metavar: "N" }), {
        description: message`Damaged files for each reader`,
      }),
      100_000,
    ),
    seed: withDefault(
      option("--seed", whole({ min: 0, metavar: "N" }), {
        description: message`What they are drawn from`,
      }),
      1,
    ),
    from: withDefault(
      option("--from", whole({ min: 0, max: 2 ** 31, metavar: "N" }), {
        description: message`The first of them, to read one again`,
      }),
      0,
    ),
    reader: multiple(
      option("--reader", choice(names, { metavar: "NAME" }), {
        description: message`Only this reader, or these`,
      }),
    ),
  }),
  { programName: "./denow task fuzz", args: Deno.args, help: "option", showDefault: true },
);

const chosen = readers.filter(({ name }) => reader.length === 0 || reader.includes(name));
let failed = false;
for (const one of chosen) {
  const bar = terminal.progress(one.name, inputs, "inputs");
  let line: string;
  try {
    line = lineOf(await fuzz(one, { inputs, seed, from, onProgress: (done) => bar.update(done) }));
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    failed = true;
    line = error.message;
  }
  bar.stop();
  console.log(line);
}
if (failed) Deno.exit(1);
