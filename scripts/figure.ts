/**
 * Draws docs/attack.png, the picture of the README: letters that SNGP rejects, what the attack adds to
 * them, and the confidence that this makes. Trains the embedded-data model where there is none.
 *
 *     ./denow run --allow-read --allow-write --allow-env --allow-net scripts/figure.ts
 *
 * @module
 */
import { initWasm, Resvg } from "npm:@resvg/resvg-wasm@2.6.2";
import wasm from "npm:@resvg/resvg-wasm@2.6.2/index_bg.wasm" with { type: "bytes" };
import bold from "npm:dejavu-fonts-ttf@2.37.3/ttf/DejaVuSans-Bold.ttf" with { type: "bytes" };
import regular from "npm:dejavu-fonts-ttf@2.37.3/ttf/DejaVuSans.ttf" with { type: "bytes" };
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { attackWithExamples, runConfig, silent, train } from "../mod.ts";

const side = 28;
const letters = 3;
const { members: [member] } = await train(runConfig({ mode: "sngp", epochs: 20 }));
const { attacked, outDomain, result } = await attackWithExamples(
  runConfig({ mode: "sngp", checkpoint: member?.best.path, limit: 200 }),
  silent,
  200,
);

interface Example {
  readonly letter: number;
  readonly clean: Float32Array;
  readonly adversarial: Float32Array;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** The letter of each class whose confidence rose most, the most impressive classes first. */
function choose(): Example[] {
  const rows = Array.from({ length: outDomain.count }, (_, i): Example => {
    const image = (all: Float32Array): Float32Array =>
      all.subarray(i * side ** 2, (i + 1) * side ** 2);
    const row = (all: Float32Array): number[] =>
      [...all.subarray(i * 10, (i + 1) * 10)].map(Math.exp);
    return {
      letter: outDomain.labels[i] ?? 0,
      clean: image(attacked.examples.clean),
      adversarial: image(attacked.examples.adversarial),
      before: row(attacked.clean.predictions.logProbabilities),
      after: row(attacked.adversarial.predictions.logProbabilities),
    };
  });
  const gain = ({ before, after }: Example): number => Math.max(...after) - Math.max(...before);
  const best = new Map<number, Example>();
  for (const row of rows) {
    const other = best.get(row.letter);
    if (!other || gain(row) > gain(other)) best.set(row.letter, row);
  }
  return [...best.values()].sort((a, b) => gain(b) - gain(a)).slice(0, letters);
}

function picture(pixels: Float32Array, title: string, scheme: "grey" | "change"): object {
  const values = [...pixels].map((v, i) => ({ x: i % side, y: Math.floor(i / side), v }));
  const scale = scheme === "grey"
    ? { domain: [0, 1], range: ["#000000", "#ffffff"] }
    : { domain: [-1, 0, 1], range: ["#2166ac", "#f7f7f7", "#b2182b"] };
  return {
    title,
    width: 112,
    height: 112,
    data: { values },
    mark: { type: "rect", strokeWidth: 0 },
    encoding: {
      x: { field: "x", type: "ordinal", axis: null, scale: { padding: 0 } },
      y: { field: "y", type: "ordinal", axis: null, scale: { padding: 0 } },
      color: { field: "v", type: "quantitative", scale, legend: null },
    },
  };
}

function bars({ before, after }: Example, legend: boolean): object {
  const values = [
    ...before.map((p, digit) => ({ p, digit, image: "letter" })),
    ...after.map((p, digit) => ({ p, digit, image: "attacked letter" })),
  ];
  const percent = (p: readonly number[]): string => `${(100 * Math.max(...p)).toFixed(0)} %`;
  return {
    title: `confidence ${percent(before)} → ${percent(after)}: "${
      after.indexOf(Math.max(...after))
    }"`,
    width: 230,
    height: 96,
    data: { values },
    mark: "bar",
    encoding: {
      x: { field: "digit", type: "ordinal", title: "digit", axis: { labelAngle: 0 } },
      xOffset: { field: "image", sort: ["letter", "attacked letter"] },
      y: {
        field: "p",
        type: "quantitative",
        title: "confidence",
        scale: { domain: [0, 1] },
        axis: { values: [0, 0.5, 0.9, 1], format: "~p" },
      },
      color: {
        field: "image",
        sort: ["letter", "attacked letter"],
        scale: { domain: ["letter", "attacked letter"], range: ["#9aa5b1", "#b2182b"] },
        legend: legend ? { orient: "bottom", title: null } : null,
      },
    },
  };
}

const spec = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  background: "white",
  padding: 12,
  config: { font: "DejaVu Sans", view: { stroke: "#cccccc" }, title: { fontSize: 11 } },
  vconcat: choose().map((example, i) => {
    const change = example.adversarial.map((v, i) => 10 * (v - (example.clean[i] ?? 0)));
    return {
      spacing: 18,
      hconcat: [
        picture(example.clean, "letter", "grey"),
        picture(change, "perturbation × 10", "change"),
        picture(example.adversarial, "attacked letter", "grey"),
        bars(example, i === letters - 1),
      ],
    };
  }),
};
const view = new View(parse(compile(spec as unknown as TopLevelSpec).spec), { renderer: "none" });
const svg = await view.toSVG();

await initWasm(wasm);
const png = new Resvg(svg, {
  fitTo: { mode: "zoom", value: 2 },
  font: { fontBuffers: [regular, bold], defaultFontFamily: "DejaVu Sans" },
}).render().asPng();
const target = new URL("../docs/attack.png", import.meta.url);
await Deno.writeFile(target, png);
console.log(
  `${png.length} bytes; entropy ${result.clean.entropy} -> ${result.adversarial.entropy}`,
);
