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

/** Charts as figures with words below, beside each other or, where there is no room, below. */
export async function draw(...charts: readonly Chart[]): Promise<Html> {
  const figures: Html[] = [];
  for (const chart of charts) {
    const drawn = await svg(chart);
    figures.push(markup`<figure>${drawn}\n<figcaption>${chart.alt}</figcaption></figure>\n`);
  }
  return markup`<div class="charts">\n${figures}</div>\n`;
}

/** A chart alone. */
export async function svg({ alt, title, height = 230, ...chart }: Chart): Promise<Html> {
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
