/** Charts of the reports: what they are drawn from, their ranges, colours, marks and names. */
import assert from "node:assert/strict";
import { attack } from "../src/experiment/attack.ts";
import type { Chart } from "../src/report/charts.ts";
import { type Bin, reliability } from "../src/report/curves.ts";
import { evidenceOf, rejections } from "../src/report/evidence.ts";
import { apart, type Line, lines, topOf } from "../src/report/lines.ts";
import { readContent } from "../src/report/mod.ts";
import { folderOf } from "./run_folder.ts";
import { inFolder } from "./support.ts";

Deno.test("curves have a point a radius, of the same images, and every set the same thresholds", () =>
  inFolder(async (savePath) => {
    const content = await readContent(await folderOf(attack, { savePath, limit: 230 }));
    const evidence = evidenceOf(content.figures);
    const points = evidence.curves?.epsilon ?? [];
    assert.deepEqual(points.map(({ epsilon }) => epsilon), [0, 0.05, 0.1]);
    // The sample of the checks, not all 230.
    assert.deepEqual(points.map(({ images }) => images), [200, 200, 200]);
    for (const { entropy, rejected, auroc } of points) {
      for (const { value, low, high } of [entropy, rejected, ...Object.values(auroc ?? {})]) {
        assert.ok(value !== null && low !== null && high !== null);
        assert.ok(low <= value && value <= high && low < high && low >= 0);
      }
    }
    const { "in-domain": own, clean, attacked } = rejections(evidence);
    assert.equal(Object.keys(own ?? {}).length, 20);
    assert.deepEqual(Object.keys(clean ?? {}), Object.keys(own ?? {}));
    assert.deepEqual(Object.keys(attacked ?? {}), Object.keys(own ?? {}));
  }));

/** What a layer of a chart is drawn from. */
const valuesOf = (chart: Chart, layer: number): Record<string, unknown>[] => {
  const { data } = chart.layer[layer] ?? {};
  assert.ok(data && "values" in data && Array.isArray(data.values));
  return data.values as Record<string, unknown>[];
};

Deno.test("panels that compare have one range, runs of a method one colour and a mark each", () => {
  const line = (series: string, group: string, y: number): Line => ({
    series,
    group,
    points: [[0, y], [0.1, { value: y / 2, low: y / 4, high: y }], [0.2, null]],
  });
  const all = [line("SNGP, seed 0, limit 64", "SNGP", 2), line("SNGP, seed 1", "SNGP", 1)];
  const axes = { title: "H", alt: "", x: "epsilon", y: "H" };
  const domain = (chart: Chart): unknown => {
    const { encoding } = chart.layer[1] as { encoding: { y: { scale: { domain: unknown } } } };
    return encoding.y.scale.domain;
  };
  const [ours, paper] = [all, [line("SNGP", "SNGP", 1)]];
  const top = Math.max(topOf(ours), topOf(paper));
  assert.equal(top, 2);
  assert.deepEqual(domain(lines(ours, { ...axes, top })), domain(lines(paper, { ...axes, top })));
  assert.deepEqual(domain(lines(ours, { ...axes, share: true })), [0, 1]);
  const { legend, ...chart } = lines(ours, { ...axes, ticks: [0, 0.1] });
  const [first, second, ...more] = legend ?? [];
  assert.deepEqual([first?.label, second?.label, more], [ours[0]?.series, ours[1]?.series, []]);
  assert.equal(first?.color, second?.color);
  assert.notEqual(first?.shape, second?.shape);
  // A null is no point, and a value without ends has no interval.
  assert.equal(valuesOf(chart, 1).length, 4);
  assert.deepEqual(valuesOf(chart, 0).map(({ low, high }) => [low, high]), [[0.5, 2], [0.25, 1]]);

  const short = [line("DE", "DE", 2), line("SNGP", "SNGP", 1.999)];
  const named = lines(short, { ...axes, ticks: [0, 0.1] });
  assert.equal(named.legend, undefined);
  assert.deepEqual(valuesOf(named, 3).map(({ series }) => series), ["DE", "SNGP"]);
  assert.notEqual(
    legendColor(named, "DE"),
    legendColor(named, "SNGP"),
  );
  for (const places of [[5, 5, 5], [0, 229, 230, 100], [230, 230], [3]]) {
    const moved = apart(places, 15, 230).sort((a, b) => a - b);
    moved.forEach((place, i) => {
      assert.ok(place >= 0 && place <= 230);
      assert.ok(i === 0 || place - (moved[i - 1] ?? 0) >= 15 - 1e-9);
    });
  }
});

/** The colour of a series. */
function legendColor(chart: Chart, series: string): unknown {
  type Coloured = { encoding: { color: { scale: { domain: string[]; range: string[] } } } };
  const { domain, range } = (chart.layer[1] as Coloured).encoding.color.scale;
  return range[domain.indexOf(series)];
}

Deno.test("the reliability diagram leaves out empty bins, and says how many images the others hold", () => {
  const bin = (i: number, count: number, accuracy: number | null): Bin => ({
    from: i / 3,
    to: (i + 1) / 3,
    count,
    confidence: accuracy,
    accuracy,
  });
  const [accuracy, counts] = reliability([bin(0, 0, null), bin(1, 4, 0.5), bin(2, 100, 0.9)]);
  const points = valuesOf(accuracy, 2);
  assert.deepEqual(points.map(({ value }) => value), [0.5, 0.9]);
  // Four images tell less than a hundred.
  const [few = 0, many = 0] = points.map(({ low, high }) => Number(high) - Number(low));
  assert.ok(few > 0.5 && many < 0.2, `${few} ${many}`);
  assert.deepEqual(valuesOf(counts, 1).map(({ count }) => count), [4, 100]);
});
