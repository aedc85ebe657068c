/**
 * Versions that are recorded with every result.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };

/** Mirage's version. */
export const version: string = config.version;

/** Versions of Mirage and of what it runs on. */
export function versions(): { mirage: string; deno: string; v8: string } {
  return { mirage: version, deno: Deno.version.deno, v8: Deno.version.v8 };
}
