/** A small training, for tests of what becomes of its files. */
import assert from "node:assert/strict";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { train } from "../src/experiment/train.ts";

/** Trains a model on 20 digits; the path of its best checkpoint. */
export async function trained(
  savePath: string,
  options: Partial<RunOptions> = {},
): Promise<string> {
  const { members: [member] } = await train(
    runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath, ...options }),
  );
  return member?.best.path ?? assert.fail();
}

/** Puts the weights of one checkpoint into another, which goes on saying of itself what it said. */
export async function transplant(from: string, to: string): Promise<void> {
  const { tensors } = await readSafetensors(from);
  const { metadata } = await readSafetensors(to);
  await writeSafetensors(to, { tensors, metadata });
}
