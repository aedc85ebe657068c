/**
 * The suite of cases that ONNX itself keeps (Debian's libonnx-testdata): models of one or a few nodes with their inputs
 * and outputs.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { UserError } from "../src/base/errors.ts";
import { evaluate, input, type Tensor } from "../src/nn/mod.ts";
import { ExternalData } from "../src/onnx/external.ts";
import { isHostOp } from "../src/onnx/fold.ts";
import { lower } from "../src/onnx/lower.ts";
import type { HostTensor, OnnxModel } from "../src/onnx/model.ts";
import { rules } from "../src/onnx/rules.ts";
import { readOnnx } from "../src/onnx/read.ts";
import { descriptionOf, type Message } from "../src/onnx/schema.ts";
import { TensorReader } from "../src/onnx/tensor.ts";
import { Site, type Value, Weights } from "../src/onnx/value.ts";

/** Where Debian puts them. */
export const suiteFolder = "/usr/share/libonnx-testdata/data";

/** The parts of it that are of ONNX's own operators. */
export const suiteParts = ["node", "pytorch-operator", "pytorch-converted"] as const;

/** What became of a case. */
export interface Outcome {
  readonly name: string;
  /** `right`; `wrong`, with the difference; `unknown`, an operator without a rule; `refused`, with the sentence. */
  readonly state: "right" | "wrong" | "unknown" | "refused";
  readonly why: string;
}

/** Runs a case in f64. */
export async function runCase(folder: string, name: string): Promise<Outcome> {
  const path = `${folder}/${name}`;
  const outcome = (state: Outcome["state"], why = ""): Outcome => ({ name, state, why });
  let model: OnnxModel;
  try {
    model = await readOnnx(`${path}/model.onnx`);
  } catch (error) {
    if (error instanceof UserError) return outcome("refused", error.message);
    throw error;
  }
  const unknown = model.nodes.find(({ op, domain }) =>
    domain !== "" && domain !== "ai.onnx" || !rules[op] && !isHostOp(op) && op !== "Shape"
  );
  if (unknown) return outcome("unknown", unknown.op);
  try {
    const difference = await compared(model, `${path}/test_data_set_0`);
    return difference === undefined ? outcome("right") : outcome("wrong", difference);
  } catch (error) {
    if (error instanceof UserError) return outcome("refused", error.message);
    throw error;
  }
}

/** The first difference of an output, or undefined. */
async function compared(model: OnnxModel, data: string): Promise<string | undefined> {
  const values = new Map<string, Value>();
  const leaves = new Map<Tensor, ArrayLike<number>>();
  for (const [name, array] of model.initializers) values.set(name, { kind: "host", array });
  for (const [i, { name }] of model.inputs.entries()) {
    const array = await arrayOf(`${data}/input_${i}.pb`);
    // Shapes, places and bounds are constants of a network, whatever a case calls them.
    if (!array.type.includes("float") || array.shape.length === 0) {
      values.set(name, { kind: "host", array });
      continue;
    }
    const tensor = input(array.shape);
    leaves.set(tensor, Array.from(array.data));
    values.set(name, { kind: "tensor", tensor });
  }
  const weights = new Weights();
  for (const node of model.nodes) {
    const inputs = node.inputs.map((name) => values.get(name));
    const batch = { size: 1, written: undefined };
    const site = new Site(node, inputs, model.opset, batch, weights, new Map());
    lower(site).forEach((value, at) => values.set(node.outputs[at] ?? "", value));
  }
  for (const [i, { name }] of outputsOf(model).entries()) {
    const [value, wanted] = [values.get(name), await arrayOf(`${data}/output_${i}.pb`)];
    if (!value) return `no ${name}`;
    const shape = value.kind === "host" ? value.array.shape : value.tensor.shape;
    if (shape.join() !== wanted.shape.join()) return `[${shape}], not [${wanted.shape}]`;
    const found = value.kind === "host"
      ? Array.from(value.array.data)
      : Array.from(evaluate([value.tensor], leaves)[0] ?? []);
    const wrong = found.findIndex((v, at) => !close(v, wanted.data[at] ?? NaN));
    if (wrong >= 0) return `${found[wrong]}, not ${wanted.data[wrong]} at ${wrong}`;
  }
  return undefined;
}

/** The outputs that classifiers are made of: neither masks nor moments nor places. */
function outputsOf({ nodes, outputs }: OnnxModel): OnnxModel["outputs"] {
  const first = ["Dropout", "LayerNormalization", "MaxPool"];
  return nodes.some(({ op }) => first.includes(op)) ? outputs.slice(0, 1) : outputs;
}

/** The suite's own tolerance. */
function close(a: number, b: number): boolean {
  return Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-7 + 1e-3 * Math.abs(b) ||
    Number.isNaN(a) && Number.isNaN(b);
}

async function arrayOf(path: string): Promise<HostTensor> {
  const decoded: unknown = fromBinary(descriptionOf("Tensor"), await Deno.readFile(path));
  const fail = (state: string): UserError => new UserError(`Cannot read "${path}": ${state}`);
  return await new TensorReader(new ExternalData(undefined), fail)
    .read(decoded as Message<"Tensor">, "array");
}
