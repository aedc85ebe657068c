/**
 * The part of an attack's page about images in-domain that were attacked, too.
 *
 * @module
 */
import { percent, shown, withInterval } from "../measure/shown.ts";
import type { AttackContent } from "./content.ts";
import { type Html, paragraph, section, table } from "./html.ts";
import { scoreName } from "./words.ts";

/** What the section shows of the figures. */
export const shownInDomain = "inDomainAttack";

/** The section; none where no image in-domain was attacked. */
export function inDomainSection({ figures }: AttackContent): Html | null {
  const { inDomainAttack: made, inDomain } = figures;
  if (!made || !inDomain) return null;
  return section(
    "In-domain images attacked",
    paragraph(
      "about",
      `To make the model ${made.direction === "under" ? "less sure" : "surer"}: ${
        inDomain.accuracy === null || made.accuracy === null
          ? "without labels nothing says how many are right"
          : `${percent(inDomain.accuracy)} were right, now ${percent(made.accuracy)} are`
      }. Kept: the share of them beyond the threshold ` +
        "that keeps 95 % of the clean ones." +
        (figures.attack.on === "in"
          ? " Out-domain images were left as they are: elsewhere on this page clean and attacked are the same."
          : ""),
    ),
    table(
      ["score", "kept", "AUROC", "AUROC, both attacked", "FPR95"],
      Object.entries(made.scores).map(([name, { kept, clean, attacked }]) => [
        scoreName(name),
        shown(kept, "share"),
        withInterval(clean.auroc),
        attacked ? withInterval(attacked.auroc) : "",
        shown(clean.fprAt95Tpr.value, "share"),
      ]),
    ),
  );
}
