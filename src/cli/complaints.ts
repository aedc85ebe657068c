/**
 * What the parser of options says against what was typed: in one line of bounded length, whatever that was.
 *
 * @module
 */
import { stripVTControlCharacters } from "node:util";
import { formatMessage, type Message, type MessageTerm } from "@optique/core/message";
import { shortened } from "../base/errors.ts";
import { commandOf, inOneFile } from "../base/invocation.ts";
import { modes } from "../experiment/config.ts";
import { commands } from "./commands.ts";
import { type CommandName, flagsOf } from "./help.ts";
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

/**
 * Says what the parser has to say: a complaint in a line with what helps, anything else, such as usage, as it is.
 *
 * @param args what was typed, from the command on
 */
export function sayOfParser(text: string, args: readonly string[]): void {
  const plain = stripVTControlCharacters(text);
  if (!plain.startsWith("Error:")) return say(text);
  say(remedied(plain.trim().replaceAll(/\s*\n\s*/g, " "), args));
}

/** A complaint with what was meant, or else where to read on; one that says it already stays as it is. */
function remedied(line: string, [first = ""]: readonly string[]): string {
  const command = Object.keys(commands).find((name): name is CommandName => name === first);
  const [unexpected = "", typed = ""] =
    /^Error: Unexpected option or argument: "(.*?)"\./.exec(line) ??
      [];
  const meant = command === undefined ? [] : meantBy(command, typed);
  if (meant.length > 0) {
    return `${unexpected} Did you mean ${meant.map((flag) => `\`${flag}\``).join(" or ")}?`;
  }
  if (/Did you mean|`: Expected /.test(line)) return shortened(line, ofLine);
  const help = command === undefined ? allHelp() : commandOf(`${command} --help-all`);
  const hint = ` See ${help}.`;
  return shortened(line, ofLine - hint.length) + hint;
}

/** Flags that begin as what was typed does, the shortest three, or the one that takes it: `--mode` of a mode. */
function meantBy(command: CommandName, typed: string): string[] {
  const flags = flagsOf(command);
  if (flags.has("--mode") && modes.some((mode) => mode === typed)) return [`--mode ${typed}`];
  const [begun = ""] = typed.split("=");
  if (!/^--[a-z-]{2,}$/.test(begun)) return [];
  return [...flags].filter((flag) => flag.startsWith(begun)).toSorted((a, b) => a.length - b.length)
    .slice(0, 3);
}

/** What shows the help of all commands. */
function allHelp(): string {
  return inOneFile() ? "mirage --help" : commandOf("mirage --help");
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
