/**
 * What the workers of a stress test did and were told, and what must be true of it together.
 *
 * Workers may lose a reply; their ledger does not. So each step of each run is known, whoever forgot it:
 *
 *     created ──▶ claimed ──▶ gone back (retry, release, taken over) ──▶ claimed … ──▶ ended
 *        └──────── dropped, cancelled, removed with its task
 *
 * @since 0.1.0
 */
import type { Counters } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"

/** @category models @since 0.1.0 */
export type Entry =
  /** A change that committed, with what it was to do. */
  | {
    readonly _tag: "Changed"
    readonly n: number
    readonly counts: Counters
    readonly created: ReadonlyArray<string>
    readonly dropped: ReadonlyArray<string>
    readonly cancelled: ReadonlyArray<string>
    readonly removed: boolean
  }
  | { readonly _tag: "Claimed"; readonly n: number; readonly key: string; readonly token: number }
  | { readonly _tag: "Started"; readonly n: number; readonly key: string; readonly token: number }
  /** A settlement that was accepted. */
  | {
    readonly _tag: "Settled"
    readonly n: number
    readonly key: string
    readonly token: number
    readonly ended: boolean
    /** It counted a failure of its task. */
    readonly failed: boolean
  }
  | { readonly _tag: "TakenOver"; readonly n: number; readonly key: string; readonly ended: boolean }

/** What happened how often: a test that saw none of something has shown nothing about it. */
export type Seen =
  | "settled"
  | "stale"
  | "conflict"
  | "lost"
  | "crashed"
  | "keyed"
  | "takenOver"
  | "retried"
  | "waited"
  | "commanded"

/** What one process knows. */
export interface Report {
  readonly entries: ReadonlyArray<Entry>
  readonly violations: ReadonlyArray<string>
  readonly seen: Readonly<Record<Seen, number>>
}

export class Ledger {
  readonly entries: Array<Entry> = []
  readonly violations: Array<string> = []
  readonly seen: Record<Seen, number> = {
    settled: 0,
    stale: 0,
    conflict: 0,
    lost: 0,
    crashed: 0,
    keyed: 0,
    takenOver: 0,
    retried: 0,
    waited: 0,
    commanded: 0
  }

  add(entry: Entry): void {
    this.entries.push(entry)
  }

  saw(what: Seen, count = 1): void {
    this.seen[what] += count
  }

  check(condition: boolean, violation: () => string): void {
    if (!condition) this.violations.push(violation())
  }

  merge(report: Report): void {
    for (const entry of report.entries) this.entries.push(entry)
    for (const violation of report.violations) this.violations.push(violation)
    for (const what of Object.keys(this.seen) as Array<Seen>) this.seen[what] += report.seen[what]
  }
}

/** Everything that happened to one run. */
interface Life {
  created: number
  dropped: boolean
  cancelled: boolean
  readonly claims: Set<number>
  readonly starts: Set<number>
  /** Tokens whose settlement gave it back, and those whose settlement ended it. */
  readonly backs: Set<number>
  readonly ends: Set<number>
  takenBack: number
  takenEnds: number
}

/** What the ledger says of a task: to be compared with its row. */
export interface Account {
  readonly counts: Counters
  readonly failures: number
}

/**
 * Checks every run of a ledger whose store has no open run left, and answers the accounts of tasks by generation.
 *
 * | | |
 * |---|---|
 * | I2 | an occurrence is made a run once, and a run ends at most once |
 * | I3, I4 | each claim of a run is followed by exactly one way out of it; what ends it presents its latest token; a token is given once |
 * | I5, I6 | what was dropped never ran; what was created ended, or says why not |
 */
export const audit = (ledger: Ledger): ReadonlyMap<number, Account> => {
  const lives = new Map<string, Life>()
  const life = (n: number, key: string): Life => {
    const name = `${n}:${key}`
    let found = lives.get(name)
    if (found === undefined) {
      lives.set(
        name,
        found = {
          created: 0,
          dropped: false,
          cancelled: false,
          claims: new Set(),
          starts: new Set(),
          backs: new Set(),
          ends: new Set(),
          takenBack: 0,
          takenEnds: 0
        }
      )
    }
    return found
  }
  const accounts = new Map<number, { counts: Counters; failures: number; readonly failed: Set<string> }>()
  const account = (n: number) => {
    let found = accounts.get(n)
    if (found === undefined) accounts.set(n, found = { counts: noCounters, failures: 0, failed: new Set() })
    return found
  }
  const removed = new Set<number>()
  const given = new Set<number>()
  const { entries } = ledger
  for (const entry of entries) {
    const { n } = entry
    switch (entry._tag) {
      case "Changed": {
        const one = account(n)
        one.counts = add(one.counts, entry.counts)
        for (const key of entry.created) life(n, key).created++
        for (const key of entry.dropped) life(n, key).dropped = true
        for (const key of entry.cancelled) life(n, key).cancelled = true
        if (entry.removed) removed.add(n)
        break
      }
      case "Claimed":
        ledger.check(!given.has(entry.token), () => `I4: token ${entry.token} was given twice`)
        given.add(entry.token)
        life(n, entry.key).claims.add(entry.token)
        break
      case "Started":
        life(n, entry.key).starts.add(entry.token)
        break
      case "Settled": {
        const { backs, ends } = life(n, entry.key)
        ;(entry.ended ? ends : backs).add(entry.token)
        if (entry.failed) account(n).failed.add(`${entry.key} ${entry.token}`)
        break
      }
      case "TakenOver":
        if (entry.ended) life(n, entry.key).takenEnds++
        else life(n, entry.key).takenBack++
        break
    }
  }
  for (const [run, { backs, cancelled, claims, created, dropped, ends, starts, takenBack, takenEnds }] of lives) {
    const ended = ends.size + takenEnds
    const latest = Math.max(...claims)
    ledger.check(created === 1, () => `I2: run ${run} was created ${created} times`)
    ledger.check(ended <= 1, () => `I2: run ${run} ended ${ended} times, by tokens ${[...ends].join()}`)
    ledger.check(starts.size <= 1, () => `I3: run ${run}, to begin only once, began ${starts.size} times`)
    for (const token of [...backs, ...ends]) {
      ledger.check(claims.has(token), () => `I4: run ${run} was settled by token ${token}, which no claim was given`)
    }
    for (const token of ends) {
      ledger.check(
        token >= latest,
        () => `I4: run ${run} was ended by token ${token}, after it was claimed as ${latest}`
      )
    }
    const out = backs.size + takenBack + ended
    ledger.check(
      claims.size === out,
      () =>
        `I3: run ${run} was claimed ${claims.size} times, given back ${backs.size}, taken over ${
          takenBack + takenEnds
        } and ended ${ends.size} times`
    )
    ledger.check(!dropped || claims.size === 0, () => `I5: run ${run} was dropped from its queue, and ran`)
    ledger.check(
      ended === 1 || dropped || cancelled || removed.has(Number(run.slice(0, run.indexOf(":")))),
      () => `I6: run ${run} was created, and is gone without an end`
    )
  }
  for (const one of accounts.values()) one.failures = one.failed.size
  return accounts
}

const add = (a: Counters, b: Counters): Counters => ({
  ran: a.ran + b.ran,
  missed: a.missed + b.missed,
  coalesced: a.coalesced + b.coalesced,
  skipped: a.skipped + b.skipped,
  paused: a.paused + b.paused,
  extra: a.extra + b.extra,
  exact: a.exact && b.exact
})
