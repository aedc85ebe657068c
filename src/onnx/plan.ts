/**
 * What of an ONNX graph is computed: which input takes the images, which value the logits and the features are,
 * and the nodes between.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { elementKinds } from "./elements.ts";
import { isHostOp } from "./fold.ts";
import type { OnnxModel, OnnxNode, OnnxValue } from "./model.ts";
import { rules } from "./rules.ts";

/** What a user may choose where a file leaves it open. */
export interface Choices {
  /** Name of the input that takes the images; the only one when not given. */
  readonly input?: string | undefined;
  /** Name of the output, or of any node, that gives the logits; the only output when not given. */
  readonly output?: string | undefined;
  /** Name of the node or value that gives the features; the last linear layer's input when not given. */
  readonly features?: string | undefined;
}

/** What is computed. */
export interface Plan {
  /** Takes the images. */
  readonly input: OnnxValue;
  /** Name of the value that the logits are. */
  readonly logits: string;
  /** Name of the value that the features are, where there are any. */
  readonly features: string | undefined;
  /** The softmax at the end that is left out, where there is one: logits it is taken for only if it is over all classes. */
  readonly leftOut: OnnxNode | undefined;
  /** In an order in which each follows what it needs. */
  readonly nodes: readonly OnnxNode[];
  /** How many of these nodes, and of what is asked for, read a value. */
  readonly readers: ReadonlyMap<string, number>;
  /** For people: what was decided. */
  readonly notes: readonly string[];
}

/**
 * Decides what to compute.
 *
 * @throws UserError where the file leaves open what nobody has chosen, or has operators that are not at hand
 */
export function planOf(model: OnnxModel, choices: Choices): Plan {
  const input = inputOf(model, choices.input);
  refuseWhole(model.name, input);
  const output = outputOf(model, choices.output);
  const makers = new Map(
    model.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)),
  );
  const { logits, leftOut, copies, notes } = beforeSoftmax(output, makers);
  for (const copy of copies) makers.set(copy.outputs[0] ?? "", copy);
  const all = [...model.nodes, ...copies];
  const upTo = (name: string): OnnxNode[] => neededFor(name, all, makers);
  const features = choices.features === undefined
    ? lastLinear(upTo(logits), input.name)
    : namedValue(model, choices.features, "features");
  const wanted = features === undefined ? [logits] : [logits, features];
  const among = new Set(wanted.flatMap(upTo));
  const nodes = all.filter((node) => among.has(node));
  refuseUnknown(model.name, nodes);
  const readers = new Map<string, number>();
  for (const name of [...wanted, ...nodes.flatMap((node) => node.inputs)]) {
    readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  return { input, logits, features, leftOut, nodes, readers, notes };
}

/** A file's name in a sentence. */
function quoted(name: string): string {
  return `"${shortened(name, 80)}"`;
}

