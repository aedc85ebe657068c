/**
 * One node of an ONNX graph: computed on the host, or made a part of the graph of tensors.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { size } from "../nn/mod.ts";
import { elementKinds } from "./elements.ts";
import { evaluateOnHost } from "./fold.ts";
import type { HostTensor } from "./model.ts";
import { rules } from "./rules.ts";
import type { Site, Value } from "./value.ts";

/**
 * What a node gives, in the order of its outputs: on the host where all that it takes is known there.
 *
 * @throws UserError naming the node, where it has what is not at hand
 */
export function lower(site: Site): readonly Value[] {
  const { node, inputs, opset } = site;
  const [first] = inputs;
  if (node.op === "Shape" || node.op === "Size") {
    const shape = first?.kind === "tensor" ? first.tensor.shape : first?.array.shape ?? [];
    return [{ kind: "host", array: told(site, shape) }];
  }
  const arrays = inputs.map((value) => value?.kind === "host" ? value.array : undefined);
  if (inputs.every((value) => value?.kind !== "tensor")) {
    const folded = evaluateOnHost(node, arrays, opset);
    if (folded) return folded.map((array) => ({ kind: "host", array }));
    if (wholly.has(node.op) && arrays[0] && elementKinds[arrays[0].type].range) {
      throw site.refused("it computes with whole numbers, and not on the host");
    }
  }
  const rule = rules[node.op];
  if (!rule) {
    throw site.refused("what it takes follows from the images, and there is no rule for that");
  }
  try {
    const outputs = rule(site);
    const tensors = "shape" in outputs ? [outputs] : outputs;
    return tensors.map((tensor) => ({ kind: "tensor", tensor }));
  } catch (error) {
    // What the layer says of shapes that do not fit is the file's fault here.
    if (error instanceof UserError || !(error instanceof Error)) throw error;
    throw site.refused(error.message);
  }
}

/** What is another function of whole numbers than of floats, which tensors are: cut off, or of a bounded range. */
const wholly: ReadonlySet<string> = new Set(
  ["Abs", "Add", "Div", "Mul", "Neg", "Pow", "ReduceMean", "ReduceSum", "Sub"],
);

/** The shape of a tensor, as a file's nodes ask for it. */
function told(site: Site, shape: readonly number[]): HostTensor {
  if (site.node.op === "Size") {
    return { type: "int64", shape: [], data: Float64Array.of(size(shape)) };
  }
  const rank = shape.length;
  const place = (at: number): number => Math.max(0, Math.min(rank, at < 0 ? at + rank : at));
  const part = shape.slice(place(site.number("start", 0)), place(site.number("end", rank)));
  return { type: "int64", shape: [part.length], data: Float64Array.from(part) };
}
