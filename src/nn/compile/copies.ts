/**
 * Copies of a kernel: the same dispatch for several models at once, each on its own part of the buffers.
 *
 * On a GPU a small network's cost is the number of dispatches, not the work in them; ten networks side
 * by side cost little more than one.
 *
 * @module
 */
import { type Kernel, kernel } from "../graph/kernel.ts";
import { replaceReads } from "./textured.ts";

const found = new WeakMap<Kernel, Kernel>();

/**
 * The same kernel over a third axis of the grid: copy z of it reads and writes every binding `x` from
 * element `z STEP_x` on, an override that is 0 where the copies share a binding. `LENGTH_x` stands for the
 * elements of one copy, where the kernel asks for their number. Textures are read by `texel(i)` or `single(i)`, in
 * the same way.
 */
export function copiesOf(one: Kernel): Kernel {
  let many = found.get(one);
  if (!many) {
    many = kernel(`copies of ${one.name}`, manySource(one));
    found.set(one, many);
  }
  return many;
}

/** Overrides of `copiesOf`: elements from one copy to the next, and of one copy, of every binding. */
export function copyOverrides(
  one: Kernel,
  bindings: readonly { readonly stride: number; readonly size: number }[],
): Record<string, number> {
  const overrides: Record<string, number> = {};
  one.bindings.forEach(({ name, vectors }, i) => {
    const element = vectors ? 16 : 4;
    const { stride = 0, size = 0 } = bindings[i] ?? {};
    if (stride % element !== 0) {
      throw new Error(
        `Cannot make copies of "${one.name}": those of "${name}" lie ${stride} bytes apart, and it is read ` +
          `by ${element}; pack the parameter`,
      );
    }
    overrides[`STEP_${name}`] = stride / element;
    if (asksForLength(one, name)) overrides[`LENGTH_${name}`] = size / element;
  });
  return overrides;
}

function asksForLength({ source }: Kernel, name: string): boolean {
  return source.includes(`arrayLength(&${name})`);
}

function manySource(one: Kernel): string {
  let text = one.source.replaceAll(/\/\/(?! each )[^\n]*/g, "");
  const declared: string[] = ["var<private> copy_number: u32;"];
  for (const { name } of one.bindings) {
    declared.push(`override STEP_${name}: u32;`);
    if (asksForLength(one, name)) {
      declared.push(`override LENGTH_${name}: u32;`);
      text = text.replaceAll(`arrayLength(&${name})`, `LENGTH_${name}`);
    }
    const step = `STEP_${name} * copy_number + `;
    text = replaceReads(text, name, (index) => `${name}[${step}(${index})]`);
    for (const place of ["texel", "single"]) {
      const read = `textureLoad(${name}, ${place}(`;
      text = text.replaceAll(read, read + step);
    }
  }
  const group = /@builtin\(workgroup_id\)\s*(\w+)/.exec(text)?.[1];
  if (!group) {
    text = text.replace(/fn\s+main\s*\(/, "fn main(@builtin(workgroup_id) copy_group: vec3u, ");
  }
  text = text.replace(/(fn\s+main\s*\([^{]*\{)/, `$1\n  copy_number = ${group ?? "copy_group"}.z;`);
  return [...declared, text].join("\n");
}
