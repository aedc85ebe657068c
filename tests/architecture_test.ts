/** The project's shape: imports run one way, every kernel has one owner, files stay readable. */
import assert from "node:assert/strict";
import { houseOf, importsOf, readImports } from "../scripts/house.ts";

const root = new URL("../", import.meta.url);

/** Layers from the bottom up: a file may import from its own layer and those below. */
const layers = [
  ["src/base"],
  ["data"],
  ["src/shaders"],
  ["src/nn/graph"],
  ["src/nn/ops"],
  ["src/nn/compile"],
  ["src/nn/device"],
  ["src/nn/layers"],
  ["src/nn/check"],
  ["src/nn"],
  ["src/networks"],
  ["src/onnx"],
  ["src/attack"],
  ["src/scores"],
  ["src/methods"],
  ["src/checkpoint", "src/measure"],
  ["src/evaluate"],
  ["src/train"],
  ["src/runs"],
  ["src/experiment"],
  ["src/report"],
  ["src/sweep"],
  ["src/cli"],
  ["main.ts", "mod.ts"],
  ["examples", "scripts", "bench", "tests"],
] as const;

/** Files that know nothing of the project. */
const loners = [
  "src/base/digest.ts",
  "src/base/errors.ts",
  "src/base/invocation.ts",
  "src/base/reporter.ts",
  "src/base/stopping.ts",
  "src/measure/metrics.ts",
  "src/measure/xoshiro.ts",
  "src/nn/device/pace.ts",
  "src/nn/graph/philox.ts",
];

async function* walk(folder: string, extension: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory && !entry.name.startsWith(".")) yield* walk(`${path}/`, extension);
    else if (path.endsWith(extension)) yield path;
  }
}

async function sources(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of ["src/", "data/", "tests/", "examples/", "scripts/", "bench/"]) {
    for await (const path of walk(folder, ".ts")) files.set(path, "");
  }
  for (const path of ["main.ts", "mod.ts"]) files.set(path, "");
  for (const path of files.keys()) files.set(path, await Deno.readTextFile(new URL(path, root)));
  return files;
}

function layerOf(path: string): number {
  let best = { layer: -1, length: -1 };
  layers.forEach((names, layer) =>
    names.forEach((name) => {
      const inside = path === name || path.startsWith(`${name}/`);
      if (inside && name.length > best.length) best = { layer, length: name.length };
    })
  );
  return best.layer;
}

Deno.test("no files and no rooms import each other in a circle", async () => {
  const house = houseOf(await readImports(root));
  assert.deepEqual(house.fileCircles, []);
  assert.deepEqual(house.roomCircles, []);
  // One room more or less is a change of the house's plan: see docs/extending.md.
  assert.ok(house.rooms.length <= 25, `${house.rooms.length} rooms`);
});

Deno.test("a circle is found where there is one", () => {
  const imports = new Map([
    ["src/a/one.ts", ["src/b/two.ts"]],
    ["src/b/two.ts", ["src/c/three.ts"]],
    ["src/c/three.ts", ["src/a/four.ts"]],
    ["src/a/four.ts", []],
  ]);
  const { fileCircles, roomCircles, arrows } = houseOf(imports);
  assert.deepEqual(fileCircles, []);
  assert.deepEqual(roomCircles.map((circle) => circle.toSorted()), [["src/a", "src/b", "src/c"]]);
  assert.equal(arrows.length, 3);
});

Deno.test("imports run one way, so that no folders import each other in a circle", async () => {
  let count = 0;
  for (const [path, text] of await sources()) {
    for (const target of importsOf(path, text)) {
      count++;
      if (target === "deno.json") continue;
      assert.ok(
        layerOf(target) >= 0 && layerOf(target) <= layerOf(path),
        `${path} imports ${target}, which stands above it`,
      );
    }
  }
  assert.ok(count > 100, `only ${count} imports were found`);
});

