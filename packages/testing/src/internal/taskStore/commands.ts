/**
 * Random sequences of calls, made on a store and on the model, which must agree after each.
 *
 * A command names nothing by itself: its small numbers choose among what is there when it is its turn, so that a
 * sequence stays meaningful while it shrinks.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { NewRun, RunRow, TaskRow } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { Change, RunChange, Settlement, Slot, TaskStoreError } from "punctual/TaskStore"
import { Model } from "../../TaskStoreModel.ts"
import type { Store } from "./lab.ts"
import { newRun, newTask } from "./lab.ts"

// -----------------------------------------------------------------------------
// commands
// -----------------------------------------------------------------------------

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const some = <S extends Schema.Constraint>(item: S, minimum: number, maximum: number) =>
  Schema.Array(item).check(Schema.isBetweenLength(minimum, maximum))

const NewRunChoice = Schema.Struct({
  waiting: Schema.Boolean,
  later: upTo(3),
  slots: upTo(2),
  queues: Schema.Boolean,
  atMostOnce: Schema.Boolean,
  /** A key this task had before, if there is one. */
  again: Schema.Boolean
})

const RunChangeChoice = Schema.Union([
  Schema.TaggedStruct("Create", { run: NewRunChoice, claim: Schema.Boolean }),
  /** Cancels runs, running ones first, and puts another in their place: planned before they were claimed, perhaps. */
  Schema.TaggedStruct("Replace", {
    run: NewRunChoice,
    claim: Schema.Boolean,
    cancels: upTo(2),
    promotes: Schema.Boolean
  }),
  Schema.TaggedStruct("Change", {
    kind: Schema.Literals(["Drop", "Cancel", "Promote", "Hold", "Unhold"]),
    run: upTo(7)
  })
])

const SetChoice = Schema.Literals([
  "nothing",
  "due",
  "rules",
  "finished",
  "pause",
  "pause",
  "resume",
  "version",
  "executor",
  "priority",
  "tag",
  "concurrency",
  "texts",
  "counters",
  "remove",
  "replace"
])

const RefChoice = Schema.Struct({
  /** Among the runs that are running, or back from the latest claim whatever became of it. */
  claim: upTo(7),
  running: Schema.Literals([true, true, false]),
  wrong: Schema.Literals(["nothing", "nothing", "nothing", "owner", "token", "key", "generation"])
})

const SettlementChoice = Schema.Struct({
  ref: RefChoice,
  result: Schema.Literals(["End", "End", "Retry", "Release", "Postpone"]),
  later: upTo(3),
  task: Schema.Literals(["nothing", "nothing", "reset", "increment", "pauseAt", "missed"])
})

const ChangeChoice = Schema.Struct({
  task: upTo(3),
  stale: Schema.Literals([false, false, false, true]),
  set: SetChoice,
  due: upTo(3),
  runs: some(RunChangeChoice, 0, 3)
})

type ChangeChoice = typeof ChangeChoice.Type

const Command = Schema.Union([
  Schema.TaggedStruct("Insert", {
    tasks: some(
      Schema.Struct({
        task: upTo(3),
        due: upTo(3),
        rules: upTo(3),
        priority: upTo(1),
        version: upTo(1),
        key: upTo(2),
        keyLimit: upTo(1),
        runs: some(
          Schema.Struct({ ...NewRunChoice.fields, attempt: upTo(2), takeovers: upTo(1), held: Schema.Boolean }),
          0,
          4
        )
      }),
      1,
      3
    )
  }),
  Schema.TaggedStruct("Commit", {
    changes: some(ChangeChoice, 1, 3)
  }),
  Schema.TaggedStruct("Claim", {
    owner: upTo(2),
    reader: upTo(1),
    slots: some(Schema.Struct({ slot: upTo(3), version: upTo(2), limit: upTo(4) }), 1, 3),
    limit: upTo(6),
    lease: upTo(3),
    /** By how much the claimer's clock is behind the others'. */
    behind: upTo(3)
  }),
  Schema.TaggedStruct("Work", { owner: upTo(2), reader: upTo(1), limit: upTo(6), keep: upTo(3) }),
  Schema.TaggedStruct("Start", { refs: some(RefChoice, 1, 3) }),
  Schema.TaggedStruct("Heartbeat", { refs: some(RefChoice, 1, 3), lease: upTo(3) }),
  Schema.TaggedStruct("Cancel", { refs: some(RefChoice, 1, 3) }),
  Schema.TaggedStruct("Settle", { settlements: some(SettlementChoice, 1, 3), keep: upTo(3) }),
  Schema.TaggedStruct("Settle", { settlements: some(SettlementChoice, 1, 3), keep: upTo(3) }),
  Schema.TaggedStruct("Takeover", { limit: upTo(4), maxTakeovers: upTo(3), keep: upTo(3) }),
  Schema.TaggedStruct("Due", { limit: upTo(4), reader: upTo(1), rules: upTo(3) }),
  Schema.TaggedStruct("Outdated", { limit: upTo(4), reader: upTo(1), rules: upTo(3) }),
  Schema.TaggedStruct("Prune", { back: upTo(3) }),
  Schema.TaggedStruct("Quarantine", { tasks: some(upTo(3), 1, 2), reader: upTo(1), old: Schema.Boolean }),
  Schema.TaggedStruct("Clear", { tasks: some(upTo(3), 1, 2) }),
  Schema.TaggedStruct("Wait", { seconds: Schema.Union([upTo(9), Schema.Literals([59, 60, 61])]) })
])

