/**
 * A battery of attacks on a model's uncertainty, as an experiment.
 *
 * Both sets are attacked: out-domain images to seem known, in-domain ones to seem unknown. Every image gets
 * the worst of each reported score over itself as it was and all attacks, restarts and ranks.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { Clock } from "../base/clock.ts";
import type { Reporter } from "../base/reporter.ts";
import {
  type BatteryJob,
  type BatterySide,
  type MemberOutcome,
  type ReadyMember,
  runSide,
  type TurnedScores,
  turnedScores,
} from "../evaluate/battery.ts";
import { classMeans } from "../evaluate/class_means.ts";
import type { ScoreFits } from "../evaluate/fit_scores.ts";
import { predict } from "../evaluate/predict.ts";
import { chosen, evenSample } from "../evaluate/resident_set.ts";
import { answersAt } from "../measure/answers.ts";
import { release } from "../nn/mod.ts";
import { thresholdKeeping } from "../measure/detection.ts";
import { rightRows } from "../measure/metrics.ts";
import type { RunResults } from "../runs/folder.ts";
import { batteryArchives } from "./battery_archives.ts";
import { batteryDocument, type BatteryResult } from "./battery_document.ts";
import { batteryFigures, type Sides } from "./battery_figures.ts";
import { forgetOutcomes, outcomesIn } from "./battery_kept.ts";
import { type BatteryPlan, planOf, withScoreMembers } from "./battery_members.ts";
import { common, job, modelsOf, posteriorsArchive, readFacts } from "./common.ts";
import {
  type Calibrated,
  calibratedBench,
  checkTemperature,
  temperatureFacts,
} from "./calibrated.ts";
import type { RunConfig } from "./config.ts";
import { type Evaluated, evaluateInDomain } from "./evaluate.ts";
import { partsOf } from "./parts.ts";
import { recorded } from "./recorded.ts";
import { checkScores, scoredBench, scoresArchive, scoresResult } from "./scored.ts";
import { meansSetOf, outDomainOf } from "./setup.ts";
import type { KeptSurrogate } from "./surrogate.ts";
import { findOrTrain, type LoadedModel, openWorkbench, type Workbench } from "./workbench.ts";

/**
 * Attacks by a battery, training the model first where there is no checkpoint; goes on with one that was broken off.
 *
 * @throws UserError for whatever a user can mend
 */
export async function battery(config: RunConfig, reporter: Reporter): Promise<BatteryResult> {
  const clock = new Clock();
  const parts = await partsOf(config);
  using bench = await openWorkbench(config, "use", reporter);
  checkScores(bench);
  await checkTemperature(bench);
  const plan = await planOf(bench, parts);
  const setup = {
    ...bench,
    modules: plan.modules,
    byMeans: needsMeans(plan.members) || config.scores !== undefined,
    surrogateSeeds: plan.surrogate?.seeds,
  };
  const finished: string[] = [];
  const telling: Reporter = {
    ...reporter,
    kept(path): void {
      finished.push(path);
      reporter.kept?.(path);
    },
  };
  const { document } = await recorded("battery", setup, telling, {
    models: (r) => modelsFor(bench, plan, r, clock),
    work: (r, models, folder) => batteryOn(bench, plan, models, r, clock, folder),
  });
  // Of one that could not be kept the members stay, for the next try.
  for (const folder of finished) await forgetOutcomes(folder);
  return document;
}

/**
 * As {@linkcode battery}, but keeps nothing.
 *
 * @param kept copies of the surrogate that a run which is made again used; it is found or trained when not given
 */
export async function batteryOnly(
  config: RunConfig,
  reporter: Reporter,
  kept?: KeptSurrogate,
): Promise<BatteryResult> {
  const clock = new Clock();
  const parts = await partsOf(config);
  using bench = await openWorkbench(config, "use", reporter);
  const plan = await planOf(bench, parts, kept);
  const models = await modelsFor(bench, plan, reporter, clock);
  return (await batteryOn(bench, plan, models, reporter, clock)).document;
}

/** The models under attack, then those of the surrogate. */
async function modelsFor(
  bench: Workbench,
  { surrogate }: BatteryPlan,
  reporter: Reporter,
  clock: Clock,
): Promise<LoadedModel[]> {
  const own = await findOrTrain(bench, reporter, clock);
  return [...own, ...await surrogate?.find(reporter, clock) ?? []];
}

async function batteryOn(
  trained: Workbench,
  planned: BatteryPlan,
  models: readonly LoadedModel[],
  reporter: Reporter,
  clock: Clock,
  folder?: string,
): Promise<RunResults & { readonly document: BatteryResult }> {
  const { config } = trained;
  const calibrated = await calibratedBench(trained, reporter);
  using scored = await scoredBench(calibrated.bench, reporter);
  const { bench, fits } = scored;
  const plan = withScoreMembers(config, planned, fits);
  const whole = {
    in: await calibrated.test(),
    out: await outDomainOf(bench),
  };
  const index = { in: sampleOf(whole.in, config), out: sampleOf(whole.out, config) };
  const sets = { in: chosen(whole.in, index.in), out: chosen(whole.out, index.out) };
  if (sets.in.count < whole.in.count || sets.out.count < whole.out.count) {
    reporter.note(
      `The battery attacks ${sets.out.count} of ${whole.out.count} images out-domain and ${sets.in.count} of ${whole.in.count} in-domain, evenly spread; --limit takes others`,
    );
  }
  const { members, leftOut } = plan;
  leftOut.forEach(({ name, why }) => reporter.note(`${name} is left out: ${why}`));
  const made = await clock.time("work", async () => {
    const inDomain = await evaluateInDomain(bench, whole.in, reporter);
    const clean = {
      in: turnedScores(answersAt(inDomain.answers, index.in)),
      out: turnedScores(await predict(job(bench, sets.out, reporter))),
    };
    const means = needsMeans(members)
      ? await classMeans(job(bench, sets.out, reporter), await meansSetOf(bench))
      : undefined;
    const ready: BatteryJob = {
      job: job(bench, sets.out, reporter),
      members,
      keepLabel: config.keepLabel,
      means,
      told: toldBy(clean.in),
      onlyTold: config.batteryMode === "threshold",
      outcomes: outcomesIn(folder),
    };
    try {
      return { inDomain, clean, sides: await runSides(ready, config, sets, clean) };
    } finally {
      release(bench.device, means ?? []);
    }
  });
  return {
    document: documentOf(bench, models, { ...made, ...calibrated, sets, index, plan, fits }, clock),
    archives: {
      ...batteryArchives(made, { set: sets.out, numbers: index.out }, members),
      ...scoresArchive(fits),
      ...posteriorsArchive(models.slice(0, bench.members.length)),
    },
  };
}

