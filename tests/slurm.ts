/** A Slurm cluster of one node on this machine; what needs one is skipped, and says so, where there can be none. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { skipped } from "./shared.ts";

const script = decodeURIComponent(new URL("../scripts/slurm_cluster.sh", import.meta.url).pathname);

/** A cluster that runs. */
export interface Cluster {
  /** Runs a line of bash with the cluster's configuration in its environment. */
  readonly bash: (line: string, cwd: string) => Promise<string>;
}

/** `Deno.test` with a cluster, which ends with it; skipped, with the reason in its name, where MIRAGE_SLURM is not 1. */
export function testWithSlurm(
  name: string,
  test: (cluster: Cluster, folder: string) => Promise<void>,
): void {
  const ignore = Deno.env.get("MIRAGE_SLURM") !== "1";
  const full = ignore
    ? `${name} (skipped: it takes minutes, root, slurm-wlm and munge; MIRAGE_SLURM=1 runs it)`
    : name;
  if (ignore) skipped.push(full);
  Deno.test({ name: full, ignore, fn: () => withCluster(test) });
}

async function withCluster(
  test: (cluster: Cluster, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mirage-slurm-" });
  const child = new Deno.Command("bash", {
    args: [script, join(folder, "cluster"), "sh", "-c", "echo ready; cat"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaint = new Response(child.stderr).text();
  try {
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    assert.equal(new TextDecoder().decode(value), "ready\n", value ? "" : await complaint);
    await test({
      bash: async (line, cwd) => {
        const { code, stdout, stderr } = await new Deno.Command("bash", {
          args: ["-c", line],
          cwd,
          env: { SLURM_CONF: join(folder, "cluster", "slurm.conf"), NO_COLOR: "1" },
        }).output();
        const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        assert.equal(code, 0, `${line}: ${out}${err}`);
        return out ?? "";
      },
    }, folder);
    await reader.cancel();
  } finally {
    await child.stdin.close();
    await child.status;
    await complaint;
    await Deno.remove(folder, { recursive: true });
  }
}
