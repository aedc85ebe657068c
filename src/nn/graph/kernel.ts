/**
 * Reads a `.wgsl` file: its overrides, bindings and workgroup size are stated there and nowhere else.
 *
 * @module
 */

/** How a kernel touches one of its bindings, in binding order. */
export interface Binding {
  /** Its variable in the file. */
  readonly name: string;
  /** `read` of inputs, `read_write` of the output, which is the last. */
  readonly access: "read" | "read_write";
  /** Whether its elements are vectors of four floats. */
  readonly vectors: boolean;
  /** The format of the texture that it is read from; undefined of a buffer. */
  readonly texture: TexelFormat | undefined;
  /** The override that decides whether it is read, in a comment behind it: `// if HAS_BIAS`, or `// if not PLANAR`; undefined where it always is. */
  readonly condition?: { readonly override: string; readonly not: boolean };
}

/** What a texel is: four floats, or one. */
export type TexelFormat = "rgba32float" | "r32float";

/** Values for a kernel's overrides; a string names one of the file's enumeration constants. */
export type Overrides = Readonly<Record<string, number | string>>;

/** A parsed kernel file. */
export interface Kernel {
  /** Label in messages: the file's name without `.wgsl`. */
  readonly name: string;
  /** The file's text, comments and all. */
  readonly source: string;
  /** Override name to default value; `undefined` where the host must give one. */
  readonly overrides: ReadonlyMap<string, number | undefined>;
  /** Named constants: `const OP_exp = 1u;` makes `"OP_exp" -> 1`. */
  readonly constants: ReadonlyMap<string, number>;
  /** In order: the inputs, then the output. */
  readonly bindings: readonly Binding[];
  /** Invocations in a workgroup. */
  readonly workgroup: number;
}

/**
 * Parses a kernel file.
 *
 * @param name file name, a label in error messages
 * @param source the complete WGSL text
 * @throws Error when the file does not keep the contract: bindings `0..n` in order, one output last, entry `main`
 */
export function kernel(name: string, source: string): Kernel {
  const text = source.replace(/\/\/[^\n]*/g, "");
  const overrides = new Map<string, number | undefined>();
  for (const m of text.matchAll(/override\s+(\w+)\s*:\s*\w+\s*(?:=\s*([-\w.+]+))?\s*;/g)) {
    overrides.set(m[1] ?? "", m[2] === undefined ? undefined : parseNumber(m[2]));
  }
  const constants = new Map<string, number>();
  for (const m of text.matchAll(/const\s+([A-Z][A-Z0-9]*_\w+)\s*(?::\s*\w+\s*)?=\s*(\d+)u?\s*;/g)) {
    constants.set(m[1] ?? "", Number(m[2]));
  }
  const bindings: Binding[] = [];
  const binding =
    /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<storage\s*,\s*(read_write|read)>)?\s*(\w+)\s*:\s*(array<(\w+(?:<\w+>)?)>|texture_storage_2d<(rgba32float|r32float)\s*,\s*read>)/g;
  for (
    const [, number, access = "read", of = "", , element = "", format] of text.matchAll(
      binding,
    )
  ) {
    if (Number(number) !== bindings.length) {
      throw new Error(`Cannot use "${name}": binding ${number} is out of order`);
    }
    const texture = format === "r32float" || format === "rgba32float" ? format : undefined;
    const comment = new RegExp(`\\bvar\\b[^\\n]*\\b${of}\\s*:[^\\n]*;\\s*// if (not )?(\\w+)$`, "m")
      .exec(source);
    const [, not, override] = comment ?? [];
    bindings.push({
      name: of,
      access: access === "read" ? "read" : "read_write",
      vectors: format === "rgba32float" || element.startsWith("vec4"),
      texture,
      ...(override ? { condition: { override, not: not !== undefined } } : {}),
    });
  }
  const writes = bindings.filter((b) => b.access === "read_write").length;
  if (writes !== 1 || bindings.at(-1)?.access !== "read_write") {
    throw new Error(`Cannot use "${name}": needs exactly one read_write binding, the last`);
  }
  const size = /@workgroup_size\((\d+)\)/.exec(text);
  if (!size || !/fn\s+main\s*\(/.test(text)) {
    throw new Error(`Cannot use "${name}": no entry point "main" with a 1-D workgroup size`);
  }
  return { name, source, overrides, constants, bindings, workgroup: Number(size[1]) };
}

/**
 * Overrides of one dispatch as numbers, defaults filled in.
 *
 * @throws Error when a required override is missing, one is unknown, or a string names no constant
 */
export function resolveOverrides(k: Kernel, given: Overrides): Record<string, number> {
  for (const key of Object.keys(given)) {
    if (!k.overrides.has(key)) throw new Error(`Cannot dispatch "${k.name}": no override "${key}"`);
  }
  const resolved: Record<string, number> = {};
  for (const [key, fallback] of k.overrides) {
    const value = given[key] ?? fallback;
    const number = typeof value === "string" ? k.constants.get(`${key}_${value}`) : value;
    if (number === undefined) {
      throw new Error(
        value === undefined
          ? `Cannot dispatch "${k.name}": override "${key}" is missing`
          : `Cannot dispatch "${k.name}": "${key}" has no constant "${value}"`,
      );
    }
    resolved[key] = number;
  }
  return resolved;
}

/** Whether a dispatch reads a binding: its kernel may read it under a condition only. */
export function isRead(k: Kernel, { condition }: Binding, given: Overrides): boolean {
  if (!condition) return true;
  const value = resolveOverrides(k, given)[condition.override];
  if (value === undefined) {
    throw new Error(`Cannot use "${k.name}": no override "${condition.override}"`);
  }
  return (value !== 0) !== condition.not;
}

function parseNumber(text: string): number {
  if (text === "true") return 1;
  if (text === "false") return 0;
  return Number(text.replace(/[uif]$/, ""));
}
