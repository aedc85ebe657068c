/** The binaries: packed for real and run with nothing around them; compiled as far as a base can be had. */
import assert from "node:assert/strict";
import { checkContents, compileOnStandIn } from "../scripts/compile.ts";
import { execute, hosts, included, type Outcome, schedulers } from "../scripts/binary.ts";
import { type Packed, selfExtracting } from "../scripts/pack.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

const repository = new URL("..", import.meta.url);
const windows = Deno.build.os === "windows";

const bare = (home: string): Deno.CommandOptions => ({
  cwd: home,
  clearEnv: true,
  env: { PATH: "/usr/bin:/bin", HOME: home },
});

const list = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

/** Shows its arguments, its folder and what it was given in the environment. */
const stubDeno = `#!/bin/sh
if [ "$1" = --version ]; then echo "deno 2.9.6"; exit; fi
printf '<%s>' "$@"
echo " $PWD \${INIT_CWD-unset} $DENO_NO_UPDATE_CHECK"
`;

interface Setting {
  readonly home: string;
  readonly cache: string;
  /** Writes a packed file with a stub in place of Deno; the folder that it unpacks into. */
  pack(deno?: string, name?: string): Promise<string>;
  mirage(args: string[], env?: Record<string, string>, name?: string): Promise<Outcome>;
}

/** A test of the launcher alone, in a folder with a space. */
function launcherTest(what: string, test: (setting: Setting) => Promise<void>): void {
  Deno.test({
    name: `a packed file ${what}`,
    ignore: windows,
    fn: () =>
      inFolder(async (base) => {
        const home = await Deno.realPath(base) + "/my home";
        const cache = `${home}/.cache/mirage`;
        await Deno.mkdir(home);
        const pack = async (deno = stubDeno, name = "mirage"): Promise<string> => {
          const files: Packed[] = [
            { name: "deno", bytes: new TextEncoder().encode(deno) },
            { name: "mirage.js", bytes: new TextEncoder().encode("program") },
            { name: "embedded/data", bytes: new Uint8Array(100_000).map((_, i) => i * i) },
          ];
          const file = await selfExtracting(files);
          assert.deepEqual(file, await selfExtracting(files), "not the same bytes twice");
          await Deno.writeFile(`${home}/${name}`, file, { mode: 0o755 });
          const [, hash] = /here=\$cache\/([0-9a-f]{16})\n/.exec(new TextDecoder().decode(file)) ??
            [];
          return `${cache}/${hash}`;
        };
        const mirage: Setting["mirage"] = (args, env = {}, name = "mirage") =>
          execute("/bin/sh", [`${home}/${name}`, ...args], {
            ...bare(home),
            env: { ...bare(home).env, ...env },
          });
        await test({ home, cache, pack, mirage });
      }),
  });
}

launcherTest("hands on its arguments, and no network but to `data`", async (setting) => {
  const { home, pack, mirage } = setting;
  const here = await pack();
  const attack = await mirage(["attack", "a b", "", "$x*"], { INIT_CWD: "/" });
  const rights =
    "<--no-prompt><--allow-read><--allow-write><--allow-env=INIT_CWD,MIRAGE_DEBUG,HOME,XDG_CACHE_HOME,LOCALAPPDATA>" +
    "<--allow-sys=hostname>";
  const flags = `<run><--quiet><--no-config><--no-lock><--no-remote><--no-npm>${rights}`;
  assert.deepEqual(attack, {
    code: 0,
    stdout: `${flags}<--deny-net><${here}/mirage.js><attack><a b><><$x*> ${home} unset 1\n`,
    stderr: "",
  });
  const data = await mirage(["data"]);
  const net = `<--allow-net=${hosts.join(",")}>`;
  assert.equal(data.stdout, `${flags}${net}<${here}/mirage.js><data> ${home} unset 1\n`);
  const sweep = await mirage(["sweep", "run"]);
  const own = `<--allow-run=${here}/deno><--allow-env=${schedulers.join(",")}>`;
  const row = `${flags}<--deny-net>${own}<${here}/mirage.js><sweep><run> ${home} unset 1\n`;
  assert.equal(sweep.stdout, row);
  assert.equal(await Deno.readTextFile(`${here}/mirage.js`), "program");
});

