/**
 * Writes out the lines of a kernel that stand for several: what a thread keeps in registers needs names,
 * for arrays do not stay there on every driver.
 *
 * A line that ends with `// each p < PIXELS, g < 4` is repeated for every p and, within it, every g; in its
 * braces without blanks next to them, as `{p}` or `{p / 4 + 1}`, whole numbers are computed from left to
 * right, of these indices and of the kernel's overrides, what stands in parentheses first: `{p * 2 + (k * 3)}`.
 *
 * @module
 */

const eachLine = /^(.*?) *\/\/ each (\w+ < .*)$/gm;
const bound = /^(\w+) < (.+)$/;
const hole = /\{((?:\w+|\([^{}()]+\))(?: [-+*/] (?:\w+|\([^{}()]+\)))*)\}/g;
const inner = /\(([^()]+)\)/g;

/** Values by name. */
type Values = Readonly<Record<string, number>>;

/** The complete text of a kernel whose overrides have these values. */
export function unroll(source: string, overrides: Values): string {
  return source.replaceAll(eachLine, (_, line: string, bounds: string) => {
    const indices = bounds.split(", ").map((text) => bound.exec(text) ?? wrong(text));
    let rows: Values[] = [overrides];
    for (const [, index = "", limit = ""] of indices) {
      const count = compute(limit, overrides);
      rows = rows.flatMap((row) =>
        Array.from({ length: count }, (_, i) => ({ ...row, [index]: i }))
      );
    }
    return rows.map((row) => line.replaceAll(hole, (_, text) => `${compute(text, row)}`)).join(
      "\n",
    );
  });
}

/** The overrides that a kernel's text depends on. */
export function unrolledBy(source: string, overrides: Values): Values {
  const terms = [...source.matchAll(eachLine)].flatMap(([, line = "", bounds = ""]) => [
    bounds,
    ...line.match(hole) ?? [],
  ]);
  const names = new Set(terms.join(" ").match(/\w+/g));
  return Object.fromEntries(Object.entries(overrides).filter(([name]) => names.has(name)));
}

/** A term, or several from left to right, parentheses first; quotients are rounded down. */
function compute(text: string, values: Values): number {
  const plain = text.replaceAll(inner, (_, part) => `${compute(part, values)}`);
  const [first = "", ...rest] = plain.split(" ");
  let value = term(first, values);
  for (let i = 0; i < rest.length; i += 2) {
    const next = term(rest[i + 1] ?? "", values);
    if (rest[i] === "+") value += next;
    else if (rest[i] === "-") value -= next;
    else if (rest[i] === "*") value *= next;
    else value = Math.floor(value / next);
  }
  return value;
}

function term(text: string, values: Values): number {
  const value = /^\d+$/.test(text) ? Number(text) : values[text];
  return value ?? wrong(text);
}

function wrong(text: string): never {
  throw new Error(
    `Cannot unroll a kernel: "${text}" is neither a number nor an override nor an index`,
  );
}
