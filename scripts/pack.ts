/**
 * `./denow task pack`: Mirage as one file that brings its own Deno and unpacks itself, for machines of
 * this one's kind. The file is a shell script (`launcher.sh`) with a tar.gz at its end, so there is
 * none for Windows.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { run } from "@optique/run";
import { path } from "@optique/run/valueparser";
import { createTar } from "nanotar";
import { makeFolder, writeAtomic } from "../src/base/atomic.ts";
import { UserError } from "../src/base/errors.ts";
import { version } from "../src/base/version.ts";
import {
  causesOf,
  execute,
  hosts,
  includedFiles,
  inTemporary,
  permissions,
  root,
  runScript,
  schedulers,
  tryOut,
} from "./binary.ts";
import launcher from "./launcher.sh" with { type: "text" };

/** A file to pack; `deno` and `mirage.js` must be among them. */
export interface Packed {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The self-extracting file, the same bytes for the same files. */
export async function selfExtracting(files: readonly Packed[]): Promise<Uint8Array> {
  const attrs = { uid: 0, gid: 0, mtime: 0, mode: "644" };
  const tar = createTar(
    files.map(({ name, bytes }) => ({
      name,
      data: bytes,
      attrs: { ...attrs, mode: name === "deno" ? "755" : "644" },
    })),
    { attrs },
  );
  const payload = new Uint8Array(gzipSync(tar));
  payload[9] = 255; // no word on the system it was made on
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", payload));
  const facts: Record<string, string> = {
    VERSION: version,
    TARGET: Deno.build.target,
    HASH: digest.toHex().slice(0, 16),
    HOSTS: hosts.join(","),
    PERMISSIONS: permissions.join(" "),
    SCHEDULERS: schedulers.join(","),
    LINES: String(launcher.split("\n").length),
  };
  const header = new TextEncoder().encode(
    launcher.replaceAll(/@([A-Z]+)@/g, (_, name: string) => facts[name] ?? ""),
  );
  const result = new Uint8Array(header.length + payload.length);
  result.set(header);
  result.set(payload, header.length);
  return result;
}

/** The program as one JavaScript file; `deno bundle` fetches its esbuild from npm on first use. */
async function bundle(): Promise<Uint8Array> {
  return await inTemporary(async (folder) => {
    const output = join(folder, "mirage.js");
    const { code, stderr } = await execute(
      Deno.execPath(),
      ["bundle", "--quiet", "--config", "deno.json", "--output", output, "main.ts"],
      { cwd: root, env: { NO_COLOR: "1" } },
    );
    if (code !== 0) {
      const reason = causesOf(stderr).join(": ");
      throw new UserError(
        `Cannot bundle Mirage: ${reason}; see that ./denow task ok passes and npm's registry is in reach`,
      );
    }
    return await Deno.readFile(output);
  });
}

/** Everything that goes into the file; the data lies where the bundle looks for it, beside itself. */
async function contents(): Promise<Packed[]> {
  const files: Packed[] = [
    { name: "deno", bytes: await Deno.readFile(Deno.execPath()) },
    { name: "mirage.js", bytes: await bundle() },
  ];
  for (const path of await includedFiles()) {
    const name = path.replace(/^data\//, "");
    files.push({ name, bytes: await Deno.readFile(join(root, path)) });
  }
  return files;
}

/** Packs Mirage into one file and tries it out. */
async function pack(output: string): Promise<void> {
  if (Deno.build.os === "windows") {
    throw new UserError(
      "Cannot pack on Windows: the file is a shell script with a tar.gz; use .\\denow task compile",
    );
  }
  const file = await selfExtracting(await contents());
  await makeFolder(dirname(output));
  await writeAtomic(output, file);
  await Deno.chmod(output, 0o755);
  console.log(`Packed ${output}: ${(file.length / 1e6).toFixed(1)} MB for ${Deno.build.target}`);
  console.log(
    `It attacked 20 letters in an empty environment, on ${await tryOut(resolve(output))}`,
  );
}

if (import.meta.main) {
  const { output } = run(
    object({
      output: withDefault(
        option("--output", path({ metavar: "FILE" }), { description: message`The file to write` }),
        join(root, "dist", "mirage"),
      ),
    }),
    { programName: "./denow task pack", args: Deno.args, help: "option", showDefault: true },
  );
  await runScript(() => pack(output));
}
