/**
 * The order of a graph's nodes: each after those whose values it takes.
 *
 * @module
 */
import { quote } from "../base/refusal.ts";
import type { Fail, OnnxNode } from "./model.ts";

/**
 * Nodes in such an order: the file's own where it is one already, as it should be.
 *
 * @param given names that no node makes: inputs and initialisers
 * @param outputs names that the graph is to give
 * @throws UserError where a name is made twice or by nobody, or nodes wait for each other
 */
export function inOrder(
  nodes: readonly OnnxNode[],
  given: ReadonlySet<string>,
  outputs: readonly string[],
  fail: Fail,
): OnnxNode[] {
  const makers = makersOf(nodes, given, fail);
  const missing = outputs.find((name) => !makers.has(name) && !given.has(name));
  if (missing !== undefined) throw fail(`its output ${quote(missing)} is made by no node`);
  const sorted: OnnxNode[] = [];
  /** Nodes that are begun, and whether all that they need stands before them. */
  const done = new Map<OnnxNode, boolean>();
  for (const root of nodes) {
    const open = [root];
    for (let node = open.at(-1); node; node = open.at(-1)) {
      const needed = done.has(node) ? [] : neededBy(node, makers, given, fail);
      const before = needed.filter((maker) => done.get(maker) !== true);
      if (before.length > 0) {
        const circle = before.find((maker) => done.has(maker) || maker === node);
        if (circle) throw fail(`the node ${quote(circle.name)} waits for its own output`);
        done.set(node, false);
        // The first of them on top; one by one, for a call takes no million arguments.
        for (const maker of before.reverse()) open.push(maker);
        continue;
      }
      open.pop();
      if (done.get(node) !== true) sorted.push(node);
      done.set(node, true);
    }
  }
  return sorted;
}

/** The node that makes each name. */
function makersOf(
  nodes: readonly OnnxNode[],
  given: ReadonlySet<string>,
  fail: Fail,
): Map<string, OnnxNode> {
  const makers = new Map<string, OnnxNode>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === "") continue;
      if (makers.has(name) || given.has(name)) {
        throw fail(`it defines the value ${quote(name)} twice`);
      }
      makers.set(name, node);
    }
  }
  return makers;
}

/** The nodes whose values a node takes. */
function neededBy(
  node: OnnxNode,
  makers: ReadonlyMap<string, OnnxNode>,
  given: ReadonlySet<string>,
  fail: Fail,
): OnnxNode[] {
  return node.inputs.flatMap((name) => {
    if (name === "" || given.has(name)) return [];
    const maker = makers.get(name);
    if (maker) return [maker];
    throw fail(`the node ${quote(node.name)} takes ${quote(name)}, which nothing gives`);
  });
}