export type Command = typeof Command.Type

export const commands = (maxLength: number): Arbitrary.Arbitrary<Array<Command>> =>
  Arbitrary.array(Arbitrary.schema(Command), { minLength: 1, maxLength })

// -----------------------------------------------------------------------------
// one sequence
// -----------------------------------------------------------------------------

const second = 1000

/** Sequences are far apart in time, each before the ones before it, so that all that is due or ended is its own. */
const apart = 1_000_000_000

/** Of the rules of time zones, each newer than the one before. */
const versions = [null, "#0000", "2025b", "2026a"] as const

/** Of each slot an executor and a tag. */
const slots = [["default", "a"], ["default", "b"], ["threads", "a"], ["threads", "b"]] as const

interface Given {
  readonly run: RunRow
  readonly owner: string
}

class Sequence {
  readonly store: Store
  readonly name: string
  readonly model = new Model()
  readonly log: Array<string> = []
  now: number
  private unique = 0
  private readonly givens: Array<Given> = []
  private readonly ids: ReadonlyArray<string>
  /** The store's numbers for the model's. */
  private readonly generations = new Map<number, number>()
  private readonly tokens = new Map<number, number>()
  /** Every key a task had, open or not, by id. */
  private readonly keys = new Map<string, Array<{ generation: number; readonly run: NewRun }>>()

  constructor(store: Store, index: number) {
    this.store = store
    this.name = `model-${index}`
    this.now = -1_000_000_000_000 - index * apart
    this.ids = [0, 1, 2, 3].map((n) => `${this.name}/${n}`)
  }

  // -- from the model's numbers to the store's

  private readonly generation = (generation: number): number => this.generations.get(generation) ?? 2_000_000_000

  private readonly token = (token: number): number => this.tokens.get(token) ?? 2_000_000_000

  private readonly task = <A extends { readonly generation: number }>(row: A): A => ({
    ...row,
    generation: this.generation(row.generation)
  })

  private readonly run = (run: RunRow): RunRow => ({
    ...this.task(run),
    token: run.token === null ? null : this.token(run.token)
  })

  private readonly ref = <A extends { readonly generation: number; readonly token: number }>(ref: A): A => ({
    ...this.task(ref),
    token: this.token(ref.token)
  })

  /** From a run of the store's answer to how the model names it. */
  private modelled(run: Pick<RunRow, "generation" | "key">): { readonly generation: number; readonly key: string } {
    for (const [ours, theirs] of this.generations) {
      if (theirs === run.generation) return { generation: ours, key: run.key }
    }
    return run
  }

  /** Learns the tokens of one answer, which must be larger than all before. */
  private learn(modelled: ReadonlyArray<RunRow>, answered: ReadonlyArray<RunRow | undefined>): void {
    const latest = Math.max(0, ...this.tokens.values())
    for (const [i, run] of modelled.entries()) {
      const token = answered[i]?.token ?? 0
      assert.isAbove(token, latest, "a token that is not larger than every earlier one")
      this.tokens.set(run.token ?? 0, token)
      this.givens.push(given(run))
    }
  }

