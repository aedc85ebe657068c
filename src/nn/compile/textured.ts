/**
 * Kernels that read from textures what they were written to read from buffers: the same arithmetic, and so the
 * same bits, where a device reads a texel faster than an element of a buffer.
 *
 * @module
 */
import { isRead, type Kernel, kernel, type Overrides, type TexelFormat } from "../graph/kernel.ts";
import { mostRows, texelRows } from "../graph/tiles.ts";
import type { Dispatch } from "../graph/tensor.ts";
import { flopOf } from "./work.ts";

/** The texture that each input of a dispatch is read from; undefined where it is a buffer. */
export type Formats = readonly (TexelFormat | undefined)[];

/** What is known of an input of a dispatch. */
export interface Operand {
  /** Of all copies. */
  readonly floats: number;
  /** Of the memory that it lies in: what would be copied. */
  readonly around: number;
}

/** Textures that every device binds at once. */
const mostTextures = 4;

/** Operations from which on a dispatch reads its operands so often that all are worth a copy. */
const muchWork = 2 ** 20;

/** Of what is read often, the floats from which on a copy pays. */
const fewestFloats = 512;

/** How many times as large as what is made the memory may be that is read once: of larger ones only a part is. */
const mostUnused = 4;

/** Kernels that read all of what is far larger than their result. */
const summing: ReadonlySet<string> = new Set(["reduce", "channel_sums", "kth_largest"]);

/**
 * Which inputs a dispatch reads from textures: those that its kernel says, and as many of the largest others as
 * can be bound, where copying them first costs less than it saves.
 *
 * @param made floats of its result
 * @param least floats of an operand read once from which on a copy pays; 0 where none does
 */
export function formatsOf(
  dispatch: Dispatch,
  operands: readonly Operand[],
  made: number,
  least: number,
): Formats {
  const { kernel, overrides } = dispatch;
  const { name, source, bindings } = kernel;
  const own = operands.map((_, i) => bindings[i]?.texture);
  const kind = (i: number): TexelFormat => bindings[i]?.vectors ? "rgba32float" : "r32float";
  if (least === 0) return own;
  const often = flopOf(dispatch) >= muchWork;
  const free = mostTextures - own.filter((format) => format !== undefined).length;
  // What a large operand lies in is worth a copy, for others lie there too: parameters in their block.
  const pays = ({ floats, around }: Operand): boolean =>
    floats >= (often && around <= mostUnused * made ? fewestFloats : least) &&
    (often || summing.has(name) || floats <= mostUnused * made);
  const readable = (i: number): boolean => {
    const binding = bindings[i];
    return binding !== undefined && isRead(kernel, binding, overrides) &&
      declaration(binding.name).test(source) && !source.includes(`arrayLength(&${binding.name})`);
  };
  const chosen = operands.map((operand, i) => ({ i, ...operand }))
    .filter((operand) =>
      own[operand.i] === undefined && texelRows(operand.around) < mostRows && pays(operand) &&
      readable(operand.i)
    )
    .toSorted((a, b) => b.floats - a.floats)
    .slice(0, Math.max(0, free));
  const picked = new Set(chosen.map(({ i }) => i));
  return own.map((format, i) => picked.has(i) ? kind(i) : format);
}

/** A kernel with as many inputs read from textures as can be: to test that it makes no difference. */
export function allTextured(one: Kernel, overrides: Overrides): Kernel {
  const any = { floats: 1, around: 1 };
  const inputs = one.bindings.slice(0, -1).map(() => any);
  return texturedKernel(one, formatsOf({ kernel: one, overrides, threads: 1 }, inputs, 1, 1));
}

const found = new WeakMap<Kernel, Map<string, Kernel>>();

/**
 * The same kernel with some of its inputs read from textures, row by row: of an input `x` element `FROM_x` is the
 * first.
 */
export function texturedKernel(one: Kernel, formats: Formats): Kernel {
  const names = one.bindings.flatMap(({ name, texture }, i) =>
    formats[i] !== undefined && texture === undefined ? [name] : []
  );
  if (names.length === 0) return one;
  const key = names.join(" ");
  const made = found.get(one) ?? new Map<string, Kernel>();
  found.set(one, made);
  let many = made.get(key);
  if (!many) {
    many = kernel(`${one.name} (texture ${names.join(", ")})`, texturedSource(one, names));
    made.set(key, many);
  }
  return many;
}

/** Overrides of `texturedKernel`: where each of those inputs begins in its memory. */
export function textureOverrides(
  one: Kernel,
  formats: Formats,
  offsets: readonly number[],
): Record<string, number> {
  return Object.fromEntries(one.bindings.flatMap(({ name, texture, vectors }, i) => {
    const offset = offsets[i] ?? 0;
    const moved = formats[i] !== undefined && texture === undefined && offset > 0;
    return moved ? [[`FROM_${name}`, offset / (vectors ? 4 : 1)]] : [];
  }));
}

function texturedSource(one: Kernel, names: readonly string[]): string {
  let text = one.source.replaceAll(/\/\/(?! each )[^\n]*/g, "");
  const declared: string[] = [];
  for (const name of names) {
    const vectors = one.bindings.find((b) => b.name === name)?.vectors;
    text = text.replace(
      declaration(name),
      `var ${name}: texture_storage_2d<${vectors ? "rgba32float" : "r32float"}, read>`,
    );
    declared.push(`override FROM_${name}: u32 = 0u;`);
    const [place, part] = vectors ? ["texel", ""] : ["single", ".x"];
    const read = (index: string): string =>
      `textureLoad(${name}, ${place}(FROM_${name} + (${index})))${part}`;
    text = replaceReads(text, name, read);
  }
  for (const [place, width] of [["texel", 1024], ["single", 4096]]) {
    if (text.includes(`fn ${place}(`) || !text.includes(`${place}(`)) continue;
    declared.push(`fn ${place}(i: u32) -> vec2u { return vec2u(i % ${width}u, i / ${width}u); }`);
  }
  return [text, ...declared].join("\n");
}

/** How a kernel says that it reads floats from a buffer. */
function declaration(name: string): RegExp {
  return new RegExp(`var<storage, read> ${name}: array<(?:f32|vec4f)>`);
}

/** Text in which every read of an element of a variable, `x[i]`, is another expression of its index. */
export function replaceReads(text: string, name: string, read: (index: string) => string): string {
  let result = "";
  let rest = text;
  const start = new RegExp(`\\b${name}\\[`);
  for (let m = start.exec(rest); m; m = start.exec(rest)) {
    const open = m.index + m[0].length;
    const close = closing(rest, open);
    result += rest.slice(0, m.index) + read(replaceReads(rest.slice(open, close), name, read));
    rest = rest.slice(close + 1);
  }
  return result + rest;
}

/** Where the bracket that was opened before `from` is closed. */
function closing(text: string, from: number): number {
  for (let i = from, depth = 1; i < text.length; i++) {
    if (text[i] === "[") depth++;
    if (text[i] === "]" && --depth === 0) return i;
  }
  throw new Error("Unreachable: a bracket is not closed");
}
