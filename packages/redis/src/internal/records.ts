/**
 * Records of the port as the texts a store in Redis keeps (see `fields.ts`), and back.
 *
 * Every text of a record is JSON, which has an escape for what UTF-8 has no bytes for. A text that is a key, or a place in
 * an index, is written by `atom`.
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
import type {
  Change,
  Lease,
  NewTask,
  RunChange,
  RunRef,
  Settlement,
  TaskWithRuns,
  Verdict,
  Wake
} from "punctual/TaskStore"
import { clockFields, definitionFields, kindFields, pauseFields } from "./fields.ts"

/** What a script was answered with cannot be read. */
export class Unreadable extends Error {}

/** What a script is told. */
export type Args = ReadonlyArray<string>

/** How entries of a batch are written, in their order. */
export type Write<A> = (entry: A, owner: WriteOwner) => Args

export const json = (value: unknown): string => JSON.stringify(value)

/**
 * A text as bytes of UTF-8, no two alike: half of a surrogate pair, which has none, is written as U+FFFF and its number,
 * and U+FFFF, which stands for no character, twice.
 */
export const atom = (text: string): string =>
  odd.test(text)
    ? text.replace(odds, (half) => half === "\uffff" ? "\uffff\uffff" : `\uffff${half.charCodeAt(0).toString(16)}`)
    : text

const odd = /[\ud800-\udfff\uffff]/u
const odds = /[\ud800-\udfff\uffff]/gu

/** A generation, as keys and places have it. */
export const padded = (generation: number): string => String(generation).padStart(16, "0")

/** The number of a run, as places have it: a letter before it, so that it sorts as a number does. */
export const place = (number: number): string => {
  const digits = String(number)
  return String.fromCharCode(64 + digits.length) + digits
}

// -----------------------------------------------------------------------------
// to scripts
// -----------------------------------------------------------------------------

type Row = TaskDefinition & TaskPosition & { readonly id: string }

const score = (instant: number | null): string => instant === null ? "+inf" : String(instant)

const bit = (flag: boolean): string => flag ? "1" : "0"

const clock = ({ counters: n, cursor, due, nominal, override, ranges, state, zoneRules }: Row): string =>
  `["${state}",${cursor},${due},${nominal},${override},${n.ran},${n.missed},${n.coalesced},${n.skipped},${n.paused},` +
  `${n.extra},${n.exact},\t${zoneRules === null ? "null" : json(zoneRules)},\t${json(ranges)}]`

const pause = ({ failures, pauseNote, pausedAt }: Row): string => `${failures},${pausedAt},${json(pauseNote)}`

/** Tabs stand where scripts part what is text: JSON has none inside of one. */
const kind = ({ concurrencyKey, concurrencyLimit, executor, priority, tag, version }: Row): string =>
  concurrencyKey === null
    ? `${version},${priority},${handled(executor, tag)}`
    : `${version},${priority},${concurrencyLimit},${json(concurrencyKey)}\t,${json(executor)}\t,${json(tag)}`

/** What a bucket of ready runs is called after. */
export const handled = (executor: string, tag: string): string => `${json(executor)},${json(tag)}`

const definition = (row: Row): string => json(definitionFields.map((name) => row[name]))

/** Writes an owner only where it is another than that of the entry before it: most batches are of one. */
export const owners = (): WriteOwner => {
  let last: string | undefined
  return (owner: string): string => {
    if (owner === last) return "="
    last = owner
    return json(owner)
  }
}

export type WriteOwner = (owner: string) => string

const arriving = (run: ArrivingRun, taskId: string, createdAt: number, claim?: Lease, owner?: WriteOwner): Args => {
  const key = json(run.key)
  const head = `Create,${run.state},${run.held ?? false},${run.queues},${run.attempt ?? 0},${run.takeovers ?? 0},` +
    `${run.readyAt},${claim === undefined ? "" : claim.until}`
  const fixed = `${run.atMostOnce},${run.slots},${run.due},${run.nominal},${createdAt},${json(taskId)},${key}`
  return claim === undefined || owner === undefined ? [head, key, fixed] : [head, key, fixed, owner(claim.owner)]
}

/** A task to add: its texts are what is stored, its runs apart. */
export const newTask = (task: NewTask): Args => {
  const runs = task.runs ?? []
  const zone = task.zoneRules === null ? "" : atom(task.zoneRules)
  const args = [
    `${task.createdAt},${score(task.due)},${bit(zone !== "")},${bit(task.onStartup || task.onShutdown)},${runs.length}`,
    `1,0,\n\n${kind(task)}\n${pause(task)}\n${clock(task)}\n${zone}`,
    definition(task)
  ]
  for (const run of runs) args.push(...arriving(run, task.id, task.createdAt))
  return args
}

