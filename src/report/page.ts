/**
 * The page around a report: one file that needs nothing else, and may load nothing else.
 *
 * @module
 */
import { type Content, Html, markup } from "./html.ts";
import css from "./page.css" with { type: "text" };

/** Neither scripts nor anything from elsewhere: the policy has the browser see to it. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/** A whole page. */
export function page(heading: string, ...content: readonly Content[]): string {
  return markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${heading} - Mirage</title>
<style>
${new Html(css)}</style>
</head>
<body>
<main>
<h1>${heading}</h1>
${content}</main>
</body>
</html>
`.text;
}