  /** Learns the number of a task, which must be larger than all before. */
  private learnGeneration(modelled: TaskRow, answered: TaskRow): void {
    const { generation, id } = modelled
    if (this.generations.has(generation)) return
    assert.isAbove(answered.generation, Math.max(0, ...this.generations.values()), "generations grow")
    this.generations.set(generation, answered.generation)
    for (const key of this.keys.get(id) ?? []) if (key.generation === -1) key.generation = generation
  }

  // -- choices

  /** No two instants of due are equal, so that orders leave no choice. */
  private instant(seconds: number): number {
    return this.now + seconds * second + (++this.unique)
  }

  /** No key, or one of two with a limit. */
  private concurrency(key: number, limit: number) {
    return key % 3 === 0 || !this.store.capabilities.concurrencyKeys
      ? { concurrencyKey: null, concurrencyLimit: 1 }
      : { concurrencyKey: `key-${key % 3}`, concurrencyLimit: (limit % 2) + 1 }
  }

  private newRun(id: string, choice: typeof NewRunChoice.Type, task: TaskRow | undefined): NewRun {
    const known = this.keys.get(id) ?? []
    const again = choice.again
      // A key names a run of its generation for ever: what has ended is not created again.
      ? known.findLast(({ generation, run }) =>
        generation !== task?.generation || this.model.open(generation).some((open) => open.key === run.key)
      )
      : undefined
    const due = again?.run.due ?? this.instant(-1)
    const run = newRun(due, {
      state: choice.waiting ? "waiting" : "ready",
      readyAt: due + choice.later * 2 * second,
      slots: choice.slots + 1,
      queues: choice.queues,
      atMostOnce: choice.atMostOnce,
      keyed: task !== undefined && task.concurrencyKey !== null
    })
    // Of the generation to come, where the task is about to be inserted.
    this.keys.set(id, [...known, { generation: task?.generation ?? -1, run }])
    return run
  }

  private set(row: TaskRow, choice: typeof SetChoice.Type, due: number): Change["set"] {
    const at = this.instant(due)
    switch (choice) {
      case "nothing":
        return {}
      case "due":
        return { due: at, nominal: at - 1, cursor: this.now }
      case "rules":
        return { zoneRules: versions[due] ?? null }
      case "finished":
        return { state: "finished", due: null, nominal: null }
      case "pause":
        return { state: "paused", pausedAt: this.now, pauseNote: "by hand", due: null }
      case "resume":
        return { state: "scheduled", pausedAt: null, pauseNote: null, due: at, failures: 0 }
      case "version":
        return { version: row.version === 1 ? 2 : 1, payload: `[${this.unique}]` }
      case "executor":
        return { executor: row.executor === "default" ? "threads" : "default" }
      case "priority":
        return { priority: row.priority + (due - 1) }
      case "tag":
        return { tag: row.tag.endsWith(".a") ? `${this.name}.b` : `${this.name}.a` }
      case "concurrency":
        return this.concurrency(this.unique, due)
      case "texts":
        return { name: `n${this.unique}`, labels: "{\"a\":\"b\"}", owner: due === 0 ? null : "o", trigger: "{}" }
      case "counters":
        return { counters: { ...noCounters, ran: this.unique, exact: due === 0 }, ranges: `[${this.unique}]` }
      case "remove":
      case "replace":
        return "remove"
    }
  }

  private replacement(row: TaskRow, choice: Pick<ChangeChoice, "due" | "runs">): Change["replacement"] {
    const due = choice.due === 0 ? null : this.instant(choice.due - 2)
    return newTask(row.id, `${this.name}.a`, this.now, {
      due,
      nominal: due,
      runs: choice.runs.flatMap((run) => run._tag === "Create" ? [this.newRun(row.id, run.run, undefined)] : [])
    })
  }

