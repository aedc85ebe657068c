/**
 * What is to be put right when the process is told to stop: whatever holds something that outlives it
 * registers here, and what has come of the work by then is noted.
 *
 * @module
 */

const pending = new Set<() => void>();

/**
 * Registers what is to be done if the process is told to stop meanwhile; it must be done at once, without
 * waiting for anything. Disposing of the result takes it back.
 */
export function ifStopped(putRight: () => void): Disposable {
  pending.add(putRight);
  return { [Symbol.dispose]: () => void pending.delete(putRight) };
}

/** Does what is registered, the latest first; what fails keeps nothing else from being done. */
export function stop(): void {
  for (const putRight of [...pending].reverse()) {
    pending.delete(putRight);
    try {
      putRight();
    } catch {
      // The process ends: there is nobody left to tell.
    }
  }
}

/** What a run that is stopped can go on from, beyond what was there before; its log is nothing of the kind. */
export type Kept = "nothing" | "epochs" | "models" | "attacks";

let reached: Kept = "nothing";

let waiting: (() => void) | undefined;

/** Notes what the work has left so far. */
export function keep(now: Kept): void {
  reached = now;
  waiting?.();
}

/** Has something done when the work next leaves what it can go on from; once its models are there, only a battery does. */
export function whenKept(then: () => void): void {
  waiting = then;
}

/** What the work has left so far. */
export function kept(): Kept {
  return reached;
}
