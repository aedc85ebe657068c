/** The wrapper `denow`, run by subprocess among stubs; no network. */
import assert from "node:assert/strict";

const repository = new URL("..", import.meta.url);
const windows = Deno.build.os === "windows";

/** What `denow` and the stubs may call besides deno, npm, apt-get, id and uname. */
const tools = "sh sed dirname readlink mkdir mktemp mv chmod rm grep cp cat sleep flock".split(" ");

const stubs = {
  /** Answers --version; otherwise shows the arguments and what it was given. */
  deno: (version: string) =>
    `if [ "$1" = --version ]; then echo "deno ${version} (stable, release, any)"; exit; fi
     printf '<%s>' "${version}" "$@"
     echo " $INIT_CWD $DENO_NO_UPDATE_CHECK $DENO_WEBGPU_BACKEND"`,
  /** Installs the file `new_deno` that lies beside it, slowly, and talks on stdout as npm does. */
  npm: `while [ "$1" != --prefix ]; do shift; done
     echo call >>"$(dirname "$0")/npm.log"
     mkdir -p "$2/node_modules/@deno/any"
     sleep 0.2
     cp "$(dirname "$0")/new_deno" "$2/node_modules/@deno/any/deno"
     echo "added 2 packages"`,
  /** Leaves half an executable and fails. */
  brokenNpm: `mkdir -p "$3/node_modules/@deno/any"
     echo '#!/bin/sh' >"$3/node_modules/@deno/any/deno"
     exit 1`,
  /** Knows its packages only after an update. */
  aptGet: `log="$(dirname "$0")/apt.log"
     echo "$*" >>"$log"
     echo "Reading package lists"
     case "$*" in update) exit 0 ;; esac
     grep -qx update "$log"`,
};

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Project {
  readonly root: string;
  readonly bin: string;
  readonly elsewhere: string;
  stub(name: string, body: string): Promise<void>;
  denow(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>;
}

async function execute(
  file: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const command = new Deno.Command("/bin/sh", {
    args: [file, ...args],
    cwd,
    env,
    clearEnv: true,
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

async function locate(tool: string): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${folder}/${tool}`;
    if (await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
  }
  return undefined;
}

/** A copy of the wrapper in a folder with a space, and a PATH that holds nothing unasked for. */
async function withProject(test: (project: Project) => Promise<void>): Promise<void> {
  const base = await Deno.makeTempDir();
  const root = `${base}/my project`;
  const bin = `${base}/bin`;
  const elsewhere = `${base}/else where`;
  const stub = async (name: string, body: string): Promise<void> => {
    await Deno.writeTextFile(`${bin}/${name}`, `#!/bin/sh\n${body}\n`);
    await Deno.chmod(`${bin}/${name}`, 0o755);
  };
  const denow = (args: readonly string[], env = {}): Promise<Outcome> =>
    execute(`${root}/denow`, args, elsewhere, {
      PATH: bin,
      HOME: base,
      TMPDIR: base,
      MIRAGE_NO_DRIVER: "1",
      ...env,
    });
  try {
    for (const folder of [root, bin, elsewhere]) await Deno.mkdir(folder);
    await Deno.copyFile(new URL("denow", repository), `${root}/denow`);
    await Deno.chmod(`${root}/denow`, 0o755);
    for (const tool of tools) {
      const path = await locate(tool);
      if (path !== undefined) await Deno.symlink(path, `${bin}/${tool}`);
    }
    await stub("id", "echo 0");
    await stub("uname", "echo Linux");
    await stub("new_deno", stubs.deno("2.9.6"));
    await test({ root, bin, elsewhere, stub, denow });
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

function denowTest(what: string, test: (project: Project) => Promise<void>): void {
  Deno.test({ name: `\`denow\` ${what}`, ignore: windows, fn: () => withProject(test) });
}

const exists = (path: string): Promise<boolean> => Deno.stat(path).then(() => true, () => false);

for (const version of ["2.9.0", "2.10.1", "3.0.0"]) {
  denowTest(`uses deno ${version} from PATH`, async ({ root, elsewhere, stub, denow }) => {
    await stub("deno", stubs.deno(version));
    const { code, stdout, stderr } = await denow(["task", "attack", "a b", "", "$x*"]);
    const expected = `<${version}><task><--node-modules-dir=manual><--config><${root}/deno.json>` +
      `<attack><a b><><$x*> ${elsewhere} 1 vulkan\n`;
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: expected, stderr: "" });
    assert.equal(await exists(`${root}/.tools`), false);
  });
}

for (const version of ["2.8.9", "1.46.3", "unknown"]) {
  denowTest(`refuses deno ${version} and installs its own once`, async (project) => {
    const { root, bin, stub, denow } = project;
    await stub("deno", stubs.deno(version));
    await stub("npm", stubs.npm);
    const first = await denow(["eval", "1"]);
    assert.equal(first.code, 0);
    assert.match(first.stdout, /^<2\.9\.6><eval><1> [^\n]*\n$/);
    assert.match(first.stderr, /^Installing Deno 2\.9\.6 /);
    const second = await denow(["eval", "1"]);
    assert.deepEqual(second, { ...first, stderr: "" });
    assert.equal(await Deno.readTextFile(`${bin}/npm.log`), "call\n");
    assert.deepEqual([...Deno.readDirSync(`${root}/.tools`)].map((entry) => entry.name), ["bin"]);
  });
}

denowTest("installs soundly when started twice at once", async ({ root, stub, denow }) => {
  await stub("npm", stubs.npm);
  const outcomes = await Promise.all([denow(["eval", "1"]), denow(["eval", "2"])]);
  assert.deepEqual(outcomes.map((outcome) => outcome.code), [0, 0]);
  assert.deepEqual([...Deno.readDirSync(`${root}/.tools`)].map((entry) => entry.name), ["bin"]);
});

denowTest("names npm and the remedy when it is missing", async ({ root, denow }) => {
  const { code, stdout, stderr } = await denow(["task", "attack"]);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  assert.match(stderr, /^Cannot install Deno: npm is not on PATH; install [^\n]+\n$/);
  assert.equal(await exists(`${root}/.tools`), false);
});

denowTest("keeps nothing of a failed installation", async ({ root, stub, denow }) => {
  await stub("npm", stubs.brokenNpm);
  const { code, stdout, stderr } = await denow(["task", "attack"]);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  assert.match(stderr, /\nCannot install Deno: npm install deno@2\.9\.6 failed; [^\n]+\n$/);
  assert.deepEqual([...Deno.readDirSync(`${root}/.tools`)].map((entry) => entry.name), ["bin"]);
  assert.equal(await exists(`${root}/.tools/bin/deno`), false);
});

denowTest("works through a symbolic link and keeps deno's status", async (project) => {
  const { root, bin, elsewhere, stub } = project;
  await stub("deno", `${stubs.deno("2.9.6")}\nexit 7`);
  await Deno.symlink("../my project/denow", `${elsewhere}/link`);
  const env = { PATH: bin, MIRAGE_NO_DRIVER: "1" };
  const { code, stdout } = await execute(`${elsewhere}/link`, ["lint"], elsewhere, env);
  assert.equal(code, 7);
  assert.match(stdout, new RegExp(`<--config><${root}/deno.json>`));
});

denowTest(
  "says of a task that stands alone how it is typed, and of one that is none where all are",
  async ({ root, stub, denow }) => {
    const config = await Deno.readTextFile(new URL("deno.json", repository));
    await Deno.writeTextFile(`${root}/deno.json`, config);
    await stub("deno", stubs.deno("2.9.6"));
    const tasks = Object.keys(JSON.parse(config).tasks);
    const { stdout } = await new Deno.Command("deno", { args: ["help"], env: { NO_COLOR: "1" } })
      .output();
    const ofDeno = [...new TextDecoder().decode(stdout).matchAll(/^ {2}([a-z-]+) {2}/gm)]
      .map(([, name]) => name);
    assert.ok(tasks.includes("attack") && ofDeno.includes("test"));
    for (const name of tasks) {
      const { code, stdout, stderr } = await denow([name, "--json"]);
      if (ofDeno.includes(name)) {
        assert.deepEqual([code, stderr], [0, ""], name);
        assert.match(stdout, new RegExp(`^<2\\.9\\.6><${name}>`));
      } else {
        const said = `Cannot run "${name}" by itself: it is a task of this project; ` +
          `type ${root}/denow task ${name}\n`;
        assert.deepEqual([code, stdout, stderr], [1, "", said]);
      }
    }
    for (const args of [["task", "atack"], ["task", "zod", "--json"]]) {
      const { code, stdout, stderr } = await denow(args);
      const said = `Cannot run "${args[1]}": there is no such task; ` +
        `${root}/denow task mirage --help lists what there is\n`;
      assert.deepEqual([code, stdout, stderr], [1, "", said]);
    }
    for (const args of [["task"], ["task", "--help"], ...tasks.map((name) => ["task", name])]) {
      assert.deepEqual((await denow(args)).stderr, "");
    }
    // A package of the same file is no task.
    assert.equal((await denow(["vega"])).code, 0);
  },
);

denowTest("leaves the backend alone where it is not Linux", async ({ stub, denow }) => {
  await stub("deno", stubs.deno("2.9.6"));
  await stub("uname", "echo Darwin");
  const { stdout, stderr } = await denow(["--version-of"], { MIRAGE_NO_DRIVER: "" });
  assert.match(stdout, / 1 \n$/);
  assert.equal(stderr, "");
});

/** Where the Vulkan loader looks even if every variable points elsewhere. */
const systemManifests = !windows && await Deno.stat("/etc/vulkan/icd.d").then(
  () => [...Deno.readDirSync("/etc/vulkan/icd.d")].some((entry) => entry.name.endsWith(".json")),
  () => false,
);

/** Runs the wrapper with a deno and no Vulkan driver in sight. */
function driverTest(what: string, test: (project: Project) => Promise<void>): void {
  Deno.test({
    name: `\`denow\` ${what}`,
    ignore: windows || systemManifests,
    fn: () =>
      withProject(async (project) => {
        await project.stub("deno", stubs.deno("2.9.6"));
        const hidden = {
          MIRAGE_NO_DRIVER: "",
          XDG_DATA_DIRS: project.elsewhere,
          XDG_CONFIG_DIRS: project.elsewhere,
        };
        const denow: Project["denow"] = (args, env = {}) =>
          project.denow(args, { ...hidden, ...env });
        await test({ ...project, denow });
      }),
  });
}

driverTest("installs the software driver through apt-get as root", async (project) => {
  await project.stub("apt-get", stubs.aptGet);
  const { code, stdout, stderr } = await project.denow(["task", "attack"]);
  assert.equal(code, 0);
  assert.match(stdout, /^<2\.9\.6><task>[^\n]*\n$/);
  assert.equal(stderr, "Installing Mesa's software Vulkan driver through apt-get\n");
  const calls = (await Deno.readTextFile(`${project.bin}/apt.log`)).trim().split("\n");
  const install = /install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers$/;
  assert.equal(calls.length, 3);
  assert.match(calls[0] ?? "", install);
  assert.equal(calls[1], "update");
  assert.match(calls[2] ?? "", install);
});

driverTest("goes on without a driver and says what to install", async ({ stub, denow }) => {
  const sentence = /^Cannot (find|install) a Vulkan driver: [^\n]*libvulkan1[^\n]*\n$/;
  const noApt = await denow(["task", "attack"]);
  await stub("apt-get", "exit 100");
  const failing = await denow(["task", "attack"]);
  await stub("id", "echo 1000");
  const notRoot = await denow(["task", "attack"]);
  assert.match(noApt.stderr, sentence);
  assert.match(failing.stderr.replace(/^Installing[^\n]*\n/, ""), sentence);
  assert.match(notRoot.stderr, sentence);
  for (const { code, stdout } of [noApt, failing, notRoot]) {
    assert.equal(code, 0);
    assert.match(stdout, /^<2\.9\.6><task>/);
  }
});

driverTest("wants no driver where none is needed", async ({ stub, denow }) => {
  await stub("apt-get", "exit 100");
  for (const first of ["fmt", "lint", "check", "--help"]) {
    assert.equal((await denow([first])).stderr, "");
  }
  assert.equal((await denow(["task", "data"], { MIRAGE_NO_DRIVER: "1" })).stderr, "");
  assert.equal((await denow(["task", "data"], { VK_DRIVER_FILES: "a.json" })).stderr, "");
});
