/**
 * Tables and numbers as people read them.
 *
 * @module
 */
import Table from "cli-table3";

/** A table whose first column is text and whose others are numbers. */
export function newTable(head: string[]): InstanceType<typeof Table> {
  return new Table({
    head,
    colAligns: head.map((_, i) => i === 0 ? "left" : "right"),
    style: { head: [], border: [], compact: true },
  });
}

/** A figure that may be none, and what stands for it then. */
export function number(value: number | null, digits: number, none = "no number"): string {
  return value === null ? none : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
}
