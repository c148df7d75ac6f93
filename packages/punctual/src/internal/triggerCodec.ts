/**
 * The stored form of a trigger: plain JSON with readable instants, and a version at the top.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { CalendarPeriod, Encoded, EncodedTrigger, Trigger } from "../Trigger.ts"
import { Wire as CalendarWire } from "./calendarCodec.ts"
import { closest } from "./timeZone.ts"
import * as dayInput from "./triggerDaysInput.ts"
import { decode as defined } from "./triggerDefined.ts"
import {
  missing,
  none as noDefinitions,
  type TriggerDefinitions,
  TriggerDefinitions as Definitions
} from "./triggerDefinitions.ts"
import { encode, weekdayNames } from "./triggerEncode.ts"
import * as input from "./triggerInput.ts"
import * as model from "./triggerModel.ts"
import { rrule } from "./triggerRecurrence.ts"

const version = 1

const Child = Schema.suspend((): Schema.Codec<EncodedTrigger> => Wire)

const Wire: Schema.Codec<EncodedTrigger> = Schema.Union([
  Schema.TaggedStruct("Never", {}),
  Schema.TaggedStruct("Now", {}),
  Schema.TaggedStruct("Startup", {}),
  Schema.TaggedStruct("Shutdown", {}),
  Schema.TaggedStruct("At", { instant: Schema.String }),
  Schema.TaggedStruct("Every", {
    millis: Schema.Number,
    start: Schema.optionalKey(Schema.String),
    immediately: Schema.optionalKey(Schema.Literal(true))
  }),
  Schema.TaggedStruct("Cron", {
    expression: Schema.String,
    timeZone: Schema.String,
    gap: Schema.optionalKey(Schema.Literals(["skip", "shift"])),
    overlap: Schema.optionalKey(Schema.Literals(["first", "second", "both"])),
    // Read, and no longer written: a plus in the expression says it.
    dayMatch: Schema.optionalKey(Schema.Literal("and"))
  }),
  Schema.TaggedStruct("Defined", { name: Schema.String, parameters: Schema.Json }),
  Schema.TaggedStruct("Union", { triggers: Schema.Array(Child) }),
  Schema.TaggedStruct("Intersect", { triggers: Schema.Array(Child) }),
  Schema.TaggedStruct("During", {
    trigger: Child,
    timeZone: Schema.String,
    weekdays: Schema.optionalKey(Schema.Array(Schema.Literals(weekdayNames))),
    dates: Schema.optionalKey(Schema.Array(Schema.Struct({ from: Schema.String, to: Schema.String }))),
    times: Schema.optionalKey(Schema.Array(Schema.Struct({ from: Schema.String, to: Schema.String })))
  }),
  Schema.TaggedStruct("Between", {
    trigger: Child,
    start: Schema.optionalKey(Schema.String),
    end: Schema.optionalKey(Schema.String)
  }),
  Schema.TaggedStruct("UpTo", { trigger: Child, count: Schema.Number }),
  Schema.TaggedStruct("CalendarEvery", {
    days: Schema.optionalKey(Schema.Number),
    weeks: Schema.optionalKey(Schema.Number),
    months: Schema.optionalKey(Schema.Number),
    years: Schema.optionalKey(Schema.Number),
    at: Schema.String,
    timeZone: Schema.String,
    start: Schema.optionalKey(Schema.String),
    shortMonths: Schema.optionalKey(Schema.Literal("skip")),
    gap: Schema.optionalKey(Schema.Literals(["skip", "shift"])),
    overlap: Schema.optionalKey(Schema.Literals(["second", "both"]))
  }),
  Schema.TaggedStruct("Rrule", { rule: Schema.String, timeZone: Schema.String }),
  Schema.TaggedStruct("Except", { trigger: Child, that: Child }),
  Schema.TaggedStruct("ExceptDays", { trigger: Child, calendar: CalendarWire }),
  Schema.TaggedStruct("Rolled", {
    trigger: Child,
    calendar: CalendarWire,
    direction: Schema.Literals(["next", "previous", "nextInMonth", "previousInMonth", "nearest"])
  }),
  Schema.TaggedStruct("Delayed", { trigger: Child, millis: Schema.Number }),
  Schema.TaggedStruct("Jittered", { trigger: Child, millis: Schema.Number })
])

const tags: ReadonlyArray<string> = [
  "Never",
  "Now",
  "Startup",
  "Shutdown",
  "At",
  "Every",
  "Cron",
  "Defined",
  "Union",
  "Intersect",
  "During",
  "Between",
  "UpTo",
  "CalendarEvery",
  "Rrule",
  "Except",
  "ExceptDays",
  "Rolled",
  "Delayed",
  "Jittered"
]

// ---------------------------------------------------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------------------------------------------------

/** Rebuilds through the same checks as the constructors, so that no stored text can make an impossible trigger. */
export const decode = (encoded: EncodedTrigger, definitions: TriggerDefinitions): Trigger => {
  switch (encoded._tag) {
    case "Never":
      return model.never
    case "Now":
      return model.now
    case "Startup":
      return model.startup
    case "Shutdown":
      return model.shutdown
    case "At":
      return model.at(input.instant(encoded.instant))
    case "Every":
      return input.every(encoded.millis, encoded)
    case "Cron": {
      const { _tag: _, expression, ...options } = encoded
      return input.cron(expression, options)
    }
    case "Defined": {
      const definition = definitions.byName.get(encoded.name)
      return definition === undefined
        ? model.refuse("definition", encoded.name, missing(encoded.name, definitions))
        : defined(definition, encoded.parameters)
    }
    case "Union":
      return model.union(encoded.triggers.map((member) => decode(member, definitions)))
    case "Intersect":
      return model.intersect(
        encoded.triggers.length > 0
          ? encoded.triggers.map((member) => decode(member, definitions))
          : model.refuse("structure", [], "an intersection of nothing")
      )
    case "During": {
      const { _tag: _, trigger, ...options } = encoded
      return model.during(decode(trigger, definitions), input.window(options))
    }
    case "Between": {
      const { _tag: _, trigger, ...options } = encoded
      return input.between(decode(trigger, definitions), options)
    }
    case "UpTo":
      return input.upTo(decode(encoded.trigger, definitions), encoded.count)
    case "CalendarEvery": {
      const { _tag: _, days, months, weeks, years, ...options } = encoded
      return dayInput.calendarEvery({ days, weeks, months, years } as CalendarPeriod, options)
    }
    case "Rrule":
      return rrule(encoded.rule, { timeZone: encoded.timeZone })
    case "Except":
      return model.except(decode(encoded.trigger, definitions), decode(encoded.that, definitions))
    case "ExceptDays":
      return model.exceptDays(decode(encoded.trigger, definitions), dayInput.storedCalendar(encoded.calendar))
    case "Rolled":
      return dayInput.rolled(
        decode(encoded.trigger, definitions),
        dayInput.storedCalendar(encoded.calendar),
        encoded.direction
      )
    case "Delayed":
      return input.delayed(decode(encoded.trigger, definitions), encoded.millis)
    case "Jittered":
      return input.jittered(decode(encoded.trigger, definitions), encoded.millis)
  }
}

