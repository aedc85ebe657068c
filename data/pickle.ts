/**
 * A reader of Python pickles (protocols 2 to 5) that runs nothing: it builds plain values, hands the few
 * callables that the caller allows to the caller, and refuses every other.
 *
 * @module
 */
import { shortened } from "../src/errors.ts";

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
  /** Resolves a persistent id; a pickle with one is refused unless told. */
  readonly persistent?: (id: unknown) => unknown;
  /** Gives an object that was built its state, in place; states are dropped unless told. */
  readonly build?: (object: unknown, state: unknown) => void;
  /** Makes a value of a byte string, a view of the pickle; a string of Latin-1 unless told. */
  readonly byteString?: (bytes: Uint8Array) => unknown;
}

/** Text of one character a byte, so that no byte is lost. */
export function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** A pickle that is damaged or holds what is not allowed; the message is a clause. */
export class PickleError extends Error {
  override name = "PickleError";
}

const mark = Symbol("mark");
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads a pickle. Dictionaries become `Map`, tuples and lists arrays, text strings; byte strings what
 * the options say.
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
        if (this.#byte() > 5) throw new PickleError("its pickle is of a later protocol than 5");
        return;
      case "\x95":
        // A frame says how much follows; what follows is read all the same.
        this.#skip(8);
        return;
      case "\x94":
        this.#memo.set(this.#memo.size, stack.at(-1));
        return;
      case "\x93": {
        const [name, module] = [this.#pop(), this.#pop()];
        if (typeof module !== "string" || typeof name !== "string") {
          throw new PickleError("its pickle is damaged");
        }
        stack.push(this.#named(`${module}.${name}`));
        return;
      }
      case "\x8c":
        stack.push(decoder.decode(this.#part(this.#byte())));
        return;
      case "\x8d":
        stack.push(decoder.decode(this.#part(this.#size())));
        return;
      case "C":
        stack.push(this.#byteString(this.#byte()));
        return;
      case "B":
        stack.push(this.#byteString(this.#view.getUint32(this.#skip(4), true)));
        return;
      case "\x8e":
      case "\x96":
        stack.push(this.#byteString(this.#size()));
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
        stack.push(decoder.decode(this.#part(this.#view.getUint32(this.#skip(4), true))));
        return;
      case "U":
        stack.push(this.#byteString(this.#byte()));
        return;
      case "T":
        stack.push(this.#byteString(this.#view.getUint32(this.#skip(4), true)));
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
        const list = this.#list();
        for (const item of items) list.push(item);
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
        if (!this.options.persistent) {
          throw new PickleError("its pickle refers to something outside itself");
        }
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
      case "b": {
        const state = this.#pop();
        this.options.build?.(stack.at(-1), state);
        return;
      }
      case "0":
        this.#pop();
        return;
      default: {
        const hex = code.charCodeAt(0).toString(16).padStart(2, "0");
        throw new PickleError(`its pickle holds the instruction 0x${hex}, which is not read`);
      }
    }
  }

  #global(): PickleGlobal {
    return this.#named(`${this.#line()}.${this.#line()}`);
  }

  #named(name: string): PickleGlobal {
    if (!this.options.allowed.has(name)) {
      throw new PickleError(
        `its pickle names "${shortened(name)}", which could run code and is refused`,
      );
    }
    return new PickleGlobal(name);
  }

  #line(): string {
    const end = this.bytes.indexOf(10, this.#at);
    if (end < 0) throw new PickleError("its pickle was cut off");
    const text = decoder.decode(this.#part(end - this.#at));
    this.#at++;
    return text;
  }

  #byte(): number {
    return this.#view.getUint8(this.#at++);
  }

  /** A length of eight bytes; one beyond 2^53 reaches beyond the end all the same. */
  #size(): number {
    return Number(this.#view.getBigUint64(this.#skip(8), true));
  }

  #skip(n: number): number {
    this.#at += n;
    return this.#at - n;
  }

  /** The next bytes, a view. */
  #part(length: number): Uint8Array {
    const start = this.#skip(length);
    if (start + length > this.bytes.length) throw new PickleError("its pickle was cut off");
    return this.bytes.subarray(start, start + length);
  }

  #byteString(length: number): unknown {
    return (this.options.byteString ?? latin1)(this.#part(length));
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
