/** Which npm packages there are, and that a newcomer is spared those of tests and benchmarks. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inFolder } from "./support.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The packages of the two tables of docs/dependencies.md: the program's, and those of all else. */
function documented(): readonly [readonly string[], readonly string[]] {
  const page = Deno.readTextFileSync(join(root, "docs/dependencies.md"));
  const [program = "", others = ""] = page.split("For tests, benchmarks and scripts alone:");
  const names = (text: string): string[] =>
    [...text.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)
    );
  return [names(program), names(others)];
}

/** `deno info` about a module of the project and all that it imports. */
async function info(module: string): Promise<unknown> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", join(root, "deno.json"), module],
    cwd: root,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** `@optique/core` of `npm:/@optique/core@1.3.6/message`. */
function packageOf(specifier: string): string {
  return /^npm:\/?(@?[^@]+)@/.exec(specifier)?.[1] ?? assert.fail(specifier);
}

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();

Deno.test("the lock holds the packages that docs/dependencies.md names", async () => {
  const { specifiers } = JSON.parse(await Deno.readTextFile(join(root, "deno.lock"))) as {
    specifiers: Record<string, string>;
  };
  assert.deepEqual(sorted(Object.keys(specifiers).map(packageOf)), sorted(documented().flat()));
});

for (const module of ["main.ts", "mod.ts"]) {
  Deno.test(`${module} imports no package of tests and benchmarks`, async () => {
    const { modules } = await info(module) as { modules: { kind: string; specifier: string }[] };
    const imported = modules.filter(({ kind }) => kind === "npm");
    const [program] = documented();
    const names = sorted(imported.map(({ specifier }) => packageOf(specifier)));
    if (module === "main.ts") assert.deepEqual(names, sorted(program));
    assert.deepEqual(names.filter((name) => !program.includes(name)), []);
  });
}

Deno.test({
  name: "`denow task` fetches no package of the lock that the program does not import",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      for (const name of ["denow", "deno.json"]) {
        await Deno.copyFile(join(root, name), join(folder, name));
      }
      const lock = JSON.parse(await Deno.readTextFile(join(root, "deno.lock")));
      lock.specifiers["npm:beyond-reach@1.0.0"] = "1.0.0";
      lock.npm["beyond-reach@1.0.0"] = { integrity: "sha512-AAAA" };
      await Deno.writeTextFile(join(folder, "deno.lock"), JSON.stringify(lock));
      await Deno.writeTextFile(
        join(folder, "main.ts"),
        'import { z } from "zod"; console.log(z.string().parse("runs"));',
      );
      const proxy = "http://127.0.0.1:9"; // where nothing answers
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: [join(folder, "denow"), "task", "attack"],
        env: {
          HTTP_PROXY: proxy,
          HTTPS_PROXY: proxy,
          MIRAGE_NO_DRIVER: "1",
          PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
        },
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert.equal(new TextDecoder().decode(stdout), "runs\n");
    }),
});
