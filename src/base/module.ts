/**
 * Modules of the user's own: files whose default export is a part of the program.
 *
 * @module
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { sha256 } from "./digest.ts";
import { shortened, UserError } from "./errors.ts";
import { display, readFile } from "./files.ts";
import { inOneFile } from "./invocation.ts";

/** The path of a module, as it is told from a name: with a slash in it, or the ending of a module. */
export type ModulePath =
  | `${string}/${string}`
  | `${string}\\${string}`
  | `${string}.ts`
  | `${string}.js`
  | `${string}.mjs`;

/** Whether a value is the path of a module, and not a name. */
export function isModulePath(value: unknown): value is ModulePath {
  return typeof value === "string" && /[\\/]|\.(ts|js|mjs)$/.test(value);
}

/** Bytes of a module's text: far more than anybody writes. */
const limit = 2 ** 20;

/** A module of the user's own, loaded. */
export interface UserModule {
  /** Its path, as it was given. */
  readonly path: string;
  /** SHA-256 of its text; of what it imports nothing is known. */
  readonly sha256: string;
  /** Its default export. */
  readonly made: unknown;
  /** A sentence against it. */
  cannot(state: string, remedy: string): UserError;
  /** What one of its functions returns; whatever that throws becomes a sentence against the module. */
  guarded<T>(name: string, work: () => T): T;
}

/** SHA-256 of a module's text. */
export async function moduleDigest(path: string): Promise<string> {
  return sha256(await readFile(path, { limit }));
}

/**
 * Loads a module, the same one as long as its text is the same.
 *
 * @param what it is to be: `attack` or `objective`
 * @param oneFile whether all of Mirage is in one file
 * @throws UserError when there is none, it cannot be loaded here, or it has no default export
 */
export async function loadModule(
  what: string,
  path: string,
  oneFile: boolean = inOneFile(),
): Promise<UserModule> {
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot use the ${what} in "${display(path)}": ${state}; ${remedy}`);
  if (oneFile) {
    throw cannot(
      "this Mirage is a single file, whose functions no module can import",
      "run it in a clone, by ./denow task attack",
    );
  }
  const sha256 = await moduleDigest(path);
  const { href } = pathToFileURL(resolve(path));
  const guarded = <T>(name: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      // A sentence is one already, and what the GPU cannot hold is tried in smaller pieces.
      if (error instanceof UserError) throw error;
      throw cannot(`its ${name} throws "${saidBy(error)}"${lineOf(error, href)}`, "mend it there");
    }
  };
  let loaded: Readonly<Record<string, unknown>>;
  try {
    // Another text is another module, for a program that loads it again.
    loaded = await import(`${href}#${sha256.slice(0, 16)}`);
  } catch (error) {
    throw cannot(...refusalOf(error, href));
  }
  const { default: made } = loaded;
  if (made === undefined) {
    throw cannot("it has no default export", `end it with "export default" and the ${what}`);
  }
  return { path, sha256, made, cannot, guarded };
}

/** Why a module cannot be loaded, and the remedy. */
function refusalOf(error: unknown, href: string): readonly [state: string, remedy: string] {
  const said = saidBy(error);
  const [, where] = /:(\d+):\d+$/.exec(allSaidBy(error).trim()) ?? [];
  const line = where === undefined ? "" : ` (line ${where})`;
  if (error instanceof SyntaxError || said.startsWith("SyntaxError: ")) {
    const why = said.replace(/^SyntaxError: /, "");
    return [`it is no module of TypeScript or JavaScript, "${why}"${line}`, "mend it there"];
  }
  if (!(error instanceof TypeError) || !("code" in error)) {
    return [`it throws "${said}"${lineOf(error, href)} while it loads`, "mend it there"];
  }
  const [, absent] = /^Module not found "([^"]*)"/.exec(said) ?? [];
  if (absent !== undefined) {
    return [`it imports "${shortened(absent)}", which is not there`, "check the path"];
  }
  if (/--no-remote|--allow-import|^Import '|JSR|lockfile|import map|npm/.test(said)) {
    return [
      `it imports what is not part of this project, "${said}"`,
      'import files of yours, and Mirage itself as "mirage"',
    ];
  }
  return [`it cannot be loaded, "${said}"`, "mend it there"];
}

/** The first line of what an error says, without colours. */
function saidBy(error: unknown): string {
  const [first = ""] = allSaidBy(error).split("\n");
  return shortened(first.replace(/ at file:\S+$/, "").replaceAll(/#[0-9a-f]{16}\b/g, "")).replace(
    /\.$/,
    "",
  );
}

function allSaidBy(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  // deno-lint-ignore no-control-regex -- Deno colours its messages wherever they go
  return said.replaceAll(/\u001b\[[0-9;]*m/g, "");
}

/** The line of a module that an error comes from, in brackets; nothing where it does not say so. */
function lineOf(error: unknown, href: string): string {
  const stack = error instanceof Error ? error.stack ?? "" : "";
  const place = stack.split("\n").find((line) => line.includes(href));
  const [, line] = /:(\d+):\d+\)?$/.exec(place ?? "") ?? [];
  return line === undefined ? "" : ` (line ${line})`;
}
