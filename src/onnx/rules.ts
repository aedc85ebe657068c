/**
 * ONNX's operators that become tensors, by name: one line adds one.
 *
 * @module
 */
import { convolutions } from "./rules_convolution.ts";
import { elementwise } from "./rules_elementwise.ts";
import { movement } from "./rules_movement.ts";
import { products } from "./rules_products.ts";
import type { Rule } from "./value.ts";

/** What makes tensors of a node, by the name of its operator. */
export const rules: Readonly<Record<string, Rule | undefined>> = Object.assign(
  // Operators are named by files: none of them is a property that every object has.
  Object.create(null) as Record<string, Rule>,
  convolutions,
  elementwise,
  movement,
  products,
);
