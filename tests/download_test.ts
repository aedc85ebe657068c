/** Downloads against a server of this process that cuts, lies and refuses. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  allSets,
  download,
  type DownloadOptions,
  type DownloadProgress,
  type SourceFile,
} from "../data/mod.ts";
import { UserError } from "../src/base/errors.ts";

const content = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i + (i >> 8)) & 255);
const sha256 = createHash("sha256").update(content).digest("hex");
const md5 = createHash("md5").update(content).digest("hex");
const half = content.length / 2;

const source: SourceFile = {
  name: "x.gz",
  path: "set/x.gz",
  size: content.length,
  checksum: { algorithm: "sha256", hex: sha256 },
  urls: ["http://unused.invalid/x.gz"],
};

/** How the server answers each path. */
const routes: Record<string, (start: number, turn: number) => Response> = {
  "/good": (start) => partial(start),
  "/rangeless": () => new Response(content),
  "/wrong": () => new Response(content.toReversed()),
  "/short": () => new Response(content.subarray(1)),
  "/long": () => new Response(stream([content, content])),
  "/missing": () => new Response("no such file", { status: 404 }),
  "/busy": (start, turn) => turn === 0 ? new Response("busy", { status: 503 }) : partial(start),
  "/cut": (start, turn) => turn === 0 ? cut(0, half) : partial(start),
  "/cut-always": () => cut(0, 10),
  "/other-range": () =>
    new Response(content.subarray(1), {
      status: 206,
      headers: { "content-range": `bytes 1-${content.length - 1}/${content.length}` },
    }),
  "/silent": () => new Response(stream([content.subarray(0, 10)], "hang")),
};

function partial(start: number): Response {
  if (start === 0) return new Response(content);
  if (start >= content.length) return new Response(null, { status: 416 });
  const range = `bytes ${start}-${content.length - 1}/${content.length}`;
  return new Response(content.subarray(start), {
    status: 206,
    headers: { "content-range": range },
  });
}

function cut(start: number, end: number): Response {
  const headers = { "content-length": String(content.length) };
  return new Response(stream([content.subarray(start, end)], "break"), { headers });
}

function stream(parts: Uint8Array[], then: "end" | "break" | "hang" = "end"): ReadableStream {
  const left = [...parts];
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const part = left.shift();
      if (part) controller.enqueue(part);
      else if (then === "end") controller.close();
      else if (then === "break") {
        await new Promise((resolve) => setTimeout(resolve, 20));
        controller.error(new Error("cut on purpose"));
      } else await new Promise(() => {});
    },
  });
}

interface Site {
  /** URLs of the routes named. */
  readonly urls: (...names: string[]) => string[];
  /** Requests so far: path and the first byte asked for. */
  readonly asked: [path: string, start: number][];
  readonly options: DownloadOptions;
  /** The finished file and the partial one. */
  readonly path: string;
  readonly part: string;
}

