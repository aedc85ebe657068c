/**
 * Names of classes in the order of their labels, in a file of the user's own.
 *
 * @module
 */
import { shortened, UserError } from "../src/base/errors.ts";
import { display, readFile } from "../src/base/files.ts";

/** Bytes that such a file may have, and names in it: far more than any model has classes. */
const mostBytes = 2 ** 20;
const most = 65_535;

/**
 * The names in a file: one a line, or a list of texts in JSON.
 *
 * @throws {UserError} when there is no such file, it has fewer than two names, a name twice or an empty one
 */
export async function readClassNames(path: string): Promise<readonly string[]> {
  const cannot = (state: string): UserError =>
    new UserError(
      `Cannot use the class names in "${display(path)}": ${state}; ` +
        "write one name a line, or a list of texts in JSON, in the order of the labels",
    );
  const text = new TextDecoder().decode(await readFile(path, { limit: mostBytes }));
  const names = text.trimStart().startsWith("[") ? listed(text) : lines(text);
  if (names === undefined) throw cannot("it is no list of texts in JSON");
  if (names.length < 2) throw cannot(`it has ${names.length === 1 ? "one name" : "no names"}`);
  if (names.length > most) throw cannot(`it has ${names.length} names, more than ${most}`);
  const empty = names.findIndex((name) => name.trim() === "");
  if (empty >= 0) throw cannot(`name ${empty + 1} is empty`);
  const known = new Set<string>();
  const twice = names.find((name) => known.size === known.add(name).size);
  if (twice !== undefined) throw cannot(`it has "${shortened(twice, 40)}" twice`);
  return names;
}

function listed(text: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    const isTexts = Array.isArray(list) && list.every((name) => typeof name === "string");
    return isTexts ? list : undefined;
  } catch {
    return undefined;
  }
}

/** Lines without the space around them; empty ones at the end are none. */
function lines(text: string): string[] {
  const trimmed = text.trimEnd();
  return trimmed === "" ? [] : trimmed.split("\n").map((line) => line.trim());
}
