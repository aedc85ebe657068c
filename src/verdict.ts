/**
 * What figures mean, in plain words.
 *
 * @module
 */
import { familyOf, type MethodName, methods } from "./methods/mod.ts";
import type { AttackResult, EvalResult, Uncertainty } from "./results.ts";

/** The threshold that the paper's tables report. */
export const tau = "0.9";

/** Changes smaller than these are not worth a verdict. */
const notable = { rejection: 0.01, entropy: 0.05 } as const;

/** What a verdict on an attack looks at. */
export interface AttackFigures extends Pick<AttackResult, "mode" | "model" | "epsilonAttack"> {
  readonly attack: Pick<AttackResult["attack"], "targeted">;
  readonly outDomain: { readonly count: number };
  readonly clean: Uncertainty;
  readonly adversarial: Uncertainty & Pick<AttackResult["adversarial"], "linf" | "nanRows">;
}

/** What a verdict on an evaluation looks at. */
export interface EvalFigures extends Pick<EvalResult, "model"> {
  readonly outDomain: Uncertainty & { readonly count: number };
}

/** What an attack's figures mean, in a sentence or two. */
export function verdict(result: AttackFigures): string {
  const { mode, clean, adversarial, outDomain, epsilonAttack, attack } = result;
  const [before, after] = [clean.rejection[tau] ?? 0, adversarial.rejection[tau] ?? 0];
  const steered = attack.targeted === null ? "" : `, steered to class ${attack.targeted},`;
  const rates = `${title(mode)} had rejected ${percent(before)} of the images below a confidence ` +
    `of ${tau}, now ${percent(after)}`;
  const entropies = clean.entropy === null || adversarial.entropy === null
    ? ""
    : `; the mean entropy went from ${round(clean.entropy, 2)} to ${
      round(adversarial.entropy, 2)
    } nats`;
  const bounds = `No pixel changed by more than ${round(adversarial.linf, 3)}` +
    (adversarial.nanRows > 0
      ? `; ${adversarial.nanRows} answers were no numbers and count as rejected`
      : "");
  const gained = (adversarial.entropy ?? 0) - (clean.entropy ?? 0);
  if (before - after >= notable.rejection) {
    return `The attack${steered} works: ${rates}, so ${images(before - after, outDomain.count)} ` +
      `more of ${outDomain.count} out-domain images are taken for ${
        known(result)
      }${entropies}. ${bounds}.`;
  }
  if (after - before >= notable.rejection) {
    return `The attack${steered} backfires: ${rates}${entropies}. ${bounds}.`;
  }
  if (entropies !== "" && Math.abs(gained) >= notable.entropy) {
    return `The attack${steered} makes the answers ${gained < 0 ? "surer" : "less sure"} but ` +
      `hardly changes what is rejected: ${rates}${entropies}. ${bounds}.`;
  }
  return `The attack${steered} changes next to nothing at epsilon ${epsilonAttack}: ` +
    `${rates}${entropies}. ${bounds}.`;
}

/** What an evaluation's figures mean. */
export function evalVerdict(result: EvalFigures): string {
  const { outDomain } = result;
  return `Of ${outDomain.count} images that are no ${known(result)} ${
    percent(outDomain.rejection[tau] ?? 0)
  } are rejected at a confidence of ${tau}, the others taken for ${known(result)}.`;
}

/** What the model was taught. */
function known({ model }: { readonly model: string }): string {
  return { LeNet: "digits", "ResNet-18": "objects" }[familyOf(model)];
}

/** A share of images as their number; the mean over batches that the paper takes is no exact share. */
function images(share: number, count: number): string {
  const exact = Math.abs(share * count - Math.round(share * count)) < 1e-6;
  return `${exact ? "" : "about "}${Math.round(share * count)}`;
}

/** What a method is called. */
export function title(mode: string): string {
  return methods[mode as MethodName]?.title ?? mode;
}

/** A number without the zeros at its end. */
export function round(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

/** A share, 0 to 1, in percent. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
