/** Reports as a real browser shows them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { attack } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { train } from "../src/experiment/train.ts";
import { readContent, report, reportOn, type RunContent } from "../src/report/mod.ts";
import { browser, type Findings, type Look, withBrowser } from "./browser.ts";
import { folderOf } from "./run_folder.ts";
import { inFolder } from "./support.ts";

/** Runs of as many names as there are marks, each longer than a phone is wide. */
async function manyNames(
  folders: { readonly attack: string; readonly train: string },
): Promise<RunContent[]> {
  const contents = await Promise.all([folders.attack, folders.train].map(readContent));
  return Array.from({ length: 8 }, (_, i) => `${i}: a model of somebody's own, whose name is long`)
    .flatMap((mode): RunContent[] =>
      contents.flatMap((content): RunContent[] => {
        if (content.command === "attack") {
          return [{ ...content, figures: { ...content.figures, mode } }];
        }
        if (content.command === "train") {
          return [{ ...content, figures: { ...content.figures, mode } }];
        }
        return [];
      })
    );
}

const looks: readonly Look[] = [1200, 390].flatMap((width) => [
  { width, dark: false },
  { width, dark: true },
]);

Deno.test({
  name: "a browser shows the pages without an error, a gap or an overflow" +
    (browser ? "" : " (skipped: no Chromium is installed)"),
  ignore: browser === undefined,
  fn: () =>
    inFolder(async (savePath) => {
      const folders = {
        attack: await folderOf(attack, { savePath, saveImages: false }),
        eval: await folderOf(evaluate, { savePath }),
        train: await folderOf(train, { savePath }),
        other: await folderOf(attack, { savePath, epsilonAttack: 0.25, steps: 3 }),
        scores: await folderOf(attack, { savePath, mode: "baseline", scores: "all" }),
      };
      const page = async (name: string, content: string): Promise<string> => {
        await Deno.writeTextFile(join(savePath, name), content);
        return join(savePath, name);
      };
      const pages: [images: number, path: string][] = [
        [54, await page("attack.html", await report([folders.attack]))],
        [
          54,
          await page(
            "scores.html",
            (await report([folders.scores])).replaceAll("<details", "<details open"),
          ),
        ],
        [0, await page("eval.html", await report([folders.eval]))],
        [0, await page("train.html", await report([folders.train]))],
        [0, await page("all.html", await report(Object.values(folders)))],
        [0, await page("long.html", await reportOn(await manyNames(folders)))],
      ];
      const bad = await page(
        "bad.html",
        `<meta name="viewport" content="width=device-width"><img src="none.png" alt="gone">
         <p style="width: 3000px">wide</p><svg width="10" height="9"><text x="5">cut</text></svg>
         <svg width="99" height="30"><text y="15">one</text><text x="5" y="16">two</text></svg>
         <script>console.error("told"); throw new Error("thrown");</script>`,
      );
      await withBrowser(browser ?? "", async (look) => {
        for (const [images, path] of pages) {
          const grounds = new Set<string>();
          for (const how of looks) {
            const { background, ...found } = await look(path, how);
            grounds.add(background);
            const right: Omit<Findings, "background"> = {
              errors: [],
              requests: [],
              images,
              broken: [],
              scrollWidth: how.width,
              beyond: [],
              overlapping: [],
              cramped: [],
            };
            assert.deepEqual(found, right, `${path} at ${how.width}`);
          }
          assert.equal(grounds.size, 2, "light and dark");
        }
        const found = await look(bad, { width: 390, dark: false });
        assert.deepEqual(found.broken, ["gone"]);
        assert.ok(found.scrollWidth >= 3000 && found.requests.length === 1);
        assert.deepEqual(found.beyond, ["p: wide", "text: cut"]);
        assert.deepEqual(found.overlapping, ["text: one / text: two"]);
        assert.ok(found.errors.some((text) => text === "told"));
        assert.ok(found.errors.some((text) => text.includes("Uncaught")));
      });
    }),
});
