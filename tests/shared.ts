/** The reference files that some tests compare with; they are skipped, and say so, without them. */

/** Folder of reference models and data, relative to the project. */
export const shared: URL = new URL("../../shared/", import.meta.url);

/** Path of a file there. */
export function sharedPath(name: string): string {
  return decodeURIComponent(new URL(name, shared).pathname);
}

/** `Deno.test` that is skipped, with the reason in its name, where a file is missing. */
export function testWithShared(
  name: string,
  files: readonly string[],
  test: () => Promise<void>,
): void {
  const missing = files.find((file) => !exists(sharedPath(file)));
  Deno.test({
    name: missing ? `${name} (skipped: ../shared/${missing} is not there)` : name,
    ignore: missing !== undefined,
    fn: test,
  });
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