function needsMeans(members: readonly ReadyMember[]): boolean {
  return members.some(({ objective }) => objective.means);
}

/** Both sides, or the one that is asked for; out-domain images come first. */
async function runSides(
  ready: BatteryJob,
  { on = "both" }: RunConfig,
  sets: Readonly<Record<BatterySide, ImageSet>>,
  clean: Readonly<Record<BatterySide, TurnedScores>>,
): Promise<Sides> {
  const run = async (side: BatterySide): Promise<MemberOutcome[]> =>
    on === "both" || on === side ? await runSide(ready, sets[side], side, clean[side]) : [];
  const out = await run("out");
  return { out, in: await run("in") };
}

/** Images that some score still tells, at its threshold that keeps 95 % of the clean in-domain ones. */
function toldBy(inDomain: TurnedScores): BatteryJob["told"] {
  const thresholds = Object.entries(inDomain)
    .map(([name, scores]) => [name, thresholdKeeping(scores)] as const);
  return (side, worst) => {
    const count = Object.values(worst)[0]?.length ?? 0;
    return Uint8Array.from({ length: count }, (_, i) => {
      const holds = thresholds.some(([name, threshold]) => {
        const score = worst[name]?.[i] ?? NaN;
        return side === "out" ? score < threshold : score >= threshold;
      });
      return holds ? 1 : 0;
    });
  };
}

/** Everything that the document says. */
interface Made {
  readonly inDomain: Evaluated;
  readonly clean: Readonly<Record<BatterySide, TurnedScores>>;
  readonly sides: Sides;
  readonly sets: Readonly<Record<BatterySide, ImageSet>>;
  /** Which of all images these are. */
  readonly index: Readonly<Record<BatterySide, Uint32Array>>;
  readonly plan: BatteryPlan;
  readonly fits: ScoreFits | undefined;
  readonly temperature: Calibrated["temperature"];
}

function documentOf(
  bench: Workbench,
  models: readonly LoadedModel[],
  { inDomain, clean, sides, sets, index, plan, fits, temperature }: Made,
  clock: Clock,
): BatteryResult {
  const { config } = bench;
  const { members, leftOut } = plan;
  const count = bench.members.length;
  const surrogate = {
    seeds: plan.surrogate?.seeds,
    digests: models.slice(count).map(({ digest }) => digest),
  };
  const { battery = "standard", batteryMode = "full", norm = "linf", keepLabel, seed } = config;
  const { sha256, listSha256 = null } = sets.out;
  const right = rightOf(inDomain, sets.in, index);
  return batteryDocument.parse({
    schema: "mirage/battery@4",
    ...common(bench),
    seeds: bench.modelSeeds,
    ...modelsOf(models.slice(0, count)),
    epsilonAttack: config.epsilonAttack,
    battery: {
      name: battery,
      mode: batteryMode,
      on: config.on ?? "both",
      norm,
      keepLabel,
      members: members.map(({ name, attack, settings, objective, eot = 1, ...of }) => ({
        name,
        attack: attack.name,
        objective: objective.name,
        steps: settings.steps,
        stepSize: settings.stepSize,
        init: settings.init ?? null,
        restarts: settings.restarts ?? 0,
        eot,
        surrogate: of.surrogate ? surrogate : null,
      })),
      leftOut,
    },
    inDomain: inDomain.figures,
    attacked: { in: sets.in.count, out: sets.out.count },
    outDomain: {
      name: sets.out.name,
      count: sets.out.count,
      sha256,
      listSha256,
      ...readFacts(sets.out),
    },
    ...temperatureFacts(temperature, inDomain),
    ...fits && { scoreFits: scoresResult(fits) },
    ...batteryFigures({ clean, sides, members, right }, seed),
    seconds: { setup: clock.setup, train: clock.train, attack: clock.work },
  });
}

/** 1 where the clean image is right; undefined without labels. */
function rightOf(
  { answers }: Evaluated,
  { labels, labelled = true }: ImageSet,
  index: Readonly<Record<BatterySide, Uint32Array>>,
): Uint8Array | undefined {
  if (!labelled) return undefined;
  const { predictions } = answersAt(answers, index.in);
  return Uint8Array.from(rightRows(predictions, labels), (right) => right === 1 ? 1 : 0);
}

/** The images that a battery attacks: all that --limit names, else a sample. */
function sampleOf({ count }: ImageSet, { limit }: RunConfig): Uint32Array {
  return evenSample(count, limit ?? sampleSize);
}

/** Images of each set where nobody says how many. */
const sampleSize = 500;
