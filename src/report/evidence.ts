/**
 * Parts of a report on how well in-domain and out-domain images are told apart, on calibration, and on
 * whether the attack is to be believed; each is there where the run's figures hold it.
 *
 * @module
 */
import { z } from "zod";
import {
  attackedScoresSchema,
  attackedTauSchema,
  calibrationSchema,
  checksSchema,
  epsilonSchema,
  estimateSchema,
  scoresSchema,
} from "../measure/schema.ts";
import { changed, ofLabels, percent, withInterval } from "../measure/shown.ts";
import { draw } from "./charts.ts";
import { reliability } from "./curves.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { lines } from "./lines.ts";
import { numbers, stacked } from "./sections.ts";
import { checkFound } from "./check_words.ts";
import { checkName, scoreName, shortScoreName } from "./words.ts";

const separation = z.looseObject({
  auroc: estimateSchema,
  auprIn: estimateSchema,
  auprOut: estimateSchema,
  fprAt95Tpr: estimateSchema,
});
const share = z.number();
const rejected = z.looseObject({ rejected: z.number() }).optional();
const schema = z.object({
  detection: z.looseObject({
    scores: z.record(
      z.string(),
      z.looseObject({ clean: separation, attacked: separation.optional() }),
    ),
    bootstrap: z.looseObject({ confidence: z.number() }),
  }).nullable().optional().catch(undefined),
  calibration: calibrationSchema.nullable().optional().catch(undefined),
  confident: z.object({ inDomain: share.nullable(), clean: share, attacked: share.optional() })
    .optional()
    .catch(undefined),
  curves: z.object({
    tau: z.array(z.looseObject({
      tau: z.number(),
      inDomain: attackedTauSchema.shape.inDomain,
      clean: rejected,
      attacked: rejected,
    })).default([]),
    // Older runs have points of different samples without intervals, which are not to be compared.
    epsilon: z.array(epsilonSchema).catch([]),
  }).optional().catch(undefined),
  checks: checksSchema.optional().catch(undefined),
  // Of older runs' attacks on scores the figures are others.
  scores: attackedScoresSchema.partial({ attacks: true })
    .or(z.object({ ...scoresSchema.shape, attacks: z.unknown().transform(() => undefined) }))
    .optional().catch(undefined),
});

/** Runs of older versions call the checks by another name. */
function renamed(figures: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const older = z.object({
    sanity: checksSchema.omit({ results: true }).extend({ checks: checksSchema.shape.results }),
  })
    .safeParse(figures);
  if (!older.success) return figures;
  const { checks: results, ...sample } = older.data.sanity;
  return { ...figures, checks: { ...sample, results } };
}

/** What a run's figures hold of it. */
export type Evidence = z.infer<typeof schema>;

/** Reads it from a run's figures. */
export function evidenceOf(figures: Readonly<Record<string, unknown>>): Evidence {
  return schema.parse(renamed(figures));
}

/** Names of the figures that the parts below show. */
export function shownEvidence(evidence: Evidence): string[] {
  const names = Object.entries(evidence).flatMap(([name, value]) =>
    value === undefined ? [] : name
  );
  return [...names, "sanity"];
}

/** Shares of the images of each set that are rejected, by the threshold: the same ones for all. */
export function rejections({ curves }: Evidence): Record<string, Record<string, number>> {
  const sets = { "in-domain": "inDomain", clean: "clean", attacked: "attacked" } as const;
  const curve = (set: (typeof sets)[keyof typeof sets]): [string, number][] =>
    (curves?.tau ?? []).flatMap((at): [string, number][] => {
      const share = at[set]?.rejected;
      return share === undefined ? [] : [[String(at.tau), share]];
    });
  return Object.fromEntries(
    Object.entries(sets).map(([name, set]) => [name, curve(set)] as const)
      .filter(([, points]) => points.length > 0)
      .map(([name, points]) => [name, Object.fromEntries(points)]),
  );
}

