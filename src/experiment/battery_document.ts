/**
 * The document of a battery: what `attack --battery NAME --json` prints.
 *
 * @module
 */
import { z } from "zod";
import { type InitName, inits, type NormName, norms, sides } from "../attack/mod.ts";
import { described, type Schema } from "../base/schema.ts";
import type { ScoresResult, TemperatureResult, ToldResult } from "../measure/results.ts";
import { scoresSchema, temperatureSchema, toldSchema as told } from "../measure/schema.ts";
import { commonSchema, inDomainSchema, readSchema } from "./documents.ts";
import type { InDomain, ModelFacts, ReadFacts, RunFacts } from "./results.ts";

/** What the battery made of one score. */
export interface BatteryScore {
  /**
   * In-domain against out-domain images: clean, those in-domain attacked, those out-domain, both; null where they were
   * not attacked, as everything below.
   */
  readonly columns:
    & { readonly clean: ToldResult }
    & Readonly<Record<"in" | "out" | "both", ToldResult | null>>;
  /** Share of out-domain images beyond the threshold that keeps 95 % of the clean in-domain ones, 0 to 1. */
  readonly rejected: { readonly clean: number; readonly worst: number | null };
  /** Share of in-domain images that it keeps, 0 to 1. */
  readonly kept: { readonly clean: number; readonly worst: number | null };
  /** AUROC where those members alone attack that are after this score. */
  readonly adaptive: Readonly<Record<"out" | "both", number | null>>;
  /** The same of those that are after something else. */
  readonly transfer: Readonly<Record<"out" | "both", number | null>>;
  /** Shares of images that each member was the worst of, and those that stayed as they were, 0 to 1. */
  readonly won: Readonly<Record<"in" | "out", Readonly<Record<string, number>>>>;
}

/** What `attack --battery NAME --json` prints. */
export interface BatteryResult extends RunFacts, ModelFacts {
  /** The document's format. */
  readonly schema: "mirage/battery@4";
  /** Radius of the attacks in their norm; pixels are in [0, 1]. */
  readonly epsilonAttack: number;
  /** The battery, and every setting of its members. */
  readonly battery: {
    readonly name: string;
    /** `full`: every member attacks every image; `threshold`: those alone that some score still tells. */
    readonly mode: "full" | "threshold";
    readonly on: "out" | "in" | "both";
    readonly norm: NormName;
    readonly keepLabel: boolean;
    readonly members: readonly {
      readonly name: string;
      readonly attack: string;
      readonly objective: string;
      readonly steps: number;
      readonly stepSize: number;
      readonly init: InitName | null;
      readonly restarts: number;
      readonly eot: number;
      /** The other model that its images were made on, one of each seed; null where that is the model under attack. */
      readonly surrogate: {
        readonly seeds: readonly number[];
        /** SHA-256 of each model's names, shapes and values. */
        readonly digests: readonly string[];
      } | null;
    }[];
    /** Members that the model cannot be attacked by. */
    readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  };
  /** Quality in-domain. */
  readonly inDomain: InDomain;
  /** Images of each set that were attacked: all of them, or a sample evenly spread. */
  readonly attacked: { readonly in: number; readonly out: number };
  /** The out-domain images that were attacked, with the digest of the whole set. */
  readonly outDomain: ReadFacts & {
    readonly name: string;
    readonly count: number;
    readonly sha256: string;
    readonly listSha256: string | null;
  };
  /**
   * Share of in-domain images that are right, and that are right after every member; null where none attacked them, and
   * without labels.
   */
  readonly accuracy: { readonly clean: number | null; readonly robust: number | null };
  /** What each member cost. */
  readonly cost: readonly {
    readonly member: string;
    readonly side: "in" | "out";
    readonly images: number;
    readonly runs: number;
    readonly seconds: number;
  }[];
  /** The temperature that the answer was calibrated by; not there where none was asked for. */
  readonly temperature?: TemperatureResult | undefined;
  /** The further scores that were asked for; not there where none were. */
  readonly scoreFits?: ScoresResult | undefined;
  /** By score. */
  readonly scores: Readonly<Record<string, BatteryScore>>;
  /** Seconds that each part took. */
  readonly seconds: { readonly setup: number; readonly train: number; readonly attack: number };
}

const share = z.number().min(0).max(1);
const pair = z.strictObject({ clean: share, worst: share.nullable() });
const areas = z.strictObject({ out: share.nullable(), both: share.nullable() });
const won = z.record(z.string(), share);

const score = z.strictObject({
  columns: z.strictObject({
    clean: told,
    in: told.nullable(),
    out: told.nullable(),
    both: told.nullable(),
  }),
  rejected: pair,
  kept: pair,
  adaptive: areas,
  transfer: areas,
  won: z.strictObject({ in: won, out: won }),
});

const cost = z.strictObject({
  member: z.string(),
  side: z.enum(["in", "out"]),
  images: z.int(),
  runs: z.int(),
});

const surrogate = z.strictObject({
  seeds: z.array(z.int()),
  digests: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
}).nullable();

/** A member as runs of `mirage/battery@1` have it: all of them attacked the model itself. */
export const earlierMember = z.strictObject({
  name: z.string(),
  attack: z.string(),
  objective: z.string(),
  steps: z.int(),
  stepSize: z.number(),
  init: z.enum(Object.keys(inits) as [InitName, ...InitName[]]).nullable(),
  restarts: z.int(),
  eot: z.int(),
  surrogate: surrogate.default(null),
});

const member = earlierMember.extend({ surrogate });

/** Figures of a battery: its document without when, where and how fast. */
export const batteryFigureSchemas = {
  epsilonAttack: z.number().min(0),
  battery: z.strictObject({
    name: z.string(),
    mode: z.enum(["full", "threshold"]),
    on: z.enum(sides),
    norm: z.enum(Object.keys(norms) as [NormName, ...NormName[]]),
    keepLabel: z.boolean(),
    members: z.array(member),
    leftOut: z.array(z.strictObject({ name: z.string(), why: z.string() })),
  }),
  inDomain: inDomainSchema,
  attacked: z.strictObject({ in: z.int(), out: z.int() }),
  outDomain: readSchema.extend({
    name: z.string(),
    count: z.int(),
    sha256: z.string(),
    listSha256: z.string().nullable(),
  }),
  accuracy: z.strictObject({ clean: share.nullable(), robust: share.nullable() }),
  cost: z.array(cost),
  temperature: temperatureSchema.optional(),
  scoreFits: scoresSchema.optional(),
  scores: z.record(z.string(), score),
} as const;

/** Checks {@linkcode BatteryResult}. */
export const batteryDocument: Schema<BatteryResult> = described<BatteryResult>().by(z.strictObject({
  schema: z.literal("mirage/battery@4"),
  ...commonSchema,
  ...batteryFigureSchemas,
  cost: z.array(cost.extend({ seconds: z.number() })),
  seconds: z.strictObject({ setup: z.number(), train: z.number(), attack: z.number() }),
}));
