/**
 * The Python that is on a machine.
 *
 * @module
 */

/** Where a python3 may be: the user's own first, then the system's. */
const interpreters = ["python3", "/usr/bin/python3"];

/** A python3 that has the modules (names, with commas between), as a command; undefined where there is none. */
export async function findPython(modules: string): Promise<string | undefined> {
  for (const python of interpreters) {
    const found = await new Deno.Command(python, {
      args: ["-c", `import ${modules}`],
      stdout: "null",
      stderr: "null",
    }).output().catch((error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
    if (found?.success) return python;
  }
  return undefined;
}
