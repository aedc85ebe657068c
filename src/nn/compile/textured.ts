/**
 * Kernels that read from textures what they were written to read from buffers: the same arithmetic, and so the
 * same bits, where a device reads a texel faster than an element of a buffer.
 *
 * @module
 */
import { isRead, type Kernel, kernel, type TexelFormat } from "../graph/kernel.ts";
import { mostRows, texelRows } from "../graph/tiles.ts";
import type { Dispatch } from "../graph/tensor.ts";
import { flopOf } from "./work.ts";

/** The texture that each input of a dispatch is read from; undefined where it is a buffer. */
export type Formats = readonly (TexelFormat | undefined)[];

/** What is known of an input of a dispatch. */
export interface Operand {
  /** Of all copies. */
  readonly floats: number;
  /** Whether it begins where that memory does. */
  readonly atStart: boolean;
}

/** Textures that every device binds at once. */
const mostTextures = 4;

/** Operations from which on a dispatch reads its operands so often that all are worth a copy. */
const muchWork = 2 ** 20;

/** Of what is read often, the floats from which on a copy pays. */
const fewestFloats = 512;

/** How many times as large as what is made an operand may be that is read once: of larger ones only a part is. */
const mostUnused = 4;

/** Kernels that read all of what is far larger than their result. */
const summing: ReadonlySet<string> = new Set(["reduce", "channel_sums"]);

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
  const pays = (floats: number): boolean =>
    often
      ? floats >= fewestFloats
      : floats >= least && (summing.has(name) || floats <= mostUnused * made);
  const readable = (i: number): boolean => {
    const binding = bindings[i];
    return binding !== undefined && isRead(kernel, binding, overrides) &&
      declaration(binding.name).test(source) && !source.includes(`arrayLength(&${binding.name})`);
  };
  const chosen = operands.map((operand, i) => ({ i, ...operand }))
    .filter(({ i, floats, atStart }) =>
      own[i] === undefined && atStart && texelRows(floats) < mostRows && pays(floats) && readable(i)
    )
    .toSorted((a, b) => b.floats - a.floats)
    .slice(0, Math.max(0, free));
  const picked = new Set(chosen.map(({ i }) => i));
  return own.map((format, i) => picked.has(i) ? kind(i) : format);
}

const found = new WeakMap<Kernel, Map<string, Kernel>>();

/** The same kernel with some of its inputs read from textures, row by row. */
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

function texturedSource(one: Kernel, names: readonly string[]): string {
  let text = one.source.replaceAll(/\/\/(?! each )[^\n]*/g, "");
  const declared: string[] = [];
  for (const name of names) {
    const vectors = one.bindings.find((b) => b.name === name)?.vectors;
    text = text.replace(
      declaration(name),
      `var ${name}: texture_storage_2d<${vectors ? "rgba32float" : "r32float"}, read>`,
    );
    text = replaceReads(
      text,
      name,
      (index) =>
        vectors
          ? `textureLoad(${name}, texel(${index}))`
          : `textureLoad(${name}, single(${index})).x`,
    );
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
