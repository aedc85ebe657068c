/**
 * What the page of a battery tells of, read from the folder of its run.
 *
 * @module
 */
import { basename } from "node:path";
import { z } from "zod";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { pictured } from "../evaluate/battery.ts";
import { batteryFigureSchemas, earlierMember } from "../experiment/battery_document.ts";
import { posteriorSchema } from "../experiment/documents.ts";
import { checkFiles, readArchive, readFigures, readRun } from "../runs/folder.ts";
import type { Run } from "../runs/schema.ts";
import type { Picture } from "./content.ts";

const figuresSchema = z.looseObject({
  schema: z.string(),
  mode: z.string(),
  model: z.string(),
  protocol: z.string(),
  procedure: z.record(z.string(), z.union([z.string(), z.number()])),
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number()])),
  seed: z.number(),
  seeds: z.array(z.number().nullable()),
  posterior: posteriorSchema.optional(),
  ...batteryFigureSchemas,
  battery: batteryFigureSchemas.battery.extend({ members: z.array(earlierMember) }),
});

/** Whose examples are as the last run of each member left them, not as the worst did. */
const earlier = "mirage/battery@1";

/** An image as it was and as every member made it. */
export interface BatteryExample {
  /** Which of the set's images it is. */
  readonly index: number;
  /** The clean one, then one a member. */
  readonly pictures: readonly Picture[];
  /** Its largest probability in each of them. */
  readonly confidences: readonly number[];
}

/** A battery. */
export interface BatteryContent {
  readonly command: "battery";
  /** The folder's name. */
  readonly name: string;
  readonly run: Run;
  readonly figures: z.infer<typeof figuresSchema>;
  readonly examples: readonly BatteryExample[];
  /** Whether each picture is of the run whose confidence stands below it; of earlier versions it is of the last run. */
  readonly ofWorst: boolean;
}

/**
 * Reads a finished battery.
 *
 * @throws UserError when the folder is none of one, or it is damaged
 */
export async function readBattery(folder: string): Promise<BatteryContent> {
  const run = await readRun(folder);
  const found = await readFigures(folder, run);
  const cannot = (why: string): UserError =>
    new UserError(`Cannot report on "${display(folder)}": ${why}`);
  if (!found) throw cannot("the run is not finished; repeat its command, which goes on with it");
  await checkFiles(folder, run);
  const { data: figures, error } = figuresSchema.safeParse(found);
  if (!figures) {
    const [issue] = error.issues;
    throw cannot(
      `metrics.json: ${shortened(issue?.path.join(".") ?? "")}: ${
        shortened(issue?.message ?? "")
      }; make the run again`,
    );
  }
  const archive = await readArchive(folder, run, "examples");
  const scores = (await readArchive(folder, run, "battery")).get(`out.${pictured}`);
  const [index, place, images] = ["index", "place", "images"].map((of) => archive.get(of));
  if (!(index && place && images && scores)) {
    throw cannot("its archives are incomplete; make the run again");
  }
  const [, versions = 1, channels = 1, height = 1, width = 1] = images.shape;
  const size = channels * height * width;
  const [, count = 0] = scores.shape;
  const examples = Array.from(index.data, (image, row): BatteryExample => ({
    index: image,
    pictures: Array.from({ length: versions }, (_, k) => {
      const at = (row * versions + k) * size;
      const values = Float32Array.from(images.data.subarray(at, at + size));
      return { shape: [channels, height, width], values };
    }),
    confidences: Array.from(
      { length: versions },
      (_, k) => scores.data[k * count + (place.data[row] ?? 0)] ?? NaN,
    ),
  }));
  const ofWorst = figures.schema !== earlier;
  return { command: "battery", name: basename(folder), run, figures, examples, ofWorst };
}