/** The row of a task that was added. */
export const addedRow = (task: NewTask, generation: number): TaskRow => {
  const { runs: _, ...row } = task
  return { ...row, generation, revision: 1 }
}

/** Parts of a row that are written as a whole, and how. */
const parts = [
  { field: "c", names: clockFields, text: clock },
  { field: "p", names: pauseFields, text: pause },
  { field: "k", names: kindFields, text: kind },
  { field: "d", names: definitionFields, text: definition }
] as const

const partOf = new Map<string, number>(parts.flatMap(({ names }, part) => names.map((name) => [name, part] as const)))

/** How many fields of each part a change gives. */
const given = (set: Partial<Row>): ReadonlyArray<number> => {
  const counts = [0, 0, 0, 0]
  for (const name in set) {
    const part = set[name as keyof Row] === undefined ? undefined : partOf.get(name)
    if (part !== undefined) counts[part]!++
  }
  return counts
}

/** Whether a change gives some part of a row incompletely: then the row must be known. */
export const isPartial = ({ set }: Change): boolean =>
  set !== "remove" && given(set).some((count, part) => count > 0 && count < parts[part]!.names.length)

/**
 * How changes are written, one after another: partial ones onto rows as they have been read, and as the changes before
 * them leave them. One whose row is another by now is in conflict.
 */
export const changing = (read: ReadonlyArray<TaskRow>): Write<Change> => {
  const rows = new Map(read.map((row) => [row.generation, row]))
  return (one, owner) => {
    const row = rows.get(one.generation)
    const known = row?.revision === one.revision ? row : undefined
    if (known === undefined) return isPartial(one) ? conflict(one) : change(one, undefined, owner)
    if (one.set === "remove") rows.delete(one.generation)
    else rows.set(one.generation, { ...known, ...defined(one.set), revision: known.revision + 1 })
    return change(one, known, owner)
  }
}

const change = (one: Change, row: TaskRow | undefined, owner: WriteOwner): Args => {
  const { id, now, replacement, revision, runs, set } = one
  const args = [""]
  let sets = set === "remove" ? set : ""
  let due = ""
  const put = (name: string, text: string) => {
    sets += name
    args.push(text)
  }
  if (set !== "remove") {
    // nobody reads a field of a part that is not touched
    const after = (row === undefined ? set : { ...row, ...defined(set) }) as Row
    given(set).forEach((count, part) => {
      if (count > 0) put(parts[part]!.field, parts[part]!.text(after))
    })
    if (set.zoneRules !== undefined) put("z", set.zoneRules === null ? "" : atom(set.zoneRules))
    if (set.createdAt !== undefined) put("t", String(set.createdAt))
    if (set.onStartup !== undefined || set.onShutdown !== undefined) {
      put("v", bit(after.onStartup || after.onShutdown))
    }
    if (set.due !== undefined) due = score(set.due)
  }
  for (const run of runs) args.push(...runChange(run, id, now, owner))
  if (set === "remove") {
    args.push(atom(id))
    if (replacement === undefined) args.push("")
    else args.push("replace", ...newTask({ ...replacement, id }))
  }
  args[0] = `${revision},${now},${args.length - 1},${sets},${runs.length}${
    claimIn(one) === undefined ? "" : "k"
  },${due}`
  return args
}

/** No row has this revision. */
const conflict = ({ now }: Change): Args => [`0,${now},0,,0,`]

/** What a change claims, if that is one run of which all but its token is known here. */
const claimIn = ({ runs, seen, set }: Change) => {
  const [only] = runs
  if (runs.length !== 1 || only!._tag !== "Create" || only!.claim === undefined) return undefined
  if (seen === undefined || seen.concurrencyKey !== null) return undefined
  if (set === "remove" || kindFields.some((name) => set[name] !== undefined)) return undefined
  return { run: only!.run, claim: only!.claim, seen }
}

/** A run that a change has claimed, from its text; or from its token, where no more is told. */
export const claimedRun = (change: Change, text: unknown): RunRow => {
  const { generation, id, now } = change
  const known = typeof text === "string" && text[0] !== "[" ? claimIn(change) : undefined
  if (known === undefined) return runRow(generation, text)
  const { claim, run, seen } = known
  return {
    generation,
    key: run.key,
    taskId: id,
    tag: seen.tag,
    version: seen.version,
    executor: seen.executor,
    priority: seen.priority,
    concurrencyKey: null,
    concurrencyLimit: 1,
    due: run.due,
    nominal: run.nominal,
    state: "running",
    held: false,
    readyAt: run.readyAt,
    attempt: 1,
    takeovers: 0,
    createdAt: now,
    owner: claim.owner,
    token: int(Number(text)),
    leaseUntil: claim.until,
    startedAt: run.atMostOnce ? null : now,
    cancel: null,
    endedAt: null,
    exit: null,
    slots: run.slots,
    queues: run.queues,
    atMostOnce: run.atMostOnce
  }
}

