/**
 * The report of an attack.
 *
 * @module
 */
import { seedsOf } from "../experiment/seeds.ts";
import { modelTitle } from "../methods/mod.ts";
import { changed, ofLabels, shown, shownRadius } from "../measure/shown.ts";
import {
  answerNames,
  attackChoices,
  className,
  normName,
  posteriorText,
  readingName,
  stepsText,
  subjectTitle,
  targetName,
  tau,
  temperatureText,
} from "./words.ts";
import { verdict } from "./verdicts.ts";
import { draw, inks, svg } from "./charts.ts";
import type { AttackContent, Example, kinds, Picture } from "./content.ts";
import { classBars, histogram, rejectionCurve } from "./curves.ts";
import {
  areaRow,
  detectionSection,
  evidenceOf,
  evidenceSections,
  rejections,
  shownEvidence,
} from "./evidence.ts";
import { type Content, Html, markup, paragraph, section, table } from "./html.ts";
import { inDomainSection, shownInDomain } from "./in_domain.ts";
import { page } from "./page.ts";
import { magnified, perturbation, pngOf } from "./pictures.ts";
import { scoresSection } from "./scores.ts";
import {
  averaged,
  configuration,
  furtherFigures,
  numbers,
  qualityTable,
  readRows,
} from "./sections.ts";

/** What the parts below show of the figures. */
const elsewhere = [
  "seed",
  "procedure",
  "hyperparameters",
  "posterior",
  "temperature",
  "epsilonAttack",
  "attack",
  "withoutInDomain",
  ...[
    "count",
    "classes",
    "classNames",
    "accuracy",
    "right",
    "nanRows",
    "brier",
    "nll",
    "nllInfinite",
    "skipped",
    "prepared",
  ].map((
    name,
  ) => `inDomain.${name}`),
  ...["count", "skipped", "prepared", "classNames"].map((name) => `outDomain.${name}`),
  ...["clean", "adversarial"].flatMap((set) =>
    ["entropy", "rejection", "rejectedImages", "targeted", "nanRows", "readings", "distance"].map((
      name,
    ) => `${set}.${name}`)
  ),
];

/** The page of an attack. */
export async function attackPage(content: AttackContent): Promise<string> {
  const { figures } = content;
  const { protocol, epsilonAttack, attack, outDomain } = figures;
  const evidence = evidenceOf(figures);
  const { name } = attack;
  const target = targetName(figures);
  const how = [
    modelTitle(figures.model, figures.hyperparameters),
    ...posteriorText(figures.posterior),
    `protocol ${protocol}`,
    `${name}, ${stepsText(attack)}`,
    ...attackChoices(attack),
    ...(target === undefined ? [] : [`steered to ${target}`]),
    `${outDomain.count} images of ${outDomain.name}`,
    ...temperatureText(figures),
  ];
  return page(
    `${subjectTitle(figures)} attacked, epsilon ${shownRadius(epsilonAttack)}, ${seedsOf(figures)}`,
    paragraph("about", how.join("; ")),
    paragraph("verdict", verdict(figures)),
    figures.withoutInDomain ? paragraph("about", `${figures.withoutInDomain.reason}.`) : null,
    ...averaged([figures.clean, figures.adversarial], outDomain, figures.inDomain),
    figures.warnings.map((warning) => paragraph("warning", "Warning: ", warning)),
    keyFigures(content),
    await confidenceCharts(content),
    await scoresSection(evidence),
    detectionSection(evidence, outDomain.count),
    inDomainSection(content),
    await pictures(content),
    await evidenceSections(evidence, attack.on === "in" ? "in-domain" : "out-domain"),
    allFigures(content),
    furtherFigures(figures, [...elsewhere, shownInDomain, ...shownEvidence(evidence)]),
    configuration(content),
  );
}

function keyFigures({ figures }: AttackContent): Html {
  const { clean, adversarial, inDomain, outDomain: { count } } = figures;
  const target = targetName(figures);
  const share = ({ targeted: images = null }: typeof clean): number | null =>
    images === null ? null : images / count;
  return section(
    "Key figures",
    numbers(
      ["", "clean", "attacked", "change"],
      [
        ...areaRow(evidenceOf(figures)),
        ...target === undefined
          ? []
          : [[`share taken for ${target}`, ...changed(share(clean), share(adversarial), "share")]],
        ["mean entropy (nats)", ...changed(clean.entropy, adversarial.entropy, "entropy")],
        [
          `share rejected at ${tau}`,
          ...changed(clean.rejection[tau], adversarial.rejection[tau], "share"),
        ],
        ...inDomain
          ? [["accuracy in-domain", ofLabels(inDomain.accuracy, "accuracy"), "", ""]]
          : [],
      ],
    ),
  );
}

async function confidenceCharts({ figures, clean, attacked }: AttackContent): Promise<Html> {
  // Of sets that the curves lack there are the nine thresholds of the figures.
  const rates = {
    clean: figures.clean.rejection,
    attacked: figures.adversarial.rejection,
    ...rejections(evidenceOf(figures)),
  };
  return section(
    "Confidence before and after",
    await draw(histogram({ clean, attacked }), rejectionCurve(rates)),
  );
}

