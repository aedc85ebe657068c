/** What is said of work that holds up the program, by a program that holds itself up. */
import assert from "node:assert/strict";

const module = new URL("../src/cli/watch.ts", import.meta.url).href;

/** Starts a program that watches work. */
function start(code: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", `import { watch } from ${JSON.stringify(module)};\n${code}\nDeno.exit(0);`],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

Deno.test("work that takes long is said to while the thread is held up, once", async () => {
  const child = start(`
    const done = watch('Compiling "a"', 0);
    Deno.stdin.readSync(new Uint8Array(1));
    done();`);
  const decoder = new TextDecoder();
  const reader = child.stderr.getReader();
  let told = "";
  while (!told.includes("\n")) {
    const { value, done } = await reader.read();
    assert.ok(!done, `it ended: ${told}`);
    told += decoder.decode(value, { stream: true });
  }
  // Only now is it let go.
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array(1));
  await writer.close();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    told += decoder.decode(part.value, { stream: true });
  }
  const stdout = await new Response(child.stdout).text();
  assert.equal((await child.status).code, 0);
  assert.equal(told, 'Compiling "a" takes long: more than 0 s so far\n');
  assert.equal(stdout, "");
});

Deno.test("of work that is soon over nothing is said", async () => {
  const child = start(`
    watch('Compiling "a"')();
    watch('Compiling "b"', 0);
    Deno.stdin.readSync(new Uint8Array(1));`);
  const reader = child.stderr.getReader();
  const { value } = await reader.read();
  // The other thread has seen both by then.
  assert.match(new TextDecoder().decode(value), /^Compiling "b" takes long/);
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array(1));
  await writer.close();
  assert.ok((await reader.read()).done);
  await child.stdout.cancel();
  assert.equal((await child.status).code, 0);
});