Deno.test("data knows the base only, the small tools nothing of ours but the error class", async () => {
  for (const [path, text] of await sources()) {
    const own = importsOf(path, text).filter((target) => target !== "src/base/errors.ts");
    if (loners.includes(path)) assert.deepEqual(own, [], path);
    if (path.startsWith("data/")) {
      assert.ok(
        own.every((target) => target.startsWith("data/") || target.startsWith("src/base/")),
        `${path} imports ${own}`,
      );
    }
  }
});

Deno.test("every kernel file is imported by one op, and once by the self-test", async () => {
  const files = await sources();
  for await (const wgsl of walk("src/shaders/", ".wgsl")) {
    const users = [...files].filter(([path, text]) => importsOf(path, text).includes(wgsl))
      .map(([path]) => path).filter((path) => path.startsWith("src/"));
    const ops = users.filter((path) => path !== "src/nn/check/kernels.ts");
    assert.equal(ops.length, 1, `${wgsl} is imported by ${ops}`);
    assert.equal(users.length, 2, `${wgsl} is imported by ${users}`);
  }
});

Deno.test("files stay below 400 lines and hold no unfinished work", async () => {
  const marks = new RegExp(
    ["TO" + "DO", "FIX" + "ME", "XX" + "X"].map((m) => `\\b${m}\\b`).join("|"),
  );
  for (const [path, text] of await sources()) {
    assert.ok(text.split("\n").length <= 400, `${path} is long`);
    assert.ok(!marks.test(text), `${path} marks unfinished work`);
  }
});

/** Functions that are longer, and why. */
const wholeFunctions: Readonly<Record<string, string>> = {
  "src/base/pickle.ts #step": "a machine's instructions, a few lines each, side by side",
};

Deno.test("functions stay below 61 lines", async () => {
  const long = new Map<string, number>();
  for (const [path, text] of await sources()) {
    if (/^(src|data|scripts)\/|^main\.ts$/.test(path)) {
      for (const { name, lines } of functionsOf(path, text)) {
        if (lines > 60) long.set(`${path} ${name}`, lines);
      }
    }
  }
  assert.deepEqual(
    [...long].filter(([name]) => !(name in wholeFunctions)).map(([name, n]) => `${name}: ${n}`),
    [],
  );
  for (const name of Object.keys(wholeFunctions)) assert.ok(long.has(name), `${name} is short`);
});

Deno.test("a long function is found, whatever its form", () => {
  const body = "\n  work();".repeat(60);
  const forms = {
    declared: `export function declared(): void {${body}\n}`,
    arrow: `const arrow = async (): Promise<void> => {${body}\n};`,
    method: `class A { method(): void {${body}\n} }`,
    "#hidden": `class A { get #hidden(): void {${body}\n} }`,
    "an anonymous function": `list.map(function (a) {${body}\n});`,
  };
  for (const [name, text] of Object.entries(forms)) {
    assert.deepEqual(functionsOf("a.ts", text), [{ name, lines: 62 }]);
  }
});

/** Every function of a file with its number of lines; what nobody has named stands in another's lines. */
function functionsOf(path: string, text: string): { name: string; lines: number }[] {
  const found: { name: string; lines: number }[] = [];
  const add = ({ range }: Pick<Deno.lint.Node, "range">, name: string | undefined): void => {
    const lines = text.slice(...range).split("\n").length;
    found.push({ name: name ?? "an anonymous function", lines });
  };
  Deno.lint.runPlugin(
    {
      name: "length",
      rules: {
        length: {
          create: () => ({
            FunctionDeclaration: (node) => add(node, node.id?.name),
            FunctionExpression: (node) => add(node, nameOf(node.parent)),
            ArrowFunctionExpression: (node) => add(node, nameOf(node.parent)),
          }),
        },
      },
    },
    path,
    text,
  );
  return found;
}

/** The name of a method or a variable that a function is the value of. */
function nameOf(parent: Deno.lint.Node): string | undefined {
  if (parent.type === "VariableDeclarator" && parent.id.type === "Identifier") {
    return parent.id.name;
  }
  if (parent.type !== "MethodDefinition" && parent.type !== "Property") return undefined;
  if (parent.key.type === "PrivateIdentifier") return `#${parent.key.name}`;
  return parent.key.type === "Identifier" ? parent.key.name : undefined;
}
