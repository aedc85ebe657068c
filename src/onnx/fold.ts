/**
 * Operators on arrays that are known before any image is: what shapes, axes and constants follow from.
 *
 * The rules are those of ONNX's operators (github.com/onnx/onnx, docs/Operators.md), opsets 9 to 21.
 *
 * @module
 */
import { mostAxes } from "./elements.ts";
import { HostCall, type HostRule, TooLarge } from "./fold_call.ts";
import { numberRules } from "./fold_numbers.ts";
import { shapeRules } from "./fold_shapes.ts";
import type { HostTensor, OnnxNode } from "./model.ts";

const rules: ReadonlyMap<string, HostRule> = new Map(
  Object.entries({ ...shapeRules, ...numberRules }),
);

/** Whether one of ONNX's own operators can be computed on the host. */
export function isHostOp(op: string): boolean {
  return rules.has(op);
}

/**
 * What a node makes of arrays. `Shape` and `Size` look at no elements: `data` of their input may be empty.
 *
 * @param inputs in the order of the node's, undefined where one is left out
 * @param opset of the file
 * @returns its outputs in order; undefined where there is no rule for the operator, or where an output would have
 * more than 2^20 elements and is not the input's own array in another shape
 * @throws UserError where the inputs are none of the operator's, or an integer would be beyond its type
 */
export function evaluateOnHost(
  node: OnnxNode,
  inputs: readonly (HostTensor | undefined)[],
  opset: number,
): readonly HostTensor[] | undefined {
  const rule = node.domain === "" ? rules.get(node.op) : undefined;
  if (!rule) return undefined;
  const call = new HostCall(node, inputs, opset);
  try {
    const made = rule(call);
    const outputs = "data" in made ? [made] : made;
    const high = outputs.find(({ shape }) => shape.length > mostAxes);
    if (high) throw call.refused(`it makes ${high.shape.length} axes, more than ${mostAxes}`);
    return outputs;
  } catch (error) {
    if (error instanceof TooLarge) return undefined;
    throw error;
  }
}
