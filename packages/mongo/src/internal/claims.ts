/**
 * Claiming runs, and what is done by those who hold them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Claimed, Heartbeat, Slot, TakenOver, TaskStore } from "punctual/TaskStore"
import type { Clause } from "./collections.ts"
import * as Documents from "./documents.ts"
import type { StoredRun, TaskDocument } from "./documents.ts"
import { isClaimable, settled } from "./drafts.ts"
import { readable } from "./tasks.ts"
import { chunks, type Writes } from "./writes.ts"

export type Claims = Pick<TaskStore["Service"], "claim" | "start" | "settle" | "heartbeat" | "cancel" | "takeover">

type ClaimOptions = Parameters<Claims["claim"]>[0]

interface Candidate {
  readonly id: string
  readonly run: StoredRun
  readonly slot: Slot
}

export const makeClaims = (db: Writes): Claims => {
  const { history, tasks } = db

  const slotFilter = ({ executor, tag, version }: Slot): Clause => ({
    "ready.executor": executor,
    "ready.tag": tag,
    "ready.version": { $lte: version }
  })

  /**
   * The first runs a slot may claim, in order. Documents come in the order of their first due instant, which is no later
   * than that of what can be claimed of them: so runs up to the last document's are the first ones.
   */
  const candidates = (slot: Slot, wanted: number, options: ClaimOptions) =>
    Effect.gen(function*() {
      for (let size = wanted;; size *= 2) {
        const found = yield* tasks.find(
          { ...slotFilter(slot), "ready.at": { $lte: options.now }, blind: { $ne: options.reader } },
          { sort: { "ready.rank": 1, "ready.due": 1 }, limit: size + 1 }
        )
        const docs = yield* readable(db, found, options)
        const last = found.length > size ? found.at(-1)?.ready : undefined
        const runs = docs
          .flatMap((doc) =>
            Object.values(doc.runs).flatMap((run) =>
              isClaimable(run, slot, options.now) ? [{ doc, run, rank: 0 - run.priority }] : []
            )
          )
          .filter(({ rank, run }) =>
            last === undefined || rank < last.rank || (rank === last.rank && run.due <= last.due)
          )
          .sort((self, that) => self.rank - that.rank || self.run.due - that.run.due)
        if (last === undefined || runs.length >= wanted) return runs.slice(0, wanted)
      }
    })

  /** Round robin over slots. */
  const pick = (options: ClaimOptions, taken: ReadonlyMap<Slot, number>, limit: number) =>
    Effect.gen(function*() {
      const slots = yield* Effect.forEach(options.slots, (slot) => {
        const wanted = Math.min(slot.limit - (taken.get(slot) ?? 0), limit)
        return Effect.map(
          wanted <= 0 ? Effect.succeed([]) : candidates(slot, wanted, options),
          (runs) => ({ slot, runs })
        )
      })
      const docs = new Map<string, TaskDocument>()
      const picked = new Map<string, Candidate>()
      for (let turn = 0, more = true; more && picked.size < limit; turn++) {
        more = false
        for (const { runs, slot } of slots) {
          const one = runs[turn]
          if (one === undefined || picked.size >= limit) continue
          more = true
          docs.set(one.doc._id, one.doc)
          const name = Documents.runKey(one.run.generation, one.run.key)
          if (!picked.has(name)) picked.set(name, { id: one.doc._id, run: one.run, slot })
        }
      }
      return { docs, picked: [...picked.values()] }
    })

  /** When one of the slots has a run that will be ready. */
  const nextReady = ({ now, slots }: ClaimOptions) =>
    Effect.map(
      Effect.forEach(slots, (slot) =>
        Effect.all([
          tasks.find(
            { ...slotFilter(slot), "ready.at": { $gt: now } },
            { sort: { "ready.at": 1 }, limit: 1, projection: { ready: 1 } }
          ),
          // those that have one before and one after
          tasks.find(
            { "late.executor": slot.executor, "late.tag": slot.tag, "late.at": { $gt: now } },
            { projection: { runs: 1, ready: 1 } }
          )
        ], { concurrency: "unbounded" }).pipe(Effect.map(([first, mixed]) => [
          ...first.flatMap(({ ready }) => ready?.at ?? []),
          ...mixed.flatMap(({ runs }) =>
            Object.values(runs).flatMap((run) =>
              run.readyAt > now && isClaimable(run, slot, Infinity) ? [run.readyAt] : []
            )
          )
        ]))),
      (instants) => {
        const all = instants.flat()
        return all.length === 0 ? null : all.reduce((a, b) => Math.min(a, b))
      }
    )

  const claimAll = (options: ClaimOptions) =>
    Effect.gen(function*() {
      const claimed: Array<Claimed> = []
      const taken = new Map<Slot, number>()
      // what others took from under it is looked for again: an answer without runs says that there are none
      for (let look = 0; claimed.length < options.limit; look++) {
        yield* db.again("claim", look)
        const { docs, picked } = yield* pick(options, taken, options.limit - claimed.length)
        if (picked.length === 0) break
        const groups = group(picked, ({ id }) => id)
        const answers = yield* db.write("claim", {
          entries: groups,
          where: ([id]) => ({ id }),
          whole: true,
          known: docs,
          needs: ([, some]) => ({ tokens: some.length, generations: 0 }),
          absent: [],
          lost: [],
          apply: (draft, [, some]): ReadonlyArray<readonly [Candidate, Claimed]> =>
            some.flatMap((candidate) => {
              const one = draft.claim(candidate.run, candidate.slot, options)
              return one === undefined ? [] : [[candidate, one] as const]
            })
        })
        const got = new Map(answers.flat())
        for (const candidate of picked) {
          const one = got.get(candidate)
          if (one === undefined) continue
          claimed.push(one)
          taken.set(candidate.slot, (taken.get(candidate.slot) ?? 0) + 1)
        }
        if (got.size === picked.length) break
      }
      return claimed
    })

  type TakeoverOptions = Parameters<Claims["takeover"]>[0]

  const takeAll = (options: TakeoverOptions) =>
    Effect.gen(function*() {
      const taken: Array<TakenOver> = []
      const unreadable: Array<string> = []
      for (let look = 0; taken.length < options.limit; look++) {
        yield* db.again("takeover", look)
        const limit = options.limit - taken.length
        const found = yield* tasks.find(
          { lease: { $lte: options.now }, ...unreadable.length > 0 && { _id: { $nin: unreadable } } },
          // each has the first end of its leases, so these have the first ends of all
          { sort: { lease: 1 }, limit, projection: Documents.withoutTexts }
        )
        const docs = found.filter((doc) => Documents.defect(doc, false) === undefined)
        unreadable.push(...found.flatMap((doc) => docs.includes(doc) ? [] : [doc._id]))
        const picked = docs
          .flatMap((doc) =>
            Object.values(doc.runs).flatMap((run) =>
              run.leaseUntil !== null && run.leaseUntil <= options.now ? [{ id: doc._id, run }] : []
            )
          )
          .sort((self, that) => (self.run.leaseUntil ?? 0) - (that.run.leaseUntil ?? 0))
          .slice(0, limit)
        if (picked.length === 0 && docs.length === found.length) break
        const answers = yield* db.write("takeover", {
          entries: group(picked, ({ id }) => id),
          where: ([id]) => ({ id }),
          whole: false,
          known: new Map(docs.map((doc) => [doc._id, doc])),
          absent: [],
          lost: [],
          apply: (draft, [, some]): ReadonlyArray<readonly [typeof picked[number], TakenOver]> =>
            some.flatMap((one) => {
              const took = draft.takeover(one.run, options)
              return took === undefined ? [] : [[one, took] as const]
            })
        })
        const got = new Map(answers.flat())
        for (const one of picked) {
          const took = got.get(one)
          if (took !== undefined) taken.push(took)
        }
        if (got.size === picked.length && docs.length === found.length) break
      }
      return taken
    })

  const ofGeneration = ({ generation }: { readonly generation: number }) => ({ generation })

  return {
    claim: (options) =>
      Effect.gen(function*() {
        yield* db.read("claim", db.checkWriter("claim"))
        const runs = yield* Effect.mapError(claimAll(options), db.fail("claim"))
        return { runs, next: yield* db.read("claim", nextReady(options)) }
      }),

    start: ({ now, owner, runs }) =>
      db.write("start", {
        entries: runs,
        where: ofGeneration,
        whole: false,
        absent: false,
        apply: (draft, ref) => draft.start(ref, owner, now)
      }),

    heartbeat: ({ lease, runs }) =>
      db.write<typeof runs[number], Heartbeat>("heartbeat", {
        entries: runs,
        where: ofGeneration,
        whole: false,
        absent: { alive: false, cancel: null },
        apply: (draft, ref) => draft.heartbeat(ref, lease)
      }),

    cancel: (runs) =>
      db.write("cancel", {
        entries: runs,
        where: ofGeneration,
        whole: false,
        absent: false,
        apply: (draft, run) => draft.cancelRunning(run)
      }),

    settle: (settlements, { keep }) =>
      Effect.gen(function*() {
        const answers = yield* db.write("settle", {
          entries: settlements,
          where: ofGeneration,
          whole: false,
          absent: undefined,
          apply: (draft, settlement) => draft.settle(settlement, keep)
        })
        // what no document knows may have ended before, by this very token
        const unknown = settlements.filter((_, i) => answers[i] === undefined)
        const ended = yield* db.read(
          "settle",
          Effect.forEach(chunks(unknown), (some) =>
            history.find({
              generation: { $in: some.map(({ generation }) => generation) },
              token: { $in: some.map(({ token }) => token) }
            }))
        )
        const rows = ended.flat()
        return settlements.map((settlement, i) => {
          const answer = answers[i]
          if (answer !== undefined) return answer
          const { generation, key, owner, token } = settlement
          const run = rows.find((run) =>
            run.generation === generation && run.key === key && run.token === token && run.owner === owner
          )
          return run === undefined ? "Stale" : settled(settlement.result, run)
        })
      }),

    takeover: (options) =>
      Effect.gen(function*() {
        yield* db.read("takeover", Effect.andThen(db.checkWriter("takeover"), db.fileAll))
        const runs = yield* Effect.mapError(takeAll(options), db.fail("takeover"))
        const [first] = yield* db.read(
          "takeover",
          tasks.find({ lease: { $exists: true } }, { sort: { lease: 1 }, limit: 1, projection: { lease: 1 } })
        )
        return { runs, next: first?.lease ?? null }
      })
  }
}

const group = <A>(all: ReadonlyArray<A>, by: (a: A) => string): ReadonlyArray<readonly [string, ReadonlyArray<A>]> => {
  const groups = new Map<string, Array<A>>()
  for (const one of all) {
    const name = by(one)
    const found = groups.get(name)
    if (found === undefined) groups.set(name, [one])
    else found.push(one)
  }
  return [...groups]
}
