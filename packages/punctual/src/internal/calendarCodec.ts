/**
 * The stored form of a calendar: what `make` takes, as JSON.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { Calendar, Encoded } from "../Calendar.ts"
import { encodeCalendar } from "./calendarEncode.ts"
import * as model from "./calendarModel.ts"
import { weekdayNames } from "./triggerEncode.ts"

const part = {
  weekend: Schema.optionalKey(Schema.Array(Schema.Literals(weekdayNames))),
  holidays: Schema.optionalKey(
    Schema.Array(Schema.Union([Schema.String, Schema.Struct({ date: Schema.String, name: Schema.String })]))
  ),
  open: Schema.optionalKey(Schema.Array(Schema.String))
}

export const Wire: Schema.Codec<Encoded> = Schema.Struct({
  timeZone: Schema.String,
  ...part,
  union: Schema.optionalKey(Schema.Array(Schema.Struct(part)))
})

const parseWire = SchemaParser.decodeUnknownEffect(Wire)

const read = (encoded: unknown): Effect.Effect<Calendar, SchemaIssue.Issue> =>
  Effect.flatMap(parseWire(encoded, { onExcessProperty: "error" }), (wire) => {
    try {
      return Effect.succeed(model.decode(wire))
    } catch (error) {
      return error instanceof model.CalendarError
        ? Effect.fail(new SchemaIssue.InvalidValue({ message: error.message }, encoded))
        : Effect.die(error)
    }
  })

export const make = (): Schema.Codec<Calendar, Encoded> =>
  Schema.Json.pipe(
    Schema.decodeTo(
      Schema.declare(model.isCalendar, { identifier: "Calendar", expected: "Calendar" }),
      SchemaTransformation.transformEffect({
        decode: (encoded) => read(encoded),
        encode: (calendar) => Effect.succeed(encodeCalendar(calendar) as unknown as Schema.Json)
      })
    )
  ) as unknown as Schema.Codec<Calendar, Encoded>
