/**
 * Reverse-mode differentiation as a graph transform.
 *
 * @module
 */
import { add } from "../ops/elementwise.ts";
import { constant, sameShape, show, type Tensor } from "../graph/tensor.ts";

/**
 * Gradients of `sum(y)` with respect to each of `wrt`: new nodes of the same graph, which can be
 * differentiated again.
 *
 * @param y any shape; its sum is what is differentiated
 * @param wrt nodes; one that `y` does not depend on gets zeros
 */
export function grad(y: Tensor, wrt: readonly Tensor[]): Tensor[] {
  const wanted = new Set(wrt);
  const order = dependents(y, wanted);
  const cotangents = new Map<Tensor, Tensor>([[y, constant(1, y.shape)]]);
  for (const x of order.toReversed()) {
    const g = cotangents.get(x);
    const { vjp, operands } = differentiated(x, wanted);
    if (!g || !vjp) continue;
    vjp(g, x).forEach((gi, i) => {
      const xi = operands[i];
      if (!gi || !xi || !order.has(xi)) return;
      if (!sameShape(gi.shape, xi.shape)) {
        throw new Error(
          `Unreachable: "${x.name}" gave a gradient ${show(gi.shape)} for ${show(xi.shape)}`,
        );
      }
      const sum = cotangents.get(xi);
      cotangents.set(xi, sum ? add(sum, gi) : gi);
    });
  }
  return wrt.map((x) => cotangents.get(x) ?? constant(0, x.shape));
}

/** The nodes below `y` that depend on one of `wanted` by derivatives, operands before users. */
function dependents(y: Tensor, wanted: ReadonlySet<Tensor>): OrderedSet {
  const order = new OrderedSet();
  const seen = new Map<Tensor, boolean>();
  const below = (x: Tensor): readonly Tensor[] => {
    const { vjp, operands } = differentiated(x, wanted);
    return vjp ? operands : [];
  };
  // What was made before all of them depends on none.
  const oldest = [...wanted].reduce((lowest, { id }) => Math.min(lowest, id), Infinity);
  const older = { has: ({ id }: Tensor): boolean => id < oldest };
  for (const x of topologicalOrder([y], older, below)) {
    const depends = wanted.has(x) || below(x).some((i) => seen.get(i));
    seen.set(x, depends);
    if (depends) order.add(x);
  }
  return order;
}

/** What has a node's derivative: of one that does the work of two, the second where the first is wanted. */
function differentiated(x: Tensor, wanted: ReadonlySet<Tensor>): Tensor {
  return x.apart && wanted.has(x.apart.first) ? x.apart.second : x;
}

class OrderedSet extends Set<Tensor> {
  toReversed(): Tensor[] {
    return [...this].reverse();
  }
}

/**
 * Every node that `roots` need, inputs before users. Does not recurse: graphs may be deep.
 *
 * @param ends nodes that are taken as they are, whatever is below them
 * @param below what a node needs
 */
export function topologicalOrder(
  roots: readonly Tensor[],
  ends: { has(t: Tensor): boolean } = new Set(),
  below: (x: Tensor) => readonly Tensor[] = (x) => x.inputs,
): Tensor[] {
  const order: Tensor[] = [];
  const done = new Set<Tensor>();
  const stack: { x: Tensor; next: number }[] = [];
  for (const root of roots) {
    if (!done.has(root)) stack.push({ x: root, next: 0 });
    done.add(root);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const child = ends.has(top.x) ? undefined : below(top.x)[top.next++];
      if (!child) {
        order.push(top.x);
        stack.pop();
      } else if (!done.has(child)) {
        done.add(child);
        stack.push({ x: child, next: 0 });
      }
    }
  }
  return order;
}
