/**
 * Tables as people read them on a terminal of any width.
 *
 * @module
 */
import Table from "cli-table3";

/** Columns of the terminal; 80 where the output goes elsewhere. */
export function columns(): number {
  if (!Deno.stdout.isTerminal()) return 80;
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 80;
  }
}

/** How a table is set. */
export interface TableOptions {
  /** Columns of the terminal. */
  readonly width?: number;
  /** Columns of text, set to the left; the first one alone when not given. */
  readonly texts?: ReadonlySet<string>;
  /** Whether a line divides the rows, as where they have several lines. */
  readonly divided?: boolean;
}

/**
 * A table as wide as its cells, or undefined where that is wider than the terminal.
 *
 * @param head names of the columns
 * @param rows cells, as many as columns; lines of a cell are divided by `\n`
 */
export function fittingTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { width = columns(), texts = new Set(head.slice(0, 1)), divided = false }: TableOptions = {},
): string | undefined {
  const table = new Table({
    head: [...head],
    colAligns: head.map((name) => texts.has(name) ? "left" : "right"),
    style: { head: [], border: [], compact: !divided },
  });
  for (const row of rows) table.push([...row]);
  const text = table.toString();
  return (text.split("\n")[0] ?? "").length <= width ? text : undefined;
}

/** A table, or where the terminal is too narrow for it, every row below its name with all of its cells. */
export function tableText(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  return fittingTable(head, rows, options) ??
    rows.map((row) => block(head, row, options.width ?? columns())).join("\n");
}

/** A row without a frame: its name, and below it its other cells, line by line, with the names of their columns. */
export function block(
  head: readonly string[],
  [name = "", ...cells]: readonly string[],
  width: number,
): string {
  const parts = cells.flatMap((cell, i) =>
    cell === "" ? [] : `${head[i + 1] ?? ""} ${cell}`.trim().split("\n")
  );
  return [name, ...wrapped(parts, width - 2).map((line) => `  ${line}`)].join("\n");
}

/** Parts in lines of at most so many columns, divided by commas; a longer part has a line of its own. */
export function wrapped(parts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const [i, part] of parts.entries()) {
    const text = i < parts.length - 1 ? `${part},` : part;
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + text.length <= width) {
      lines[lines.length - 1] = `${last} ${text}`;
    } else lines.push(text);
  }
  return lines;
}
