/**
 * PyTorch on the CPU, in a process of its own.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { findPython } from "../../scripts/python.ts";
import type { Contender, Runner, Workload } from "../workload.ts";

const script = new URL("pytorch/main.py", import.meta.url);
const hello = z.object({ version: z.string(), threads: z.int() });
const ready = z.object({ ready: z.boolean() });
const answer = z.object({ losses: z.array(z.number()) });

/** Starts it; undefined where there is no python3 with torch. */
export async function torch(): Promise<Contender | undefined> {
  const python = await findPython("torch");
  if (!python) return undefined;
  const child = new Deno.Command(python, {
    // -B: the source folder is no place for Python's cache.
    args: ["-B", script.pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = linesOf(child.stdout);
  const next = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error("Cannot go on with PyTorch: its process has ended");
    return JSON.parse(value);
  };
  const ask = async (request: unknown): Promise<unknown> => {
    await writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    return await next();
  };
  const { version, threads } = hello.parse(await next());
  return {
    name: "PyTorch",
    version,
    where: `CPU, ${threads} thread${threads === 1 ? "" : "s"}`,
    prepare: (workload) => prepare(workload, ask),
    async close(): Promise<void> {
      await writer.close();
      await child.status;
    },
  };
}

async function prepare(
  workload: Workload,
  ask: (request: unknown) => Promise<unknown>,
): Promise<Runner | undefined> {
  const { name, models, shape, images, labels, epsilon } = workload;
  const folder = await Deno.makeTempDir();
  let files = 0;
  /** What Python reads a tensor from. */
  const write = async (
    data: Float32Array<ArrayBuffer>,
    of: readonly number[],
  ): Promise<[path: string, shape: readonly number[]]> => {
    const path = join(folder, `${files++}`);
    await Deno.writeFile(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return [path, of];
  };
  try {
    const written = models.map(async (weights) => {
      const entries = [...weights].map(async ([key, { data, shape }]) =>
        [key, await write(data, shape)] as const
      );
      return Object.fromEntries(await Promise.all(entries));
    });
    const request = {
      name,
      models: await Promise.all(written),
      trainable: [...models[0] ?? []].filter(([, { trainable }]) => trainable).map(([key]) => key),
      images: await write(images, shape),
      labels: await write(labels, [labels.length]),
      epsilon,
    };
    if (!ready.parse(await ask({ prepare: request })).ready) return undefined;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return {
    run: async (steps) => answer.parse(await ask({ run: steps })).losses,
    close: () => {},
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (
    const part of stream.pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    )
  ) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