/** What is said of the images of a kind. */
const headings = {
  most: ["Most successful", "The entropy of the answer fell most."],
  least: ["Least successful", "The entropy of the answer fell least, or rose."],
  first: ["First of the set", "Not chosen: as they come."],
} as const satisfies Record<typeof kinds[number], readonly [string, string]>;

async function pictures({ examples, figures }: AttackContent): Promise<Html> {
  const names = {
    answer: answerNames(figures) ?? null,
    image: figures.outDomain.classNames,
  };
  const groups: Html[] = [];
  for (const [kind, [heading, about]] of Object.entries(headings)) {
    const cards: Html[] = [];
    for (const example of examples) {
      if (example.kind === kind) cards.push(await card(example, names));
    }
    const shown: Content[] = [
      paragraph("about", about),
      markup`<div class="examples">\n${cards}</div>\n`,
    ];
    groups.push(
      kind === "most"
        ? markup`<h3>${heading}</h3>\n${shown}`
        : markup`<details><summary>${heading}</summary>\n${shown}</details>\n`,
    );
  }
  const ink = (name: keyof typeof inks): Html =>
    markup`<b style="color: ${new Html(inks[name])}">${name}</b>`;
  return section(
    "Images",
    paragraph(
      "about",
      `Of the first images of the set. The perturbation is shown times ${magnified}: red is brighter, blue ` +
        "darker. ",
      [
        "Bars: confidence in each class, ",
        ink("clean"),
        " and ",
        ink("attacked"),
        "; dashed: 0.9.",
      ],
    ),
    groups,
  );
}

/** What classes are called, where anybody says. */
interface ClassNames {
  /** Those that the model tells apart. */
  readonly answer: readonly string[] | null;
  /** Those of the images. */
  readonly image: readonly string[] | null;
}

async function card(
  { index, label, clean, attacked, before, after }: Example,
  names: ClassNames,
): Promise<Html> {
  const [was, is] = [surest(before, names.answer), surest(after, names.answer)];
  const whose = names.image?.[label ?? NaN];
  const what = whose === undefined ? "" : `, ${whose}`;
  const picture = (caption: string, of: Picture): Html => {
    const source = new Html(pngOf(of));
    return markup`<figure><img src="${source}" alt="Image ${index}: ${caption}">
<figcaption>${caption}</figcaption></figure>
`;
  };
  const alt = `Confidences in image ${index}: clean ${was}; attacked ${is}`;
  return markup`<div class="example">
<p>Image ${index}${what}: ${was} → <b>${is}</b></p>
<div class="pictures">
${picture("clean", clean)}
${picture(`perturbation ×\u00a0${magnified}`, perturbation(clean, attacked))}
${picture("attacked", attacked)}</div>
${await svg(classBars(before, after, alt))}
</div>
`;
}

/** The class with the largest confidence, in words. */
function surest(row: readonly number[], names: ClassNames["answer"]): string {
  const largest = Math.max(...row);
  if (Number.isNaN(largest)) return "no number";
  const label = row.indexOf(largest);
  return `${className(names, label)} (${(100 * largest).toFixed(0)} %)`;
}

function allFigures({ figures }: AttackContent): Html {
  const { attack: { norm }, clean, adversarial, inDomain, withoutInDomain, outDomain } = figures;
  const rows: Content[][] = [
    ["mean entropy (nats)", ...changed(clean.entropy, adversarial.entropy, "entropy")],
    ...Object.keys(clean.rejection).map((at) => [
      `share rejected at ${at}`,
      ...changed(clean.rejection[at], adversarial.rejection[at], "share"),
    ]),
    ["answers that are no numbers", ...changed(clean.nanRows, adversarial.nanRows, "count")],
  ];
  for (const [key, before] of Object.entries(clean.readings)) {
    const after = adversarial.readings[key];
    const name = readingName(key, figures);
    rows.push(
      [`${name}: entropy (nats)`, ...changed(before.entropy, after?.entropy, "entropy")],
      [
        `${name}: share rejected at ${tau}`,
        ...changed(before.rejection[tau], after?.rejection[tau], "share"),
      ],
      [`${name}: mean of log max`, ...changed(before.logConfidence, after?.logConfidence, "log")],
    );
  }
  return section(
    "All figures",
    numbers(["out-domain", "clean", "attacked", "change"], rows),
    inDomain && qualityTable(inDomain),
    table(["", ""], [
      ["images attacked", `${outDomain.count} of ${outDomain.name}`],
      ...readRows(outDomain),
      ...withoutInDomain
        ? [["classes that the model tells apart", String(withoutInDomain.classes)]]
        : [],
      [
        norm === "linf"
          ? "largest change of a pixel (of 1)"
          : `longest change of an image (${normName(norm)})`,
        shown(adversarial.distance, "pixel"),
      ],
    ]),
  );
}
