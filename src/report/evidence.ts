/**
 * Parts of a report on how well in-domain and out-domain images are told apart, on calibration, and on
 * whether the attack is to be believed; each is there where the run's figures hold it.
 *
 * @module
 */
import { z } from "zod";
import {
  calibrationSchema,
  epsilonSchema,
  estimateSchema,
  sanitySchema,
  tauSchema,
} from "../measure/schema.ts";
import type { CheckName } from "../measure/check.ts";
import { percent } from "../measure/shown.ts";
import { draw } from "./charts.ts";
import { lines } from "./curves.ts";
import { type Content, type Html, markup, paragraph, section } from "./html.ts";
import { change, number, numbers, words } from "./sections.ts";

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
  }).optional().catch(undefined),
  calibration: calibrationSchema.optional().catch(undefined),
  confident: z.object({ inDomain: share, clean: share, attacked: share.optional() }).optional()
    .catch(undefined),
  curves: z.object({
    tau: z.array(z.looseObject({
      tau: z.number(),
      inDomain: tauSchema.shape.inDomain,
      clean: rejected,
      attacked: rejected,
    })).default([]),
    epsilon: z.array(epsilonSchema).default([]),
  }).optional().catch(undefined),
  sanity: sanitySchema.optional().catch(undefined),
});

/** What a run's figures hold of it. */
export type Evidence = z.infer<typeof schema>;

/** Reads it from a run's figures. */
export function evidenceOf(figures: Readonly<Record<string, unknown>>): Evidence {
  return schema.parse(figures);
}