const invalid = (message: string, encoded: unknown): Effect.Effect<never, SchemaIssue.Issue> =>
  Effect.fail(new SchemaIssue.InvalidValue({ message }, encoded))

const parseWire = SchemaParser.decodeUnknownEffect(Wire)

const read = (encoded: unknown): Effect.Effect<Trigger, SchemaIssue.Issue> => {
  if (typeof encoded !== "object" || encoded === null || !("v" in encoded)) {
    return invalid("a stored trigger is an object with its version in `v`", encoded)
  }
  const { v, ...rest } = encoded as { readonly v: unknown; readonly _tag?: unknown }
  if (v !== version) {
    return invalid(
      typeof v === "number" && v > version
        ? `this trigger was written by a newer version (v ${v}); this program reads v ${version}: upgrade it`
        : `unknown trigger version ${model.show(v)}: expected ${version}`,
      encoded
    )
  }
  if (typeof rest._tag !== "string" || !tags.includes(rest._tag)) {
    const tag = model.show(rest._tag)
    const hint = closest(tag, tags)
    return invalid(
      `unknown kind of trigger \`${tag}\`${hint === undefined ? "" : `; did you mean \`${hint}\`?`}`,
      encoded
    )
  }
  return Effect.flatMap(parseWire(rest, { onExcessProperty: "error" }), (wire) => {
    const attempt = (definitions: TriggerDefinitions): Effect.Effect<Trigger, SchemaIssue.Issue> => {
      try {
        return Effect.succeed(decode(wire, definitions))
      } catch (error) {
        if (!(error instanceof model.InvalidTrigger)) return Effect.die(error)
        // Most triggers need no definition, and then nobody is asked for them.
        return error.reason === "definition" && definitions === noDefinitions
          ? Effect.contextWith((context: Context.Context<never>) => {
            const provided = Context.get(context, Definitions)
            return provided === noDefinitions ? invalid(error.message, encoded) : attempt(provided)
          })
          : invalid(error.message, encoded)
      }
    }
    return attempt(noDefinitions)
  })
}

export const make = (): Schema.Codec<Trigger, Encoded> =>
  Schema.Json.pipe(
    Schema.decodeTo(
      Schema.declare(model.isTrigger, { identifier: "Trigger", expected: "Trigger" }),
      SchemaTransformation.transformEffect({
        decode: (encoded) => read(encoded),
        encode: (trigger) => Effect.succeed({ v: version, ...encode(trigger) } as unknown as Schema.Json)
      })
    )
  ) as unknown as Schema.Codec<Trigger, Encoded>
