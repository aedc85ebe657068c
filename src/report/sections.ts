/**
 * Parts that the reports of every kind of run share.
 *
 * @module
 */
import { isAbsolute } from "node:path";
import { z } from "zod";
import { preparedText } from "../../data/mod.ts";
import { type ProtocolOption, protocolOptions } from "../methods/protocol.ts";
import { brief, ofLabels, withInterval } from "../measure/shown.ts";
import { roleName, words } from "./words.ts";
import { meanNote } from "./verdicts.ts";
import { flatten } from "../runs/figures.ts";
import type { Quality, Read, RunContent } from "./content.ts";
import { type Content, Html, markup, paragraph, section, table } from "./html.ts";

/** A table of numbers, set to the right. */
export function numbers(...given: Parameters<typeof table>): Html {
  return markup`<div class="numbers">${table(...given)}</div>`;
}

/** A figure, and its interval below it. */
export function stacked(...given: Parameters<typeof withInterval>): Html {
  const [value = "", ...ends] = withInterval(...given).split(" ");
  return markup`${value}<br><span class="interval">${ends.join(" ")}</span>`;
}

/** How figures are averaged, where that makes a difference. */
export function averaged(...given: Parameters<typeof meanNote>): Content[] {
  const note = meanNote(...given);
  return note === null ? [] : [paragraph("about", note)];
}

/** Rows on what became of a set's files and images; none where nothing did. */
export function readRows(
  { skipped, prepared }: Pick<Read, "skipped" | "prepared">,
  whose = "",
): string[][] {
  const done = preparedText(prepared);
  return [
    ...skipped > 0 ? [[`${whose}files left out that cannot be read`, String(skipped)]] : [],
    ...done === "" ? [] : [[`${whose}images prepared for the network`, done]],
  ];
}

/** Quality in-domain. */
export function qualityTable(quality: Quality): Html {
  const { name, count, accuracy, brier, nll, nllInfinite, nanRows } = quality;
  const areLabelled = accuracy !== null;
  return numbers(
    ["in-domain", name],
    [
      ["images", String(count)],
      ...readRows(quality),
      ["accuracy", ofLabels(accuracy, "accuracy")],
      ["Brier score (mean over classes)", ofLabels(brier, "brier", areLabelled)],
      [
        "negative log-likelihood (nats)",
        nllInfinite
          ? `infinite (${nllInfinite} of ${count} images)`
          : ofLabels(nll, "nll", areLabelled),
      ],
      ...(nanRows > 0 ? [["answers that are no numbers", String(nanRows)]] : []),
    ],
  );
}

/** Where a further figure stands: side by side where there is one before and one after. */
const columns = { clean: "clean", adversarial: "attacked" } as const;

/**
 * Every number of a run's figures that no other part shows: a table for each group of them. Lists are
 * left out.
 *
 * @param elsewhere beginnings of the paths of what is shown elsewhere
 */
export function furtherFigures(
  figures: Readonly<Record<string, unknown>>,
  elsewhere: readonly string[],
): Content {
  const groups = new Map<string, Map<string, Record<string, number>>>();
  for (const [path, value] of flatten(figures)) {
    if (typeof value !== "number" || /\.\d+(\.|$)/.test(path)) continue;
    if (elsewhere.some((known) => path === known || path.startsWith(`${known}.`))) continue;
    const parts = path.split(".");
    const column = Object.entries(columns).find(([key]) => key === parts[0])?.[1];
    const rest = column === undefined ? parts : parts.slice(1);
    const group = rest.slice(0, -1).map(words).join(", ");
    const rows = groups.get(group) ?? new Map<string, Record<string, number>>();
    const name = words(rest.at(-1) ?? "");
    rows.set(name, { ...rows.get(name), [column ?? "value"]: value });
    groups.set(group, rows);
  }
  if (groups.size === 0) return null;
  const tables = [...groups].map(([group, rows]) => {
    const head = ["clean", "attacked", "value"].filter((column) =>
      [...rows.values()].some((row) => column in row)
    );
    const cells = [...rows].map(([name, row]) => [
      name,
      ...head.map((column) => row[column] === undefined ? "" : brief(row[column])),
    ]);
    return numbers([group, ...head], cells);
  });
  return section("Further figures", tables);
}

