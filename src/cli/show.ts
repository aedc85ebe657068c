/**
 * Results as people read them: a table and a verdict in plain words.
 *
 * @module
 */
import { isImported, modelTitle, ofMethod } from "../methods/mod.ts";
import { type ProtocolOption, protocolOptions } from "../methods/protocol.ts";
import type {
  AttackResult,
  EvalResult,
  InDomain,
  TrainResult,
  Uncertainty,
} from "../experiment/documents.ts";
import { radiusOfFiles } from "../experiment/model_files.ts";
import { type ModelSeeds, seedsOf } from "../experiment/seeds.ts";
import {
  attackChoices,
  headed,
  posteriorText,
  readingName,
  readText,
  stepsText,
  targetName,
  tau,
  temperatureText,
} from "../report/words.ts";
import { evalVerdict, meanNote, verdict } from "../report/verdicts.ts";
import { changed, counted, ofLabels, percent, shown, shownRadius } from "../measure/shown.ts";
import { flagOf } from "./flags.ts";
import { columns, tableText } from "./format.ts";
import { showEvidence, showInDomainAttack, showScoreAttacks } from "./show_evidence.ts";

/**
 * An attack's result.
 *
 * @param width columns of the terminal
 */
export function showAttack(result: AttackResult, width = columns()): string {
  const { clean, adversarial, outDomain, epsilonAttack, attack, seconds } = result;
  const target = targetName(result);
  return [
    heading(result, result.seeds),
    ...trainedLine(result),
    result.inDomain ? inDomain(result.inDomain) : result.withoutInDomain?.reason ?? "",
    ...temperatureText(result),
    `out-domain: ${counted(outDomain.count, "image")} of ${outDomain.name}${readText(outDomain)}`,
    `attack: ${attack.name}, epsilon ${shownRadius(epsilonAttack)}${defaultText(result)}, ${
      stepsText(attack)
    }` +
    attackChoices(attack).map((choice) => `, ${choice}`).join("") +
    (target === undefined ? "" : `, steered to ${target}`),
    tableText(["", "clean", "attacked", "change"], attackRows(result), { width }),
    ...noted([clean, adversarial], outDomain, result.inDomain),
    verdict(result),
    ...showScoreAttacks(result, width),
    ...showInDomainAttack(result, width),
    ...showEvidence(result, width),
    ...result.warnings.map((warning) => `Warning: ${warning}`),
    footer(result, { attack: seconds.attack }),
  ].join("\n");
}

/** What is said of a radius that is other without in-domain images; nothing of any other. */
function defaultText({ withoutInDomain, model, epsilonAttack, attack }: AttackResult): string {
  return withoutInDomain && isImported(model) && attack.norm === "linf" &&
      epsilonAttack === radiusOfFiles
    ? " (the default without in-domain images)"
    : "";
}

/** Figures before, after, and what they changed by. */
function attackRows(result: AttackResult): string[][] {
  const { clean, adversarial, outDomain } = result;
  const target = targetName(result);
  const share = (images: number | null): number => (images ?? 0) / outDomain.count;
  return [
    ...(target === undefined ? [] : [[
      `taken for ${target}`,
      ...changed(share(clean.targeted), share(adversarial.targeted), "share"),
    ]]),
    ["mean entropy (nats)", ...changed(clean.entropy, adversarial.entropy, "entropy")],
    ...Object.keys(clean.rejection).map((threshold) => [
      `rejected at ${threshold}`,
      ...changed(clean.rejection[threshold], adversarial.rejection[threshold], "share"),
    ]),
    ...readingRows(result),
  ];
}

/**
 * An evaluation's result.
 *
 * @param width columns of the terminal
 */
export function showEval(result: EvalResult, width = columns()): string {
  const { outDomain, seconds } = result;
  return [
    heading(result, result.seeds),
    ...trainedLine(result),
    inDomain(result.inDomain),
    ...temperatureText(result),
    ...readText(outDomain) === "" ? [] : [
      `out-domain: ${counted(outDomain.count, "image")} of ${outDomain.name}${readText(outDomain)}`,
    ],
    tableText(["out-domain", outDomain.name], rows(outDomain), { width }),
    ...noted([outDomain], outDomain, result.inDomain),
    evalVerdict(result),
    ...showEvidence(result, width),
    footer(result, { eval: seconds.eval }),
  ].join("\n");
}

/**
 * A training's result; people count epochs from 1, documents from 0.
 *
 * @param width columns of the terminal
 */
