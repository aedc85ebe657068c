/**
 * What runs are called among others: their method, and in words what else tells them apart.
 *
 * @module
 */
import { optionEntries } from "../experiment/config.ts";
import { isUsual } from "../experiment/usual.ts";
import { hyperparameterNames } from "../methods/mod.ts";
import { type ProtocolOption, protocolOptions } from "../methods/protocol.ts";
import type { RunContent } from "./content.ts";
import { identityOf } from "./sections.ts";
import { optionText, subjectTitle } from "./words.ts";

/** Names a run among the others; without what changes from point to point of its curve. */
export type Label = (content: RunContent, without?: string) => string;

/** What follows from other settings, or from the data that is there. */
const implied: ReadonlySet<string> = new Set(["mode", "trainingLimit"]);

/** What has no usual value: whatever it is, it is said where it differs. */
const always: ReadonlySet<string> = new Set(["seed", "epochs", "epsilonAttack"]);

/** Differences between the protocols that concern some methods alone. */
const ofSome = Object.entries<ProtocolOption>(protocolOptions).filter(([, { modes }]) => modes)
  .map(([name]) => name);

/** What every method's runs are asked for: of all else, those of other methods say nothing. */
const ofAll = new Set(Object.keys(optionEntries)).difference(
  new Set([...hyperparameterNames, ...ofSome, "numEnsembles"]),
);

/** The settings of a run by their names, the differences between the protocols among them. */
export function settingsOf(content: RunContent): Record<string, unknown> {
  // The epochs that were asked for are none that a model need have behind it.
  const { options: { epochs: _, ...options }, epochs } = identityOf(content);
  const behind = content.command === "train"
    ? content.figures.members.map((member) => member.epochs.length)
    : epochs;
  const used = behind.length === 0 ? {} : { epochs: [...new Set(behind)].join(" and ") };
  const all = { ...options, ...used, ...content.figures.procedure };
  return Object.fromEntries(Object.entries(all).filter(([key]) => !implied.has(key)));
}

/** The out-domain images of a run: what they are called, and the digest of all of them. */
export function imagesOf(content: RunContent): { readonly name: string; readonly sha256: string } {
  return identityOf(content).data["outDomain"] ?? { name: "", sha256: "" };
}

/** What is said of a run's settings where they are not as usual, by their names. */
function saidOf(content: RunContent, contents: readonly RunContent[]): Map<string, string> {
  const settings = settingsOf(content);
  const run = { ...settings, mode: content.figures.mode };
  const isAsUsual = ({ figures: _, ...of }: RunContent): boolean =>
    identityOf(of).options["outDomain"] === undefined;
  const usualSets = new Set(contents.filter(isAsUsual).map((other) => imagesOf(other).name));
  const said = new Map<string, string>();
  for (const [key, value] of Object.entries(settings)) {
    if (key === "outDomain" || value === undefined || value === null) continue;
    if (key === "model" && value === nameOf(content)) continue;
    if (always.has(key) || !isUsual(key, value, run)) said.set(key, optionText(key, value));
  }
  const { name } = imagesOf(content);
  if (name !== "" && !(isAsUsual(content) && usualSets.size === 1)) {
    said.set("outDomain", optionText("outDomain", name.replace(/ \(own images\)$/, "")));
  }
  return said;
}

/** Whose run it is, in a word or two: the method's, or a model's of the user's own. */
export function nameOf({ figures: { mode, model } }: RunContent): string {
  return subjectTitle({ mode, model });
}

/** Names of runs: the method, and whatever is not as usual and differs among them. */
export function labels(contents: readonly RunContent[]): Label {
  const said = new Map(contents.map((content) => [content, saidOf(content, contents)]));
  const differs = (content: RunContent, key: string, text: string): boolean =>
    contents.some((other) => {
      const of = said.get(other)?.get(key);
      if (!ofAll.has(key) && other.figures.mode !== content.figures.mode) return false;
      return of !== text && (of !== undefined || !always.has(key));
    });
  const differing = (content: RunContent): [string, string][] =>
    [...said.get(content) ?? []].filter(([key, text]) => differs(content, key, text));
  const named = (content: RunContent, without?: string): string =>
    [
      nameOf(content),
      ...differing(content).filter(([key]) => key !== without).map(([, text]) => text),
    ].join(", ");
  const alike = [...Map.groupBy(contents, (content) => named(content)).values()]
    .filter((group) => group.length > 1).flat();
  // Runs that differ in their model, program or machine alone are told apart by their digest.
  return (content, without) =>
    named(content, without) +
    (alike.includes(content) ? `, ${content.run.digest.slice(0, 6)}` : "");
}
