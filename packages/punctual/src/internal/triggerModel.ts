/**
 * How trigger values are made: one prototype, structural equality, and the rules of structure.
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Calendar } from "../Calendar.ts"
import type * as CronExpression from "../CronExpression.ts"
import type { RecurrenceRule } from "../RecurrenceRule.ts"
import type { AnyDefinition, CalendarEvery, Every, RollDirection, Trigger, Window } from "../Trigger.ts"
import { MAX_MILLIS } from "./cronDate.ts"
import { CronParseError } from "./cronField.ts"
import { meaning } from "./cronModel.ts"
import { RecurrenceParseError } from "./recurrenceError.ts"
import { meaning as recurrenceMeaning } from "./recurrenceText.ts"
import { encode } from "./triggerEncode.ts"

export const TypeId = "~punctual/Trigger"

/**
 * A trigger that cannot exist: thrown by constructors and combinators, answered by `validate`.
 *
 * **Details**
 *
 * `reason` is for programs, `problem` for people: it says what is wrong and what to write instead. `input` shows the
 * offending argument. A bad cron expression comes with its `CronParseError` in `cron`, and a bad recurrence rule with its
 * `RecurrenceParseError` in `rrule`.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidTrigger extends Schema.TaggedError<InvalidTrigger>()("InvalidTrigger", {
  reason: Schema.Literals([
    "instant",
    "duration",
    "cron",
    "timeZone",
    "options",
    "count",
    "window",
    "calendar",
    "range",
    "structure",
    "version",
    "definition",
    "parameters",
    "rrule"
  ]),
  input: Schema.String,
  problem: Schema.String,
  cron: Schema.optionalKey(CronParseError),
  rrule: Schema.optionalKey(RecurrenceParseError)
}) {
  override get message(): string {
    return this.problem
  }
}

/** Throws an `InvalidTrigger`. */
export const refuse = (reason: InvalidTrigger["reason"], input: unknown, problem: string): never => {
  throw new InvalidTrigger({ reason, input: show(input), problem })
}

