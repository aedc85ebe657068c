/**
 * How long a plan takes, by steps that are measured here: of every kind of row a few are made on few images, in a folder
 * that is removed.
 *
 * @module
 */
import { type Reporter, silent } from "../base/reporter.ts";
import { evalBatch, quickEpochs, runConfig, trainEpochs } from "../experiment/config.ts";
import { outDomainOf } from "../experiment/setup.ts";
import { wordsOf } from "./plan.ts";
import { makeRun } from "./row.ts";
import type { Draft } from "./trainings.ts";

/** What a plan takes on one device. */
export interface Hours {
  /** All of it. */
  readonly hours: number;
  /** Trainings. */
  readonly trainingHours: number;
}

/** Options that change nothing in how long a step takes. */
const free: ReadonlySet<string> = new Set([
  "seed",
  "epsilonAttack",
  "epochs",
  "limit",
  "lr",
  "momentum",
  "weightDecay",
  "targeted",
  "direction",
  "savePath",
]);

/** What a kind of row takes, in seconds. */
interface Rates {
  /** For an image in an epoch of one member. */
  readonly train: number;
  /** For what comes after the training: of so many images. */
  readonly work: (images: number) => number;
}

/** Hours of a plan's rows, one after the other, but for the trainings that are there. */
export async function hoursOf(drafts: readonly Draft[], reporter: Reporter): Promise<Hours> {
  const folder = await Deno.makeTempDir({ prefix: "mirage-" });
  const rates = new Map<string, Promise<Rates>>();
  let [training, work] = [0, 0];
  try {
    for (const draft of drafts) {
      const { command, options } = draft;
      const kind = Object.entries(options).filter(([name]) => !free.has(name));
      const key = JSON.stringify([command, Object.fromEntries(kind.sort())]);
      const found = rates.get(key) ?? measure(draft, folder, reporter);
      rates.set(key, found);
      const rate = await found;
      training += rate.train * await trainedImages(draft);
      if (command !== "train") work += rate.work((await outDomainOf(draft.known.setup)).count);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return { hours: (training + work) / 3600, trainingHours: training / 3600 };
}

/** Images that a row sees in its own trainings: epochs, members that no other row trains, images of an epoch. */
async function trainedImages({ command, config, needs, known: { setup } }: Draft): Promise<number> {
  if (setup.statements.length > 0 || setup.imported) return 0;
  const usual = setup.sets.embedded ? quickEpochs.embedded : quickEpochs.downloaded;
  const epochs = config.epochs ?? (command === "train" ? trainEpochs : usual);
  const members = Math.max(0, setup.seeds.length - needs.length);
  return epochs * members * (await setup.trainingSet()).count;
}

/** Makes a row on one batch and on two, or on all of its images where these are fewer. */
async function measure(draft: Draft, folder: string, reporter: Reporter): Promise<Rates> {
  const { command, config, known: { setup } } = draft;
  reporter.note(`Measuring: ${wordsOf(draft)}`);
  const all = Math.min(config.limit ?? Infinity, (await setup.trainingSet()).count);
  const batch = config.batchSize ?? evalBatch;
  const seen: { images: number; seconds: number }[] = [];
  let perImage = 0;
  const recording: Reporter = {
    ...silent,
    record: ({ event, imagesPerSecond }) => {
      // Of the last epoch, when everything is warm.
      if (event === "epoch" && typeof imagesPerSecond === "number") perImage = 1 / imagesPerSecond;
    },
  };
  for (const images of new Set([Math.min(batch, all), Math.min(2 * batch, all)])) {
    const own = await Deno.makeTempDir({ dir: folder });
    const asked = runConfig({ ...config, savePath: own, epochs: 2, limit: images });
    const { setup: _, train: _train, ...parts } = await makeRun(command, asked, recording);
    seen.push({ images, seconds: Object.values(parts).reduce((sum, of) => sum + of, 0) });
  }
  const [one, two = one] = seen;
  if (!one || !two) throw new Error("Unreachable: nothing was measured");
  const slope = two === one
    ? one.seconds / one.images
    : Math.max(0, (two.seconds - one.seconds) / (two.images - one.images));
  return {
    train: perImage,
    work: (images) => Math.max(0, one.seconds + slope * (images - one.images)),
  };
}
