/**
 * What the figures of an attack mean that is not after confidence in out-domain images.
 *
 * @module
 */
import { counted, percent, plain } from "../measure/shown.ts";
import type { InDomainAttack } from "../experiment/documents.ts";

/** What is looked at of an attack on in-domain images. */
export interface InDomainAttacked
  extends Pick<InDomainAttack, "direction" | "accuracy" | "distance"> {
  readonly scores: Readonly<Record<string, { readonly kept: number }>>;
}

/** An attack on in-domain images, in a sentence. */
export function inDomainVerdict(
  { inDomainAttack: made, inDomain }: {
    readonly inDomainAttack: InDomainAttacked;
    readonly inDomain: {
      readonly count?: number | undefined;
      readonly accuracy?: number | null | undefined;
    };
  },
): string {
  const { kept = 0 } = made.scores["maxProbability"] ?? {};
  const { accuracy } = inDomain;
  const before = accuracy === undefined || accuracy === null ? "" : `${percent(accuracy)} and `;
  const right = made.accuracy === null
    ? "nothing says how many are right"
    : `${before}now ${percent(made.accuracy)} are right`;
  const images = inDomain.count === undefined
    ? "in-domain images"
    : counted(inDomain.count, "in-domain image");
  return `Of ${images}, attacked to make the model ${
    made.direction === "under" ? "less sure" : "surer"
  }, ${right}; of 95 % that MSP kept it keeps ${percent(kept)}. By no more than ${
    plain(made.distance)
  } was any changed.`;
}

/** An attack that is to make the model less sure of out-domain images, in a sentence. */
export function lessSureVerdict(
  { rates, before, after, count, least, rest }: {
    /** The rates in words. */
    readonly rates: string;
    /** Shares that were rejected, and are now. */
    readonly before: number;
    readonly after: number;
    /** Out-domain images. */
    readonly count: number;
    /** The least difference that says anything. */
    readonly least: number;
    /** What follows in any case. */
    readonly rest: string;
  },
): string {
  const more = Math.round((after - before) * count);
  if (after - before >= least) {
    return `The attack works: ${rates}, so ${more} more of ${count} out-domain images are rejected${rest}`;
  }
  const how = before - after >= least ? "backfires" : "moves next to nothing across that line";
  return `The attack, which is to make the model less sure, ${how}: ${rates}${rest}`;
}
