/**
 * What `run.json` holds.
 *
 * @module
 */
import { z } from "zod";

/** A command that leaves a run. */
export type RunCommand = "train" | "eval" | "attack" | "battery" | "table";

/** All of them. */
export const runCommands = [
  "train",
  "eval",
  "attack",
  "battery",
  "table",
] as const satisfies readonly RunCommand[];

const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** The path of a model's copy: a file in the folder of all, or of a model that comes with others in one of its own. */
const copy = z.string().regex(/^(\d+\/)?[^/\\]+$/);

/** What `run.json` holds. */
export const runSchema = z.strictObject({
  schema: z.literal("mirage/run@2"),
  command: z.enum(runCommands),
  /** The whole configuration, to be given to `--config`. */
  config: z.record(z.string(), z.unknown()),
  /** Everything that determines the figures; its digest names the folder. */
  identity: z.record(z.string(), z.unknown()),
  digest,
  /** Models used or made, in the order of the members, by where the run keeps them; once they are there. */
  checkpoints: z.array(z.strictObject({ name: copy, source: z.string(), sha256: digest })),
  /** Its figures and archives; once they are there. */
  files: z.array(z.strictObject({ name: z.string(), sha256: digest })),
  /** When it was begun (the first time, where it was continued). */
  started: z.iso.datetime(),
  adapter: z.record(z.string(), z.unknown()),
  versions: z.record(z.string(), z.string()),
});

/** See {@linkcode runSchema}. */
export type Run = z.infer<typeof runSchema>;
