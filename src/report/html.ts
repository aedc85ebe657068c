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
 * import { html } from "./html.ts";
 * const { text } = html`<p title="${'"'}">${"a < b"}</p>`;
 * if (text !== '<p title="&#34;">a &#60; b</p>') throw new Error(text);
 * ```
 */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
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
  const cells = (row: readonly Content[]): Html[] =>
    row.map((cell, i) => i === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`);
  return html`
    <div class="wide">
      <table>
    ${caption === null ? null : html`<caption>${caption}</caption>`}
    <thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>\n`)}</tbody>
      </table>
    </div>
  `;
}

/** A part of the page under a heading. */
export function section(heading: string, ...content: readonly Content[]): Html {
  return html`
    <section>
    <h2>${heading}</h2>
    ${content}
    </section>
  `;
}
