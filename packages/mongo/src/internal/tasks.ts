/**
 * Rows: added, read, changed, set aside.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Change, Committed, Inserted, TaskStore, TaskWithRuns } from "punctual/TaskStore"
import { TaskStoreError, zoneRulesPatience } from "punctual/TaskStore"
import { refuseConcurrencyKeys } from "punctual/TaskStoreKit"
import type { Clause, DatabaseError, FindOptions } from "./collections.ts"
import * as Documents from "./documents.ts"
import type { TaskDocument } from "./documents.ts"
import { chunks, type Writes } from "./writes.ts"

export type Tasks = Pick<
  TaskStore["Service"],
  "insert" | "get" | "due" | "outdated" | "commit" | "quarantine" | "verdicts" | "clear"
>

/** By the instant they are due at, which all of them have. */
const byDue = { due: 1, "task.generation": 1 } as const

export const withRuns = ({ _id, runs, task }: TaskDocument): ReadonlyArray<TaskWithRuns> => {
  if (task === undefined) return []
  return [{
    row: Documents.rowOf(_id, task),
    open: Object.values(runs)
      .filter((run) => run.generation === task.generation)
      .map((run) => Documents.runOf(_id, run))
      .sort((self, that) => self.due - that.due)
  }]
}

/** The documents that can be read; the others are set aside for this reader, so that they stop nobody else. */
export const readable = (
  { tasks }: Writes,
  docs: ReadonlyArray<TaskDocument>,
  { now, reader }: { readonly now: number; readonly reader: string }
): Effect.Effect<ReadonlyArray<TaskDocument>, DatabaseError> => {
  const reasons = docs.map((doc) => Documents.defect(doc, true))
  if (reasons.every((reason) => reason === undefined)) return Effect.succeed(docs)
  const aside = docs.flatMap(({ _id, blind, verdicts }, i) => {
    const reason = reasons[i]
    if (reason === undefined) return []
    // nothing of it is sure to be what it should
    const others = typeof verdicts === "object" && !Array.isArray(verdicts) ? verdicts : {}
    const set = {
      blind: [...new Set([...Array.isArray(blind) ? blind : [], reader])],
      verdicts: { ...others, [Documents.readerKey(reader)]: { reader, reason, at: now } }
    }
    return [tasks.update({ _id }, { $set: set })]
  })
  return Effect.as(Effect.all(aside, { discard: true }), docs.filter((_, i) => reasons[i] === undefined))
}

/** What changes make of rows. */
const written = (changes: ReadonlyArray<Change>) =>
  changes.flatMap(({ replacement, set }) => [
    ...set === "remove" ? [] : [set],
    ...replacement === undefined ? [] : [replacement]
  ])

