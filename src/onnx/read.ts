/**
 * ONNX files: a graph of operators with its weights, as PyTorch and others export it.
 *
 * J. Bai, F. Lu, K. Zhang et al., "ONNX: Open Neural Network Exchange", 2019, github.com/onnx/onnx.
 *
 * @module
 */
import { basename } from "node:path";
import { sha256Of } from "../base/digest.ts";
import { readFile } from "../base/files.ts";
import { cannotRead, quote } from "../base/refusal.ts";
import { attributesOf } from "./attribute.ts";
import { elementType, mostAxes, unreadElements } from "./elements.ts";
import { ExternalData } from "./external.ts";
import type { Fail, HostTensor, OnnxModel, OnnxNode, OnnxValue } from "./model.ts";
import { inOrder } from "./order.ts";
import { isSet, type Message } from "./schema.ts";
import { TensorReader } from "./tensor.ts";
import { decodeModel } from "./wire.ts";

/** Versions of ONNX's operators that are read: of 2019 to 2024. */
export const opsets = { least: 9, largest: 21 } as const;

/** Bytes of a file: protobuf's own limit. Larger models keep their arrays in files of their own. */
const mostBytes = 2 ** 31 - 1;

/** Nodes of a graph: fifty times those of a large network. */
const mostNodes = 100_000;

/** What a file is called of which there are the bytes alone. */
const unnamed = "model.onnx";

/**
 * Reads a model.
 *
 * @param file its path, or its bytes where no other file holds a part of it
 * @throws UserError where it cannot be read, is damaged, or has what is not read here: other opsets than
 * {@linkcode opsets}, values that are no tensors, elements that are no numbers, sparse initialisers
 */
export async function readOnnx(file: string | Uint8Array): Promise<OnnxModel> {
  const path = typeof file === "string" ? file : undefined;
  const fail: Fail = (state, remedy = "export the model again") =>
    cannotRead(path ?? unnamed, state, remedy);
  const bytes = typeof file === "string" ? await readFile(file, { limit: mostBytes }) : file;
  const model = decodeModel(bytes, fail);
  const { graph } = model;
  if (!graph) throw fail("it holds no graph", "name a file that an exporter of ONNX wrote");
  const opset = opsetOf(model, fail);
  const external = new ExternalData(path);
  const tensors = new TensorReader(external, fail);
  const initializers = await initializersOf(graph, tensors, fail);
  const inputs = graph.input.map((value) => valueOf(value, "input", fail))
    .filter(({ name }) => !initializers.has(name));
  const outputs = graph.output.map((value) => valueOf(value, "output", fail));
  const nodes = await nodesOf(graph, tensors, fail);
  const given = new Set([...initializers.keys(), ...inputs.map(({ name }) => name)]);
  if (given.size < initializers.size + inputs.length) throw fail("two of its inputs have one name");
  return {
    name: basename(path ?? unnamed),
    sha256: sha256Of([bytes, ...external.digests]),
    beside: external.paths,
    irVersion: Number(model.irVersion),
    opset,
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
    inputs,
    outputs,
    nodes: inOrder(nodes, given, outputs.map(({ name }) => name), fail),
    initializers,
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

/** The version of ONNX's own operators. */
function opsetOf({ opsetImport, functions }: Message<"Model">, fail: Fail): number {
  const versions = new Set(
    opsetImport.filter(({ domain }) => isOwn(domain)).map(({ version }) => Number(version)),
  );
  const [opset, other] = versions;
  const { least, largest } = opsets;
  if (opset === undefined || other !== undefined) {
    throw fail(`it names ${versions.size} versions of ONNX's operators where one is needed`);
  }
  if (opset < least || opset > largest) {
    throw fail(
      `its operators are of opset ${opset}, read are ${least} to ${largest}`,
      "export the model with opset 17",
    );
  }
  const own = functions.find(({ domain }) => isOwn(domain));
  if (own) throw fail(`it defines ONNX's operator ${quote(own.name)} in another way`);
  return opset;
}

/** Whether a domain is that of ONNX's own operators. */
function isOwn(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}

async function initializersOf(
  { initializer, sparseInitializer }: Message<"Graph">,
  tensors: TensorReader,
  fail: Fail,
): Promise<ReadonlyMap<string, HostTensor>> {
  if (sparseInitializer.length > 0) {
    throw fail("it holds sparse initialisers, which are not read", "export them as dense ones");
  }
  const found = new Map<string, HostTensor>();
  for (const tensor of initializer) {
    const { name } = tensor;
    if (name === "") throw fail("an initialiser has no name");
    if (found.has(name)) throw fail(`it defines the value ${quote(name)} twice`);
    found.set(name, await tensors.read(tensor, `initialiser ${quote(name)}`));
  }
  return found;
}

/** An input or an output. */
function valueOf(
  { name, type }: Message<"ValueInfo">,
  what: "input" | "output",
  fail: Fail,
): OnnxValue {
  const called = `the ${what} ${quote(name)}`;
  if (name === "") throw fail(`an ${what} has no name`);
  const tensor = type?.tensorType;
  if (type && !tensor) throw fail(`${called} is no tensor`);
  const { elemType = 0, shape } = tensor ?? {};
  const element = elementType(elemType);
  if (elemType !== 0 && !element) {
    throw fail(`${called} holds ${unreadElements(elemType)}, which are not read`);
  }
  if (shape && shape.dim.length > mostAxes) {
    throw fail(`${called} has ${shape.dim.length} axes, more than ${mostAxes}`);
  }
  return { name, type: element, shape: shape?.dim.map(sizeOf) };
}

/** The size of an axis, or its name; some exporters write -1 where they know neither. */
function sizeOf(dim: Message<"Dimension">): number | string | undefined {
  const { dimValue, dimParam } = dim;
  if (dimParam !== "") return dimParam;
  const known = isSet(dim, "dimValue") && dimValue >= 0 && dimValue <= Number.MAX_SAFE_INTEGER;
  return known ? Number(dimValue) : undefined;
}

async function nodesOf(
  { node: nodes }: Message<"Graph">,
  tensors: TensorReader,
  fail: Fail,
): Promise<OnnxNode[]> {
  if (nodes.length > mostNodes) throw fail(`it has ${nodes.length} nodes, more than ${mostNodes}`);
  const found: OnnxNode[] = [];
  for (const node of nodes) {
    const name = node.name === "" ? `${node.opType}_${found.length}` : node.name;
    if (node.opType === "") throw fail(`the node ${quote(name)} has no operator`);
    found.push({
      name,
      op: node.opType,
      domain: isOwn(node.domain) ? "" : node.domain,
      inputs: node.input,
      outputs: node.output,
      attributes: await attributesOf(node, tensors, `node ${quote(name)}`, fail),
    });
  }
  return found;
}
