/**
 * A reader of Python pickles (protocols 2 to 5) that runs nothing: it builds plain values, hands the few
 * callables that the caller allows to the caller, and refuses every other.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { shortened } from "./errors.ts";

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
  /** Says, as a clause, why a name outside `allowed` is not read; that it could run code unless told. */
  readonly refuse?: (name: string) => string | undefined;
}

/**
 * Instructions that a pickle may have. Each makes a value or refers to one, so this bounds the stack, the
 * memo, and the memory: empty dictionaries, the largest for their one byte, come to some hundred MB.
 * A tensor takes some forty, so that it is enough for 50,000 of them.
 */
const mostInstructions = 2 ** 21;
/** Bytes of a text: twice what Python 3 makes of the 30,720,000 bytes of a CIFAR batch at protocol 2. */
const mostText = 2 ** 27;
/** Bytes of an integer: what the shorter of the two instructions can say; a magic number has ten. */
const mostLong = 255;
/** Characters of a name that a sentence quotes. */
const quotedName = 60;

/** Text of one character a byte, so that no byte is lost. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** A pickle that is damaged or holds what is not allowed; the message is a clause. */
export class PickleError extends Error {
  override name = "PickleError";
  /** @param remedy what helps, as a clause, where that is not to write less into the pickle */
  constructor(message: string, readonly remedy?: string) {
    super(message);
  }
}

/** What helps against damage. */
const again = "copy it again, or write it again";

const mark = Symbol("mark");
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads a pickle. Dictionaries become `Map`, tuples and lists arrays, text strings; byte strings what
 * the options say.
 *
 * @throws PickleError when it is damaged, or names something that is not allowed
 */
export function readPickle(bytes: Uint8Array, options: PickleOptions): unknown {
  return readPickleAt(bytes, 0, options).value;
}

/** As {@linkcode readPickle}, of a pickle that begins somewhere and may be followed by others. */
export function readPickleAt(
  bytes: Uint8Array,
  start: number,
  options: PickleOptions,
): { value: unknown; end: number } {
  return new Machine(bytes, start, options).run();
}

/** What most ways of being damaged come to. */
function damaged(): PickleError {
  return new PickleError("its pickle is damaged", again);
}

function cutOff(): PickleError {
  return new PickleError("its pickle was cut off", again);
}

class Machine {
  readonly #view: DataView;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  #at: number;

