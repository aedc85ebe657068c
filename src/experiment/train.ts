/**
 * The training of a model, or of an ensemble's members, as an experiment.
 *
 * @module
 */
import { Clock } from "../base/clock.ts";
import { type RunConfig, trainEpochs } from "./config.ts";
import { type Reporter, silent } from "../base/reporter.ts";
import { type TrainResult, trainResultSchema } from "./documents.ts";
import { common, readFacts } from "./common.ts";
import { recorded } from "./recorded.ts";
import {
  openWorkbench,
  tellOwn,
  type TrainedMember,
  trainMembers,
  type Workbench,
} from "./workbench.ts";

/**
 * Trains a model, resuming from its last checkpoint, and keeps the best and the last.
 *
 * @throws UserError for whatever a user can mend
 */
export async function train(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<TrainResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config, "train", reporter);
  const epochs = config.epochs ?? trainEpochs;
  const { document } = await recorded("train", bench, reporter, {
    models: () => Promise.resolve([]),
    work: async (reporter) => {
      await tellOwn(bench, reporter, true);
      const positions = [...bench.members.keys()];
      const members = await trainMembers(bench, positions, epochs, reporter, clock);
      const document = trainDocument(bench, members, clock);
      return { document, checkpoints: members.map(({ paths }) => paths.best) };
    },
  });
  return document;
}

function trainDocument(
  bench: Workbench,
  members: readonly TrainedMember[],
  clock: Clock,
): TrainResult {
  const [set] = members.map((m) => m.set);
  if (!set) throw new Error("Unreachable: a training without a member");
  return trainResultSchema.parse({
    schema: "mirage/train@4",
    ...common(bench),
    data: { name: set.name, count: set.count, sha256: set.sha256, ...readFacts(set) },
    members: members.map(({ seed, trained, paths }) => {
      const last = trained.epochs.at(-1);
      return {
        seed,
        epochs: trained.epochs,
        best: { ...trained.best, path: paths.best },
        last: { epoch: last?.epoch ?? 0, accuracy: last?.accuracy ?? 0, path: paths.last },
      };
    }),
    seconds: { setup: clock.setup, train: clock.train },
  });
}