const defined = <A extends object>(set: A): Partial<A> =>
  Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined)) as Partial<A>

const runChange = (change: RunChange, id: string, now: number, owner: WriteOwner): Args =>
  change._tag === "Create"
    ? arriving(change.run, id, now, change.claim, owner)
    : change._tag === "Cancel"
    ? [change._tag, json(change.key), json(change.reason)]
    : [change._tag, json(change.key)]

/** What a batch is of, before all else: generations, and where it is of runs, their keys. */
export const generations = (entries: ReadonlyArray<{ readonly generation: number }>): string =>
  entries.map(({ generation }) => padded(generation)).join("")

export const keys = (entries: ReadonlyArray<{ readonly key: string }>): Args => entries.map(({ key }) => json(key))

export const token = ({ token }: RunRef): Args => [String(token)]

export const settlement = (
  { now, owner, result, task, token }: Settlement,
  write: WriteOwner
): Args => {
  const state = result._tag === "End" ? result.state : result.readyAt === undefined ? "" : String(result.readyAt)
  const of = task === undefined
    ? ",,"
    : `${task.failures ?? "keep"},${bit(task.missed === true)},${task.pauseAt?.failures ?? ""}`
  const args = [
    `${token},${now},${result._tag},${state},${of}`,
    write(owner),
    result._tag === "Release" ? "" : json(result.exit)
  ]
  if (task?.pauseAt !== undefined) args.push(json(task.pauseAt.note))
  return args
}

export const newVerdict = ({ at, generation, id, reader, reason }: Verdict): Args => [
  atom(id),
  padded(generation),
  atom(reader),
  json([id, generation, reader, reason, at])
]

// -----------------------------------------------------------------------------
// from scripts
// -----------------------------------------------------------------------------

/** The elements of an answer. */
export const list = (answer: unknown): ReadonlyArray<unknown> => {
  if (!Array.isArray(answer)) throw new Unreadable("an answer is no list")
  return answer
}

/** An integer as text; none where it is empty. */
export const instant = (answer: unknown): number | null => answer === "" ? null : Number(answer)

const cells = (text: unknown, count: number): ReadonlyArray<unknown> =>
  arrayOf(typeof text === "string" ? JSON.parse(text) : undefined, count)

const arrayOf = (cells: unknown, count: number): ReadonlyArray<unknown> => {
  if (!Array.isArray(cells) || cells.length !== count) throw new Unreadable("a record is no array of its length")
  return cells
}

const string = <A extends string = string>(cell: unknown): A => {
  if (typeof cell !== "string") throw new Unreadable("a field is no text")
  return cell as A
}

const stringOrNull = (cell: unknown): string | null => cell === null ? null : string(cell)

const int = (cell: unknown): number => {
  if (!Number.isSafeInteger(cell)) throw new Unreadable("a field is no integer")
  return cell as number
}

const intOrNull = (cell: unknown): number | null => cell === null ? null : int(cell)

const flag = (cell: unknown): boolean => {
  if (typeof cell !== "boolean") throw new Unreadable("a field is neither true nor false")
  return cell
}

/** What a run has in common with its task, with or without a key. */
const kindOf = (cells: ReadonlyArray<unknown>) => {
  const [version, priority, ...rest] = cells
  const [limit, key] = rest.length === 2 ? [1, null] : rest
  const [executor, tag] = rest.slice(-2)
  if (rest.length !== 2 && rest.length !== 4) throw new Unreadable("a kind has not its length")
  return {
    version: int(version),
    priority: int(priority),
    concurrencyKey: stringOrNull(key),
    concurrencyLimit: int(limit),
    executor: string(executor),
    tag: string(tag)
  }
}