export const makeTasks = (db: Writes): Tasks => {
  const { tasks } = db

  /** At most `limit` readable documents. */
  const read = (
    filter: Clause,
    options: FindOptions & { readonly limit: number },
    reader: { readonly now: number; readonly reader: string }
  ) =>
    Effect.gen(function*() {
      while (true) {
        const docs = yield* tasks.find({ ...filter, blind: { $ne: reader.reader } }, options)
        const some = yield* readable(db, docs, reader)
        // what was set aside took room
        if (some.length === docs.length || docs.length < options.limit) return some
      }
    })

  return {
    insert: (added) =>
      refuseConcurrencyKeys(db.store, "insert", added) ?? Effect.flatMap(
        db.write<typeof added[number], Inserted | undefined>("insert", {
          entries: added,
          where: ({ id }) => ({ id }),
          whole: true,
          grows: true,
          needs: () => ({ tokens: 0, generations: 1 }),
          absent: undefined,
          apply: (draft, task) => {
            const existing = draft.row()
            if (existing !== undefined) return { _tag: "Exists", row: existing }
            draft.insert(task)
            return { _tag: "Inserted", row: draft.row()! }
          }
        }),
        (answers) => {
          const missing = answers.indexOf(undefined)
          if (missing === -1) return Effect.succeed(answers.flatMap((answer) => answer ?? []))
          return new TaskStoreError({
            store: db.store,
            operation: "insert",
            reason: "Corrupt",
            message: `${db.store}: the document of ${JSON.stringify(added[missing]!.id)} is not one that this store ` +
              "writes. Repair or delete it."
          })
        }
      ),

    get: (ids) =>
      db.read(
        "get",
        Effect.map(
          Effect.forEach(chunks([...new Set(ids)]), (some) => tasks.find({ _id: { $in: some } })),
          (found) => found.flat().flatMap((doc) => Documents.defect(doc, true) === undefined ? withRuns(doc) : [])
        )
      ),

    due: ({ limit, now, reader, zoneRules }) =>
      db.read(
        "due",
        Effect.gen(function*() {
          const patient = now - zoneRulesPatience
          const [docs, later, left] = yield* Effect.all([
            limit === 0 ? Effect.succeed([]) : read(
              { due: { $lte: now }, $or: [{ zone: { $not: { $gt: zoneRules } } }, { due: { $lte: patient } }] },
              { sort: byDue, limit },
              { now, reader }
            ),
            tasks.find({ due: { $gt: now } }, { sort: byDue, limit: 1, projection: { due: 1 } }),
            tasks.find(
              { due: { $gt: patient, $lte: now }, zone: { $gt: zoneRules } },
              { sort: byDue, limit: 1, projection: { due: 1 } }
            )
          ], { concurrency: "unbounded" })
          const instants = [
            ...later.flatMap(({ due }) => due ?? []),
            ...left.flatMap(({ due }) => due === undefined ? [] : [due + zoneRulesPatience])
          ]
          const next = instants.length === 0 ? null : Math.min(...instants)
          db.wakes.learned(next)
          return { tasks: docs.flatMap(withRuns), next }
        })
      ),

    outdated: ({ limit, now, reader, zoneRules }) =>
      limit === 0 ? Effect.succeed([]) : db.read(
        "outdated",
        Effect.map(
          read({ zone: { $lt: zoneRules } }, { limit }, { now, reader }),
          (docs) => docs.flatMap(withRuns)
        )
      ),

    commit: (changes) =>
      refuseConcurrencyKeys(db.store, "commit", written(changes)) ??
        db.write<typeof changes[number], Committed>("commit", {
          entries: changes,
          where: ({ id }) => ({ id }),
          // the size of a document is known from its texts only where all of them are
          whole: changes.some(({ set }) => set !== "remove" && Documents.setsTexts(set)),
          grows: true,
          needs: ({ replacement, runs }) => ({
            tokens: runs.filter((run) => run._tag === "Create" && run.claim !== undefined).length,
            generations: replacement === undefined ? 0 : 1
          }),
          absent: { _tag: "Conflict" },
          apply: (draft, change) => draft.commit(change)
        }),

    quarantine: (verdicts) =>
      Effect.asVoid(db.write("quarantine", {
        entries: verdicts,
        where: ({ id }) => ({ id }),
        whole: false,
        absent: undefined,
        apply: (draft, verdict) => draft.quarantine(verdict)
      })),

    verdicts: ({ limit }) =>
      db.read(
        "verdicts",
        Effect.map(
          tasks.find({ blind: { $exists: true } }, {
            limit,
            projection: { _id: 1, "task.generation": 1, verdicts: 1 }
          }),
          (docs) =>
            docs.flatMap(({ _id, task, verdicts }) =>
              Object.values(verdicts).map(({ at, reader, reason }) => ({
                id: _id,
                generation: task?.generation ?? 0,
                reader,
                reason,
                at
              }))
            ).slice(0, limit)
        )
      ),

    clear: (generations) =>
      Effect.asVoid(db.write("clear", {
        entries: generations,
        where: (generation) => ({ generation }),
        whole: false,
        absent: undefined,
        apply: (draft, generation) => draft.clear(generation)
      }))
  }
}
