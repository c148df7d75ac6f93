/**
 * Records of the port as the texts a store in Redis keeps (see `library.ts`), and back.
 *
 * @since 0.1.0
 */
import type {
  ArrivingRun,
  Counters,
  InstanceRow,
  RunRow,
  TaskDefinition,
  TaskPosition,
  TaskRow
} from "punctual/TaskRecord"
import type { NewTask, TaskWithRuns, Verdict, Wake } from "punctual/TaskStore"
import { counterFields, definitionFields, runFields, taskFields } from "./fields.ts"

/** What a script was answered with cannot be read. */
export class Unreadable extends Error {}

type Field = string | boolean | null

/**
 * JSON for scripts. Half of a surrogate pair has no bytes in UTF-8, and Lua refuses its escape: it becomes U+FFFD, as
 * everywhere where texts are stored as UTF-8.
 */
export const json = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text.includes("\\ud")
    ? text.replace(/\\\\|\\ud[89a-f][0-9a-f]{2}/g, (escape) => escape === "\\\\" ? escape : "\\ufffd")
    : text
}

// -----------------------------------------------------------------------------
// to scripts
// -----------------------------------------------------------------------------

const field = (name: string, value: unknown): Field =>
  name === "counters"
    ? JSON.stringify(counterFields.map((counter) => (value as Counters)[counter]))
    : typeof value === "number"
    ? String(value)
    : typeof value === "string" || typeof value === "boolean"
    ? value
    : null

const array = (fields: ReadonlyArray<string>, record: Readonly<Record<string, unknown>>): ReadonlyArray<Field> =>
  fields.map((name) => field(name, record[name]))

const newRun = (
  { atMostOnce, attempt, due, held, key, nominal, queues, readyAt, slots, state, takeovers }: ArrivingRun
): ArrivingRun => ({
  key,
  due,
  nominal,
  state,
  readyAt,
  slots,
  queues,
  atMostOnce,
  held,
  attempt,
  takeovers
})

/** A task to add; the script fills in its id, generation and revision. */
export const newTask = (task: Omit<NewTask, "id">) => ({
  c: array(taskFields, { ...task }),
  d: json(array(definitionFields, { ...task })),
  runs: (task.runs ?? []).map(newRun)
})

export { newRun }

const taskPlaces = new Map<string, number>(taskFields.map((name, index) => [name, index + 1]))
const definitionPlaces = new Map<string, number>(definitionFields.map((name, index) => [name, index + 1]))

/** The fields that change, with their places. */
export const changes = (set: Partial<TaskDefinition & TaskPosition>) => {
  const c: Array<readonly [number, Field]> = []
  const d: Array<readonly [number, Field]> = []
  for (const [name, value] of Object.entries(set)) {
    if (value === undefined) continue
    const place = taskPlaces.get(name)
    if (place !== undefined) c.push([place, field(name, value)])
    else {
      const place = definitionPlaces.get(name)
      if (place !== undefined) d.push([place, field(name, value)])
    }
  }
  return { c, d }
}

// -----------------------------------------------------------------------------
// from scripts
// -----------------------------------------------------------------------------

/** Reads an array of fields. */
class Reader {
  private readonly cells: ReadonlyArray<unknown>
  private readonly places: ReadonlyMap<string, number>

  constructor(text: unknown, places: ReadonlyMap<string, number>) {
    const cells: unknown = typeof text === "string" ? JSON.parse(text) : undefined
    if (!Array.isArray(cells)) throw new Unreadable("a record is no array")
    this.cells = cells
    this.places = places
  }

  private cell(name: string): unknown {
    return this.cells[(this.places.get(name) ?? 0) - 1]
  }

  text<A extends string = string>(name: string): A {
    const cell = this.cell(name)
    if (typeof cell !== "string") throw new Unreadable(`${name} is no text`)
    return cell as A
  }

  textOrNull(name: string): string | null {
    return this.cell(name) === null ? null : this.text(name)
  }

  int(name: string): number {
    const number = Number(this.text(name))
    if (!Number.isSafeInteger(number)) throw new Unreadable(`${name} is no integer`)
    return number
  }

  intOrNull(name: string): number | null {
    return this.cell(name) === null ? null : this.int(name)
  }

  flag(name: string): boolean {
    const cell = this.cell(name)
    if (typeof cell !== "boolean") throw new Unreadable(`${name} is neither true nor false`)
    return cell
  }
}

const runPlaces = new Map<string, number>(runFields.map((name, index) => [name, index + 1]))

/** The elements of an answer. */
export const list = (answer: unknown): ReadonlyArray<unknown> => {
  if (!Array.isArray(answer)) throw new Unreadable("an answer is no list")
  return answer
}

/** An integer as text; none where it is empty. */
export const instant = (answer: unknown): number | null => answer === "" ? null : Number(answer)

const countersOf = (text: string): Counters => {
  const [ran, missed, coalesced, skipped, paused, extra, exact] = list(JSON.parse(text))
  return {
    ran: Number(ran),
    missed: Number(missed),
    coalesced: Number(coalesced),
    skipped: Number(skipped),
    paused: Number(paused),
    extra: Number(extra),
    exact: exact === true
  }
}

