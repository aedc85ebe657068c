/**
 * Results as people read them: a table and a verdict in plain words.
 *
 * @module
 */
import { type ProtocolOption, protocolOptions } from "../methods/protocol.ts";
import type {
  AttackResult,
  EvalResult,
  InDomain,
  TrainResult,
  Uncertainty,
} from "../experiment/documents.ts";
import { type ModelSeeds, seedsText } from "../experiment/seeds.ts";
import { evalVerdict, meanNote, round, tau, title, verdict } from "../report/words.ts";
import { percent } from "../measure/shown.ts";
import { flagOf } from "./flags.ts";
import { newTable, number } from "./format.ts";
import { showEvidence } from "./show_evidence.ts";

/** An attack's result. */
export function showAttack(result: AttackResult): string {
  const { clean, adversarial, outDomain, epsilonAttack, attack, seconds } = result;
  const table = newTable(["", "clean", "attacked", "change"]);
  if (attack.targeted !== null) {
    const share = (images: number | null): number => (images ?? 0) / outDomain.count;
    const shares = change(share(clean.targeted), share(adversarial.targeted));
    table.push([`taken for class ${attack.targeted}`, ...shares]);
  }
  table.push(["mean entropy (nats)", ...change(clean.entropy, adversarial.entropy)]);
  for (const threshold of Object.keys(clean.rejection)) {
    const rates = change(clean.rejection[threshold] ?? 0, adversarial.rejection[threshold] ?? 0);
    table.push([`rejected at ${threshold}`, ...rates]);
  }
  for (const [name, rates] of readingRows(result)) table.push([name, ...rates]);
  const target = attack.targeted === null ? "" : `, targeted at ${attack.targeted}`;
  return [
    heading(result, result.seeds),
    trainedLine(result),
    inDomain(result.inDomain),
    `out-domain: ${outDomain.count} images of ${outDomain.name}` +
    (outDomain.skipped > 0 ? ` (${outDomain.skipped} broken files left out)` : ""),
    `attack: ${attack.name}, epsilon ${epsilonAttack}, ${attack.steps} ` +
    `step${attack.steps === 1 ? "" : "s"} of ${round(attack.stepSize, 4)}${target}`,
    table.toString(),
    ...noted([clean, adversarial], outDomain.count),
    verdict(result),
    ...showEvidence(result),
    ...result.warnings.map((warning) => `Warning: ${warning}`),
    footer(result, { attack: seconds.attack }),
  ].join("\n");
}

/** An evaluation's result. */
export function showEval(result: EvalResult): string {
  const { outDomain, seconds } = result;
  const table = newTable(["out-domain", outDomain.name]);
  for (const [label, value] of rows(outDomain)) table.push([label, value]);
  return [
    heading(result, result.seeds),
    trainedLine(result),
    inDomain(result.inDomain),
    table.toString(),
    ...noted([outDomain], outDomain.count),
    evalVerdict(result),
    ...showEvidence(result),
    footer(result, { eval: seconds.eval }),
  ].join("\n");
}

/** A training's result; people count epochs from 1, documents from 0. */
export function showTrain(result: TrainResult): string {
  const { members } = result;
  const several = members.length > 1;
  const lines = members.flatMap(({ seed, epochs, best, last }) => {
    const table = newTable(["epoch", "loss", "accuracy", "selection"]);
    for (const e of epochs.slice(-20)) {
      table.push([
        String(e.epoch + 1),
        e.loss.toFixed(4),
        e.trainAccuracy.toFixed(4),
        e.accuracy.toFixed(4),
      ]);
    }
    const whose = several ? `Seed ${seed}, best` : "Best";
    return [
      ...(several ? [] : [table.toString()]),
      `${whose}: ${percent(best.accuracy)} right in epoch ${best.epoch + 1}, in ${best.path}`,
      ...(several
        ? []
        : [`Last: ${percent(last.accuracy)} right in epoch ${last.epoch + 1}, in ${last.path}`]),
    ];
  });
  return [
    `${
      heading(result, members.map(({ seed }) => seed))
    }, trained on ${result.data.count} images of ` +
    result.data.name,
    ...lines,
    footer(result, {}),
  ].join("\n");
}