/** Shows an argument in a message, shortened: a message is not the place for a large object. */
export const show = (input: unknown): string => {
  let text: string | undefined
  try {
    text = typeof input === "object" && input !== null ? JSON.stringify(input) : undefined
  } catch {
    text = undefined
  }
  text ??= String(input)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** Returns `true` if a value is a `Trigger`. */
export const isTrigger = (u: unknown): u is Trigger => hasProperty(u, TypeId)

// What a trigger means, as text: expressions by the times they allow, not by their spelling.
const keys = new WeakMap<Trigger, string>()

const keyOf = (self: Trigger): string => {
  let key = keys.get(self)
  if (key === undefined) {
    key = JSON.stringify(encode(self, (rule) => "frequency" in rule ? recurrenceMeaning(rule) : meaning(rule)))
    keys.set(self, key)
  }
  return key
}

const Proto = {
  [TypeId]: TypeId,
  [Equal.symbol](this: Trigger, that: unknown): boolean {
    return isTrigger(that) && keyOf(this) === keyOf(that)
  },
  [Hash.symbol](this: Trigger): number {
    return Hash.string(keyOf(this))
  },
  toJSON(this: Trigger): unknown {
    return { v: 1, ...encode(this) }
  },
  toString(this: Trigger): string {
    return `Trigger(${JSON.stringify(encode(this))})`
  },
  [NodeInspectSymbol](this: Trigger): unknown {
    return { v: 1, ...encode(this) }
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

type Fields<T> = T extends Trigger ? Omit<T, "pipe" | typeof TypeId | typeof Equal.symbol | typeof Hash.symbol> : never

const make = <T extends Trigger>(fields: Fields<T>): T => Object.freeze(Object.assign(Object.create(Proto), fields))

// ---------------------------------------------------------------------------------------------------------------------
// nodes
// ---------------------------------------------------------------------------------------------------------------------

export const never: Trigger = make({ _tag: "Never" })
export const now: Trigger = make({ _tag: "Now" })
export const startup: Trigger = make({ _tag: "Startup" })
export const shutdown: Trigger = make({ _tag: "Shutdown" })

export const at = (instant: number): Trigger => make({ _tag: "At", instant })

export const every = (period: number, start: number | undefined, immediately: boolean): Trigger =>
  make<Every>({ _tag: "Every", period, start, immediately })

export const cron = (
  expression: CronExpression.CronExpression,
  timeZone: string,
  gap: "skip" | "shift" | undefined,
  overlap: "first" | "second" | "both" | undefined
): Trigger => make({ _tag: "Cron", expression, timeZone, gap, overlap })

export const defined = (definition: AnyDefinition, parameters: Schema.Json): Trigger =>
  make({ _tag: "Defined", name: definition.name, parameters, definition })

/** Members of members are members; `never` adds nothing, and neither does saying the same thing twice. */
export const union = (members: ReadonlyArray<Trigger>): Trigger => {
  const triggers: Array<Trigger> = []
  for (const member of members) {
    for (const trigger of member._tag === "Union" ? member.triggers : [member]) {
      if (trigger._tag !== "Never" && !triggers.some((other) => Equal.equals(other, trigger))) triggers.push(trigger)
    }
  }
  if (triggers.length === 0) return never
  if (triggers.length === 1) return triggers[0]!
  for (const trigger of triggers) {
    if (trigger._tag === "Jittered" && triggers.some((other) => other !== trigger && !isEvent(other))) {
      outermost("union")
    }
  }
  return make({ _tag: "Union", triggers: Object.freeze(triggers) })
}

export const intersect = (members: ReadonlyArray<Trigger>): Trigger => {
  const triggers: Array<Trigger> = []
  for (const member of members) {
    inside("intersect", member)
    for (const trigger of member._tag === "Intersect" ? member.triggers : [member]) {
      if (trigger._tag === "Never") return never
      if (!triggers.some((other) => Equal.equals(other, trigger))) triggers.push(trigger)
    }
  }
  return triggers.length === 1 ? triggers[0]! : make({ _tag: "Intersect", triggers: Object.freeze(triggers) })
}

export const during = (trigger: Trigger, window: Window): Trigger => {
  inside("during", trigger)
  return make({ _tag: "During", trigger, window: Object.freeze(window) })
}

export const between = (trigger: Trigger, start: number | undefined, end: number | undefined): Trigger => {
  inside("between", trigger)
  return make({ _tag: "Between", trigger, start, end })
}

export const upTo = (trigger: Trigger, count: number): Trigger => {
  inside("upTo", trigger)
  return make({ _tag: "UpTo", trigger, count })
}

export const rrule = (rule: RecurrenceRule, timeZone: string): Trigger => make({ _tag: "Rrule", rule, timeZone })

export const calendarEvery = (
  fields: Pick<CalendarEvery, "unit" | "count" | "at" | "timeZone" | "start" | "shortMonths" | "gap" | "overlap">
): Trigger => make({ _tag: "CalendarEvery", ...fields })

/** Nothing is left of a trigger without itself, and nothing is missing without what is never due. */
export const except = (trigger: Trigger, that: Trigger): Trigger => {
  inside("except", trigger)
  inside("except", that)
  if (trigger._tag === "Never" || that._tag === "Never") return trigger
  return Equal.equals(trigger, that) ? never : make({ _tag: "Except", trigger, that })
}

export const exceptDays = (trigger: Trigger, calendar: Calendar): Trigger => {
  inside("except", trigger)
  return make({ _tag: "ExceptDays", trigger, calendar })
}

export const rolled = (trigger: Trigger, calendar: Calendar, direction: RollDirection): Trigger => {
  inside("rolled", trigger)
  return make({ _tag: "Rolled", trigger, calendar, direction })
}

/** Two delays are one, while their sum is one. */
export const delayed = (trigger: Trigger, delay: number): Trigger => {
  inside("delayed", trigger)
  return trigger._tag === "Delayed" && trigger.delay + delay <= MAX_MILLIS
    ? delayed(trigger.trigger, trigger.delay + delay)
    : make({ _tag: "Delayed", trigger, delay })
}

export const jittered = (trigger: Trigger, width: number): Trigger => {
  inside("jittered", trigger)
  return make({ _tag: "Jittered", trigger, width })
}

// ---------------------------------------------------------------------------------------------------------------------
// structure
// ---------------------------------------------------------------------------------------------------------------------

export const isEvent = (trigger: Trigger): boolean => trigger._tag === "Startup" || trigger._tag === "Shutdown"

/** Every trigger has gone through this for its children, so only the child itself needs a look. */
const inside = (combinator: string, child: Trigger): void => {
  if (isEvent(child) || (child._tag === "Union" && child.triggers.some(isEvent))) {
    refuse(
      "structure",
      child,
      `startup and shutdown are events, not instants, so \`${combinator}\` cannot apply to them: apply it to the other ` +
        `triggers, then \`union\` the event at the top`
    )
  }
  if (child._tag === "Jittered") outermost(combinator)
}

const outermost = (combinator: string): never =>
  refuse(
    "structure",
    combinator,
    `\`jittered\` must be the last step, so \`${combinator}\` cannot follow it: apply \`${combinator}\` first, then \`jittered\``
  )

export const visit = (trigger: Trigger, f: (node: Trigger) => void): void => {
  f(trigger)
  if (trigger._tag === "Union" || trigger._tag === "Intersect") {
    for (const member of trigger.triggers) visit(member, f)
  } else if ("trigger" in trigger) {
    visit(trigger.trigger, f)
    if (trigger._tag === "Except") visit(trigger.that, f)
  }
}

/** Checks the rules of structure of a tree that was not necessarily built by the functions above. */
export const checkStructure = (trigger: Trigger): void => {
  visit(trigger, (node) => {
    if (node._tag === "Union") {
      for (const member of node.triggers) {
        if (isEvent(member) && node !== trigger) inside("a nested union", node)
        if (
          member._tag === "Jittered" && (node !== trigger || node.triggers.some((m) => m !== member && !isEvent(m)))
        ) {
          outermost("union")
        }
      }
    } else if (node._tag === "Intersect") {
      for (const member of node.triggers) inside("intersect", member)
    } else if ("trigger" in node) {
      if (node._tag === "Except") inside("except", node.that)
      inside(node._tag.charAt(0).toLowerCase() + node._tag.slice(1), node.trigger)
    }
  })
}
