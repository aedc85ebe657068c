/**
 * Downloads that can be broken off: a file grows under the name NAME.part, is taken up again by an
 * HTTP range, and gets its own name only once its checksum is right.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import { checkDataPath, checkPlace, discard, sizeOf, writing } from "./files.ts";
import { type SetName, sets } from "./sets.ts";
import { type SourceFile, verify } from "./sources.ts";

/** How far one file is. */
export interface DownloadProgress {
  /** The file's name. */
  readonly file: string;
  /** Bytes there, those of an earlier run included. */
  readonly received: number;
  /** Bytes in all. */
  readonly total: number;
  /** Where it is being fetched from. */
  readonly url: string;
}

/** Where to, and how patiently. */
export interface DownloadOptions {
  /** The data path; the file goes to its own place under it. */
  readonly destination: string;
  /** Breaks off; what is there stays for the next run. */
  readonly signal?: AbortSignal | undefined;
  /** Called after every piece; what it throws ends the download. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Hosts to ask instead of the published ones, in order. */
  readonly urls?: readonly string[] | undefined;
  /** Connections tried to each host; 3 unless told. */
  readonly attempts?: number | undefined;
  /** Milliseconds before a host is tried again; 500 unless told, doubled each time. */
  readonly retryDelay?: number | undefined;
  /** Milliseconds without a byte after which a connection counts as dead; 30,000 unless told. */
  readonly stallTimeout?: number | undefined;
}

/** A file that is there and whose checksum is right. */
export interface Downloaded {
  readonly file: string;
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the file, in hex, whichever checksum it was held against. */
  readonly sha256: string;
  /** Where it came from; undefined where it was there already. */
  readonly url?: string;
}

/** "complete", or why not and whether the same host is worth another try. */
type Outcome = "complete" | { readonly reason: string; readonly again: boolean };

/**
 * Downloads the files of one set, one after another; those already there and right are kept.
 *
 * @throws {UserError} as {@link download} does.
 */
export async function downloadSet(
  name: SetName,
  options: Omit<DownloadOptions, "urls">,
): Promise<Downloaded[]> {
  const done: Downloaded[] = [];
  for (const source of sets[name].downloads) done.push(await download(source, options));
  return done;
}

/**
 * Downloads one file to its place under `destination`, from the first host that gives the right
 * bytes. A file that is there and right is kept; one that is there and wrong is replaced, but only
 * at the end. After a wrong checksum the partial file is deleted and the next host tried.
 *
 * @throws {UserError} when no host gives the file, saying why each did not and what to put where;
 * or when the destination cannot be written.
 * @throws the signal's reason when it is broken off.
 */
export async function download(
  source: SourceFile,
  options: DownloadOptions,
): Promise<Downloaded> {
  const { signal, attempts = 3, urls = source.urls } = options;
  const path = join(options.destination, source.path);
  const part = `${path}.part`;
  await checkDataPath(options.destination);
  // Before anything is fetched: it would be lost at the end.
  for (const place of [path, part]) await checkPlace(place);
  const present = await verify(path, source);
  if (present?.right) {
    return { file: source.name, path, bytes: source.size, sha256: present.sha256 };
  }
  await writing(path, () => Deno.mkdir(dirname(path), { recursive: true }));

  const reasons: string[] = [];
  for (const url of urls) {
    let reason = "";
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await pause((options.retryDelay ?? 500) * 2 ** (attempt - 1), signal);
      const resumed = (await sizeOf(part) ?? 0) > 0;
      const outcome = await fetchPart(part, url, source, options);
      if (outcome === "complete") {
        const { right, sha256 } = await verify(part, source) ?? { right: false, sha256: "" };
        if (right) {
          await writing(path, () => Deno.rename(part, path));
          return { file: source.name, path, bytes: source.size, sha256, url };
        }
        await discard(part);
        reason = `sent a file with a wrong ${source.checksum.algorithm} checksum`;
        // The wrong bytes may be those of an earlier run: then this host has not had its chance.
        if (!resumed) break;
      } else {
        reason = outcome.reason;
        if (!outcome.again) break;
      }
    }
    reasons.push(`${new URL(url).host} ${reason}`);
  }
  throw new UserError(
    `Cannot download "${source.name}": ${reasons.join(", ")}; get it from ${source.urls[0]} on a ` +
      `machine that can and put it at "${display(path)}"`,
  );
}