async function withSite(test: (site: Site) => Promise<void>): Promise<void> {
  const asked: [path: string, start: number][] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen(): void {} }, (request) => {
    const { pathname } = new URL(request.url);
    const range = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "bytes=0-");
    const start = Number(range?.[1]);
    const turn = asked.filter(([path]) => path === pathname).length;
    asked.push([pathname, start]);
    return routes[pathname]?.(start, turn) ?? new Response("unknown route", { status: 500 });
  });
  const destination = await Deno.makeTempDir();
  try {
    const path = join(destination, "set", "x.gz");
    await test({
      urls: (...names) => names.map((name) => `http://127.0.0.1:${server.addr.port}/${name}`),
      asked,
      options: { destination, retryDelay: 1 },
      path,
      part: `${path}.part`,
    });
  } finally {
    await server.shutdown();
    await Deno.remove(destination, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function writePart({ part }: Site, bytes: Uint8Array): Promise<void> {
  await Deno.mkdir(join(part, ".."), { recursive: true });
  await Deno.writeFile(part, bytes);
}

async function assertDone({ path, part }: Site): Promise<void> {
  assert.deepEqual(await Deno.readFile(path), content);
  assert.equal(await exists(part), false);
}

/** The message of the UserError that the download ends in. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof UserError, String(error));
  return error.message;
}

Deno.test("download() fetches, checks, renames and reports progress", () =>
  withSite(async (site) => {
    const seen: DownloadProgress[] = [];
    const urls = site.urls("good");
    const onProgress = (progress: DownloadProgress): number => seen.push(progress);
    const done = await download(source, { ...site.options, urls, onProgress });
    assert.deepEqual(done, { file: "x.gz", path: site.path, bytes: 100_000, sha256, url: urls[0] });
    await assertDone(site);
    assert.deepEqual(seen.at(-1), {
      file: "x.gz",
      received: 100_000,
      total: 100_000,
      url: urls[0],
    });
    const received = seen.map((progress) => progress.received);
    assert.deepEqual(received, received.toSorted((a, b) => a - b));
  }));

Deno.test("download() keeps a file that is right and asks nobody", () =>
  withSite(async (site) => {
    const urls = site.urls("good");
    await download(source, { ...site.options, urls });
    const again = await download(source, { ...site.options, urls });
    assert.equal(again.url, undefined);
    assert.equal(site.asked.length, 1);
  }));

Deno.test("download() replaces a file that is wrong", () =>
  withSite(async (site) => {
    await writePart(site, content);
    await Deno.rename(site.part, site.path);
    await Deno.writeFile(site.path, content.toReversed());
    const done = await download(source, { ...site.options, urls: site.urls("good") });
    assert.match(done.url ?? "", /good$/);
    await assertDone(site);
  }));

Deno.test("download() checks an MD5 sum where that is what is published", () =>
  withSite(async (site) => {
    const published: SourceFile = { ...source, checksum: { algorithm: "md5", hex: md5 } };
    const urls = site.urls("wrong", "good");
    const done = await download(published, { ...site.options, urls });
    assert.equal(done.sha256, sha256);
    assert.equal(done.url, urls[1]);
  }));

Deno.test("download() takes a cut connection up where it broke off", () =>
  withSite(async (site) => {
    await download(source, { ...site.options, urls: site.urls("cut") });
    assert.deepEqual(site.asked.map(([path]) => path), ["/cut", "/cut"]);
    assert.equal(site.asked[1]?.[1], half);
    await assertDone(site);
  }));

Deno.test("download() takes up what an earlier run left, at any length", async (t) => {
  for (const held of [1, half, content.length - 1]) {
    await t.step(`${held} bytes`, () =>
      withSite(async (site) => {
        await writePart(site, content.subarray(0, held));
        await download(source, { ...site.options, urls: site.urls("good") });
        assert.deepEqual(site.asked, [["/good", held]]);
        await assertDone(site);
      }));
  }
  await t.step("all bytes", () =>
    withSite(async (site) => {
      await writePart(site, content);
      await download(source, { ...site.options, urls: site.urls("good") });
      assert.deepEqual(site.asked, []);
      await assertDone(site);
    }));
});

Deno.test("download() starts over where an earlier run left wrong bytes", async (t) => {
  for (const held of [half, content.length, content.length + 5]) {
    await t.step(`${held} bytes`, () =>
      withSite(async (site) => {
        await writePart(site, new Uint8Array(held).fill(1));
        await download(source, { ...site.options, urls: site.urls("good") });
        assert.deepEqual(site.asked.at(-1), ["/good", 0]);
        await assertDone(site);
      }));
  }
});

Deno.test("download() starts over at a server that ignores ranges", () =>
  withSite(async (site) => {
    await writePart(site, content.subarray(0, half));
    await download(source, { ...site.options, urls: site.urls("rangeless") });
    assert.deepEqual(site.asked, [["/rangeless", half]]);
    await assertDone(site);
  }));

Deno.test("download() goes on to the next mirror", async (t) => {
  for (const first of ["missing", "wrong", "short", "long", "cut-always"]) {
    await t.step(`after ${first}`, () =>
      withSite(async (site) => {
        const urls = site.urls(first, "good");
        const done = await download(source, { ...site.options, urls });
        assert.equal(done.url, urls[1]);
        await assertDone(site);
      }));
  }
  await t.step("after other-range", () =>
    withSite(async (site) => {
      await writePart(site, content.subarray(0, half));
      await download(source, { ...site.options, urls: site.urls("other-range", "good") });
      assert.deepEqual(site.asked, [["/other-range", half], ["/good", half]]);
      await assertDone(site);
    }));
  await t.step("after a host that is not there", () =>
    withSite(async (site) => {
      const urls = ["http://127.0.0.1:1/x.gz", ...site.urls("good")];
      await download(source, { ...site.options, urls });
      await assertDone(site);
    }));
});

Deno.test("download() tries a busy host again", () =>
  withSite(async (site) => {
    await download(source, { ...site.options, urls: site.urls("busy") });
    assert.equal(site.asked.length, 2);
    await assertDone(site);
  }));

Deno.test("download() says why every host failed and which file to put where", () =>
  withSite(async (site) => {
    const urls = [
      "http://127.0.0.1:1/x.gz",
      ...site.urls("missing", "wrong", "short", "cut-always"),
    ];
    const message = await failure(download(source, { ...site.options, urls, attempts: 2 }));
    assert.match(message, /^Cannot download "x.gz": 127\.0\.0\.1:1 could not be reached, /);
    assert.match(message, /answered 404, .*sent a file with a wrong sha256 checksum, /);
    assert.match(message, /has a file of 99999 bytes, not 100000, .*broke off after 10 of 100000/);
    assert.ok(message.endsWith(`put it at "${site.path}"`), message);
    assert.match(message, /get it from http:\/\/unused\.invalid\/x\.gz/);
    assert.equal(await exists(site.path), false);
  }));

Deno.test("download() leaves no partial file after a wrong checksum", () =>
  withSite(async (site) => {
    await failure(download(source, { ...site.options, urls: site.urls("wrong") }));
    assert.equal(await exists(site.part), false);
  }));

Deno.test("download() gives up a connection that falls silent", () =>
  withSite(async (site) => {
    const urls = site.urls("silent", "good");
    await download(source, { ...site.options, urls, attempts: 1, stallTimeout: 100 });
    assert.deepEqual(site.asked, [["/silent", 0], ["/good", 10]]);
    await assertDone(site);
  }));

Deno.test("download() passes on what its progress callback throws", () =>
  withSite(async (site) => {
    const fault = new TypeError("a bug in the callback");
    const onProgress = (): void => {
      throw fault;
    };
    const options = { ...site.options, urls: site.urls("good", "good"), onProgress };
    await assert.rejects(download(source, options), (error) => error === fault);
    assert.equal(site.asked.length, 1);
  }));

Deno.test("download() says that a host gave no answer in time", () =>
  withSite(async (site) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const urls = [`http://127.0.0.1:${listener.addr.port}/x.gz`];
    const message = await failure(download(source, { ...site.options, urls, stallTimeout: 50 }));
    assert.match(message, /:\d+ gave no answer in 0\.05 s; get it from/);
  }));

Deno.test("download() stops at the signal and keeps what it has", () =>
  withSite(async (site) => {
    const controller = new AbortController();
    const reason = new Error("stopped by hand");
    const onProgress = (): void => controller.abort(reason);
    const { signal } = controller;
    const options = { ...site.options, urls: site.urls("silent", "good"), signal, onProgress };
    await assert.rejects(download(source, options), (error) => error === reason);
    assert.equal((await Deno.stat(site.part)).size, 10);
    assert.equal(site.asked.length, 1);
  }));

Deno.test("download() says that a destination cannot be written", () =>
  withSite(async (site) => {
    await Deno.writeTextFile(join(site.path, "..", "..", "set"), "a file, no folder");
    const message = await failure(download(source, { ...site.options, urls: site.urls("good") }));
    assert.match(
      message,
      /^Cannot write ".*x\.gz": a file is where a folder should be; name another folder$/,
    );
  }));

Deno.test("sets name hosts, a checksum and a path for every file to download", () => {
  const files = allSets.flatMap(({ downloads }) => downloads);
  assert.equal(new Set(files.map(({ path }) => path)).size, files.length);
  for (const { name, path, size, urls, checksum } of files) {
    assert.equal(new Set(urls.map((url) => new URL(url).host)).size, urls.length, path);
    assert.ok(urls.length > 0 && size > 0, path);
    assert.ok(urls.every((url) => url.endsWith(`/${name}`)) && path.endsWith(name));
    assert.match(checksum.hex, checksum.algorithm === "md5" ? /^[0-9a-f]{32}$/ : /^[0-9a-f]{64}$/);
  }
});
