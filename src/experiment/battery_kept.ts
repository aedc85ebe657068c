/**
 * What the members of a battery made, kept in the run's folder while the battery goes on.
 *
 * @module
 */
import { join } from "node:path";
import { makeFolder } from "../base/atomic.ts";
import { UserError } from "../base/errors.ts";
import { isFile } from "../base/files.ts";
import { keep } from "../base/stopping.ts";
import { type NamedArray, readSafetensors, writeSafetensors } from "../checkpoint/safetensors.ts";
import type { BatterySide, MemberOutcome, Outcomes } from "../evaluate/battery.ts";

/** Removes what was kept of a battery that is finished: the same battery again is made anew, and compared. */
export async function forgetOutcomes(folder: string): Promise<void> {
  await Deno.remove(join(folder, membersName), { recursive: true }).catch(() => undefined);
}

/** The folder of what members made, in the run's. */
const membersName = "members";

/** Outcomes in a run's folder, which is named by everything that decides them; without a folder none is kept. */
export function outcomesIn(folder: string | undefined): Outcomes {
  if (folder === undefined) {
    return { read: () => Promise.resolve(undefined), write: () => Promise.resolve() };
  }
  const members = join(folder, membersName);
  const pathOf = (side: BatterySide, member: number): string =>
    join(members, `${side}-${member}.safetensors`);
  return {
    async read(side, member): Promise<MemberOutcome | undefined> {
      const path = pathOf(side, member);
      if (!await isFile(path)) return undefined;
      try {
        const made = decoded(await readSafetensors(path));
        if (made) keep("attacks");
        return made;
      } catch (error) {
        // What is damaged is made again.
        if (error instanceof UserError) return undefined;
        throw error;
      }
    },
    async write(side, member, outcome): Promise<void> {
      await makeFolder(members);
      await writeSafetensors(pathOf(side, member), encoded(outcome));
      keep("attacks");
    },
  };
}

/** Scores in f64 as pairs of words, so that what is read is what was written, to the bit. */
function encoded(
  { index, scores, right, runs, seconds, examples }: MemberOutcome,
): { readonly tensors: Map<string, NamedArray>; readonly metadata: Record<string, string> } {
  const tensors = new Map<string, NamedArray>([
    ["index", { shape: [index.length], data: index }],
    ["right", { shape: [right.length], data: Uint32Array.from(right) }],
    ["examples", { shape: [examples.length], data: examples }],
    ...Object.entries(scores).map(([name, values]): [string, NamedArray] => [
      `score.${name}`,
      { shape: [values.length, 2], data: new Uint32Array(values.slice().buffer) },
    ]),
  ]);
  return { tensors, metadata: { runs: String(runs), seconds: String(seconds) } };
}

function decoded(
  { tensors, metadata }: Awaited<ReturnType<typeof readSafetensors>>,
): MemberOutcome | undefined {
  const [index, right, examples] = ["index", "right", "examples"]
    .map((name) => tensors.get(name)?.data);
  if (!(index && right && examples)) return undefined;
  const scores = [...tensors].filter(([name]) => name.startsWith("score."))
    .map(([name, { data }]) => [
      name.slice("score.".length),
      new Float64Array(Uint32Array.from(data).buffer),
    ]);
  return {
    index: Uint32Array.from(index),
    right: Uint8Array.from(right),
    examples: Float32Array.from(examples),
    scores: Object.fromEntries(scores),
    runs: Number(metadata["runs"] ?? 0),
    seconds: Number(metadata["seconds"] ?? 0),
  };
}