/** Of a task's text (see `library.ts`) and its definition. */
export const taskRow = (answer: unknown): TaskRow => {
  const [generation, text, definition] = list(answer)
  const [head, , kind, pause, clock] = string(text).split("\n", 5)
  const all = list(JSON.parse(`[${kind},${pause},${clock},${string(definition)}]`))
  const [failures, pausedAt, pauseNote, c, d] = all.slice(-pauseFields.length - 2)
  const { concurrencyKey, concurrencyLimit, executor, priority, tag, version } = kindOf(
    all.slice(0, -pauseFields.length - 2)
  )
  const [state, cursor, due, nominal, override, ran, missed, coalesced, skipped, paused, extra, exact, zone, ranges] =
    arrayOf(c, 14)
  const [
    id,
    name,
    payload,
    display,
    trigger,
    anchor,
    onStartup,
    onShutdown,
    policy,
    labels,
    owner,
    declared,
    trace,
    createdAt,
    updatedAt,
    epoch
  ] = arrayOf(d, definitionFields.length)
  const counters: Counters = {
    ran: int(ran),
    missed: int(missed),
    coalesced: int(coalesced),
    skipped: int(skipped),
    paused: int(paused),
    extra: int(extra),
    exact: flag(exact)
  }
  return {
    id: string(id),
    generation: Number(generation),
    revision: Number(head!.slice(0, head!.indexOf(","))),
    tag,
    version,
    name: string(name),
    payload: string(payload),
    display: string(display),
    trigger: string(trigger),
    anchor: int(anchor),
    onStartup: flag(onStartup),
    onShutdown: flag(onShutdown),
    policy: string(policy),
    executor,
    priority,
    concurrencyKey,
    concurrencyLimit,
    labels: string(labels),
    owner: stringOrNull(owner),
    declared: stringOrNull(declared),
    trace: stringOrNull(trace),
    createdAt: int(createdAt),
    updatedAt: int(updatedAt),
    state: string(state),
    cursor: int(cursor),
    due: intOrNull(due),
    nominal: intOrNull(nominal),
    zoneRules: stringOrNull(zone),
    override: intOrNull(override),
    epoch: int(epoch),
    counters,
    ranges: string(ranges),
    pausedAt: intOrNull(pausedAt),
    pauseNote: stringOrNull(pauseNote),
    failures: int(failures)
  }
}

export const runRow = (generation: number, text: unknown): RunRow => {
  const [
    state,
    held,
    queues,
    token,
    leaseUntil,
    startedAt,
    attempt,
    takeovers,
    readyAt,
    endedAt,
    atMostOnce,
    slots,
    due,
    nominal,
    createdAt,
    taskId,
    key,
    ...rest
  ] = list(typeof text === "string" ? JSON.parse(text) : undefined)
  const [owner, cancel, exit] = rest.slice(-3)
  const { concurrencyKey, concurrencyLimit, executor, priority, tag, version } = kindOf(rest.slice(0, -3))
  return {
    generation,
    key: string(key),
    taskId: string(taskId),
    tag,
    version,
    executor,
    priority,
    concurrencyKey,
    concurrencyLimit,
    due: int(due),
    nominal: int(nominal),
    state: string(state),
    held: flag(held),
    readyAt: int(readyAt),
    attempt: int(attempt),
    takeovers: int(takeovers),
    createdAt: int(createdAt),
    owner: stringOrNull(owner),
    token: intOrNull(token),
    leaseUntil: intOrNull(leaseUntil),
    startedAt: intOrNull(startedAt),
    cancel: stringOrNull(cancel),
    endedAt: intOrNull(endedAt),
    exit: stringOrNull(exit),
    slots: int(slots),
    queues: flag(queues),
    atMostOnce: flag(atMostOnce)
  }
}

export interface Numbered {
  readonly run: RunRow
  /** It is the nth one of its task. */
  readonly number: number
}

export const numbered = (answer: unknown): Numbered => {
  const [generation, number, text] = list(answer)
  return { number: Number(number), run: runRow(Number(generation), text) }
}

export const taskWithRuns = (answer: unknown): TaskWithRuns => {
  const row = taskRow(answer)
  const open = list(answer).slice(3).map((text) => runRow(row.generation, text))
  return { row, open: open.sort((self, that) => self.due - that.due) }
}

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

/** A text that is JSON by itself. */
export const textOrNull = (answer: unknown): string | null =>
  typeof answer === "string" ? stringOrNull(JSON.parse(answer)) : null

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

/** A scheduler as a text. */
export const instanceText = (
  { handles, host, id, name, pid, seenAt, startedAt, until, version }: InstanceRow
): string => json([id, name, host, pid, version, handles, startedAt, seenAt, until])

export const instanceRow = (text: unknown): InstanceRow => {
  const [id, name, host, pid, version, handles, startedAt, seenAt, until] = cells(text, 9)
  return {
    id: string(id),
    name: string(name),
    host: stringOrNull(host),
    pid: intOrNull(pid),
    version: string(version),
    handles: string(handles),
    startedAt: int(startedAt),
    seenAt: int(seenAt),
    until: int(until)
  }
}
