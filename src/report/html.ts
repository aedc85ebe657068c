/**
 * HTML as values: whatever is put into a piece is escaped, unless it is a piece itself.
 *
 * @module
 */

/** A piece of a page, safe to put into another. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a piece can hold; lists are joined, null leaves nothing. */
export type Content = Html | string | number | null | readonly Content[];

/**
 * A piece from a template.
 *
 * @example
 * ```ts
 * import { markup } from "./html.ts";
 * const { text } = markup`<p title="${'"'}">${"a < b"}</p>`;
 * if (text !== '<p title="&#34;">a &#60; b</p>') throw new Error(text);
 * ```
 */
export function markup(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  const text = strings.map((part, i) => part + (i < values.length ? textOf(values[i] ?? null) : ""))
    .join("");
  return new Html(text);
}

function textOf(content: Content): string {
  if (content === null) return "";
  if (content instanceof Html) return content.text;
  if (typeof content === "object") return content.map(textOf).join("");
  return escape(String(content));
}

/** A text that means itself in HTML, inside and outside of attributes. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"'`]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** A table whose first column names the rows. */
export function table(
  head: readonly Content[],
  rows: readonly (readonly Content[])[],
  caption: Content = null,
): Html {
  const cells = ([name = null, ...values]: readonly Content[]): Html[] => [
    markup`<th scope="row">${name}</th>`,
    ...values.map((value) => markup`<td>${value}</td>`),
  ];
  const above = caption === null ? null : markup`<caption>${caption}</caption>\n`;
  return markup`<div class="wide"><table>
${above}<thead><tr>${head.map((cell) => markup`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => markup`<tr>${cells(row)}</tr>\n`)}</tbody>
</table></div>
`;
}

/** A paragraph of a kind that the style sheet knows. */
export function paragraph(kind: "about" | "verdict" | "warning", ...content: Content[]): Html {
  return markup`<p class="${kind}">${content}</p>\n`;
}

/** A part of the page under a heading. */
export function section(heading: string, ...content: readonly Content[]): Html {
  return markup`<section>
<h2>${heading}</h2>
${content}</section>
`;
}