launcherTest("unpacks once, and anew for other contents", async ({ cache, pack, mirage }) => {
  const first = await pack();
  await mirage([]);
  const { ino } = await Deno.stat(`${first}/deno`);
  await mirage([]);
  assert.equal((await Deno.stat(`${first}/deno`)).ino, ino);
  const second = await pack(stubDeno + "echo new\n", "newer");
  assert.match((await mirage([], {}, "newer")).stdout, /\nnew\n$/);
  assert.notEqual(first, second);
  assert.deepEqual(list(cache).map((name) => `${cache}/${name}`).sort(), [first, second].sort());
});

launcherTest("removes what was left half unpacked, not what is being unpacked", async (setting) => {
  const { cache, pack, mirage } = setting;
  const here = await pack();
  const { stdout } = await execute("uname", ["-n"]);
  const part = (process: number): string => `${here}.part.${stdout.trim()}.${process}`;
  const ended = new Deno.Command("true").spawn();
  await ended.status;
  for (const process of [ended.pid, Deno.pid]) {
    await Deno.mkdir(part(process), { recursive: true });
    await Deno.writeTextFile(`${part(process)}/deno`, "half");
  }
  assert.equal((await mirage([])).code, 0);
  assert.deepEqual(list(cache).map((name) => `${cache}/${name}`).sort(), [here, part(Deno.pid)]);
});

launcherTest("unpacks soundly when started five times at once", async ({ cache, pack, mirage }) => {
  const here = await pack();
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => mirage(["attack"])));
  for (const { code, stderr } of outcomes) {
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  }
  assert.deepEqual(list(cache).map((name) => `${cache}/${name}`), [here]);
  assert.deepEqual(list(here).sort(), ["deno", "embedded", "mirage.js"]);
});

launcherTest("says in one sentence why it cannot start, and leaves nothing", async (setting) => {
  const { home, cache, pack, mirage } = setting;
  const refuses = async (message: RegExp, env: Record<string, string> = {}): Promise<void> => {
    const { code, stdout, stderr } = await mirage(["attack"], env);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
    assert.match(stderr, message);
    assert.match(stderr, /^Cannot start Mirage: [^\n]+; [^\n]+\n$/);
  };
  await pack();
  await refuses(/neither HOME nor XDG_CACHE_HOME is set/, { HOME: "" });
  await refuses(/cannot be made; set XDG_CACHE_HOME/, { XDG_CACHE_HOME: "/dev/null" });
  const file = await Deno.readFile(`${home}/mirage`);
  await Deno.truncate(`${home}/mirage`, file.length - 1000);
  await refuses(/does not unpack into .*copy the file anew/);
  assert.deepEqual(list(cache), []);
  await pack("no program at all");
  await pack("#!/bin/sh\necho wrong machine >&2\nexit 1\n");
  await refuses(/its Deno for \S+ does not run from .* \(wrong machine\)/);
  assert.deepEqual(list(cache), []);
});

