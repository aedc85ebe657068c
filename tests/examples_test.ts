/** The examples run as their heads say, and are short; those that are modules run in `own_modules_test.ts`. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import { type ImageSet, loadEmbedded } from "../data/mod.ts";
import { node, tensor, value, writeGraph } from "./onnx_writer.ts";
import { inFolder } from "./support.ts";

const folder = new URL("../examples/", import.meta.url);

const pathOf = (url: string | URL): string =>
  decodeURIComponent(new URL(url, import.meta.url).pathname);

/**
 * A classifier by the nearest mean digit, which needs no training: logits `8 (2 m x - m m)`, squared distances but for
 * what all classes have in common.
 */
function nearestMean({ images, labels, count }: ImageSet): Uint8Array {
  const all = Array.from({ length: count }, (_, i) => i);
  const means = Array.from({ length: 10 }, (_, digit) => {
    const shown = all.filter((i) => labels[i] === digit);
    return Array.from(
      { length: 784 },
      (_, at) =>
        shown.reduce((sum, i) => sum + (images[784 * i + at] ?? 0), 0) / 255 / shown.length,
    );
  });
  const weight = means.flat().map((m) => 16 * m);
  const bias = means.map((mean) => -8 * mean.reduce((sum, m) => sum + m * m, 0));
  return writeGraph({
    input: [value("image", ["batch", 1, 28, 28])],
    output: [value("logits", ["batch", 10])],
    initializer: [
      tensor("weight", "float32", [10, 784], weight),
      tensor("bias", "float32", [10], bias),
    ],
    node: [
      node("Flatten", ["image"], ["flat"], { axis: 1 }),
      node("Gemm", ["flat", "weight", "bias"], ["logits"], { transB: 1 }),
    ],
  });
}

/** What an example of one's own is given: a file of a model, and pictures of several sizes with one that is broken. */
async function bringFiles(cwd: string): Promise<void> {
  await Deno.writeFile(join(cwd, "model.onnx"), nearestMean(await loadEmbedded("train")));
  await Deno.mkdir(join(cwd, "my_images"));
  for (let i = 0; i < 6; i++) {
    const width = 20 + 8 * i;
    const data = Uint8Array.from({ length: width * width }, (_, at) => at * (i + 3) % 256);
    const picture = encode({ width, height: width, channels: 1, data });
    await Deno.writeFile(
      join(cwd, "my_images", `${i}.png`),
      i < 5 ? picture : picture.slice(0, 60),
    );
  }
}

for await (const { name } of Deno.readDir(folder)) {
  const own = /^own_(network|onnx|folder)/.test(name);
  const most = own ? 40 : 60;
  Deno.test(`examples/${name} runs as it says, in under ${most} lines`, async () => {
    const text = await Deno.readTextFile(new URL(name, folder));
    assert.ok(text.trimEnd().split("\n").length < most);
    if (/^export default /m.test(text)) return assert.match(text, /denow task attack .*examples/);
    const [, permissions = "", given = ""] =
      /^ \* {5}\.\/denow run ((?:--allow-(?:read|write) )+)examples\/\w+\.ts ?(.*)$/m.exec(text) ??
        assert.fail(`${name} does not say how it is run`);
    await inFolder(async (cwd) => {
      if (given !== "") await bringFiles(cwd);
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-prompt", "--config", pathOf("../deno.json")],
          ...permissions.trim().split(" "),
          ...[pathOf(`../examples/${name}`), ...given.split(" ").filter(Boolean), "--quick"],
        ],
        cwd,
        stdin: "null",
      }).output();
      const [printed, told] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(code, 0, told);
      assert.match(printed ?? "", /\d\.\d\d/);
      if (own) {
        assert.match(printed ?? "", /rejected \d.* entropy went from .* No pixel changed by/s);
      }
      if (name === "own_onnx.ts") await ofTheFile(cwd, printed ?? "");
      if (name === "own_folder.ts") ofTheFolder(printed ?? "", told ?? "");
    });
  });
}

/** The nearest mean is right about four times of five; the page is where it is said to be. */
async function ofTheFile(cwd: string, printed: string): Promise<void> {
  const [, right] = /model\.onnx gets (\d+) of 2000 digits right/.exec(printed) ?? [];
  assert.ok(Number(right) > 1500 && Number(right) < 1800, printed);
  const [, page = ""] = /^The page is (.*)$/m.exec(printed) ?? [];
  assert.match(await Deno.readTextFile(join(cwd, page)), /^<!doctype html>[^]*model\.onnx/i);
  assert.match(dirname(page), /attack-/);
}

function ofTheFolder(printed: string, told: string): void {
  assert.match(printed, /^my_images \(own images\): 5 images used, files left out: 1$/m);
  assert.match(told, /my_images .*1 file left out .*5\.png.*4 resized/);
}
