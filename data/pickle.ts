/**
 * A reader of Python pickles (protocol 2) that runs nothing: it builds plain values, hands the few
 * callables it knows to the caller, and refuses every other.
 *
 * @module
 */

/** A callable that the pickle names, `module.name`. */
export class PickleGlobal {
  /** @param name for example `torch.FloatStorage` */
  constructor(readonly name: string) {}
}

/** The result of calling something. */
export type Reduce = (callable: PickleGlobal, args: readonly unknown[]) => unknown;

/** What the caller decides. */
export interface PickleOptions {
  /** Names that may occur. */
  readonly allowed: ReadonlySet<string>;
  /** Calls a callable of `allowed`. */
  readonly reduce: Reduce;
  /** Resolves a persistent id. */
  readonly persistent: (id: unknown) => unknown;
}

/** A pickle that is damaged or holds what is not allowed; the message is a clause. */
export class PickleError extends Error {
  override name = "PickleError";
}

const mark = Symbol("mark");

/**
 * Reads a pickle. Dictionaries become `Map`, tuples and lists arrays, bytes strings of Latin-1.
 *
 * @throws PickleError when it is damaged, or names something that is not allowed
 */
export function readPickle(bytes: Uint8Array, options: PickleOptions): unknown {
  return new Machine(bytes, options).run();
}

class Machine {
  readonly #view: DataView;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  #at = 0;

  constructor(readonly bytes: Uint8Array, readonly options: PickleOptions) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): unknown {
    try {
      for (;;) {
        const code = String.fromCharCode(this.#byte());
        if (code === ".") return this.#pop();
        this.#step(code);
      }
    } catch (error) {
      if (error instanceof RangeError) throw new PickleError("its pickle was cut off");
      throw error;
    }
  }

  #step(code: string): void {
    const stack = this.#stack;
    switch (code) {
      case "\x80":
        if (this.#byte() > 2) throw new PickleError("its pickle is of a later protocol than 2");
        return;
      case "(":
        stack.push(mark);
        return;
      case "}":
        stack.push(new Map());
        return;
      case "]":
      case ")":
        stack.push([]);
        return;
      case "N":
        stack.push(null);
        return;
      case "\x88":
      case "\x89":
        stack.push(code === "\x88");
        return;
      case "K":
        stack.push(this.#byte());
        return;
      case "M":
        stack.push(this.#view.getUint16(this.#skip(2), true));
        return;
      case "J":
        stack.push(this.#view.getInt32(this.#skip(4), true));
        return;
      case "\x8a":
        stack.push(this.#long(this.#byte()));
        return;
      case "G":
        stack.push(this.#view.getFloat64(this.#skip(8), false));
        return;
      case "X":
        stack.push(this.#text(this.#view.getUint32(this.#skip(4), true), "utf-8"));
        return;
      case "U":
        stack.push(this.#text(this.#byte(), "latin1"));
        return;
      case "T":
        stack.push(this.#text(this.#view.getUint32(this.#skip(4), true), "latin1"));
        return;
      case "c":
        stack.push(this.#global());
        return;
      case "q":
        this.#memo.set(this.#byte(), stack.at(-1));
        return;
      case "r":
        this.#memo.set(this.#view.getUint32(this.#skip(4), true), stack.at(-1));
        return;
      case "h":
        stack.push(this.#memo.get(this.#byte()));
        return;
      case "j":
        stack.push(this.#memo.get(this.#view.getUint32(this.#skip(4), true)));
        return;
      case "\x85":
      case "\x86":
      case "\x87": {
        const n = code.charCodeAt(0) - 0x84;
        stack.push(Array.from({ length: n }, () => this.#pop()).reverse());
        return;
      }
      case "t":
        stack.push(this.#popToMark());
        return;
      case "a": {
        const item = this.#pop();
        this.#list().push(item);
        return;
      }
      case "e": {
        const items = this.#popToMark();
        this.#list().push(...items);
        return;
      }
      case "s": {
        const value = this.#pop();
        const key = this.#pop();
        this.#map().set(key, value);
        return;
      }
      case "u": {
        const items = this.#popToMark();
        for (let i = 0; i + 1 < items.length; i += 2) this.#map().set(items[i], items[i + 1]);
        return;
      }
      case "Q":
        stack.push(this.options.persistent(this.#pop()));
        return;
      case "R": {
        const args = this.#pop();
        const callable = this.#pop();
        if (!(callable instanceof PickleGlobal) || !Array.isArray(args)) {
          throw new PickleError("its pickle calls something that is no name");
        }
        stack.push(this.options.reduce(callable, args));
        return;
      }
      case "b":
        // The state of an object: of those allowed only attributes that carry no array.
        this.#pop();
        return;
      case "0":
        this.#pop();
        return;
      default: {
        const hex = code.charCodeAt(0).toString(16).padStart(2, "0");
        throw new PickleError(`its pickle holds the instruction 0x${hex}, which no tensors need`);
      }
    }
  }

  #global(): PickleGlobal {
    const name = `${this.#line()}.${this.#line()}`;
    if (!this.options.allowed.has(name)) {
      throw new PickleError(`its pickle names "${name}", which could run code and is refused`);
    }
    return new PickleGlobal(name);
  }

  #line(): string {
    const end = this.bytes.indexOf(10, this.#at);
    if (end < 0) throw new PickleError("its pickle was cut off");
    const text = this.#text(end - this.#at, "utf-8");
    this.#at++;
    return text;
  }

  #byte(): number {
    return this.#view.getUint8(this.#at++);
  }

  #skip(n: number): number {
    this.#at += n;
    return this.#at - n;
  }

  #text(length: number, encoding: string): string {
    const start = this.#skip(length);
    if (start + length > this.bytes.length) throw new PickleError("its pickle was cut off");
    const part = this.bytes.subarray(start, start + length);
    if (encoding === "latin1") return String.fromCharCode(...part);
    return new TextDecoder(encoding).decode(part);
  }

  #long(length: number): number {
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(this.#byte()) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * Math.max(1, length), value));
  }

  #pop(): unknown {
    if (this.#stack.length === 0) throw new PickleError("its pickle is damaged");
    const value = this.#stack.pop();
    if (value === mark) throw new PickleError("its pickle is damaged");
    return value;
  }

  #popToMark(): unknown[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw new PickleError("its pickle is damaged");
    return this.#stack.splice(at).slice(1);
  }

  #list(): unknown[] {
    const list = this.#stack.at(-1);
    if (!Array.isArray(list)) throw new PickleError("its pickle is damaged");
    return list;
  }

  #map(): Map<unknown, unknown> {
    const map = this.#stack.at(-1);
    if (!(map instanceof Map)) throw new PickleError("its pickle is damaged");
    return map;
  }
}