/** Names of a list, as far as a sentence has room for them. */
function listed(names: readonly string[], most = 8): string {
  const shown = names.slice(0, most).map((name) => `"${shortened(name, 40)}"`).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

function inputOf({ name, inputs }: OnnxModel, chosen: string | undefined): OnnxValue {
  const names = listed(inputs.map(({ name }) => name));
  const [first, ...others] = inputs;
  if (!first) throw new UserError(`Cannot use ${quoted(name)}: it has no input that takes images`);
  if (chosen !== undefined) {
    const found = inputs.find((input) => input.name === chosen);
    if (found) return found;
    throw new UserError(
      `Cannot use the input "${shortened(chosen, 80)}": ${
        quoted(name)
      } has ${names}; choose one of them`,
    );
  }
  if (others.length === 0) return first;
  throw new UserError(
    `Cannot tell which input takes the images: ${quoted(name)} has ${names}; choose one by --input`,
  );
}

function outputOf(model: OnnxModel, chosen: string | undefined): string {
  if (chosen !== undefined) return namedValue(model, chosen, "output");
  const { name } = model;
  const [first, ...others] = model.outputs;
  if (first && others.length === 0) return first.name;
  const names = listed(model.outputs.map(({ name }) => name));
  throw new UserError(
    `Cannot tell which output gives the logits: ${quoted(name)} has ${
      names || "none"
    }; choose one by --output`,
  );
}

/** A value by its name, or by that of the node that makes it. */
function namedValue(
  { name, nodes, outputs }: OnnxModel,
  chosen: string,
  what: "output" | "features",
): string {
  if (nodes.some(({ outputs }) => outputs.includes(chosen))) return chosen;
  const node = nodes.find(({ name }) => name === chosen);
  const [first] = node?.outputs ?? [];
  if (first) return first;
  const names = listed(
    what === "output" ? outputs.map(({ name }) => name) : nodes.slice(-5).map(({ name }) => name),
  );
  throw new UserError(
    `Cannot find the ${what} "${shortened(chosen, 80)}": ${quoted(name)} has ${
      what === "output" ? names : `${nodes.length} nodes, the last of them ${names}`
    }; choose one of them by --${what}`,
  );
}

/** @throws UserError where an input takes whole numbers: pixels are fractions here, and would be others there */
function refuseWhole(model: string, { name, type }: OnnxValue): void {
  if (type === undefined || !elementKinds[type].range) return;
  throw new UserError(
    `Cannot give images to the input "${shortened(name, 40)}" of ${
      quoted(model)
    }: it takes ${type}, ` +
      "and pixels are fractions from 0 to 1; export the model with an input of floats",
  );
}

/** What a softmax's probabilities pass unchanged: other shapes, other orders, other floats. */
const passing: ReadonlySet<string> = new Set(
  ["Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"],
);

/** What makes of one softmax the other, which have the same logits. */
const turning: ReadonlyMap<string, string> = new Map([["Log", "Softmax"], ["Exp", "LogSoftmax"]]);

/** How a network ends. */
interface Ending extends Pick<Plan, "logits" | "leftOut" | "notes"> {
  /** The nodes behind a softmax, which take what it takes. */
  readonly copies: readonly OnnxNode[];
}

/** The logits without a softmax at the end, and what to say of it. */
function beforeSoftmax(output: string, makers: ReadonlyMap<string, OnnxNode>): Ending {
  const behind: OnnxNode[] = [];
  let turned: string | undefined;
  let [value, node] = [output, makers.get(output)];
  while (node?.domain === "" && node.outputs[0] === value) {
    const isTurning: boolean = turned === undefined && turning.has(node.op);
    if (!isTurning && !passing.has(node.op)) break;
    if (isTurning) turned = turning.get(node.op);
    else behind.push(node);
    value = node.inputs[0] ?? "";
    node = makers.get(value);
  }
  const asItIs = { logits: output, leftOut: undefined, copies: [] };
  const [before] = node?.inputs ?? [];
  if (!node || !before || node.domain !== "") return { ...asItIs, notes: [] };
  if (node.op === "Sigmoid" && turned === undefined) {
    return { ...asItIs, notes: ["The model ends in Sigmoid; what that gives is taken for logits"] };
  }
  if (!["Softmax", "LogSoftmax"].includes(node.op) || node.op !== (turned ?? node.op)) {
    return { ...asItIs, notes: [] };
  }
  let logits = before;
  const copies = behind.reverse().map((one): OnnxNode => {
    const inputs = [logits, ...one.inputs.slice(1)];
    logits = `${one.outputs[0]} without ${node?.op}`;
    return { ...one, inputs, outputs: [logits] };
  });
  const notes = [`The model ends in ${node.op}; the logits before it are used`];
  return { logits, leftOut: node, copies, notes };
}

/** The nodes that a value follows from. */
function neededFor(
  name: string,
  nodes: readonly OnnxNode[],
  makers: ReadonlyMap<string, OnnxNode>,
): OnnxNode[] {
  const found = new Set<OnnxNode>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const node = makers.get(next);
    if (!node || found.has(node)) continue;
    found.add(node);
    open.push(...node.inputs.filter((input) => input !== ""));
  }
  return nodes.filter((node) => found.has(node));
}

/**
 * What the last linear layer takes, of those that follow from the images: one with a matrix of weights, which the
 * products within attention are not. Undefined where a convolution comes after it, for then that classifies.
 */
function lastLinear(nodes: readonly OnnxNode[], input: string): string | undefined {
  const following = new Set([input]);
  let found: string | undefined;
  for (const { op, inputs, outputs } of nodes) {
    if (op === "Shape" || op === "Size" || !inputs.some((name) => following.has(name))) continue;
    outputs.forEach((name) => following.add(name));
    if (op === "Conv" || op === "ConvTranspose") found = undefined;
    if (op !== "Gemm" && op !== "MatMul") continue;
    const factors = inputs.slice(0, 2).filter((name) => following.has(name));
    if (factors.length === 1) [found] = factors;
  }
  return found === input ? undefined : found;
}

/** @throws UserError naming every operator that is not at hand, with its nodes */
function refuseUnknown(name: string, nodes: readonly OnnxNode[]): void {
  const unknown = nodes.filter(({ op, domain }) =>
    !["", "ai.onnx"].includes(domain) || !rules[op] && !isHostOp(op)
  );
  if (unknown.length === 0) return;
  const kinds = Map.groupBy(
    unknown,
    ({ op, domain }) => shortened(domain === "" ? op : `${domain}.${op}`, 40),
  );
  const each = [...kinds].map(([op, of]) => `${op} (${listed(of.map(({ name }) => name), 2)})`);
  const shown = each.slice(0, 8).join(", ") +
    (each.length > 8 ? ` and ${each.length - 8} more kinds` : "");
  throw new UserError(
    `Cannot import ${quoted(name)}: there is no rule for ${shown}; export the model without ` +
      `${each.length === 1 ? "it" : "them"}, or name an earlier value by --output`,
  );
}
