/** A real browser for tests: headless Chromium, spoken to by the DevTools protocol. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** How a page is looked at. */
export interface Look {
  /** Of the window, in CSS pixels. */
  readonly width: number;
  readonly dark: boolean;
}

/** What was found on a page. */
export interface Findings {
  /** Errors and warnings of the console, and exceptions. */
  readonly errors: readonly string[];
  /** What was asked for besides the page itself. */
  readonly requests: readonly string[];
  readonly images: number;
  /** Alternative texts of images that do not show. */
  readonly broken: readonly string[];
  /** How wide the page's content is. */
  readonly scrollWidth: number;
  /** Texts of a chart that stand in each other. */
  readonly overlapping: readonly string[];
  /** Elements that reach beyond the right edge, and texts that are cut off at a chart's edge. */
  readonly beyond: readonly string[];
  /** Tables that scroll although there is room beside them. */
  readonly cramped: readonly string[];
  readonly background: string;
}

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Path of a browser, if one is installed. */
export const browser: string | undefined = (Deno.env.get("PATH") ?? "").split(":")
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });

/** Runs in the page. */
const inspection = `(() => {
  const width = document.documentElement.clientWidth;
  const name = (e) => e.localName + ": " + (e.getAttribute("alt") ?? e.textContent).trim().slice(0, 40);
  const beyond = [...document.querySelectorAll("body *")].filter((e) =>
    !e.parentElement.closest(".wide, svg") && e.getBoundingClientRect().right > width + 0.5);
  const cut = [...document.querySelectorAll("svg text")].filter((text) => {
    if (text.getAttribute("opacity") === "0" || text.textContent === "") return false;
    const [a, b] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  });
  const overlapping = [...document.querySelectorAll("svg")].flatMap((svg) => {
    // Boxes of slanted texts, side by side, overlap where the texts do not.
    const texts = [...svg.querySelectorAll("text")]
      .filter((text) => text.getAttribute("opacity") !== "0" && text.textContent !== "" &&
        !text.getAttribute("transform")?.includes("rotate(315)"));
    const boxes = texts.map((text) => text.getBoundingClientRect());
    return boxes.flatMap((a, i) => boxes.slice(i + 1).flatMap((b, j) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const least = Math.min(a.height, b.height, a.width, b.width);
      return wide > 1 && high > least / 3 ? [name(texts[i]) + " / " + name(texts[i + 1 + j])] : [];
    }));
  });
  const cramped = [...document.querySelectorAll(".wide")].filter((e) =>
    e.scrollWidth > e.clientWidth + 1 && e.getBoundingClientRect().right < width - 40);
  return {
    overlapping,
    cramped: cramped.map(name),
    images: document.images.length,
    broken: [...document.images].filter((i) => !i.complete || i.naturalWidth === 0).map((i) => i.alt),
    scrollWidth: document.documentElement.scrollWidth,
    beyond: [...beyond, ...cut].map(name),
    background: getComputedStyle(document.body).backgroundColor,
  };
})()`;

/** Opens a browser for one test. */
export async function withBrowser(
  path: string,
  test: (look: (file: string, look: Look) => Promise<Findings>) => Promise<void>,
): Promise<void> {
  const profile = await Deno.makeTempDir();
  // `env` becomes the browser, whose name differs from system to system.
  const child = new Deno.Command("env", {
    args: [
      path,
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  try {
    await using session = await Session.open(await addressOf(errors));
    await test((file, look) => session.look(file, look));
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await errors.cancel();
    await removed(profile);
  }
}

/** Removes a folder that the browser's other processes may write to a moment longer. */
async function removed(folder: string): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const gone = await Deno.remove(folder, { recursive: true }).then(() => true, () => false);
    if (gone) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error(`Cannot remove "${folder}": something still writes there`);
}

/** Where the browser listens, from what it says at the start. */
async function addressOf(errors: ReadableStreamDefaultReader<string>): Promise<string> {
  let said = "";
  for (;;) {
    const [, address] = /DevTools listening on (ws:\S+)\n/.exec(said) ?? [];
    if (address !== undefined) return address;
    const { value, done } = await errors.read();
    assert.ok(!done, `the browser does not start: ${said}`);
    said += value;
  }
}

type Message = Record<string, unknown>;

class Session implements AsyncDisposable {
  #sent = 0;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<unknown, (message: Message) => void>();
  #events: Message[] = [];
  #loaded = (): void => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if ("id" in message) {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      } else {
        this.#events.push(message);
        if (message.method === "Page.loadEventFired") this.#loaded();
      }
    };
  }

  static async open(address: string): Promise<Session> {
    const socket = new WebSocket(address);
    await new Promise((open, fail) => {
      socket.onopen = open;
      socket.onerror = fail;
    });
    return new Session(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await closed;
  }

  // deno-lint-ignore no-explicit-any -- every message of the browser has a form of its own; another one fails the test
  async #send(method: string, params: Message = {}, sessionId?: string): Promise<any> {
    const id = ++this.#sent;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }));
    const { result, error } = await answer;
    assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
    return result;
  }

  async look(file: string, { width, dark }: Look): Promise<Findings> {
    const { targetId } = await this.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#send("Target.attachToTarget", { targetId, flatten: true });
    const send = (method: string, params?: Message) => this.#send(method, params, sessionId);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
    const mobile = width < 600;
    const screen = { width, height: 900, deviceScaleFactor: 1, mobile };
    await send("Emulation.setDeviceMetricsOverride", screen);
    await send("Emulation.setScrollbarsHidden", { hidden: true });
    await send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    this.#events = [];
    const loaded = new Promise<void>((resolve) => this.#loaded = resolve);
    const url = pathToFileURL(file).href;
    await send("Page.navigate", { url });
    await loaded;
    const { result } = await send("Runtime.evaluate", {
      expression: inspection,
      returnByValue: true,
    });
    const events = this.#events;
    await this.#send("Target.closeTarget", { targetId });
    return {
      errors: events.flatMap(errorsOf),
      requests: events.flatMap(requestsOf).filter((asked) => asked !== url),
      ...result.value,
    };
  }
}

// deno-lint-ignore no-explicit-any -- every message of the browser has a form of its own; another one fails the test
function errorsOf({ method, params }: any): string[] {
  const bad = ["error", "warning", "assert"];
  if (method === "Runtime.exceptionThrown") return [params.exceptionDetails.text];
  if (method === "Log.entryAdded" && bad.includes(params.entry.level)) return [params.entry.text];
  if (method === "Runtime.consoleAPICalled" && bad.includes(params.type)) {
    return [params.args.map(({ value }: Message) => value).join(" ")];
  }
  return [];
}

// deno-lint-ignore no-explicit-any -- every message of the browser has a form of its own; another one fails the test
function requestsOf({ method, params }: any): string[] {
  if (method !== "Network.requestWillBeSent") return [];
  return params.request.url.startsWith("data:") ? [] : [params.request.url];
}