  private runChanges(id: string, choice: typeof RunChangeChoice.Type): ReadonlyArray<RunChange> {
    const row = this.model.task(id)
    const open = row === undefined ? [] : this.model.open(row.generation)
    const cancel = (key: string): RunChange => ({ _tag: "Cancel", key, reason: `reason ${this.unique}` })
    if (choice._tag === "Change") {
      const key = open[choice.run % Math.max(1, open.length)]?.key ?? "nobody"
      return [choice.kind === "Cancel" ? cancel(key) : { _tag: choice.kind, key }]
    }
    const run = this.newRun(id, choice.run, row)
    const create: RunChange = choice.claim && run.state === "ready"
      ? { _tag: "Create", run, claim: { owner: "claimer", until: this.now + 3 * second } }
      : { _tag: "Create", run }
    if (choice._tag === "Create") return [create]
    const running = open.filter(({ state }) => state === "running")
    const waiting = choice.promotes ? open.filter(({ state }) => state === "waiting") : []
    return [
      ...[...running, ...open].slice(0, choice.cancels + 1).map(({ key }) => cancel(key)),
      ...waiting.map(({ key }): RunChange => ({ _tag: "Promote", key })),
      create
    ]
  }

  /** A reference to a claim that was given some time, in the model's numbers. */
  private reference(choice: typeof RefChoice.Type) {
    const running = choice.running ? this.model.running() : []
    const { owner, run } = running.length > 0
      ? given(running[choice.claim % running.length]!)
      : this.givens.at(-1 - choice.claim) ?? this.givens.at(0) ?? nobody
    return {
      owner: choice.wrong === "owner" ? "thief" : owner,
      generation: choice.wrong === "generation" ? -1 : run.generation,
      key: choice.wrong === "key" ? "nobody" : run.key,
      token: choice.wrong === "token" ? -1 : run.token ?? -1
    }
  }

  private settlement(choice: typeof SettlementChoice.Type): Settlement {
    const exit = `[${++this.unique}]`
    return {
      ...this.reference(choice.ref),
      now: this.now,
      result: choice.result === "End"
        ? { _tag: "End", state: choice.later === 0 ? "failed" : "succeeded", exit }
        : choice.result === "Retry"
        ? { _tag: "Retry", readyAt: this.now + choice.later * second, exit }
        : choice.result === "Postpone"
        ? { _tag: "Release", readyAt: this.now + choice.later * second }
        : { _tag: "Release" },
      task: choice.task === "nothing"
        ? undefined
        : choice.task === "missed"
        ? { missed: true }
        : choice.task === "pauseAt"
        ? { failures: "increment", pauseAt: { failures: 2, note: "two" } }
        : { failures: choice.task }
    }
  }

  private reader(n: number): string {
    return `${this.name}/reader-${n}`
  }

  // -- commands

  private claim(options: Parameters<Store["claim"]>[0]): Effect.Effect<ReadonlyArray<RunRow>, TaskStoreError> {
    return Effect.map(this.store.claim(options), (answer) => {
      const runs = answer.runs.map(({ run }) => run)
      const expected = this.model.claim(options, {
        runs: runs.map((run) => this.modelled(run)),
        next: answer.next
      })
      // Within one answer tokens may be given in any order.
      this.learn(expected, runs)
      assert.deepStrictEqual(runs, expected.map(this.run))
      for (const { run, task } of answer.runs) {
        const row = this.model.task(run.taskId)
        assert.deepStrictEqual(task, row && this.task(row))
      }
      return expected
    })
  }

  private settle(settlements: ReadonlyArray<Settlement>, keep: number): Effect.Effect<void, TaskStoreError> {
    return Effect.map(this.store.settle(settlements.map(this.ref), { keep }), (answer) => {
      assert.deepStrictEqual(answer, this.model.settle(settlements, keep))
    })
  }

