/**
 * Fusion: chains of elementwise dispatches become one, whose kernel is put together from the functions
 * of their own files. What a chain hands on within itself never goes through memory.
 *
 * @module
 */
import type { Location } from "./equal_work.ts";
import { type Kernel, kernel, resolveOverrides } from "../graph/kernel.ts";
import { type Dispatch, size, type Tensor } from "../graph/tensor.ts";

/** What is dispatched instead of a chain's last node. */
export interface Fusion {
  readonly inputs: readonly Tensor[];
  readonly dispatch: Dispatch;
}

/** Fused dispatches by the node whose values they make, and the nodes that need none any more. */
export interface Fused {
  readonly fusions: ReadonlyMap<Tensor, Fusion>;
  readonly absorbed: ReadonlySet<Tensor>;
}

/** Storage buffers that every device binds at once, less the output. */
const mostInputs = 7;

/** Operations in one kernel: longer ones compile slowly. */
const mostOperations = 16;

/** Kernels whose result i depends on element i of their operands (binary: on one that i decides). */
const elementwise: ReadonlySet<string> = new Set(["unary", "binary", "where"]);

/** A chain: its operations in order, the last one's result being the chain's. */
type Chain = readonly Tensor[];

/**
 * Finds the chains: a node that elementwise nodes of one chain read, and nothing else, joins it.
 *
 * @param work nodes to compute, in order
 * @param kept nodes whose values are asked for
 * @param phaseOf when a node is computed; what is computed less often is not drawn into what is more
 */
export function fuseElementwise(
  work: readonly Tensor[],
  kept: ReadonlySet<Tensor>,
  phaseOf: (t: Tensor) => number,
  locate: (t: Tensor) => Location,
): Fused {
  const readers = new Map<Tensor, Set<Tensor>>();
  for (const t of work) {
    for (const x of t.inputs) {
      const { owner } = locate(x);
      readers.set(owner, (readers.get(owner) ?? new Set()).add(t));
    }
  }
  const position = new Map(work.map((t, i) => [t, i]));
  const chains = new Map<Tensor, Chain>();
  const absorbed = new Set<Tensor>();
  /** A node that nothing but the chain reads, and only element by element. */
  const joins = (owner: Tensor, chain: Chain): boolean => {
    const inside = [...readers.get(owner) ?? []];
    const [root] = chain.slice(-1);
    return chains.has(owner) && !absorbed.has(owner) && !kept.has(owner) &&
      root !== undefined && phaseOf(root) === phaseOf(owner) &&
      inside.every((t) => chain.includes(t) && readsStraight(t, owner, locate));
  };
  for (const t of work) {
    if (!isElementwise(t)) continue;
    let chain: Chain = [t];
    for (;;) {
      const part = chain.flatMap((node) => node.inputs.map((x) => locate(x).owner))
        .filter((owner) => joins(owner, chain))
        .map((owner) => ({ owner, grown: [...chains.get(owner) ?? [], ...chain] }))
        .find(({ grown }) =>
          grown.length <= mostOperations && loads(grown, locate).length <= mostInputs
        );
      if (!part) break;
      chain = part.grown.toSorted((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0));
      absorbed.add(part.owner);
    }
    chains.set(t, chain);
  }
  const fusions = new Map<Tensor, Fusion>();
  for (const [t, chain] of chains) {
    if (!absorbed.has(t) && chain.length > 1) fusions.set(t, compose(chain, t, locate));
  }
  return { fusions, absorbed };
}

function isElementwise({ source }: Tensor): boolean {
  return source.kind === "dispatch" && elementwise.has(source.kernel.name);
}

/** How the element of operand i follows from the result's index: `(index / div) % mod`, 0 no modulus. */
function indexing({ source }: Tensor, i: number): { readonly div: number; readonly mod: number } {
  if (source.kind !== "dispatch" || source.kernel.name !== "binary") return { div: 1, mod: 0 };
  const o = resolveOverrides(source.kernel, source.overrides);
  return i === 0
    ? { div: o["A_DIV"] ?? 1, mod: o["A_MOD"] ?? 0 }
    : { div: o["B_DIV"] ?? 1, mod: o["B_MOD"] ?? 0 };
}

/** Whether t reads all of what a node holds, element by element, wherever it reads it. */
function readsStraight(t: Tensor, node: Tensor, locate: (t: Tensor) => Location): boolean {
  return size(node.shape) === size(t.shape) && t.inputs.every((x, i) => {
    const { owner, offset } = locate(x);
    const { div, mod } = indexing(t, i);
    return owner !== node || (offset === 0 && div === 1 && mod === 0);
  });
}

/** An operand that a chain reads from memory. */
interface Load {
  readonly key: string;
  readonly tensor: Tensor;
  readonly div: number;
  readonly mod: number;
}

function loadOf(t: Tensor, i: number, locate: (t: Tensor) => Location): Load {
  const tensor = t.inputs[i] ?? t;
  const { div, mod } = indexing(t, i);
  const { owner, offset } = locate(tensor);
  return { key: `${owner.id}+${offset} ${div} ${mod}`, tensor, div, mod };
}