export function showTrain(result: TrainResult, width = columns()): string {
  const { members } = result;
  const several = members.length > 1;
  const lines = members.flatMap(({ seed, epochs, best, last }) => {
    const rows = epochs.slice(-20).map((e) => [
      String(e.epoch + 1),
      shown(e.loss, "loss"),
      shown(e.trainAccuracy, "accuracy"),
      shown(e.accuracy, "accuracy"),
    ]);
    const whose = several ? `Seed ${seed}, best` : "Best";
    return [
      ...(several ? [] : [tableText(["epoch", "loss", "accuracy", "selection"], rows, { width })]),
      `${whose}: ${percent(best.accuracy)} right in epoch ${best.epoch + 1}, in ${best.path}`,
      ...(several
        ? []
        : [`Last: ${percent(last.accuracy)} right in epoch ${last.epoch + 1}, in ${last.path}`]),
    ];
  });
  return [
    `${heading(result, members.map(({ seed }) => seed))}, trained on ${
      counted(result.data.count, "image")
    } of ` +
    result.data.name + readText(result.data),
    ...lines,
    footer(result, {}),
  ].join("\n");
}

/** Mode, network and what it was done by. */
function heading(
  result: AttackResult | EvalResult | TrainResult,
  seeds: ModelSeeds,
): string {
  const { model, protocol, procedure, hyperparameters, seed } = result;
  const chosen = Object.entries(procedure).filter(([name, value]) =>
    Object.entries<ProtocolOption>(protocolOptions)
      .some(([key, option]) => key === name && option[protocol] !== value)
  );
  // Members out of files have their own names.
  const alike = seeds.length > 1 && !isImported(model);
  const network = modelTitle(alike ? `${seeds.length} x ${model}` : model, hyperparameters);
  const parts = [
    `protocol ${protocol}`,
    ...Object.entries({ ...ofMethod(hyperparameters), ...Object.fromEntries(chosen) })
      .map(([name, value]) => `${flagOf(name).slice(2)} ${value}`),
    seedsOf({ seed, seeds, model }),
  ];
  return headed(result, network, parts);
}

/** What the models have learned, one after the other where they differ. */
function trainedLine(
  { trained, posterior, seed, model: network }: AttackResult | EvalResult,
): string[] {
  if (trained.length === 0) return [];
  const silent = isImported(network)
    ? "not known (model file)"
    : "the checkpoint does not say how long and on what";
  const lines = trained.map((model) =>
    model
      ? `${counted(model.epochs, "epoch")} on ${
        counted(model.data.count, "image")
      } of ${model.data.name}`
      : silent
  );
  const alike = lines.every((line) => line === lines[0]);
  const each = alike ? lines.slice(0, 1) : lines.map((line, i) => `seed ${seed + i}: ${line}`);
  const several = alike && lines.length > 1 && trained[0];
  return [
    `trained: ${each.join("; ")}${several ? " each" : ""}`,
    ...posteriorText(posterior),
  ];
}

/** The other readings of the answers, before and after. */
function readingRows(result: AttackResult): string[][] {
  const { clean, adversarial, outDomain: { count } } = result;
  return Object.entries(clean.readings).flatMap(([key, before]) => {
    const after = adversarial.readings[key];
    const name = readingName(key, result);
    if (!after) return [];
    const rates = changed(before.rejection[tau], after.rejection[tau], "share");
    const rejected = [`${name}: rejected at ${tau}`, ...rates];
    if (before.entropy === null) {
      const [was, is, by] = changed(before.logConfidence, after.logConfidence, "log");
      const logs = [
        infinite(before.logConfidenceInfinite, count, "") ?? was,
        infinite(after.logConfidenceInfinite, count, "") ?? is,
        by,
      ];
      return [rejected, [`${name}: mean of log max`, ...logs]];
    }
    return [[`${name}: entropy`, ...changed(before.entropy, after.entropy, "entropy")], rejected];
  });
}

/** A line that says how figures are averaged, where that makes a difference. */
function noted(...given: Parameters<typeof meanNote>): string[] {
  return [meanNote(...given) ?? []].flat();
}

function inDomain(
  { accuracy, brier, nll, nllInfinite, nanRows, ...set }: InDomain,
): string {
  const { name, count } = set;
  const areLabelled = accuracy !== null;
  return `in-domain: ${counted(count, "image")} of ${name}${readText(set)}, accuracy ${
    ofLabels(accuracy, "accuracy")
  }, ` +
    `Brier ${ofLabels(brier, "brier", areLabelled)}, ` +
    `NLL ${infinite(nllInfinite ?? 0, count) ?? ofLabels(nll, "nll", areLabelled)}` +
    (areLabelled ? "" : " (no labels)") +
    (nanRows > 0 ? `; ${nanRows} answers are no numbers and count as wrong` : "");
}

/** What stands for a mean that some images make infinite. */
function infinite(images: number, count: number, noun = " images"): string | undefined {
  return images > 0 ? `infinite (${images} of ${count}${noun})` : undefined;
}

function rows({ entropy, rejection }: Uncertainty): [string, string][] {
  const rates = Object.entries(rejection).map(([threshold, rate]): [string, string] => [
    `rejected at ${threshold}`,
    shown(rate, "share"),
  ]);
  return [["mean entropy (nats)", shown(entropy, "entropy")], ...rates];
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
    ...paths.map((path) => `${isImported(result.model) ? "model file" : "checkpoint"}: ${path}`),
    `on ${device}${adapter.software ? " (software)" : ""}: ${times}`,
  ].join("\n");
}