  step(command: Command): Effect.Effect<void, TaskStoreError> {
    const { model, now, store } = this
    switch (command._tag) {
      case "Insert": {
        const tasks = command.tasks.map((choice) => {
          const id = this.ids[choice.task]
          const due = choice.due === 0 ? null : this.instant(choice.due - 2)
          const known = model.task(id!) !== undefined
          return newTask(id!, `${this.name}.${choice.task === 3 ? "b" : "a"}`, now, {
            due,
            nominal: due,
            zoneRules: versions[choice.rules] ?? null,
            priority: choice.priority,
            version: choice.version + 1,
            ...this.concurrency(choice.key, choice.keyLimit),
            runs: known ? [] : choice.runs.map(({ attempt, held, takeovers, ...run }) => ({
              ...this.newRun(id!, run, undefined),
              attempt,
              held,
              takeovers
            }))
          })
        })
        return Effect.map(store.insert(tasks), (answer) => {
          const expected = model.insert(tasks)
          for (const [i, one] of expected.entries()) {
            if (one._tag === "Inserted" && answer[i] !== undefined) this.learnGeneration(one.row, answer[i].row)
          }
          assert.deepStrictEqual(answer, expected.map((one) => ({ ...one, row: this.task(one.row) })))
        })
      }
      case "Commit": {
        const changes = command.changes.flatMap((choice): ReadonlyArray<Change> => {
          const row = model.task(this.ids[choice.task]!)
          if (row === undefined) return []
          const set = this.set(row, choice.set, choice.due)
          const holds = set === "remove" || set.state === undefined || set.state === "finished"
            ? []
            : model.open(row.generation).map(({ key }): RunChange => ({
              _tag: set.state === "paused" ? "Hold" : "Unhold",
              key
            }))
          return [{
            id: row.id,
            generation: row.generation,
            revision: row.revision - (choice.stale ? 1 : 0),
            seen: row,
            set,
            runs: [...holds, ...choice.runs.flatMap((run) => this.runChanges(row.id, run))].filter(isNew),
            replacement: choice.set === "replace" ? this.replacement(row, choice) : undefined,
            now
          }]
        })
        return Effect.map(store.commit(changes.map(this.task)), (answer) => {
          const expected = model.commit(changes)
          // Tokens of one call may be given in any order.
          const claimed = expected.flatMap((one, i) => {
            const other = answer[i]
            if (one._tag !== "Committed" || other?._tag !== "Committed") return []
            return one.claimed.map((run, j) => [run, other.claimed[j]] as const)
          })
          this.learn(claimed.map(([ours]) => ours), claimed.map(([, theirs]) => theirs))
          assert.deepStrictEqual(
            answer,
            expected.map((one) => one._tag === "Conflict" ? one : { ...one, claimed: one.claimed.map(this.run) })
          )
        }).pipe(
          Effect.andThen(store.get(changes.flatMap(({ id, replacement }) => replacement === undefined ? [] : [id]))),
          Effect.map((replaced) => {
            // Those of one call may be given in any order, too.
            for (const { row } of replaced.toSorted((self, that) => self.row.generation - that.row.generation)) {
              const task = model.task(row.id)
              if (task !== undefined) this.learnGeneration(task, row)
            }
          })
        )
      }
      case "Claim": {
        const options = {
          now: now - command.behind * second,
          lease: { owner: `owner-${command.owner}`, until: now + (command.lease + 1) * second },
          slots: distinct(command.slots).map(({ limit, slot, version }): Slot => ({
            executor: slots[slot]![0],
            tag: `${this.name}.${slots[slot]![1]}`,
            version,
            limit
          })),
          limit: command.limit,
          reader: this.reader(command.reader)
        }
        return Effect.asVoid(this.claim(options))
      }
      case "Work": {
        const options = {
          now,
          lease: { owner: `owner-${command.owner}`, until: now + second },
          slots: slots.map(([executor, tag]): Slot => ({
            executor,
            tag: `${this.name}.${tag}`,
            version: 2,
            limit: command.limit + 1
          })),
          limit: 100,
          reader: this.reader(command.reader)
        }
        return Effect.flatMap(this.claim(options), (claimed) =>
          this.settle(
            claimed.map((run, i) => ({
              generation: run.generation,
              key: run.key,
              token: run.token ?? -1,
              owner: options.lease.owner,
              now,
              result: { _tag: "End", state: "succeeded", exit: `[${i}]` }
            })),
            command.keep + 1
          ))
      }
      case "Start": {
        const refs = command.refs.map((ref) => this.reference(ref)).filter((ref, _, all) => ref.owner === all[0]!.owner)
        const { owner } = refs[0]!
        return Effect.map(store.start({ now, owner, runs: refs.map(this.ref) }), (answer) => {
          assert.deepStrictEqual(answer, model.start(now, owner, refs))
        })
      }
      case "Heartbeat": {
        const refs = command.refs.map((ref) => this.reference(ref)).filter((ref, _, all) => ref.owner === all[0]!.owner)
        const lease = { owner: refs[0]!.owner, until: now + (command.lease + 1) * second }
        return Effect.map(store.heartbeat({ now, lease, runs: refs.map(this.ref) }), (answer) => {
          assert.deepStrictEqual(answer, model.heartbeat(lease, refs))
        })
      }
      case "Cancel": {
        const runs = command.refs.map((ref) => {
          const { generation, key } = this.reference(ref)
          return { generation, key, reason: `reason ${++this.unique}` }
        })
        return Effect.map(store.cancel(runs.map(this.task)), (answer) => {
          assert.deepStrictEqual(answer, model.cancel(runs))
        })
      }
      case "Settle": {
        return this.settle(command.settlements.map((choice) => this.settlement(choice)), command.keep + 1)
      }
      case "Takeover": {
        const options = {
          now,
          limit: command.limit === 0 ? 1000 : command.limit,
          maxTakeovers: command.maxTakeovers + 1,
          keep: command.keep + 1
        }
        return Effect.map(store.takeover(options), (answer) => {
          const expected = model.takeover(options, answer.runs.map(({ run }) => this.modelled(run)))
          assert.deepStrictEqual(answer.runs, expected.map((one) => ({ ...one, run: this.run(one.run) })) as never)
          const next = model.nextEnd()
          if (next !== null && next > now) assert.strictEqual(answer.next, next)
        })
      }
      case "Due": {
        const reader = this.reader(command.reader)
        const zoneRules = versions[command.rules] ?? ""
        return Effect.map(store.due({ now, limit: command.limit, reader, zoneRules }), (answer) => {
          const expected = model.due(now, command.limit, reader, zoneRules)
          assert.deepStrictEqual(answer.tasks.map((task) => task.row), expected.map(this.task))
          for (const { open, row } of answer.tasks) {
            this.sameRuns(open, model.open(this.modelled({ ...row, key: "" }).generation))
          }
          const next = model.nextDue(now, reader, zoneRules)
          if (next[0] !== null) assert.include(next, answer.next)
        })
      }
      case "Outdated": {
        const reader = this.reader(command.reader)
        const zoneRules = versions[command.rules] ?? ""
        return Effect.map(store.outdated({ now, limit: command.limit, reader, zoneRules }), (answer) => {
          const expected = model.outdated(reader, zoneRules).map(this.task)
          assert.strictEqual(answer.length, Math.min(command.limit, expected.length))
          const ids = answer.map(({ row }) => row.id)
          assert.strictEqual(new Set(ids).size, ids.length)
          for (const { open, row } of answer) {
            assert.deepStrictEqual(row, expected.find(({ id }) => id === row.id))
            this.sameRuns(open, model.open(this.modelled({ ...row, key: "" }).generation))
          }
        })
      }
      case "Prune": {
        const before = now - command.back * second
        return Effect.map(store.prune({ before, limit: 1_000_000 }), (answer) => {
          assert.strictEqual(answer, model.prune(before))
        })
      }
      case "Quarantine": {
        const verdicts = command.tasks.flatMap((n) => {
          const row = model.task(this.ids[n]!)
          return row === undefined ? [] : [{
            id: row.id,
            generation: row.generation - (command.old ? 1 : 0),
            reader: this.reader(command.reader),
            reason: `reason ${++this.unique}`,
            at: now
          }]
        })
        return Effect.map(store.quarantine(verdicts.map(this.task)), () => model.quarantine(verdicts))
      }
      case "Clear": {
        const generations = command.tasks.flatMap((n) => model.task(this.ids[n]!)?.generation ?? [])
        return Effect.map(store.clear(generations.map(this.generation)), () => model.clear(generations))
      }
      case "Wait":
        return Effect.sync(() => {
          this.now += command.seconds * second
        })
    }
  }

