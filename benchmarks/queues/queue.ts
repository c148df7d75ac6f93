/**
 * What remembers work and runs it, behind one small interface.
 *
 *     drain    fill it, then run all that is in it        pickup   how soon it begins what is due, or was just added
 *     enqueue  how fast it takes what is added            crash    what becomes of what a killed process was running
 */
import type { Place } from "../places.ts"

export interface Job {
  readonly n: number
  /** When it is due; without one, at once. */
  readonly at?: number
}

/**
 * | kind      | what is remembered                                                                   |
 * | --------- | ------------------------------------------------------------------------------------ |
 * | one-off   | something that is due once                                                           |
 * | recurring | something that is due again a day later, which is written when it runs               |
 * | ready     | a run that is due already and waits for a worker: with queues, the same as `one-off` |
 */
export type Kind = "one-off" | "recurring" | "ready"

export interface Session {
  /** Several are added as many are, by few calls; one is added as one is. */
  readonly add: (jobs: ReadonlyArray<Job>) => Promise<unknown>
  /** From now on runs what is due: each run calls `f` with the number of its job, and its end is stored. */
  readonly work: (f: (n: number) => void | Promise<void>) => Promise<unknown>
  /** Whether the ends of all runs that began are stored. */
  readonly settled: () => Promise<boolean>
  /** Numbers of the jobs whose end is stored, one for each end, as any process sees it. Those which are timed have it. */
  readonly ended?: () => Promise<ReadonlyArray<number>>
  readonly close: () => Promise<unknown>
}

export interface Options {
  readonly kind: Kind
  /** Its shortest lease, where it has one that can be set, instead of its default. */
  readonly shortLease?: boolean
}

export interface Contender {
  readonly place: Place
  /** How it is set up. */
  readonly setup: string
  /** What is in question: Punctual, a limit written by hand, a peer at its best, or one at its defaults. */
  readonly role: "own" | "limit" | "best" | "defaults"
  readonly kinds: ReadonlyArray<Kind>
  /** Whether it is told when a job is due; otherwise its jobs are due at once. */
  readonly timed: boolean
  /** Opens it under a name, which several processes may do. */
  readonly open: (where: string, name: string, options: Options) => Promise<Session>
}

/** A day. */
export const period = 86_400_000

/** The parts of a list that a call can take. */
export const parts = <A>(list: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size))

/** Texts that Punctual stores, for those who write the same rows by hand. */
export const texts = async (kind: Kind) => {
  const Policy = await import("punctual/Policy")
  return {
    policy: Policy.encode(Policy.defaultPolicy),
    ranges: Policy.encodeRanges([]),
    rule: JSON.stringify(
      kind === "recurring" ? { v: 1, _tag: "Every", millis: period, start: 1 } : { v: 1, _tag: "Now" }
    ),
    exit: JSON.stringify({ _tag: "Success", value: null }),
    owner: "scheduler#0123456789abcdef"
  }
}
