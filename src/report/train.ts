/**
 * The report of a training.
 *
 * @module
 */
import { readText, title } from "./words.ts";
import { modelTitle } from "../methods/mod.ts";
import { counted, percent, shown } from "../measure/shown.ts";
import { draw } from "./charts.ts";
import type { TrainContent } from "./content.ts";
import { type Html, paragraph, section } from "./html.ts";
import { type Line, lines } from "./lines.ts";
import { page } from "./page.ts";
import { configuration, furtherFigures, numbers } from "./sections.ts";

const elsewhere = ["seed", "procedure", "hyperparameters", "members", "data"];

/** The page of a training. */
export async function trainPage(content: TrainContent): Promise<string> {
  const { figures } = content;
  const { mode, protocol, data, members } = figures;
  const seeds = members.map(({ seed }) => seed);
  const whose = seeds.length === 1 ? `seed ${seeds[0]}` : `seeds ${seeds[0]} to ${seeds.at(-1)}`;
  return page(
    `${title(mode)} trained, ${whose}`,
    paragraph(
      "about",
      `${modelTitle(figures.model, figures.hyperparameters)}; protocol ${protocol}; ${
        counted(data.count, "image")
      } of ${data.name}${readText(data)}`,
    ),
    paragraph("verdict", trainVerdict(content)),
    section(
      "Key figures",
      numbers(
        ["seed", "epochs", "best epoch", "its accuracy", "last accuracy", "last loss"],
        members.map(({ seed, epochs, best, last }) => [
          String(seed),
          String(epochs.length),
          String(best.epoch + 1),
          shown(best.accuracy, "accuracy"),
          shown(last.accuracy, "accuracy"),
          shown(epochs.at(-1)?.loss, "loss"),
        ]),
        "Accuracy on the images by which the best epoch is chosen.",
      ),
    ),
    section("Curves", await trainCharts(members.map((member) => ({ member })))),
    epochTable(content),
    furtherFigures(figures, elsewhere),
    configuration(content),
  );
}

function trainVerdict({ figures: { mode, members } }: TrainContent): string {
  const [only] = members;
  if (only && members.length === 1) {
    return `${title(mode)} gets ${percent(only.best.accuracy)} of the images right in its best ` +
      `epoch, ${only.best.epoch + 1}, and ${percent(only.last.accuracy)} in its last, ${
        only.last.epoch + 1
      }.`;
  }
  const rates = members.map(({ best }) => best.accuracy);
  return `The ${members.length} members of ${title(mode)} get ${percent(Math.min(...rates))} to ${
    percent(Math.max(...rates))
  } of the images right, each after its best epoch.`;
}

type Member = TrainContent["figures"]["members"][number];

/** Loss and accuracy by epoch; lines of runs that are compared have the colour of their method. */
export async function trainCharts(
  given: readonly { readonly member: Member; readonly run?: string; readonly method?: string }[],
): Promise<Html> {
  const pick = (
    { member: { seed, epochs }, run, method }: typeof given[number],
    series: string,
    of: (epoch: Member["epochs"][number]) => number,
  ): Line => ({
    series: run ?? series,
    ...(method === undefined ? {} : { group: method }),
    detail: seed,
    points: epochs.map((epoch) => [epoch.epoch + 1, of(epoch)]),
  });
  const compared = given.some(({ run }) => run !== undefined);
  const several = given.length > 1 ? "; a line a model" : "";
  const loss = lines(given.map((of) => pick(of, "loss", ({ loss }) => loss)), {
    title: "Loss",
    alt: `Mean loss of the training steps of each epoch${several}.`,
    x: "epoch",
    y: "loss (nats)",
    whole: true,
  });
  const accuracy = lines(
    given.flatMap((of) => [
      ...(compared ? [] : [pick(of, "in training", ({ trainAccuracy }) => trainAccuracy)]),
      pick(of, "on what the best epoch is chosen by", ({ accuracy }) => accuracy),
    ]),
    {
      title: "Accuracy",
      alt: `Share of images whose class is right after each epoch${several}.`,
      x: "epoch",
      y: "share right",
      share: true,
      whole: true,
    },
  );
  return await draw(loss, accuracy);
}

function epochTable({ figures: { members } }: TrainContent): Html | null {
  const [only] = members;
  if (!only || members.length > 1) return null;
  return section(
    "All epochs",
    numbers(
      ["epoch", "learning rate", "loss", "accuracy in training", "accuracy of the choice"],
      only.epochs.map(({ epoch, lr, loss, trainAccuracy, accuracy }) => [
        String(epoch + 1),
        String(Number(lr.toPrecision(6))),
        shown(loss, "loss"),
        shown(trainAccuracy, "accuracy"),
        shown(accuracy, "accuracy"),
      ]),
    ),
  );
}