  // -- what is there now

  private sameRuns(actual: ReadonlyArray<RunRow>, expected: ReadonlyArray<RunRow>): void {
    // A key that ended may be created and end again: the history of one task then has it twice.
    const text = ({ key, state }: RunRow) => `${key} ${state}`
    const order = (self: RunRow, that: RunRow) =>
      self.due - that.due || self.generation - that.generation || (self.endedAt ?? 0) - (that.endedAt ?? 0) ||
      self.attempt - that.attempt || (text(self) < text(that) ? -1 : 1)
    assert.deepStrictEqual([...actual].sort(order), expected.map(this.run).sort(order))
  }

  readonly same: Effect.Effect<void, TaskStoreError> = Effect.gen({ self: this }, function*() {
    const { model, store } = this
    const found = yield* store.get(this.ids)
    const rows = this.ids.flatMap((id) => model.task(id) ?? [])
    const byId = (self: TaskRow, that: TaskRow) => self.id < that.id ? -1 : 1
    assert.deepStrictEqual(found.map(({ row }) => row).sort(byId), rows.map(this.task))
    const listed = yield* store.list({ ids: this.ids, sort: "id", descending: false, limit: 100 })
    assert.deepStrictEqual(listed.items, rows.map(this.task))
    for (const id of this.ids) {
      const row = model.task(id)
      const open = found.find((one) => one.row.id === id)?.open ?? []
      this.sameRuns(open, row === undefined ? [] : model.open(row.generation))
      const page = yield* store.runs({ taskId: id, limit: 1000 })
      assert.deepStrictEqual(page.items.map((run) => run.due), page.items.map((run) => run.due).sort((a, b) => b - a))
      this.sameRuns(page.items, model.runsOf(id))
    }
    const verdicts = (yield* store.verdicts({ limit: 100_000 })).filter((verdict) => this.ids.includes(verdict.id))
    const text = (verdict: { readonly generation: number; readonly reader: string; readonly reason: string }) =>
      `${verdict.generation} ${verdict.reader} ${verdict.reason}`
    assert.deepStrictEqual(verdicts.map(text).sort(), model.verdicts.map(this.task).map(text).sort())
  })

