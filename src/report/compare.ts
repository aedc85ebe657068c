/**
 * The report that compares several runs.
 *
 * @module
 */
import { areas, evidenceOf } from "./evidence.ts";
import { halfWidth95, mean } from "../measure/statistics.ts";
import { tau, title } from "./words.ts";
import { percent } from "../measure/shown.ts";
import { draw } from "./charts.ts";
import type { AttackContent, EvalContent, RunContent, TrainContent } from "./content.ts";
import { type Line, lines, pairBars } from "./curves.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { page } from "./page.ts";
import { identityOf, number, numbers } from "./sections.ts";
import { trainCharts } from "./train.ts";

/** The page that sets runs side by side. */
export async function comparePage(contents: readonly RunContent[]): Promise<string> {
  const attacks = contents.filter((of): of is AttackContent => of.command === "attack");
  const evals = contents.filter((of): of is EvalContent => of.command === "eval");
  const trainings = contents.filter((of): of is TrainContent => of.command === "train");
  const methods = [...new Set(contents.map(({ figures }) => title(figures.mode)))];
  return page(
    `${contents.length} runs compared`,
    paragraph(
      "about",
      `${methods.join(", ")}. H: mean entropy out-domain in nats; `,
      `R: share of the images rejected at a confidence of ${tau}; `,
      "AUROC: by the largest probability, in brackets its interval.",
    ),
    attacks.length > 0 ? await attackParts(attacks) : null,
    evals.length > 0 ? evalPart(evals) : null,
    trainings.length > 0 ? await trainPart(trainings) : null,
    inCommon(contents),
  );
}

/** Names a run among the others; without what changes from point to point of its curve. */
type Label = (content: RunContent, without?: string) => string;

/** What follows from other settings, or from the data that is there. */
const implied: ReadonlySet<string> = new Set(["mode", "trainingLimit"]);

/** Options by the names that tell one radius from the other. */
const names: Readonly<Record<string, string>> = {
  epsilonAttack: "attack's epsilon",
  epsilon: "training's epsilon",
};

function settingsOf(content: RunContent): Record<string, unknown> {
  // The epochs that were asked for are none that a model need have behind it.
  const { options: { epochs: _, ...options }, epochs } = identityOf(content);
  const behind = content.command === "train"
    ? content.figures.members.map((member) => member.epochs.length)
    : epochs;
  const used = behind.length === 0 ? {} : { epochs: [...new Set(behind)].join(" and ") };
  const all = { ...options, ...used, ...content.figures.procedure };
  return Object.fromEntries(Object.entries(all).filter(([key]) => !implied.has(key)));
}

/** The method and whatever differs among runs of one method. */
function labels(contents: readonly RunContent[]): Label {
  const differs = new Set<string>();
  for (const one of contents) {
    for (const other of contents) {
      if (one.figures.mode !== other.figures.mode) continue;
      const [a, b] = [settingsOf(one), settingsOf(other)];
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        if (JSON.stringify(a[key]) !== JSON.stringify(b[key])) differs.add(key);
      }
    }
  }
  const named = (content: RunContent, without?: string): string => {
    const own = settingsOf(content);
    const parts = [...differs].filter((key) => key !== without && own[key] !== undefined)
      .map((key) => `${names[key] ?? key} ${own[key]}`);
    return [title(content.figures.mode), ...parts].join(", ");
  };
  const alike = [...Map.groupBy(contents, (content) => named(content)).values()]
    .filter((group) => group.length > 1).flat();
  // Runs that differ in their model, program or machine alone are told apart by their digest.
  return (content, without) =>
    named(content, without) +
    (alike.includes(content) ? `, ${content.run.digest.slice(0, 6)}` : "");
}

/** Settings that all the runs share. */
function inCommon(contents: readonly RunContent[]): Html {
  const [first, ...others] = contents.map(settingsOf);
  const same = Object.entries(first ?? {}).filter(([key, value]) =>
    others.every((other) => JSON.stringify(other[key]) === JSON.stringify(value))
  );
  return section(
    "In common",
    paragraph("about", "What all the runs share; what they do not is in their names."),
    table(
      ["option", "value"],
      same.map(([key, value]) => [names[key] ?? key, markup`<code>${String(value)}</code>`]),
    ),
  );
}

/** Which attack takes the most rejections away, and which the fewest. */
function lead(attacks: readonly AttackContent[], label: Label): Html | null {
  const drop = ({ figures: { clean, adversarial } }: AttackContent): number =>
    (clean.rejection[tau] ?? 0) - (adversarial.rejection[tau] ?? 0);
  const sorted = attacks.toSorted((a, b) => drop(b) - drop(a));
  const [most, least] = [sorted[0], sorted.at(-1)];
  if (!most || !least || most === least) return null;
  const told = (content: AttackContent): string => {
    const { clean, adversarial } = content.figures;
    return `${label(content)} (from ${percent(clean.rejection[tau] ?? 0)} to ${
      percent(adversarial.rejection[tau] ?? 0)
    })`;
  };
  return paragraph(
    "verdict",
    `The share of rejected images falls most in ${told(most)}, least in ${told(least)}.`,
  );
}

async function attackParts(attacks: readonly AttackContent[]): Promise<Content> {
  const label = labels(attacks);
  const sorted = attacks.toSorted((a, b) =>
    compareText(label(a, "epsilonAttack"), label(b, "epsilonAttack")) ||
    a.figures.epsilonAttack - b.figures.epsilonAttack
  );
  return [
    lead(attacks, label),
    section("Attacks", attackTable(sorted, label), seedTable(sorted, label)),
    section(
      "Entropy and rejection against the attack's epsilon",
      await epsilonCharts(sorted, label),
    ),
    section("Before and after", await bars(sorted, label)),
  ];
}

