/** Memory that stays flat, measured in processes of their own: tests share theirs with others. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

/** By how many MB the resident memory of a fresh process grows with work that `memory.ts` knows. */
async function growth(work: "steps" | "programs", times: number): Promise<number> {
  const [config, program] = ["../deno.json", "memory.ts"].map((path) =>
    fileURLToPath(new URL(path, import.meta.url))
  );
  assert.ok(config && program);
  const flags = ["--config", config, "--no-prompt", "--allow-read", "--allow-sys"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, program, work, String(times)],
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  const bytes = Number(decoder.decode(stdout));
  assert.ok(stdout.length > 0 && Number.isFinite(bytes), decoder.decode(stdout));
  return bytes / 1e6;
}

Deno.test("10,000 training steps grow the resident memory by less than 50 MB", async () => {
  const grown = await growth("steps", 10_000);
  assert.ok(grown < 50, `resident memory grew by ${grown.toFixed(1)} MB`);
});

Deno.test("disposed programs give their memory back", async () => {
  const grown = await growth("programs", 200);
  assert.ok(grown < 100, `200 programs of 2 MB each left ${grown.toFixed(0)} MB`);
});
