/**
 * What a trigger does, in words for people: its rule, its next times, and the days on which clocks change its course.
 *
 * At each change of a zone's clocks, the rules in that zone are compared with what they would be without the change, in the
 * offset from before or after it. Combinators stay around them, so a note tells what comes through, and needs to know
 * neither kinds of rules nor their policies.
 *
 *     gap       named   by the rules, in the offset from before, at local times that are skipped
 *               runs    what there is and would not be in the offset from after
 *     overlap   named   by the rules, in either offset, at local times that are repeated
 *               runs    what there is at the first pass, the second, or both
 */
import * as DateTime from "effect/DateTime"
import type { Binding, Bound, Explanation, ExplanationNote, Occurrence, Point, Trigger } from "../Trigger.ts"
import { MAX_MILLIS } from "./cronDate.ts"
import { emptySegment, locate, lookup, offsetAt, type TimeZone } from "./timeZone.ts"
import { format } from "./triggerFormat.ts"
import { never, visit } from "./triggerModel.ts"
import { HORIZON } from "./triggerSearch.ts"
import { bind } from "./triggerSource.ts"

/** As many days are told of: enough for decades of one zone. */
const MAX_NOTES = 100

/** As many local times of one change are looked at: every second of a gap of an hour, and more. */
const MAX_TIMES = 10_000

/** So many times are written out; more are written as a number and the first and last of them. */
const MAX_LISTED = 4

export const explain = (
  trigger: Trigger,
  { after, binding, recurring, toOccurrence, until }: {
    readonly binding: Binding
    readonly after: number
    readonly until: number
    readonly recurring: boolean
    readonly toOccurrence: (point: Point) => Occurrence
  }
): Explanation => {
  const end = Math.min(until, after + HORIZON, MAX_MILLIS)
  const zones = zonesOf(trigger)
  const zone = zones[0] ?? lookup("UTC")!
  const bound = bind(trigger, binding)
  const next: Array<Explanation["next"][number]> = []
  for (let point = bound.next(after); point !== undefined && next.length < 3; point = bound.next(point.due)) {
    next.push({ ...toOccurrence(point), local: zonedText(zone, point.due), timeZone: zone.id })
  }
  const notes = zones.flatMap((zone) => notesOf(trigger, binding, zone, after, end))
  const last = bound.previous(end + 1)
  if (recurring && last !== undefined && last.due > after && bound.next(last.due) === undefined) {
    const local = localText(zone, last.due)
    notes.push({
      kind: "end",
      date: dateOf(local),
      timeZone: zone.id,
      at: DateTime.makeUnsafe(last.due),
      text: `on ${dateOf(local)} at ${timeOf(local)} is the last time`
    })
  }
  notes.sort((a, b) => a.at.epochMilliseconds - b.at.epochMilliseconds)
  return { text: format(trigger), next, notes: notes.slice(0, MAX_NOTES) }
}

// ---------------------------------------------------------------------------------------------------------------------
// changes of clocks
// ---------------------------------------------------------------------------------------------------------------------

interface ClockChange {
  /** Epoch milliseconds of the change, and offsets in milliseconds before and after it. */
  readonly at: number
  readonly before: number
  readonly after: number
}

const changesOf = function*(zone: TimeZone, after: number, until: number): Generator<ClockChange> {
  const segment = emptySegment()
  let time = Math.floor(Math.max(after, -MAX_MILLIS) / 1000)
  locate(zone, time, segment)
  while (segment.end * 1000 <= until) {
    time = segment.end
    locate(zone, time, segment)
    if (segment.before !== segment.offset) {
      yield { at: time * 1000, before: segment.before * 1000, after: segment.offset * 1000 }
    }
  }
}

const notesOf = (
  trigger: Trigger,
  binding: Binding,
  zone: TimeZone,
  after: number,
  until: number
): Array<ExplanationNote> => {
  const actual = bind(rulesIn(trigger, zone.id, zone.id), binding)
  /** As in a zone that never changes its clocks, in which the anchor has the same local time. */
  const anchor = binding.anchor + offsetAt(zone, Math.floor(binding.anchor / 1000)) * 1000
  const rules = (offset: number): Bound =>
    bind(rulesIn(trigger, zone.id, offsetText(offset)), { ...binding, anchor: anchor - offset })
  const has = (instant: number): boolean => actual.next(instant - 1)?.due === instant
  const notes: Array<ExplanationNote> = []
  for (const change of changesOf(zone, after, until)) {
    if (notes.length >= MAX_NOTES) break
    const { at } = change
    const length = Math.abs(change.after - change.before)
    // Zones with odd seconds in their offsets are of the time before 1972.
    if (change.before % 60_000 !== 0 || change.after % 60_000 !== 0) continue
    const before = rules(change.before)
    const afterwards = rules(change.after)
    const note = (kind: "gap" | "overlap", locals: ReadonlyArray<number>, what: string): void => {
      const date = dateOf(isoLocal(locals[0]!))
      notes.push({
        kind,
        date,
        timeZone: zone.id,
        at: DateTime.makeUnsafe(at),
        text: `on ${date} ${timesText(locals, date)} ${
          kind === "gap"
            ? locals.length === 1 ? "does not exist" : "do not exist"
            : locals.length === 1
            ? "comes twice"
            : "come twice"
        } in ${zone.id}: ${what}`
      })
    }
    if (change.after > change.before) {
      const named = dues(before, at, at + length)
      if (named.length === 0) continue
      const usual = new Set(dues(afterwards, at, at + length))
      const instead = dues(actual, at, at + length).filter((due) => !usual.has(due))
      const locals = named.map((due) => due + change.before)
      note(
        "gap",
        locals,
        instead.length === 0
          ? locals.length === 1 ? "no run of its own" : "no runs of their own"
          : `runs at ${timesText(instead.map((due) => due + change.after), dateOf(isoLocal(locals[0]!)))}`
      )
    } else {
      const locals = new Set<number>()
      for (const due of dues(before, at - length, at)) locals.add(due + change.before)
      for (const due of dues(afterwards, at, at + length)) locals.add(due + change.after)
      const sorted = [...locals].sort((a, b) => a - b)
      const passes = (first: boolean, second: boolean) =>
        sorted.filter((local) => has(local - change.before) === first && has(local - change.after) === second)
      const tell = (group: ReadonlyArray<number>, what: string) => group.length > 0 && note("overlap", group, what)
      tell(passes(true, false), `runs the first time (${offsetText(change.before)})`)
      tell(passes(false, true), `runs the second time (${offsetText(change.after)})`)
      tell(passes(true, true), "runs both times")
    }
  }
  return notes
}

