/**
 * Schemas as callers see them: by the interface that documents what they yield.
 *
 * @module
 */
import type { z } from "zod";

/** Checks values that come from outside, such as the documents that `--json` prints. */
export interface Schema<T> {
  /**
   * The value, checked, with its defaults filled in.
   *
   * @throws an error whose message lists every field that is missing, unknown or out of range
   */
  parse(value: unknown): T;
  /** The same without throwing: `data` where the value is as it should be, else `error`. */
  safeParse(value: unknown): Checked<T>;
  /** The schema as a JSON Schema document. */
  toJSONSchema(): object;
}

/** What became of a check. */
export type Checked<T> =
  | { readonly success: true; readonly data: T; readonly error?: undefined }
  | { readonly success: false; readonly data?: undefined; readonly error: SchemaError };

/** Why a value is not as it should be. */
export interface SchemaError extends Error {
  /** Every fault, in the order of the fields: where it is, and a sentence. */
  readonly issues: readonly {
    readonly path: readonly PropertyKey[];
    readonly message: string;
  }[];
}

/** Whether two types have the same fields, optional ones included, and the same values in them. */
type Same<A, B> = (<X>() => X extends Flat<A> ? 1 : 2) extends <X>() => X extends Flat<B> ? 1 : 2
  ? true
  : false;
/** The same type with everything in it readonly, and intersections and inheritance resolved. */
type Flat<T> = T extends readonly (infer U)[] ? readonly Flat<U>[]
  : T extends object ? { readonly [K in keyof T]: Flat<T[K]> }
  : T;

/** Whether a schema takes and yields just these types. */
type Agrees<T, Input, S extends z.ZodType> = Same<T, z.output<S>> extends true
  ? unknown extends Input ? true : Same<Input, z.input<S>>
  : false;

/**
 * Puts a schema under the interface that documents it: `described<Facts>().by(factsSchema)`. It compiles only
 * where both have the same fields of the same types, so that neither is changed without the other; where a
 * second interface is given, so must what the schema takes, before defaults are filled in.
 */
export function described<T, Input = unknown>(): {
  by<S extends z.ZodType>(schema: Agrees<T, Input, S> extends true ? S : never): Schema<T>;
} {
  return { by: (schema) => schema as unknown as Schema<T> };
}
