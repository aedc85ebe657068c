/**
 * `mirage data`: what is there, and downloads.
 *
 * @module
 */
import Table from "cli-table3";
import { z } from "zod";
import { describeData, downloadSet, type SetName, setOfImages } from "../../data/mod.ts";
import { type Network, networks } from "../methods/mod.ts";
import { commandOf } from "../base/invocation.ts";
import type { Progress, Reporter } from "../base/reporter.ts";

/** What `data --json` prints. */
export const dataResultSchema = z.strictObject({
  schema: z.literal("mirage/data@1"),
  dataPath: z.string(),
  sets: z.array(z.strictObject({
    name: z.string(),
    present: z.boolean(),
    /** Usable images. */
    count: z.int(),
    bytes: z.int(),
    /** Of pixels and labels. */
    sha256: z.string(),
    checksum: z.enum(["right", "differs", "none"]),
    path: z.string(),
    note: z.string(),
  })),
  downloaded: z.array(z.strictObject({
    file: z.string(),
    path: z.string(),
    bytes: z.int(),
    sha256: z.string(),
    url: z.string().nullable(),
  })),
});

/** See {@linkcode dataResultSchema}. */
export type DataResult = z.infer<typeof dataResultSchema>;

/**
 * Downloads what is named, then looks at what is there.
 *
 * @throws UserError when a download fails on every host, with the file to put where
 */
export async function data(
  names: readonly SetName[],
  dataPath: string,
  reporter: Reporter,
): Promise<DataResult> {
  const downloaded: DataResult["downloaded"] = [];
  for (const name of new Set(names)) {
    const bars = new Map<string, Progress>();
    try {
      const files = await downloadSet(name, {
        destination: dataPath,
        onProgress: ({ file, received, total }) => {
          const bar = bars.get(file) ?? reporter.progress(file, total, "bytes");
          bars.set(file, bar);
          bar.update(received);
        },
      });
      downloaded.push(...files.map(({ url, ...file }) => ({ ...file, url: url ?? null })));
    } finally {
      bars.forEach((bar) => bar.stop());
    }
  }
  const sets = await describeData(dataPath);
  return dataResultSchema.parse({ schema: "mirage/data@1", dataPath, sets, downloaded });
}

/** As a table. */
export function showData({ dataPath, sets, downloaded }: DataResult): string {
  const table = new Table({
    head: ["data set", "images", "checksum", "where"],
    colAligns: ["left", "right", "left", "left"],
    colWidths: [23, 9, 10, 33],
    wordWrap: true,
    wrapOnWordBoundary: false,
    style: { head: [], border: [], compact: true },
  });
  for (const { name, present, count, checksum, path } of sets) {
    const state = { right: "right", differs: "differs", none: "none" }[checksum];
    table.push([name, present ? String(count) : "missing", present ? state : "", path]);
  }
  const missing = downloadsOf(sets.filter(({ present }) => !present).map(({ name }) => name));
  return [
    ...downloaded.map(({ path, url, sha256 }) =>
      url === null
        ? `${path} is there already`
        : `${path} downloaded from ${new URL(url).host}, SHA-256 ${sha256}`
    ),
    table.toString(),
    ...sets.filter(({ note }) => note !== "").map(({ name, note }) => `${name}: ${note}`),
    ...(missing.length > 0
      ? [
        `Run ${
          missing.join(", or ")
        }, to download what is missing to ${dataPath}; the embedded data needs no download`,
      ]
      : []),
  ].join("\n");
}

/** Commands that download the sets of these images: those that a network was published with at once. */
function downloadsOf(names: readonly string[]): string[] {
  const missing = new Set(names.flatMap((name) => setOfImages(name)?.name ?? []));
  const published = Object.values<Network>(networks).map((of) => [of.inDomain, of.outDomain]);
  const others = [...missing].filter((name) => !published.flat().some((of) => of === name));
  return [...published, ...others.map((name) => [name])]
    .map((group) => group.filter((name) => missing.has(name)))
    .filter((group) => group.length > 0)
    .map((group) => commandOf(`data ${group.join(" ")}`));
}
