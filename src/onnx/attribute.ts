/**
 * Constants of nodes.
 *
 * @module
 */
import { quote } from "../base/refusal.ts";
import { exactNumber } from "./elements.ts";
import type { Attribute, Fail } from "./model.ts";
import { isSet, type Message } from "./schema.ts";
import type { TensorReader } from "./tensor.ts";

/** The field that holds an attribute, by its type: `AttributeProto.AttributeType`. */
const kinds = [
  { code: 1, name: "FLOAT", field: "f" },
  { code: 2, name: "INT", field: "i" },
  { code: 3, name: "STRING", field: "s" },
  { code: 4, name: "TENSOR", field: "t" },
  { code: 5, name: "GRAPH", field: "g" },
  { code: 6, name: "FLOATS", field: "floats" },
  { code: 7, name: "INTS", field: "ints" },
  { code: 8, name: "STRINGS", field: "strings" },
  { code: 9, name: "TENSORS", field: "tensors" },
  { code: 10, name: "GRAPHS", field: "graphs" },
  { code: 11, name: "SPARSE_TENSOR", field: "sparseTensor" },
  { code: 12, name: "SPARSE_TENSORS", field: "sparseTensors" },
  { code: 13, name: "TYPE_PROTO", field: "typeProto" },
  { code: 14, name: "TYPE_PROTOS", field: "typeProtos" },
] as const;

/**
 * The attributes of a node.
 *
 * @param called how sentences call the node, such as `node "Conv_12"`
 * @throws UserError where a name stands there twice, or a value is not of the type that it says
 */
export async function attributesOf(
  { attribute }: Message<"Node">,
  tensors: TensorReader,
  called: string,
  fail: Fail,
): Promise<ReadonlyMap<string, Attribute>> {
  const attributes = new Map<string, Attribute>();
  for (const one of attribute) {
    if (attributes.has(one.name)) throw fail(`the ${called} has two attributes ${quote(one.name)}`);
    const of = `attribute ${quote(one.name)} of the ${called}`;
    attributes.set(one.name, await valueOf(one, tensors, of, fail));
  }
  return attributes;
}

async function valueOf(
  attribute: Message<"Attribute">,
  tensors: TensorReader,
  called: string,
  fail: Fail,
): Promise<Attribute> {
  const [kind, other] = kinds.filter(({ code, field }) =>
    attribute.type === code || isSet(attribute, field)
  );
  // The first versions of ONNX wrote no type.
  if (!kind || other || attribute.type !== 0 && attribute.type !== kind.code) {
    throw fail(`the ${called} has no value of the type that it says`);
  }
  if (attribute.refAttrName !== "") throw fail(`the ${called} stands for one of a function`);
  const whole = (value: bigint): number => {
    const number = exactNumber(value);
    if (number === undefined) throw fail(`the ${called} is ${value}, an integer beyond 2^53`);
    return number;
  };
  switch (kind.field) {
    case "f":
      return attribute.f;
    case "i":
      return whole(attribute.i);
    case "s":
      return text(attribute.s);
    case "floats":
      return attribute.floats;
    case "ints":
      return attribute.ints.map(whole);
    case "strings":
      return attribute.strings.map(text);
    case "t":
      if (!attribute.t) throw fail(`the ${called} is a tensor that is missing`);
      return await tensors.read(attribute.t, called);
    default:
      return { unread: kind.name };
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
