/**
 * What a command's help shows: by `--help` the options that people use, by `--help-all` every one that can act
 * there.
 *
 * @module
 */
import { type DocEntry, type DocSection, formatDocPage } from "@optique/core/doc";
import { formatMessage, type Message, message, text } from "@optique/core/message";
import { getDocPage } from "@optique/core/parser";
import type { Usage } from "@optique/core/usage";
import { commandOf, inOneFile } from "../base/invocation.ts";
import { modes, optionEntries } from "../experiment/config.ts";
import { commands } from "./commands.ts";
import { actsIn, flagFor } from "./effect.ts";
import { sweepCommands } from "./sweep_flags.ts";

/** The name of a command. */
export type CommandName = keyof typeof commands;

/** Commands of so many options that help shows those that people use. */
const long = ["attack", "eval", "train", "table"] as const satisfies readonly CommandName[];

/** Flags that their short help shows, where they act. */
const common: ReadonlySet<string> = new Set([
  "--mode",
  "--model",
  "--model-file",
  "--protocol",
  "--attack",
  "--battery",
  "--epsilon-attack",
  "--in-domain",
  "--out-domain",
  "--checkpoint",
  "--epochs",
  "--seeds",
  "--ablate",
  "--limit",
  "--json",
]);

/** Whose help was asked for. */
export interface HelpAsked {
  readonly command: CommandName;
  /** What of the command, where it does several things. */
  readonly action?: string;
  /** Whether all of it. */
  readonly all: boolean;
}

/** How help is laid out. */
export interface Layout {
  /** Columns, 60 or more. */
  readonly width: number;
  readonly colors: boolean;
}

/** The help that was asked for by `COMMAND --help`, `COMMAND --help-all` or `help COMMAND`, if any was. */
export function helpAsked(args: readonly string[]): HelpAsked | undefined {
  const [first = "", second = "", third = ""] = args;
  const named = (name: string): CommandName | undefined =>
    Object.keys(commands).find((known): known is CommandName => known === name);
  const all = args.includes("--help-all");
  const command = named(first === "help" ? second : first);
  if (!command || !(first === "help" || all || args.includes("--help"))) return undefined;
  const action = first === "help" ? third : second;
  return { command, all, ...command === "sweep" && action in sweepCommands ? { action } : {} };
}

/** A command's help: what it does, how it is typed, and its options in groups. */
export function helpOf(asked: HelpAsked, layout: Layout): string {
  const { command, action, all } = asked;
  if (command !== "sweep" || action !== undefined || !all) return pageOf(asked, layout);
  return Object.keys(sweepCommands).map((of) => pageOf({ ...asked, action: of }, layout))
    .join("\n\n");
}

/** What Mirage is, and its commands, a line each. */
export function overview({ width, colors }: Layout): string {
  const entry = (name: string, description: Message): DocEntry => ({
    term: { type: "command", name },
    description,
  });
  const entries = Object.entries(commands).map(([name, parser]) =>
    entry(name, getDocPage(parser, [name])?.brief ?? getDocPage(parser, [name])?.description ?? [])
  );
  const completion = entry("completion", message`Print a shell's script that completes commands`);
  const help = formatDocPage(commandOf("COMMAND"), {
    brief: message`Mirage attacks the uncertainty of deep nets on out-domain images`,
    usage: [{ type: "literal", value: "[OPTION...]" }],
    // A clone has no task of that name.
    sections: [{ entries: inOneFile() ? [...entries, completion] : entries }],
    footer: message`${text(commandOf("attack --mode sngp"))} is a start; ${
      text(commandOf("COMMAND --help"))
    } shows the options of a command`,
  }, { colors, maxWidth: width, termWidth: "auto" });
  return help.replaceAll(/ +$/gm, "").trimEnd();
}

function pageOf({ command, action, all }: HelpAsked, { width, colors }: Layout): string {
  const typed = action === undefined ? [command] : [command, action];
  const page = getDocPage(commands[command], typed);
  if (!page) throw new Error(`Unreachable: ${command} has no help`);
  const run = long.find((name) => name === command);
  const shown = (entry: DocEntry): boolean => {
    const flag = flagIn(entry);
    if (!run || flag === undefined) return true;
    return flagActsIn(run, flag) && (all || common.has(flag));
  };
  const sections = page.sections.map((section): DocSection => ({
    ...section,
    entries: section.entries.filter(shown).map((entry) => inBrackets(entry, run && !all ? 2 : 6)),
  }));
  const help = formatDocPage(commandOf(typed.join(" ")), {
    ...page,
    sections,
    usage: [...page.usage?.filter(isArgument) ?? [], { type: "literal", value: "[OPTION...]" }],
    ...(run && !all ? { footer: restOf(command) } : {}),
  }, {
    colors,
    maxWidth: width,
    termWidth: "auto",
  });
  // Lines that are broken keep the space that they are broken at.
  return help.replaceAll(/ +$/gm, "").trimEnd();
}

function restOf(command: string): Message {
  return message`${text(commandOf(`${command} --help-all`))} shows the rest`;
}

/** Whether a part of a usage line stands for itself or an argument, not for an option. */
function isArgument(term: Usage[number]): boolean {
  if (term.type === "optional" || term.type === "multiple") return term.terms.every(isArgument);
  return term.type === "argument";
}

/** The flags of a command, as its whole help shows them. */
export function flagsOf(command: CommandName): ReadonlySet<string> {
  const sections = getDocPage(commands[command], [command])?.sections ?? [];
  return new Set(sections.flatMap(({ entries }) => entries.flatMap((of) => flagIn(of) ?? [])));
}

/** The flag that an entry is about, if it is about one. */
function flagIn({ term }: DocEntry): string | undefined {
  return term.type === "option" ? term.names[0] : undefined;
}

/** Whether a flag can change anything in a command; what is no option of a run always does. */
function flagActsIn(command: (typeof long)[number], flag: string): boolean {
  const name = Object.keys(optionEntries).find((option) => flagFor(option) === flag);
  return name === undefined || actsIn(command, name);
}

/**
 * An entry with its choices and its default in its text, so that they wrap as the rest does.
 *
 * @param many choices that are shown of more than six
 */
function inBrackets({ default: usual, choices, ...entry }: DocEntry, many: number): DocEntry {
  const values = choices?.flatMap((term) => term.type === "value" ? [term.value] : []) ?? [];
  // Every mode, of what else is many the first ones.
  const first = modes.some((mode) => values.includes(mode)) ? modes.length : many;
  const some = values.length > Math.max(first, 6) ? [...values.slice(0, first), "..."] : values;
  const added = [
    values.length > 0 ? ` (${some.join(", ")})` : "",
    usual ? ` [${formatMessage(usual, { quotes: false })}]` : "",
  ];
  return { ...entry, description: [...entry.description ?? [], text(added.join(""))] };
}