const setSchema = z.looseObject({ name: z.string(), count: z.number(), sha256: z.string() });
const identitySchema = z.looseObject({
  options: z.record(z.string(), z.unknown()).default({}),
  data: z.record(z.string(), setSchema).default({}),
  seeds: z.array(z.number().nullable()).default([]),
  epochs: z.array(z.number()).default([]),
  source: z.record(z.string(), z.string().nullable()).default({}),
  surrogateSeeds: z.array(z.number()).default([]),
  modules: z.record(z.string(), z.string()).default({}),
});

/** What determines a run, as far as it is known. */
export function identityOf({ run }: Pick<RunContent, "run">): z.infer<typeof identitySchema> {
  return identitySchema.safeParse(run.identity).data ?? identitySchema.parse({});
}

const code = (value: unknown): Html =>
  markup`<code>${typeof value === "string" ? value : JSON.stringify(value) ?? "none"}</code>`;

const digest = (value: string): Html => markup`<span class="digest">${value}</span>`;

/** How the run was made: configuration, procedure, data, models, versions and adapter. */
export function configuration(
  { run, figures, name }: Pick<RunContent, "run" | "name"> & {
    readonly figures: Pick<RunContent["figures"], "procedure" | "protocol">;
  },
): Html {
  const { data, source, modules } = identityOf({ run });
  const { adapter, versions } = run;
  const command = run.command === "battery" ? "attack" : run.command;
  const { savePath } = run.config;
  // A page may go to others: it says no path of the machine that made it.
  const inside = typeof savePath === "string" && !isAbsolute(savePath);
  const at = inside ? `${savePath}/runs/${name}` : name;
  return section(
    "How it was made",
    paragraph(
      "about",
      ["Folder ", code(name), "; its run.json and log.jsonl say when and how fast it was made. "],
      [
        // Both, whatever writes the page: the same run leaves the same page.
        "The same run again: ",
        code(`./denow task ${command} --config ${at}/run.json`),
        ", with a binary ",
        code(`mirage ${command} --config ${at}/run.json`),
        ".",
      ],
    ),
    markup`<h3>Configuration</h3>`,
    table(["option", "value"], optionRows(identityOf({ run }))),
    markup`<h3>Procedure</h3>`,
    table(
      ["option", "value", "what it decides"],
      Object.entries(figures.procedure).map(([key, value]) => [key, code(value), aboutOption(key)]),
      `Protocol "${figures.protocol}"; every difference between the protocols that concerns the method.`,
    ),
    markup`<h3>Data</h3>`,
    table(
      ["role", "set", "images", "SHA-256"],
      Object.entries(data).map(([role, set]) => [
        roleName(role),
        set.name,
        String(set.count),
        digest(set.sha256),
      ]),
    ),
    markup`<h3>Models, program and machine</h3>`,
    table(["", ""], [
      ...run.checkpoints.map(({ name, sha256 }) => [`checkpoint ${name}`, digest(sha256)]),
      ...Object.entries(modules).map((
        [part, of],
      ) => [`module of the ${part}, SHA-256`, digest(of)]),
      ...Object.entries(source).map(([part, of]) => [`${part}, SHA-256`, digest(of ?? "unknown")]),
      ["run", digest(run.digest)],
      ...Object.entries(versions).map(([part, version]) => [part, code(version)]),
      ...Object.entries(adapter).filter(([, value]) => value !== "")
        .map(([part, value]) => [`adapter, ${part}`, code(value)]),
    ]),
  );
}

/** The options of a run, and of which seeds and epochs its models are. */
function optionRows(
  { options, seeds, surrogateSeeds, epochs }: z.infer<typeof identitySchema>,
): (string | Html)[][] {
  return [
    ...Object.entries(options).map(([key, value]) => [key, code(value)]),
    ["seeds of the models", code(seeds.map((seed) => seed ?? "unknown").join(", "))],
    ...surrogateSeeds.length > 0
      ? [["seeds of the other model that is attacked", code(surrogateSeeds.join(", "))]]
      : [],
    ...epochs.length > 0 ? [["epochs of the models", code(epochs)]] : [],
  ];
}

function aboutOption(name: string): string {
  const found = Object.entries<ProtocolOption>(protocolOptions).find(([key]) => key === name);
  return found?.[1].about ?? "";
}