/** All the parts but the detectors. */
export async function evidenceSections(
  evidence: Evidence,
  attacked: "in-domain" | "out-domain" = "out-domain",
): Promise<Content> {
  return [
    await epsilonSection(evidence, attacked),
    await calibrationSection(evidence),
    checksSection(evidence),
  ];
}

/** A figure with its interval, which may stand below it but is never broken itself. */
function interval(estimate: z.infer<typeof estimateSchema>): string {
  return withInterval(estimate).replace(", ", ",\u00a0");
}

/** AUROC by MSP, before and after; none of a run that has no figures of it. */
export function areaValues(
  { detection }: Evidence,
): { readonly [Set in "clean" | "attacked"]?: z.infer<typeof estimateSchema> | undefined } {
  const { clean, attacked } = detection?.scores["maxProbability"] ?? {};
  return { clean: clean?.auroc, attacked: attacked?.auroc };
}

/** The same in words, with intervals. */
export function areas(evidence: Evidence): [clean: string, attacked: string] {
  const { clean, attacked } = areaValues(evidence);
  const told = (of: typeof clean): string => of ? interval(of) : "not measured";
  return [told(clean), told(attacked)];
}

/** A row with AUROC by MSP, before and after, where there are figures of it. */
export function areaRow({ detection }: Evidence): Content[][] {
  const { clean, attacked } = detection?.scores["maxProbability"] ?? {};
  if (!clean || !attacked) return [];
  const [, , by] = changed(clean.auroc.value, attacked.auroc.value, "area");
  return [[
    `AUROC by ${scoreName("maxProbability")}`,
    interval(clean.auroc),
    interval(attacked.auroc),
    by,
  ]];
}

/** A row with AUROC by MSP on clean images, where there are figures of it. */
export function cleanAreaRow({ detection }: Evidence): Content[][] {
  const { clean } = detection?.scores["maxProbability"] ?? {};
  return clean ? [[`AUROC by ${scoreName("maxProbability")}`, interval(clean.auroc)]] : [];
}

/** Figures of a detector. */
const figures = { auroc: "AUROC", auprIn: "AUPR-in", auprOut: "AUPR-out", fprAt95Tpr: "FPR95" };

type Detectors = Readonly<
  Record<string, { readonly clean: Separated; readonly attacked?: Separated | undefined }>
>;
type Separated = z.infer<typeof separation>;

/**
 * Detectors by every score: all figures of one below the other, or where many scores were asked for a row a score.
 *
 * @param outDomain images out-domain
 */
export function detectionSection(
  { detection, scores: asked }: Evidence,
  outDomain: number,
): Html | null {
  if (!detection) return null;
  const share = `${Math.round(100 * detection.bootstrap.confidence)} %`;
  return section(
    "Telling in-domain from out-domain images",
    paragraph(
      "about",
      `In-domain images are the positive class; in brackets ${share} bootstrap intervals. FPR95: `,
      "share of the out-domain images let through where 95 % of the in-domain ones are. MSP: maximum softmax probability.",
    ),
    asked ? manyDetectors(detection.scores, outDomain) : fewDetectors(detection.scores),
  );
}

/** A row a figure. */
function fewDetectors(scores: Detectors): Content {
  const isAttacked = Object.values(scores).some(({ attacked }) => attacked);
  const rows = Object.entries(scores).flatMap(([score, { clean, attacked }]) =>
    Object.entries(figures).map(([key, figure]) => {
      const of = key as keyof typeof figures;
      return [
        `${scoreName(score)}: ${figure}`,
        interval(clean[of]),
        ...(attacked ? [interval(attacked[of])] : []),
      ];
    })
  );
  return numbers(["score", "clean", ...(isAttacked ? ["attacked"] : [])], rows);
}

