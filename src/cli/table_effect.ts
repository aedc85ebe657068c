/**
 * Options of a table that change nothing on any of its rows are refused.
 *
 * @module
 */
import { configsOf, type TableOptions, withoutRows } from "../experiment/table.ts";
import { asking, flagFor, idle, leaveOut, refuse, typedIn } from "./effect.ts";
import { nameOf } from "./flags.ts";

/**
 * As `checkEffects`, of a table: an option has to act on one of its rows.
 *
 * @param args what was typed
 * @throws UserError naming the option, why it does nothing, and what does
 */
export function checkTableEffects(options: TableOptions, args: readonly string[]): void {
  const typed = typedIn(args);
  const rows = configsOf(options).map((config) => asking("attack", config));
  for (const [name, rule] of idle) {
    const flag = flagFor(name);
    if (!typed.has(flag)) continue;
    const found = rows.map(rule);
    const [first] = found;
    if (!first || found.includes(undefined)) continue;
    const alike = found.every((other) => other?.[0] === first[0]);
    refuse(flag, alike ? first : ["it concerns no row of this table", leaveOut]);
  }
  const ensembles = rows.filter(({ method }) => method.ensemble).length;
  if (typed.has("--seeds") && ensembles === rows.length) {
    refuse("--seeds", ["every row is an ensemble", "use --ensembles"]);
  }
  if (typed.has("--ensembles") && ensembles === 0) {
    refuse("--ensembles", ["no row is an ensemble", "use --seeds"]);
  }
  if (!typed.has("--ablate-only")) return;
  if (typed.has("--ablate")) {
    refuse("--ablate-only", ["--ablate changes every option", "leave out one of them"]);
  }
  const [unchanged] = withoutRows(options);
  if (unchanged === undefined) return;
  refuse(`--ablate-only ${nameOf(unchanged)}`, ["it changes no row of this table", leaveOut]);
}