Deno.test({
  name: "`pack` makes a file that attacks with an empty environment, and starts again at once",
  ignore: windows,
  fn: () =>
    inFolder(async (folder) => {
      const home = await Deno.realPath(folder);
      const packed = await task("pack", ["--output", "mirage"], { cwd: home });
      assert.deepEqual({ code: packed.code, stderr: packed.stderr }, { code: 0, stderr: "" });
      assert.match(
        packed.stdout,
        /^Packed mirage: \d+\.\d MB for \S+\nIt attacked 20 letters .* on /,
      );

      // `env -i` as a user would type it; only which driver to use is passed on.
      const driver = Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith("VK_"));
      const env = [...driver.map(([name, value]) => `${name}=${value}`), "PATH=/usr/bin:/bin"];
      const start = (args: string[]): Promise<Outcome> =>
        execute("env", ["-i", ...env, `HOME=${home}`, "./mirage", ...args], { cwd: home });
      const attack = ["attack", "--mode", "sngp", "--limit", "20", "--epochs", "1", "--json"];
      const { code, stdout, stderr } = await start(attack);
      assert.equal(code, 0, stderr);
      const result = attackResultSchema.parse(JSON.parse(stdout));
      assert.equal(result.versions.deno, Deno.version.deno);
      assert.ok(list(home).includes("trained_models"), "paths start from the current folder");

      const [unpacked = ""] = list(`${home}/.cache/mirage`);
      const { ino } = await Deno.stat(`${home}/.cache/mirage/${unpacked}/deno`);
      assert.match((await start(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
      assert.equal((await Deno.stat(`${home}/.cache/mirage/${unpacked}/deno`)).ino, ino);
      assert.deepEqual(list(`${home}/.cache/mirage`), [unpacked]);

      await Deno.writeTextFile(`${home}/mine.ts`, "export default {};");
      const own = await start(["attack", "--attack", "./mine.ts"]);
      assert.equal(own.code, 1);
      assert.match(
        own.stderr,
        /^Cannot use the attack in "\.\/mine\.ts": this Mirage is a single file, .*; run it in a clone, /m,
      );
      const wrong = await start(["attack", "--checkpoint", "none", "--data-path", "none"]);
      assert.equal(wrong.code, 1);
      assert.match(
        wrong.stderr,
        /^Cannot use the data in "none": .*; run mirage data mnist notmnist --data-path none/m,
      );
    }),
});

Deno.test("`compile` embeds every kernel and data file, and grants no more than it needs", () =>
  inFolder(async (folder) => {
    const output = `${folder}/mirage.exe`;
    await compileOnStandIn(output);
    assert.ok(await checkContents(output) >= 34);
    const text = new TextDecoder("latin1").decode(await Deno.readFile(output));
    const [, json = ""] = /"permissions":(\{[^}]*\})/.exec(text) ?? [];
    const { allow_import: _, ...permissions } = JSON.parse(json);
    const granted = Object.entries(permissions).filter(([, value]) => value !== null);
    assert.deepEqual(Object.fromEntries(granted), {
      allow_env: [
        ...["INIT_CWD", "MIRAGE_DEBUG", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"],
        ...schedulers,
      ],
      allow_net: [...hosts],
      allow_read: [],
      allow_sys: ["hostname"],
      allow_write: [],
      prompt: false,
    });
    await Deno.writeTextFile(output, "nothing");
    await assert.rejects(checkContents(output), /^UserError: Cannot use .* is not in it; /);
  }));

Deno.test("`compile` makes an executable that runs, or says what was skipped and why", () =>
  inFolder(async (folder) => {
    const { code, stdout, stderr } = await task("compile", ["--output", "mirage"], { cwd: folder });
    if (code === 0) {
      assert.match(stdout, /^Compiled .*\/mirage: .* are inside\nIt attacked 20 letters .* on /);
      return;
    }
    console.log(stdout + stderr);
    assert.equal(code, 1, stderr);
    assert.match(
      stdout,
      /^Compiled on a stand-in .* are inside\nSkipped: the executable itself, and its trial run\n$/,
    );
    assert.match(stderr, /^Cannot make ".*": the runtime base, denort .*; compile where [^\n]*\n$/);
    assert.deepEqual(list(folder), []);
  }));

Deno.test("no worker is started from a file that the binaries leave out", async () => {
  const left: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, repository))) {
      const path = `${folder}/${name}`;
      if (isDirectory) await walk(path);
      else if (path.endsWith(".ts")) {
        const text = await Deno.readTextFile(new URL(path, repository));
        for (const [, worker = ""] of text.matchAll(/new Worker\(\s*new URL\("([^"]+)"/g)) {
          const at = new URL(worker, new URL(path, repository)).href.slice(repository.href.length);
          if (!included.some((inside) => at === inside)) left.push(at);
        }
      }
    }
  };
  for (const folder of ["src", "data"]) await walk(folder);
  assert.deepEqual(left, []);
});