/** One connection to one host: adds what it gives to the partial file. */
async function fetchPart(
  part: string,
  url: string,
  source: SourceFile,
  options: DownloadOptions,
): Promise<Outcome> {
  const held = await sizeOf(part) ?? 0;
  if (held >= source.size) return "complete";
  const stall = new AbortController();
  const timeout = options.stallTimeout ?? 30_000;
  let timer = setTimeout(() => stall.abort(), timeout);
  const signals = options.signal ? [stall.signal, options.signal] : [stall.signal];
  let received = held;
  let answered = false;
  let fault: { error: unknown } | undefined;
  try {
    const headers = new Headers({ "accept-encoding": "identity" });
    if (held > 0) headers.set("range", `bytes=${held}-`);
    const response = await fetch(url, { headers, signal: AbortSignal.any(signals) });
    answered = true;
    const start = startOf(response, held, source.size);
    if (typeof start !== "number" || response.body === null) {
      await response.body?.cancel();
      if (response.status === 416) await discard(part);
      return typeof start === "number" ? { reason: "sent nothing", again: true } : start;
    }
    received = start;
    const open = { write: true, create: true, append: start > 0, truncate: start === 0 };
    using file = await writing(part, () => Deno.open(part, open));
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(), timeout);
      received += chunk.length;
      if (received > source.size) break;
      await writeAll(file, chunk, part);
      try {
        options.onProgress?.({ file: source.name, received, total: source.size, url });
      } catch (error) {
        fault = { error };
        break;
      }
    }
    await writing(part, () => file.sync());
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof UserError) throw error;
    if (error instanceof Deno.errors.NotCapable) throw notAllowed(source);
    if (!answered) {
      const silent = stall.signal.aborted;
      const reason = silent ? `gave no answer in ${timeout / 1000} s` : "could not be reached";
      return { reason, again: false };
    }
  } finally {
    clearTimeout(timer);
  }
  if (fault) throw fault.error;
  if (received > source.size) await discard(part);
  return outcomeOf(received, source);
}

/** What a body of so many bytes, those that were there before counted too, comes to. */
function outcomeOf(received: number, { size }: SourceFile): Outcome {
  if (received === size) return "complete";
  return received < size
    ? { reason: `broke off after ${received} of ${size} bytes`, again: true }
    : { reason: `sent more than ${size} bytes`, again: false };
}

function notAllowed({ name }: SourceFile): UserError {
  return new UserError(
    `Cannot download "${name}": Deno was not allowed to; run ${commandOf("data")}, which is`,
  );
}

/** At which byte of the file the response's body starts; an outcome where it is of no use. */
function startOf(
  response: Response,
  held: number,
  size: number,
): number | Exclude<Outcome, "complete"> {
  const { status, headers } = response;
  if (status === 206) {
    const [, start, total] =
      /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ??
        [];
    if (Number(start) === held && (total === "*" || Number(total) === size)) return held;
    return { reason: "sent another range than was asked for", again: false };
  }
  if (status === 200) {
    const length = headers.get("content-length");
    if (length === null || Number(length) === size) return 0;
    return { reason: `has a file of ${length} bytes, not ${size}`, again: false };
  }
  const again = status === 416 || status === 429 || status >= 500;
  return { reason: `answered ${status}`, again };
}

async function writeAll(file: Deno.FsFile, chunk: Uint8Array, path: string): Promise<void> {
  for (let at = 0; at < chunk.length;) {
    at += await writing(path, () => file.write(chunk.subarray(at)));
  }
}

/** Waits, but not past the signal. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
