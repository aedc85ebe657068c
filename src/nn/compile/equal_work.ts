/**
 * Equal work in a graph, and where the values of a node lie.
 *
 * @module
 */
import { resolveOverrides } from "../graph/kernel.ts";
import { type Data, show, type Source, type Tensor } from "../graph/tensor.ts";

type Owned = Exclude<Source, { readonly kind: "view" }>;

/** A node that owns memory, and where in it another node starts (in floats). */
export interface Location {
  readonly owner: Tensor & { readonly source: Owned };
  readonly offset: number;
}

/**
 * Maps every node to the first one that computes the same.
 *
 * @param instead a node that is computed in another's place, which comes before it
 */
export function shareEqualWork(
  order: readonly Tensor[],
  instead: (t: Tensor) => Tensor | undefined = () => undefined,
): Map<Tensor, Tensor> {
  const same = new Map<Tensor, Tensor>();
  const byKey = new Map<string, Tensor>();
  for (const t of order) {
    const other = instead(t);
    if (other) {
      same.set(t, same.get(other) ?? other);
      continue;
    }
    const key = workKey(t, same);
    const first = key === undefined ? t : byKey.get(key) ?? t;
    if (key !== undefined) byKey.set(key, first);
    same.set(t, first);
  }
  return same;
}

function workKey(t: Tensor, same: ReadonlyMap<Tensor, Tensor>): string | undefined {
  const { source } = t;
  const inputs = t.inputs.map((x) => {
    const { owner, offset } = locationOf(x, same);
    return `${owner.id}+${offset}`;
  }).join(" ");
  switch (source.kind) {
    case "dispatch": {
      const overrides = JSON.stringify(resolveOverrides(source.kernel, source.overrides));
      return `${source.kernel.name} ${overrides} ${source.threads} ${show(t.shape)} ${inputs}`;
    }
    case "constant":
      return constantKey(source.data);
    case "pack":
      return `pack ${source.offsets.join()} ${inputs}`;
    case "view":
    case "input":
    case "parameter":
      return undefined;
  }
}

/** Small constants, and large ones of a single value, are shared by value. */
function constantKey(data: Data): string | undefined {
  const type = data instanceof Uint32Array ? "u32" : "f32";
  const [first] = data;
  const signed = (v = 0): string => Object.is(v, -0) ? "-0" : String(v);
  if (data.length > 64) {
    const uniform = data.every((v) => Object.is(v, first));
    return uniform ? `${type} ${data.length} x ${signed(first)}` : undefined;
  }
  return `${type} [${Array.from(data, signed).join()}]`;
}

/** Follows views down to the node that owns the memory. */
export function locationOf(t: Tensor, same?: ReadonlyMap<Tensor, Tensor>): Location {
  let [owner, offset] = [t, 0];
  while (owner.source.kind === "view") {
    offset += owner.source.offset;
    const [next] = owner.inputs;
    if (!next) throw new Error("Unreachable: a view of nothing");
    owner = next;
  }
  return { owner: (same?.get(owner) ?? owner) as Location["owner"], offset };
}