  constructor(readonly bytes: Uint8Array, start: number, readonly options: PickleOptions) {
    this.#at = start;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): { value: unknown; end: number } {
    for (let i = 0; i < mostInstructions; i++) {
      const code = String.fromCharCode(this.#byte());
      if (code === ".") return { value: this.#pop(), end: this.#at };
      this.#step(code);
    }
    throw new PickleError(`its pickle has more than ${mostInstructions} instructions`);
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
        this.#remember(this.#memo.size);
        return;
      case "\x93": {
        const [name, module] = [this.#pop(), this.#pop()];
        if (typeof module !== "string" || typeof name !== "string") {
          throw damaged();
        }
        stack.push(this.#named(`${module}.${name}`));
        return;
      }
      case "\x8c":
        stack.push(this.#text(this.#byte()));
        return;
      case "\x8d":
        stack.push(this.#text(this.#size()));
        return;
      case "C":
        stack.push(this.#byteString(this.#byte()));
        return;
      case "B":
        stack.push(this.#byteString(this.#uint32()));
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
      case "\x8f":
        // A set is read as the list of its members.
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
      case "\x8b":
        stack.push(this.#long(this.#uint32()));
        return;
      case "G":
        stack.push(this.#view.getFloat64(this.#skip(8), false));
        return;
      case "X":
        stack.push(this.#text(this.#uint32()));
        return;
      case "U":
        stack.push(this.#byteString(this.#byte()));
        return;
      case "T":
        stack.push(this.#byteString(this.#uint32()));
        return;
      case "c":
        stack.push(this.#global());
        return;
      case "q":
        this.#remember(this.#byte());
        return;
      case "r":
        this.#remember(this.#uint32());
        return;
      case "h":
        stack.push(this.#remembered(this.#byte()));
        return;
      case "j":
        stack.push(this.#remembered(this.#uint32()));
        return;
      case "\x85":
      case "\x86":
      case "\x87": {
        const n = code.charCodeAt(0) - 0x84;
        stack.push(Array.from({ length: n }, () => this.#pop()).reverse());
        return;
      }
      case "t":
      case "\x91":
        stack.push(this.#popToMark());
        return;
      case "a": {
        const item = this.#pop();
        this.#list().push(item);
        return;
      }
      case "e":
      case "\x90": {
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
        if (items.length % 2 !== 0) throw damaged();
        for (let i = 0; i < items.length; i += 2) this.#map().set(items[i], items[i + 1]);
        return;
      }
      case "Q":
        if (!this.options.persistent) {
          throw new PickleError("its pickle refers to something outside itself");
        }
        stack.push(this.options.persistent(this.#pop()));
        return;
      case "R":
      case "\x81":
      case "\x92": {
        // Of keyword arguments, which only the last has, nothing that is allowed takes any.
        if (code === "\x92") this.#pop();
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
      case "1":
        this.#popToMark();
        return;
      case "2":
        stack.push(stack.at(-1) ?? null);
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
        this.options.refuse?.(name) ??
          `its pickle names "${shortened(name, quotedName)}", which could run code and is refused`,
      );
    }
    return new PickleGlobal(name);
  }

  #line(): string {
    const end = this.bytes.indexOf(10, this.#at);
    if (end < 0) throw cutOff();
    const text = decoder.decode(this.#part(end - this.#at));
    this.#at++;
    return text;
  }

  #remember(key: number): void {
    if (this.#stack.length === 0) throw damaged();
    this.#memo.set(key, this.#stack.at(-1));
  }

  #remembered(key: number): unknown {
    if (!this.#memo.has(key)) throw damaged();
    return this.#memo.get(key);
  }

  #byte(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #uint32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  /** A length of eight bytes; one beyond 2^53 reaches beyond the end all the same. */
  #size(): number {
    return Number(this.#view.getBigUint64(this.#skip(8), true));
  }

  /** Goes on by so many bytes, which are there, and gives where they begin. */
  #skip(n: number): number {
    if (this.#at + n > this.bytes.length) throw cutOff();
    this.#at += n;
    return this.#at - n;
  }

  /** The next bytes, a view. */
  #part(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.bytes.subarray(start, start + length);
  }

  #text(length: number): string {
    const part = this.#part(length);
    if (length > mostText) throw new PickleError(`its pickle holds a text of ${length} bytes`);
    return decoder.decode(part);
  }

  #byteString(length: number): unknown {
    const part = this.#part(length);
    if (this.options.byteString) return this.options.byteString(part);
    if (length > mostText) throw new PickleError(`its pickle holds a text of ${length} bytes`);
    return latin1(part);
  }

  #long(length: number): number {
    if (length > mostLong) throw new PickleError(`its pickle holds a number of ${length} bytes`);
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(this.#byte()) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * Math.max(1, length), value));
  }

  #pop(): unknown {
    if (this.#stack.length === 0) throw damaged();
    const value = this.#stack.pop();
    if (value === mark) throw damaged();
    return value;
  }

  #popToMark(): unknown[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw damaged();
    return this.#stack.splice(at).slice(1);
  }

  #list(): unknown[] {
    const list = this.#stack.at(-1);
    if (!Array.isArray(list)) throw damaged();
    return list;
  }

  #map(): Map<unknown, unknown> {
    const map = this.#stack.at(-1);
    if (!(map instanceof Map)) throw damaged();
    return map;
  }
}
