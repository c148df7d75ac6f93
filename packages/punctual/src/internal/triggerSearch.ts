/**
 * What a trigger is to the interpreter: a source of due instants, and the limits of a search through one.
 *
 * A `Source` speaks of due instants only, as epoch milliseconds, with `Infinity` and `-Infinity` for "none", so that a
 * tree of combinators allocates nothing. The nominal instant differs from the due one in few places, and is looked up
 * only for the answer.
 */
import { HORIZON_SECONDS } from "./cronDate.ts"

export interface Source {
  /** The smallest due instant after `after`. */
  readonly next: (after: number) => number
  /** The largest due instant before `before`. */
  readonly previous: (before: number) => number
  /** The instant the rule names for an occurrence; absent when it is always the due instant. */
  readonly nominal?: (due: number) => number
  /** How many are due in (after, until], by arithmetic; `undefined` when that takes a walk. */
  readonly count: (after: number, until: number) => number | undefined
  /** All due instants are first + k·period: what tells at once that two sources never meet. */
  readonly lattice?: Lattice
}

export interface Lattice {
  readonly first: number
  readonly period: number
}

/** The horizon of one search, in candidates: what is rarer than this is "never". */
export const MAX_CANDIDATES = 100_000

/** Where `upTo` must walk, it ends after so many occurrences, or so many candidates looked at to find them. */
export const MAX_WALK = 1_000_000

/** The horizon of one search, in time. */
export const HORIZON = HORIZON_SECONDS * 1000

/** What one question may cost, in candidates looked at in the whole tree: searches within searches multiply. */
export const MAX_WORK = 1_000_000

/** Candidates looked at by the sources of one tree, and where the question at hand has to end. */
export interface Work {
  spent: number
  limit: number
}

/** Nothing is ever due. */
export const none: Source = { next: () => Infinity, previous: () => -Infinity, count: () => 0 }