export const taskRow = (answer: unknown): TaskRow => {
  const [generation, position, definition] = list(answer)
  const c = new Reader(position, taskPlaces)
  const d = new Reader(definition, definitionPlaces)
  return {
    id: c.text("id"),
    generation: Number(generation),
    revision: c.int("revision"),
    tag: c.text("tag"),
    version: c.int("version"),
    name: d.text("name"),
    payload: d.text("payload"),
    display: d.text("display"),
    trigger: d.text("trigger"),
    anchor: d.int("anchor"),
    onStartup: c.flag("onStartup"),
    onShutdown: c.flag("onShutdown"),
    policy: d.text("policy"),
    executor: c.text("executor"),
    priority: c.int("priority"),
    labels: d.text("labels"),
    owner: c.textOrNull("owner"),
    declared: d.textOrNull("declared"),
    trace: d.textOrNull("trace"),
    createdAt: c.int("createdAt"),
    updatedAt: d.int("updatedAt"),
    state: c.text("state"),
    cursor: c.int("cursor"),
    due: c.intOrNull("due"),
    nominal: c.intOrNull("nominal"),
    zoneRules: c.textOrNull("zoneRules"),
    override: c.intOrNull("override"),
    epoch: c.int("epoch"),
    counters: countersOf(c.text("counters")),
    ranges: c.text("ranges"),
    pausedAt: c.intOrNull("pausedAt"),
    pauseNote: c.textOrNull("pauseNote"),
    failures: c.int("failures")
  }
}

/** With its number in history, zero while it is open. */
export const numbered = (text: unknown): { readonly run: RunRow; readonly number: number } => {
  const r = new Reader(text, runPlaces)
  return {
    number: r.int("number"),
    run: {
      generation: r.int("generation"),
      key: r.text("key"),
      taskId: r.text("taskId"),
      tag: r.text("tag"),
      version: r.int("version"),
      executor: r.text("executor"),
      priority: r.int("priority"),
      due: r.int("due"),
      nominal: r.int("nominal"),
      state: r.text("state"),
      held: r.flag("held"),
      readyAt: r.int("readyAt"),
      attempt: r.int("attempt"),
      takeovers: r.int("takeovers"),
      createdAt: r.int("createdAt"),
      owner: r.textOrNull("owner"),
      token: r.intOrNull("token"),
      leaseUntil: r.intOrNull("leaseUntil"),
      startedAt: r.intOrNull("startedAt"),
      cancel: r.textOrNull("cancel"),
      endedAt: r.intOrNull("endedAt"),
      exit: r.textOrNull("exit"),
      slots: r.int("slots"),
      queues: r.flag("queues"),
      atMostOnce: r.flag("atMostOnce")
    }
  }
}

export const runRow = (text: unknown): RunRow => numbered(text).run

export const taskWithRuns = (answer: unknown): TaskWithRuns => ({
  row: taskRow(answer),
  open: list(list(answer)[3]).map(runRow).sort((self, that) => self.due - that.due)
})

/** What a script told listeners, with its number and that of the wake-up before it. */
export interface Told {
  readonly number: number
  readonly previous: number | null
  readonly wake: Wake
}

export const told = (answer: unknown): Told => {
  const [number, previous, due, ready, cancel] = list(answer)
  return {
    number: Number(number),
    previous: instant(previous),
    wake: { due: instant(due), ready: ready === 1, cancel: cancel === 1 }
  }
}

/** What can be read of a list, and the generations of what cannot: damaged rows harm nobody but themselves. */
export const readable = <A>(
  answer: unknown,
  read: (answer: unknown) => A
): { readonly items: ReadonlyArray<A>; readonly damaged: ReadonlyArray<number> } => {
  const items: Array<A> = []
  const damaged: Array<number> = []
  for (const each of list(answer)) {
    try {
      items.push(read(each))
    } catch (error) {
      if (!(error instanceof Unreadable || error instanceof SyntaxError)) throw error
      if (Array.isArray(each)) damaged.push(Number(each[0]))
    }
  }
  return { items, damaged }
}

export const verdict = (text: unknown): Verdict => {
  const [id, generation, reader, reason, at] = list(typeof text === "string" ? JSON.parse(text) : undefined)
  return {
    id: String(id),
    generation: Number(generation),
    reader: String(reader),
    reason: String(reason),
    at: Number(at)
  }
}

const instanceFields = ["id", "name", "host", "pid", "version", "handles", "startedAt", "seenAt", "until"] as const
const instancePlaces = new Map<string, number>(instanceFields.map((name, index) => [name, index + 1]))

/** A scheduler as a text. Scripts look at its last field, `until`. */
export const instanceText = (instance: InstanceRow): string => json(array(instanceFields, { ...instance }))

export const instanceRow = (text: unknown): InstanceRow => {
  const r = new Reader(text, instancePlaces)
  return {
    id: r.text("id"),
    name: r.text("name"),
    host: r.textOrNull("host"),
    pid: r.intOrNull("pid"),
    version: r.text("version"),
    handles: r.text("handles"),
    startedAt: r.int("startedAt"),
    seenAt: r.int("seenAt"),
    until: r.int("until")
  }
}
