/**
 * What the parser of options says against what was typed: in one line of bounded length, whatever that was.
 *
 * @module
 */
import { stripVTControlCharacters } from "node:util";
import { formatMessage, type Message, type MessageTerm } from "@optique/core/message";
import { shortened } from "../base/errors.ts";
import { say } from "./stderr.ts";

/** Characters of what was typed, and of the whole line: room for the longest list of choices. */
const [ofTyped, ofLine] = [60, 400];

/** Formats as the parser would, with whatever was typed shortened and without control characters. */
export function formatComplaint(
  complaint: Message,
  options: Parameters<typeof formatMessage>[1],
): string {
  return formatMessage(complaint.map(shortTerm), options);
}

/** Says what the parser has to say: a complaint in a line, anything else, such as usage, as it is. */
export function sayOfParser(text: string): void {
  const plain = stripVTControlCharacters(text);
  if (!plain.startsWith("Error:")) return say(text);
  say(shortened(plain.trim().replaceAll(/\s*\n\s*/g, " "), ofLine));
}

function shortTerm(term: MessageTerm): MessageTerm {
  switch (term.type) {
    case "value":
      return { ...term, value: shortened(term.value, ofTyped) };
    case "optionName":
      return { ...term, optionName: shortened(term.optionName, ofTyped) };
    default:
      return term;
  }
}
