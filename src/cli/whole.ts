/**
 * Whole numbers on a command line.
 *
 * @module
 */
import { type Message, message, text } from "@optique/core/message";
import type { NonEmptyString } from "@optique/core/nonempty";
import { integer, type ValueParser } from "@optique/core/valueparser";
import { shortened } from "../base/errors.ts";

/** A whole number in a range: up to what a number holds exactly where no less is said. */
export function whole(
  { min, max, metavar = "INTEGER" }: {
    readonly min: number;
    readonly max?: number;
    readonly metavar?: NonEmptyString;
  },
): ValueParser<"sync", number> {
  const range = text(`from ${min} to ${max ?? "2^53 - 1"}`);
  const unsafeInteger = (input: string): Message =>
    message`Expected a whole number ${range}, but got ${shortened(input)}.`;
  return integer({
    min,
    ...(max === undefined ? {} : { max }),
    metavar,
    errors: { unsafeInteger },
  });
}