const dues = (bound: Bound, from: number, until: number): Array<number> => {
  const out: Array<number> = []
  for (
    let point = bound.next(from - 1);
    point !== undefined && point.due < until && out.length < MAX_TIMES;
    point = bound.next(point.due)
  ) out.push(point.due)
  return out
}

/** A trigger with nothing but its rules in a zone, which follow `offset` instead, and what filters them. */
const rulesIn = (trigger: Trigger, zone: string, offset: string): Trigger => {
  const replaced = <A extends object>(value: A): A =>
    "timeZone" in value && value.timeZone === zone ? copy(value, { timeZone: offset } as unknown as Partial<A>) : value

  /** Any part with the zone replaced. */
  const moved = (node: Trigger): Trigger => {
    if (node._tag === "Union" || node._tag === "Intersect") return copy(node, { triggers: node.triggers.map(moved) })
    if (node._tag === "Rrule") {
      const { excluded, included, start } = node.rule
      const rule = copy(node.rule, {
        start: start === undefined ? undefined : replaced(start),
        included: included.map(replaced),
        excluded: excluded.map(replaced)
      })
      return replaced(copy(node, { rule }))
    }
    return replaced(copy(node, {
      ..."window" in node ? { window: replaced(node.window) } : undefined,
      ..."calendar" in node ? { calendar: replaced(node.calendar) } : undefined,
      ..."trigger" in node ? { trigger: moved(node.trigger) } : undefined,
      ..."that" in node ? { that: moved(node.that) } : undefined
    }))
  }

  const hasRule = (node: Trigger): boolean =>
    "triggers" in node
      ? node.triggers.some(hasRule)
      : "trigger" in node
      ? hasRule(node.trigger)
      : "timeZone" in node && node.timeZone === zone

  const only = (node: Trigger): Trigger => {
    if (!hasRule(node)) return never
    // Of an intersection, the others say when a rule counts.
    if (node._tag === "Intersect") {
      return copy(node, { triggers: node.triggers.map((member) => hasRule(member) ? only(member) : moved(member)) })
    }
    if (node._tag === "Union") return copy(node, { triggers: node.triggers.map(only) })
    // What only makes occurrences later: clocks decide about the rule inside.
    if (node._tag === "Jittered" || node._tag === "Delayed") return only(node.trigger)
    return "trigger" in node ? copy(moved(node), { trigger: only(node.trigger) } as Partial<Trigger>) : moved(node)
  }

  return only(trigger)
}

/** A value of the same kind with other fields. What a definition's node means goes by the node, so that one stays. */
const copy = <A extends object>(value: A, fields: Partial<A>): A =>
  Object.keys(fields).length === 0 ? value : Object.assign(Object.create(Object.getPrototypeOf(value)), value, fields)

/** Zones with changes of clocks, in the order in which the trigger names them. */
const zonesOf = (trigger: Trigger): ReadonlyArray<TimeZone> => {
  const ids = new Set<string>()
  visit(trigger, (node) => {
    for (const value of "window" in node ? [node, node.window] : [node]) {
      if ("timeZone" in value && typeof value.timeZone === "string") ids.add(value.timeZone)
    }
  })
  return [...ids].flatMap((id) => lookup(id) ?? [])
}

// ---------------------------------------------------------------------------------------------------------------------
// words
// ---------------------------------------------------------------------------------------------------------------------

/** `2026-03-29T02:30:00`, of local milliseconds. */
const isoLocal = (local: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe(Math.max(-MAX_MILLIS, Math.min(MAX_MILLIS, local)))).replace(/\.000Z$|Z$/, "")

const localText = (zone: TimeZone, instant: number): string =>
  isoLocal(instant + offsetAt(zone, Math.floor(instant / 1000)) * 1000)

const zonedText = (zone: TimeZone, instant: number): string =>
  localText(zone, instant) + offsetText(offsetAt(zone, Math.floor(instant / 1000)) * 1000)

const dateOf = (iso: string): string => iso.slice(0, iso.indexOf("T"))

const timeOf = (iso: string): string => iso.slice(iso.indexOf("T") + 1).replace(/^(\d\d:\d\d):00$/, "$1")

const two = (n: number): string => String(n).padStart(2, "0")

const offsetText = (millis: number): string => {
  const minutes = Math.abs(Math.trunc(millis / 60_000))
  return `${millis < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

const timesText = (locals: ReadonlyArray<number>, date: string): string => {
  const texts = locals.map((local) => {
    const iso = isoLocal(local)
    return dateOf(iso) === date ? timeOf(iso) : `${dateOf(iso)} ${timeOf(iso)}`
  })
  return texts.length > MAX_LISTED
    ? `the ${texts.length} times from ${texts[0]} to ${texts[texts.length - 1]}`
    : texts.length === 1
    ? texts[0]!
    : `${texts.slice(0, -1).join(", ")} and ${texts[texts.length - 1]}`
}