  /** Leaves nothing that the next sequence could see. */
  readonly cleanUp: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    const found = yield* this.store.get(this.ids)
    yield* this.store.commit(found.map(({ row }) => ({
      id: row.id,
      generation: row.generation,
      revision: row.revision,
      set: "remove",
      runs: [],
      now: this.now
    })))
    yield* this.store.takeover({ now: this.now + apart / 2, limit: 100_000, maxTakeovers: 1, keep: 0 })
  }).pipe(Effect.ignore)
}

const given = (run: RunRow): Given => ({ run, owner: run.owner ?? "" })

const nobody: Given = {
  owner: "nobody",
  run: { generation: -1, key: "nobody", token: -1 } as RunRow
}

/** What a change has just ended, it does not create again. */
const isNew = (change: RunChange, index: number, all: ReadonlyArray<RunChange>): boolean =>
  change._tag !== "Create" ||
  !all.slice(0, index).some((other) => other._tag === "Cancel" && other.key === change.run.key)

/** Two slots of one claim that ask for the same runs would leave the store a choice. */
const distinct = <A extends { readonly slot: number }>(choices: ReadonlyArray<A>): ReadonlyArray<A> =>
  choices.filter((choice, i) => choices.findIndex((other) => other.slot === choice.slot) === i)

/** What an assertion found, field by field: its own message shortens rows beyond use. */
const differences = (error: Error): ReadonlyArray<string> => {
  const { actual, expected } = error as { readonly actual?: unknown; readonly expected?: unknown }
  const differ = (path: string, actual: unknown, expected: unknown): ReadonlyArray<string> => {
    if (Object.is(actual, expected)) return []
    if (typeof actual !== "object" || typeof expected !== "object" || actual === null || expected === null) {
      return [`${path}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`]
    }
    return [...new Set([...Object.keys(actual), ...Object.keys(expected)])].flatMap((key) =>
      differ(path === "" ? key : `${path}.${key}`, Reflect.get(actual, key), Reflect.get(expected, key))
    )
  }
  return differ("", actual, expected).slice(0, 12)
}

/** Runs one sequence; what differs is a failed assertion that names the command. */
export const agree = (
  store: Store,
  index: number,
  sequence: ReadonlyArray<Command>
): Effect.Effect<void, TaskStoreError> =>
  Effect.suspend(() => {
    const both = new Sequence(store, index)
    return Effect.forEach(
      sequence,
      (command, i) =>
        Effect.suspend(() => both.step(command)).pipe(
          Effect.andThen(both.same),
          Effect.catchDefect((error) => {
            const message = error instanceof Error ? [error.message, ...differences(error)].join("\n  ") : String(error)
            const at = `command ${i + 1} of ${sequence.length}, ${JSON.stringify(command)}: ${message}`
            return Effect.die(Object.assign(new Error(at), { cause: error }))
          })
        ),
      { discard: true }
    ).pipe(Effect.ensuring(both.cleanUp))
  })