function attackTable(attacks: readonly AttackContent[], label: Label): Html {
  return numbers(
    [
      "run",
      "attack's epsilon",
      "accuracy",
      "H clean",
      "H attacked",
      "R clean",
      "R attacked",
      "AUROC clean",
      "AUROC attacked",
      "folder",
    ],
    attacks.map((content) => {
      const { epsilonAttack, inDomain, clean, adversarial } = content.figures;
      return [
        label(content, "epsilonAttack"),
        String(epsilonAttack),
        number(inDomain.accuracy, 4),
        number(clean.entropy, 3),
        number(adversarial.entropy, 3),
        number(clean.rejection[tau], 3),
        number(adversarial.rejection[tau], 3),
        ...areas(evidenceOf(content.figures)),
        markup`<code>${content.name}</code>`,
      ];
    }),
  );
}

/** Means over seeds, where there are several of one thing. */
function seedTable(attacks: readonly AttackContent[], label: Label): Html | null {
  const groups = Map.groupBy(
    attacks,
    (content) => `${label(content, "seed")}; attack's epsilon ${content.figures.epsilonAttack}`,
  );
  const rows = [...groups.values()].filter((group) => group.length > 1).map((group) => {
    const over = (of: (figures: AttackContent["figures"]) => number | null | undefined): string => {
      const values = group.map(({ figures }) => of(figures)).filter((v) => typeof v === "number");
      if (values.length === 0) return "none";
      const width = halfWidth95(values);
      return number(mean(values), 3) + (width === null ? "" : ` ± ${number(width, 3)}`);
    };
    const [first] = group;
    return [
      first ? label(first, "seed") : "",
      String(group.length),
      over(({ inDomain }) => inDomain.accuracy),
      over(({ clean }) => clean.entropy),
      over(({ adversarial }) => adversarial.entropy),
      over(({ clean }) => clean.rejection[tau]),
      over(({ adversarial }) => adversarial.rejection[tau]),
    ];
  });
  if (rows.length === 0) return null;
  return numbers(
    ["over seeds", "seeds", "accuracy", "H clean", "H attacked", "R clean", "R attacked"],
    rows,
    "Means, and half the width of their 95 % confidence interval.",
  );
}

async function epsilonCharts(attacks: readonly AttackContent[], label: Label): Promise<Html> {
  const series = Map.groupBy(attacks, (content) => label(content, "epsilonAttack"));
  const curve = (
    before: (figures: AttackContent["figures"]) => number | null | undefined,
    after: (figures: AttackContent["figures"]) => number | null | undefined,
  ): Line[] =>
    [...series].map(([name, group]): Line => {
      const [first] = group;
      return {
        series: name,
        points: [
          [0, first ? before(first.figures) ?? null : null],
          ...group.map(({ figures }): Line["points"][number] => [
            figures.epsilonAttack,
            after(figures) ?? null,
          ]),
        ],
      };
    });
  const ticks = [...new Set([0, ...attacks.map(({ figures }) => figures.epsilonAttack)])];
  const x = "attack's epsilon, 0 to 1";
  const entropies = curve(({ clean }) => clean.entropy, ({ adversarial }) => adversarial.entropy);
  const rates = curve(
    ({ clean }) => clean.rejection[tau],
    ({ adversarial }) => adversarial.rejection[tau],
  );
  return await draw(
    lines(entropies, {
      title: "Entropy",
      alt: "Mean entropy out-domain against the radius of the attack; at 0 of the clean images.",
      x,
      ticks,
      y: "H, mean entropy (nats)",
    }),
    lines(rates, {
      title: `Rejection at ${tau}`,
      alt:
        "Share of the images rejected against the radius of the attack; at 0 of the clean images.",
      x,
      ticks,
      y: "R, share rejected",
      share: true,
    }),
  );
}

async function bars(attacks: readonly AttackContent[], label: Label): Promise<Html> {
  const rows = attacks.map((content) => ({
    label: label(content),
    clean: content.figures.clean.entropy ?? 0,
    attacked: content.figures.adversarial.entropy ?? 0,
  }));
  return await draw(
    pairBars(rows, {
      title: "Entropy before and after",
      alt: "Mean entropy out-domain of each run, clean and attacked.",
      x: "H, mean entropy (nats)",
    }),
  );
}

function evalPart(evals: readonly EvalContent[]): Html {
  const label = labels(evals);
  return section(
    "Evaluations",
    numbers(
      ["run", "accuracy", "Brier", "NLL", "H", "R", "folder"],
      evals.map((content) => {
        const { inDomain, outDomain } = content.figures;
        return [
          label(content),
          number(inDomain.accuracy, 4),
          number(inDomain.brier, 5),
          number(inDomain.nll, 4),
          number(outDomain.entropy, 3),
          number(outDomain.rejection[tau], 3),
          markup`<code>${content.name}</code>`,
        ];
      }),
    ),
  );
}

async function trainPart(trainings: readonly TrainContent[]): Promise<Html> {
  const label = labels(trainings);
  const members = trainings.flatMap((content) =>
    content.figures.members.map((member) => ({ member, run: label(content), content }))
  );
  return section(
    "Trainings",
    numbers(
      ["run", "seed", "epochs", "best accuracy", "last accuracy", "last loss", "folder"],
      members.map(({ member: { seed, epochs, best, last }, run, content }) => [
        run,
        String(seed),
        String(epochs.length),
        number(best.accuracy, 4),
        number(last.accuracy, 4),
        number(epochs.at(-1)?.loss, 4),
        markup`<code>${content.name}</code>`,
      ]),
    ),
    await trainCharts(members),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
