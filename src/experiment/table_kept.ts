/**
 * Attacks of a table that were made before: kept as long as neither the images nor the models change.
 *
 * @module
 */
import { z } from "zod";
import { attackDocument } from "./documents.ts";
import type { AttackResult } from "./results.ts";
import { described } from "../base/schema.ts";
import { sha256 } from "../base/digest.ts";

/** An attack of a table, as it is kept. */
export interface Kept {
  readonly schema: "mirage/kept@1";
  /** SHA-256 of the models' files, one a checkpoint. */
  readonly models: readonly string[];
  readonly result: AttackResult;
}

const keptSchema = described<Kept>().by(z.strictObject({
  schema: z.literal("mirage/kept@1"),
  models: z.array(z.string()),
  result: attackDocument,
}));

/**
 * A result of before, if neither the images nor its checkpoints have changed since.
 *
 * @param digests of checkpoints that were read, which are added to
 */
export async function readKept(
  path: string,
  outDomain: string,
  digests: Map<string, string>,
): Promise<Kept | undefined> {
  try {
    const kept = keptSchema.parse(JSON.parse(await Deno.readTextFile(path)));
    const { models, result } = kept;
    if (result.outDomain.sha256 !== outDomain) return undefined;
    for (const [i, checkpoint] of result.checkpoints.entries()) {
      const digest = digests.get(checkpoint) ?? sha256(await Deno.readFile(checkpoint));
      digests.set(checkpoint, digest);
      if (digest !== models[i]) return undefined;
    }
    return kept;
  } catch (error) {
    const unusable = error instanceof Deno.errors.NotFound || error instanceof SyntaxError ||
      error instanceof z.ZodError;
    if (unusable) return undefined;
    throw error;
  }
}
