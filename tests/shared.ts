/** The reference files that some tests compare with; they are skipped, and say so, without them. */

/** Folder of reference models and data, relative to the project. */
export const shared: URL = new URL("../../shared/", import.meta.url);

/** Path of a file there. */
export function sharedPath(name: string): string {
  return decodeURIComponent(new URL(name, shared).pathname);
}

/** Names of the tests that were skipped, of the files that were loaded so far. */
export const skipped: string[] = [];

/** `Deno.test` that is skipped, with the reason in its name, where a file is missing. */
export function testWithShared(
  name: string,
  files: readonly string[],
  test: () => Promise<void>,
): void {
  const missing = files.find((file) => !exists(sharedPath(file)));
  const ignore = missing !== undefined;
  const full = ignore ? `${name} (skipped: ../shared/${missing} is not there)` : name;
  if (ignore) skipped.push(full);
  Deno.test({ name: full, ignore, fn: test });
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
