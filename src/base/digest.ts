/**
 * SHA-256 of bytes, texts and values.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** SHA-256 of bytes and texts (in UTF-8), one after the other, in hexadecimal. */
export function sha256(...parts: readonly (Uint8Array | string)[]): string {
  return sha256Of(parts);
}

/** As {@linkcode sha256}, of any number of parts. */
export function sha256Of(parts: Iterable<Uint8Array | string>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** SHA-256 of a value's JSON, whose keys are put in order. */
export function digestOf(value: unknown): string {
  return sha256(canonical(value));
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, of) => {
    if (typeof of !== "object" || of === null || Array.isArray(of)) return of;
    return Object.fromEntries(Object.entries(of).sort(([a], [b]) => a < b ? -1 : 1));
  });
}
