/**
 * Protobuf's wire format, held against the schema before anything is made of it.
 *
 * @module
 */
import { type DescField, type DescMessage, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { UserError } from "../base/errors.ts";
import type { Fail } from "./model.ts";
import { descriptionOf, type Message } from "./schema.ts";

/**
 * Fields and packed numbers that a file may have. A node has about fifteen of them, so this is enough for 100,000
 * nodes; an empty message of two bytes takes some hundred bytes of memory.
 */
const mostFields = 2 ** 21;

/**
 * Decodes a model. Bytes in it are views of the file's.
 *
 * @throws UserError where the bytes are no model's
 */
export function decodeModel(bytes: Uint8Array, fail: Fail): Message<"Model"> {
  const model = descriptionOf("Model");
  try {
    new Check(bytes, fail).message(model, bytes.length);
    const decoded: unknown = fromBinary(model, bytes, { readUnknownFields: false });
    return decoded as Message<"Model">;
  } catch (error) {
    // The package's own errors say which byte is wrong, and nothing that would help a person.
    if (error instanceof UserError || !(error instanceof Error)) throw error;
    throw fail("it is no ONNX file, or is damaged");
  }
}

/** A walk through all fields that keeps nothing of them. */
class Check {
  readonly #bytes: Uint8Array;
  readonly #reader: BinaryReader;
  readonly #fail: Fail;
  readonly #known = new Map<DescMessage, ReadonlyMap<number, DescField>>();
  #count = 0;

  constructor(bytes: Uint8Array, fail: Fail) {
    this.#bytes = bytes;
    this.#reader = new BinaryReader(bytes);
    this.#fail = fail;
  }

  /** A message that ends at a place; the schema's messages lie at most six deep. */
  message(of: DescMessage, end: number): void {
    const reader = this.#reader;
    const fields = this.#fieldsOf(of);
    while (reader.pos < end) {
      const [number, wire] = reader.tag();
      const field = fields.get(number);
      this.#add(1);
      if (wire !== WireType.LengthDelimited) {
        if (field && wire !== wireOf(field)) throw this.#otherKind(field);
        reader.skip(wire, number);
        continue;
      }
      const length = reader.uint32();
      const to = reader.pos + length;
      if (to > end) throw this.#fail("it is no ONNX file, or was cut off");
      if (field?.message) this.message(field.message, to);
      else if (field && !isText(field)) this.#packed(field, to);
      reader.pos = to;
    }
    if (reader.pos !== end) throw this.#fail("it is damaged: a part of it runs into the next");
  }

  /** Numbers that lie side by side: as many as there are bytes, or fewer. */
  #packed(field: DescField, to: number): void {
    const length = to - this.#reader.pos;
    this.#add(length);
    const last = this.#bytes[to - 1] ?? 0;
    const whole = wireOf(field) === WireType.Bit32 ? length % 4 === 0 : last < 0x80;
    if (field.fieldKind !== "list" || !whole) throw this.#otherKind(field);
  }

  #add(count: number): void {
    this.#count += count;
    if (this.#count <= mostFields) return;
    throw this.#fail(`it has more than ${mostFields} fields and numbers outside its arrays`);
  }

  #otherKind({ parent, name }: DescField): UserError {
    return this.#fail(`it is damaged: ${name} of ${parent.name} is of another kind than in ONNX`);
  }

  #fieldsOf(of: DescMessage): ReadonlyMap<number, DescField> {
    const known = this.#known.get(of);
    if (known) return known;
    const fields = new Map(of.fields.map((field) => [field.number, field]));
    this.#known.set(of, fields);
    return fields;
  }
}

/** Whether a field is text or bytes, one or many. */
function isText({ scalar }: DescField): boolean {
  return scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
}

/** How one value of a field lies in a file. */
function wireOf(field: DescField): WireType {
  if (field.message || isText(field)) return WireType.LengthDelimited;
  return field.scalar === ScalarType.FLOAT ? WireType.Bit32 : WireType.Varint;
}