/** What a chain reads from memory, each once. */
function loads(chain: Chain, locate: (t: Tensor) => Location): Load[] {
  const inside = new Set(chain);
  const found = new Map<string, Load>();
  for (const t of chain) {
    t.inputs.forEach((x, i) => {
      if (inside.has(locate(x).owner)) return;
      const load = loadOf(t, i, locate);
      if (!found.has(load.key)) found.set(load.key, load);
    });
  }
  return [...found.values()];
}

/** Writes a chain's kernel. */
function compose(chain: Chain, root: Tensor, locate: (t: Tensor) => Location): Fusion {
  const operands = loads(chain, locate);
  const names = new Map(operands.map(({ key }, i) => [key, `e${i}`]));
  const made = new Map(chain.map((t, i) => [t, `v${i}`]));
  const functions = new Map<string, string>();
  const constants = new Map<string, string>();
  const lines = chain.map((t) => {
    const values = t.inputs.map((x, i) =>
      made.get(locate(x).owner) ?? names.get(loadOf(t, i, locate).key) ?? ""
    );
    return `  let ${made.get(t)} = ${specialise(t, functions, constants)}(${values.join(", ")});`;
  });
  const source = [
    `// y = ${chain.map((t) => t.name).join(", ")}: elementwise operations, one after the other`,
    "// N elements of y, four a thread",
    "override N: u32;",
    ...constants.values(),
    ...operands.map((_, i) => `@group(0) @binding(${i}) var<storage, read> x${i}: array<vec4f>;`),
    `@group(0) @binding(${operands.length}) var<storage, read_write> y: array<vec4f>;`,
    ...functions.values(),
    "@compute @workgroup_size(64)",
    "fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {",
    "  let t = id.x + id.y * groups.x * 64u;",
    "  let i = t * 4u;",
    "  if i >= N { return; }",
    ...operands.map((load, i) => `  let e${i} = ${loadText(load, i)};`),
    ...lines,
    `  y[t] = ${made.get(root)};`,
    "}",
  ].join("\n");
  const n = size(root.shape);
  return {
    inputs: operands.map(({ tensor }) => tensor),
    dispatch: {
      kernel: fusedKernel(source, chain),
      overrides: { N: n },
      threads: Math.ceil(n / 4),
    },
  };
}

/** Kernels by their text: equal chains share one, and with it its pipeline. */
const kernels = new Map<string, Kernel>();

function fusedKernel(source: string, chain: Chain): Kernel {
  let found = kernels.get(source);
  if (!found) {
    const name = `fused ${kernels.size}: ${chain.map((t) => t.name).join(" ")}`;
    found = kernel(name, source);
    kernels.set(source, found);
  }
  return found;
}

/** Four neighbours of an operand: a vector, one shared scalar, or four scalars. */
function loadText({ div, mod }: Load, i: number): string {
  const index = (of: string): string => mod === 0 ? of : `(${of}) % ${mod}u`;
  if (div === 1 && mod % 4 === 0) return `x${i}[${mod === 0 ? "t" : `t % ${mod / 4}u`}]`;
  const scalar = (k: number): string => {
    const j = index(`(i + ${k}u) / ${div}u`);
    return `x${i}[(${j}) / 4u][(${j}) % 4u]`;
  };
  if (div % 4 === 0 || mod === 1) return `vec4f(${scalar(0)})`;
  return `vec4f(${[0, 1, 2, 3].map(scalar).join(", ")})`;
}

/**
 * The name of the function that computes a node: `apply` of its kernel's file with the node's overrides
 * for constants, copied under a name of its own with whatever it calls.
 */
function specialise(
  { source }: Tensor,
  functions: Map<string, string>,
  constants: Map<string, string>,
): string {
  if (source.kind !== "dispatch") throw new Error("Unreachable: a chain of dispatches");
  const { kernel: from, overrides } = source;
  const values = resolveOverrides(from, overrides);
  const used = Object.entries(values).filter(([name]) => name === "OP" || name === "P");
  const suffix = [from.name, ...used.map(([, value]) => String(value).replaceAll(/\W/g, "_"))].join(
    "_",
  );
  const name = `apply_${suffix}`;
  if (functions.has(name)) return name;
  for (const line of from.source.matchAll(/^const \w+ = \w+;$/gm)) constants.set(line[0], line[0]);
  const found = [...from.source.matchAll(/^fn (\w+)\(.*?^}$/gms)]
    .filter((m) => !/\b[xyabc]\[/.test(m[0]) && m[1] !== "main" && m[1] !== "modulo");
  let text = found.map((m) => m[0]).join("\n");
  for (const m of found) {
    text = text.replaceAll(new RegExp(`\\b${m[1]}\\(`, "g"), `${m[1]}_${suffix}(`);
  }
  for (const [override, value] of used) {
    const literal = override === "P" ? floatText(value) : `${value}u`;
    text = text.replaceAll(new RegExp(`\\b${override}\\b`, "g"), literal);
  }
  // What the device decides stays an override.
  for (const [line, override = ""] of from.source.matchAll(/^override (\w+): \w+ = \w+;/gm)) {
    if (new RegExp(`\\b${override}\\b`).test(text)) constants.set(line, line);
  }
  functions.set(name, text);
  return name;
}

/** A float exactly: by its bits. */
function floatText(value: number): string {
  return `bitcast<f32>(${new Uint32Array(Float32Array.of(value).buffer)[0]}u)`;
}