/** Names of the figures that the parts below show. */
export function shownEvidence(evidence: Evidence): string[] {
  return Object.entries(evidence).filter(([, value]) => value !== undefined).map(([name]) => name);
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
export async function evidenceSections(evidence: Evidence): Promise<Content> {
  return [
    await epsilonSection(evidence),
    await calibrationSection(evidence),
    sanitySection(evidence),
  ];
}

/** What scores are called. */
const scoreNames: Readonly<Record<string, string>> = {
  maxProbability: "largest probability",
  maxKernel: "largest kernel value",
  maxLogKernel: "largest log kernel value",
  mutualInformation: "mutual information",
  entropy: "entropy",
};

const nameOf = (score: string): string => scoreNames[score] ?? score;

/** AUROC by max p with its interval, before and after; "none" of a run that has no figures of it. */
export function areas({ detection }: Evidence): [clean: string, attacked: string] {
  const { clean, attacked } = detection?.scores["maxProbability"] ?? {};
  const shown = (of: typeof clean): string => of ? withInterval(of.auroc) : "none";
  return [shown(clean), shown(attacked)];
}

/** A row with AUROC by max p, before and after, where there are figures of it. */
export function areaRow({ detection }: Evidence): Content[][] {
  const { clean, attacked } = detection?.scores["maxProbability"] ?? {};
  if (!clean || !attacked) return [];
  const [, , by] = change(clean.auroc.value, attacked.auroc.value);
  return [[
    "AUROC by the largest probability",
    withInterval(clean.auroc),
    withInterval(attacked.auroc),
    by,
  ]];
}

/** Detectors by every score. */
export function detectionSection({ detection }: Evidence): Html | null {
  if (!detection) return null;
  const figures = { auroc: "AUROC", auprIn: "AUPR-in", auprOut: "AUPR-out", fprAt95Tpr: "FPR95" };
  const scores = Object.entries(detection.scores);
  const attacked = scores.some(([, score]) => score.attacked);
  const rows = scores.flatMap(([score, { clean, attacked }]) =>
    Object.entries(figures).map(([key, figure]) => {
      const of = key as keyof typeof figures;
      return [
        `${nameOf(score)}: ${figure}`,
        withInterval(clean[of]),
        ...(attacked ? [withInterval(attacked[of])] : []),
      ];
    })
  );
  const interval = `${Math.round(100 * detection.bootstrap.confidence)} %`;
  return section(
    "Telling in-domain from out-domain images",
    paragraph(
      "about",
      `In-domain images are the positive class; in brackets ${interval} bootstrap intervals. FPR95: `,
      "share of the out-domain images let through where 95 % of the in-domain ones are.",
    ),
    numbers(["score", "clean", ...(attacked ? ["attacked"] : [])], rows),
  );
}

function withInterval({ value, low, high }: z.infer<typeof estimateSchema>): string {
  if (low === null || high === null) return number(value, 3);
  return `${number(value, 3)} [${number(low, 3)}, ${number(high, 3)}]`;
}

async function epsilonSection({ curves }: Evidence): Promise<Html | null> {
  const points = (curves?.epsilon ?? []).toSorted((a, b) => a.epsilon - b.epsilon);
  if (points.length < 2) return null;
  const axes = { x: "epsilon (pixels: 0 to 1)", share: false } as const;
  const scores = [...new Set(points.flatMap(({ auroc }) => Object.keys(auroc)))];
  const sizes = points.map(({ images }) => images);
  const few = Math.min(...sizes) < Math.max(...sizes)
    ? ` The fewest images of a radius are ${Math.min(...sizes)}.`
    : "";
  return section(
    "Against the radius of the attack",
    await draw(
      lines([{ series: "H", points: points.map((at) => [at.epsilon, at.entropy]) }], {
        ...axes,
        title: "Entropy",
        alt: `Mean entropy out-domain against the radius; at 0 of the clean images.${few}`,
        y: "mean entropy (nats)",
      }),
      lines([{ series: "R", points: points.map((at) => [at.epsilon, at.rejected]) }], {
        ...axes,
        title: "Rejection at 0.9",
        alt: `Share of the out-domain images rejected, against the radius.${few}`,
        y: "share rejected",
        share: true,
      }),
      lines(
        scores.map((score) => ({
          series: nameOf(score),
          points: points.map((at) => [at.epsilon, at.auroc[score] ?? null] as const),
        })),
        {
          ...axes,
          title: "AUROC",
          alt: `How well in-domain and out-domain images are told apart, against the radius.${few}`,
          y: "AUROC (0.5: by chance)",
        },
      ),
    ),
  );
}

async function calibrationSection({ calibration, confident }: Evidence): Promise<Html | null> {
  if (!calibration) return null;
  const bins = calibration.bins.filter(({ count }) => count > 0);
  return section(
    "Calibration",
    numbers(["", "value"], [
      ["expected calibration error in-domain", number(calibration.ece, 4)],
      ...(confident
        ? [
          ["confidence above 0.9: in-domain", percent(confident.inDomain)],
          ["confidence above 0.9: out-domain", percent(confident.clean)],
        ]
        : []),
      ...(confident?.attacked === undefined
        ? []
        : [["confidence above 0.9: attacked", percent(confident.attacked)]]),
    ]),
    await draw(
      lines([
        { series: "model", points: bins.map((bin) => [bin.confidence ?? 0, bin.accuracy]) },
        { series: "as sure as right", points: [[0, 0], [1, 1]] },
      ], {
        title: "Reliability in-domain",
        alt: "Accuracy of in-domain images by the confidence of the answer; below the diagonal " +
          "the model is surer than it is right.",
        x: "mean confidence (0 to 1)",
        y: "accuracy",
        share: true,
      }),
    ),
  );
}

/** What checks are called, as what is asked of the attack. */
const checkNames: Readonly<Record<CheckName, string>> = {
  zeroGradient: "every image has a gradient",
  finiteGradient: "every gradient is finite",
  ball: "images stay within the radius",
  box: "pixels stay within 0 and 1",
  loss: "the loss falls",
  control: "does more than noise of the same size",
  epsilon: "does no less than half the radius",
  convergence: "a stronger attack does not clearly more",
  accuracy: "the model is better than guessing in-domain",
};

/** What the figures of checks are called. */
const figureNames: Readonly<Record<string, string>> = {
  share: "share of images",
  images: "images",
  largest: "largest",
  allowed: "allowed",
  before: "loss before",
  after: "after",
  attack: "this attack",
  noise: "noise",
  margin: "margin asked for",
  full: "this attack",
  half: "half the radius",
  stronger: "the stronger attack",
  auroc: "AUROC under this attack",
  aurocStronger: "AUROC under the stronger attack",
  accuracy: "accuracy",
  chance: "by guessing",
};

function sanitySection({ sanity }: Evidence): Html | null {
  if (!sanity) return null;
  const checks: Readonly<Record<string, string>> = checkNames;
  // Counts are whole, everything else is measured.
  const shown = (of: string, value: number | null): string =>
    of === "images" ? String(value) : number(value, 3);
  return section(
    "Whether to believe the attack",
    paragraph(
      "about",
      `Checks on ${sanity.images} images; what an attack does is how far the ${sanity.effect} falls.`,
    ),
    numbers(
      ["check", "holds", "figures"],
      Object.entries(sanity.checks).map(([name, { holds, figures }]) => [
        checks[name] ?? words(name),
        holds ? "yes" : markup`<b class="warning">no</b>`,
        Object.entries(figures)
          .map(([of, value]) => `${figureNames[of] ?? words(of)}: ${shown(of, value)}`).join(", "),
      ]),
    ),
  );
}