/** A row a score, with AUROC and FPR95; AUPR folded. */
function manyDetectors(scores: Detectors, outDomain: number): Content {
  const isAttacked = Object.values(scores).some(({ attacked }) => attacked);
  const sets = isAttacked ? ["clean", "attacked"] as const : ["clean"] as const;
  const of = (keys: readonly (keyof typeof figures)[]): Html =>
    numbers(
      [
        `all ${outDomain} images`,
        ...keys.flatMap((key) => sets.map((set) => `${figures[key]} ${isAttacked ? set : ""}`)),
      ],
      Object.entries(scores).map(([name, score]) => [
        shortScoreName(name),
        ...keys.flatMap((key) =>
          sets.map((set) => {
            const estimates = score[set];
            return estimates ? stacked(estimates[key]) : "";
          })
        ),
      ]),
    );
  return markup`<div class="matrix">${of(["auroc", "fprAt95Tpr"])}</div>
<details><summary>AUPR by every score</summary>
<div class="matrix">${of(["auprIn", "auprOut"])}</div></details>
`;
}

async function epsilonSection(
  { curves }: Evidence,
  attacked: string,
): Promise<Html | null> {
  const points = (curves?.epsilon ?? []).toSorted((a, b) => a.epsilon - b.epsilon);
  if (points.length < 2) return null;
  const axes = {
    x: "epsilon (pixels: 0 to 1)",
    ticks: points.map(({ epsilon }) => epsilon),
  } as const;
  const scores = [...new Set(points.flatMap(({ auroc }) => Object.keys(auroc ?? {})))];
  const images = [...new Set(points.map((point) => point.images))].join(" or ");
  return section(
    "Against the radius of the attack",
    paragraph(
      "about",
      `Every point is of the same ${images} ${attacked} images; at 0 they are clean. Upright lines are 95 % intervals.`,
    ),
    await draw(
      ...scores.length === 0 ? [] : [
        lines(
          scores.map((score) => ({
            series: shortScoreName(score),
            points: points.map((at) => [at.epsilon, at.auroc?.[score] ?? null] as const),
          })),
          {
            ...axes,
            title: "AUROC",
            alt:
              "How well in-domain and out-domain images are told apart, by each score; 0.5 is chance.",
            y: "AUROC",
            share: true,
            format: ".1f",
          },
        ),
      ],
      lines([{ series: "R", points: points.map((at) => [at.epsilon, at.rejected]) }], {
        ...axes,
        title: "Rejection at 0.9",
        alt: "Share of the out-domain images that are rejected at a confidence of 0.9.",
        y: "share rejected",
        share: true,
      }),
      lines([{ series: "H", points: points.map((at) => [at.epsilon, at.entropy]) }], {
        ...axes,
        title: "Entropy",
        alt: "Mean entropy of the answers to the out-domain images.",
        y: "mean entropy (nats)",
      }),
    ),
  );
}

async function calibrationSection({ calibration, confident }: Evidence): Promise<Html | null> {
  if (calibration === undefined) return null;
  const error = ofLabels(calibration && calibration.ece, "calibration", calibration !== null);
  const isWithout = confident?.inDomain === null;
  const inside = confident?.inDomain ?? null;
  return section(
    isWithout ? "Confident answers" : "Calibration",
    numbers(["", "value"], [
      ...isWithout ? [] : [["expected calibration error in-domain", error]],
      ...(inside === null ? [] : [["confidence above 0.9: in-domain", percent(inside)]]),
      ...(confident ? [["confidence above 0.9: out-domain", percent(confident.clean)]] : []),
      ...(confident?.attacked === undefined
        ? []
        : [["confidence above 0.9: attacked", percent(confident.attacked)]]),
    ]),
    calibration && await draw(...reliability(calibration.bins)),
  );
}

function checksSection({ checks }: Evidence): Html | null {
  if (!checks) return null;
  const { images, effect, results } = checks;
  const rows = Object.entries(results).map(([name, { holds, figures }]) => [
    checkName(name),
    holds ? "yes" : markup`<b class="warning">no</b>`,
    checkFound(name, figures, effect),
  ]);
  return section(
    "Whether to believe the attack",
    paragraph(
      "about",
      `An attack's effect is how far the mean ${effect} falls${
        effect === "entropy" ? " (nats)" : ""
      }, on the `,
      `same ${images} images for this attack and for those that it is held against. What fails has its warning above.`,
    ),
    markup`<div class="texts">${table(["check", "holds", "found"], rows)}</div>`,
  );
}
