/**
 * Charts by Vega-Lite, drawn without a browser to SVG that stands in the page itself.
 *
 * @module
 */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { Html, markup } from "./html.ts";

/** Colours of what is shown of in-domain, clean and attacked images, on light and dark ground. */
export const inks = { "in-domain": "#2a9d75", clean: "#7d8da3", attacked: "#d1493f" } as const;

/** Colours that people tell apart who see few of them (after M. Okabe and K. Ito). */
export const palette = [
  "#2f7fc1",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#d99a00",
  "#56b4e9",
  "#8a8a8a",
  "#8f63c7",
] as const;

/** Marks of lines, as Vega and as a letter. */
export const shapes = [
  "circle",
  "square",
  "triangle-up",
  "diamond",
  "cross",
  "triangle-down",
  "triangle-right",
  "triangle-left",
] as const;

const letters = {
  circle: "●",
  square: "■",
  "triangle-up": "▲",
  diamond: "◆",
  cross: "✚",
  "triangle-down": "▼",
  "triangle-right": "▶",
  "triangle-left": "◀",
} as const satisfies Record<typeof shapes[number], string>;

/** What a line of a chart stands for. */
export interface LegendEntry {
  readonly label: string;
  readonly color: typeof palette[number];
  readonly shape: typeof shapes[number];
}

type Layered = Extract<TopLevelSpec, { layer: unknown }>;

/** What is to be drawn. */
export interface Chart {
  readonly title: string;
  /** What is to be seen, for those who do not see it. */
  readonly alt: string;
  readonly layer: Layered["layer"];
  readonly data?: NonNullable<Layered["data"]>;
  readonly encoding?: NonNullable<Layered["encoding"]>;
  readonly width?: number;
  readonly height?: number;
  /** What its lines stand for, where they are not named themselves: a list outside of the chart, which wraps. */
  readonly legend?: readonly LegendEntry[];
}

/** The page's colour of text, light or dark: charts inherit it. */
const ink = "currentColor";

const config: NonNullable<Layered["config"]> = {
  aria: false,
  background: "transparent",
  font: "sans-serif",
  view: { stroke: null },
  title: { anchor: "start", color: ink, fontSize: 14, fontWeight: "bold", offset: 10 },
  axis: {
    labelColor: ink,
    titleColor: ink,
    domainColor: ink,
    tickColor: ink,
    gridColor: ink,
    gridOpacity: 0.12,
    domainOpacity: 0.5,
    tickOpacity: 0.5,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
  },
  legend: {
    orient: "bottom",
    labelColor: ink,
    titleColor: ink,
    labelFontSize: 12,
    labelLimit: 0,
    title: null,
  },
};

/**
 * Charts as figures with words below, beside each other or, where there is no room, below; what the lines of
 * all of them stand for is said once, above.
 */
export async function draw(...charts: readonly Chart[]): Promise<Html> {
  const legends = charts.map(({ legend = [] }) => legend.length > 1 ? legendList(legend) : null);
  const [first] = legends;
  const common = first && legends.every((other) => other?.text === first.text) ? first : null;
  const figures: Html[] = [];
  for (const [i, { legend: _, ...chart }] of charts.entries()) {
    const drawn = await svg(chart);
    const own = common === null ? legends[i] ?? null : null;
    figures.push(markup`<figure>${drawn}\n${own}<figcaption>${chart.alt}</figcaption></figure>\n`);
  }
  return markup`${common}<div class="charts">\n${figures}</div>\n`;
}

function legendList(entries: readonly LegendEntry[]): Html {
  const items = entries.map(({ label, color, shape }) => {
    const mark = markup`<b aria-hidden="true" style="color: ${new Html(color)}">${
      letters[shape]
    }</b>`;
    return markup`<li>${mark} ${label}</li>\n`;
  });
  return markup`<ul class="legend">\n${items}</ul>\n`;
}

/** A chart alone. */
export async function svg(
  { alt, title, height = 230, ...chart }: Omit<Chart, "legend">,
): Promise<Html> {
  const spec: Layered = {
    width: 440,
    height,
    autosize: { type: "fit-x", contains: "padding" },
    padding: { left: 4, right: 4, top: 8, bottom: 4 },
    config,
    ...(title === "" ? {} : { title }),
    ...chart,
  };
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  const drawn = await view.toSVG();
  view.finalize();
  // The names of formats belong to files of their own; here the alternative text takes their place.
  const [, size = "", inner = ""] = /^<svg[^>]*?( width=[^>]*)>(.*)$/s.exec(drawn) ?? [];
  return markup`<svg role="img" aria-label="${alt}"${new Html(size)}>${new Html(inner)}`;
}