/** Mode, network and what it was done by. */
function heading(
  result: AttackResult | EvalResult | TrainResult,
  seeds: ModelSeeds,
): string {
  const { mode, model, protocol, procedure, hyperparameters, seed } = result;
  const chosen = Object.entries(procedure).filter(([name, value]) =>
    Object.entries<ProtocolOption>(protocolOptions)
      .some(([key, option]) => key === name && option[protocol] !== value)
  );
  const parts = [
    seeds.length === 1 ? model : `${seeds.length} x ${model}`,
    `protocol ${protocol}`,
    ...Object.entries({ ...hyperparameters, ...Object.fromEntries(chosen) })
      .map(([name, value]) => `${flagOf(name).slice(2)} ${value}`),
    seedsText(seed, seeds),
  ];
  return `${title(mode)} (${parts.join(", ")})`;
}

/** What the models have learned, one after the other where they differ. */
function trainedLine({ trained, seed }: AttackResult | EvalResult): string {
  const lines = trained.map((model) =>
    model
      ? `${model.epochs} epoch${model.epochs === 1 ? "" : "s"} on ${model.data.count} images of ` +
        model.data.name
      : "the checkpoint does not say how long and on what"
  );
  const alike = lines.every((line) => line === lines[0]);
  const each = alike ? lines.slice(0, 1) : lines.map((line, i) => `seed ${seed + i}: ${line}`);
  return `trained: ${each.join("; ")}${alike && lines.length > 1 ? " each" : ""}`;
}

/** What readings are called. */
const readingNames: Readonly<Record<string, string>> = {
  kernel: "kernel value",
  meanOfLogits: "mean of logits",
  meanOfProbabilities: "mean of probabilities",
};

/** The other readings of the answers, before and after. */
function readingRows(
  { clean, adversarial, outDomain: { count } }: AttackResult,
): [string, [string, string, string]][] {
  return Object.entries(clean.readings).flatMap(([key, before]) => {
    const after = adversarial.readings[key];
    const name = readingNames[key] ?? key;
    if (!after) return [];
    const rates = change(before.rejection[tau] ?? 0, after.rejection[tau] ?? 0);
    const rows: [string, [string, string, string]][] = [[`${name}: rejected at ${tau}`, rates]];
    if (before.entropy === null) {
      const logs = change(
        before.logConfidence,
        after.logConfidence,
        infinite(before.logConfidenceInfinite, count),
        infinite(after.logConfidenceInfinite, count),
      );
      return [...rows, [`${name}: mean of log max`, logs]];
    }
    return [[`${name}: entropy`, change(before.entropy, after.entropy)], ...rows];
  });
}

/** A line that says how the table's figures are averaged, where that makes a difference. */
function noted(...given: Parameters<typeof meanNote>): string[] {
  return [meanNote(...given) ?? []].flat();
}

function inDomain(
  { name, count, accuracy, brier, nll, nllInfinite, nanRows }: InDomain,
): string {
  return `in-domain: ${count} images of ${name}, accuracy ${accuracy.toFixed(4)}, ` +
    `Brier ${number(brier, 5)}, NLL ${number(nll, 4, infinite(nllInfinite, count))}` +
    (nanRows > 0 ? `; ${nanRows} answers are no numbers and count as wrong` : "");
}

/** What stands for a mean that some images make infinite. */
function infinite(images: number, count: number): string | undefined {
  return images > 0 ? `infinite (${images} of ${count} images)` : undefined;
}

function rows({ entropy, rejection }: Uncertainty): [string, string][] {
  const rates = Object.entries(rejection).map(([threshold, rate]): [string, string] => [
    `rejected at ${threshold}`,
    rate.toFixed(3),
  ]);
  return [["mean entropy (nats)", number(entropy, 3)], ...rates];
}

function change(
  before: number | null,
  after: number | null,
  withoutBefore?: string,
  withoutAfter?: string,
): [string, string, string] {
  const difference = before === null || after === null ? null : after - before;
  const shown = number(difference, 3).replace(/^-(0\.0+)$/, "$1");
  const sign = difference !== null && Number(shown) > 0 ? "+" : "";
  return [number(before, 3, withoutBefore), number(after, 3, withoutAfter), sign + shown];
}

function footer(
  result: AttackResult | EvalResult | TrainResult,
  work: Readonly<Record<string, number>>,
): string {
  const { adapter, seconds } = result;
  const paths = "checkpoints" in result ? result.checkpoints : [];
  const times = Object.entries({ setup: seconds.setup, train: seconds.train, ...work })
    .map(([phase, s]) => `${phase} ${s.toFixed(1)} s`).join(", ");
  const device = adapter.description || adapter.device || adapter.vendor;
  return [
    ...paths.map((path) => `checkpoint: ${path}`),
    `on ${device}${adapter.software ? " (software)" : ""}: ${times}`,
  ].join("\n");
}
