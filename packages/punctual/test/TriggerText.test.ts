import { assert, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TriggerText from "../src/internal/triggerText.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"

const encode = Schema.encodeSync(Schema.fromJsonString(Trigger.Trigger))

it.prop(
  "a stored text is what the schema encodes, and is read back as the same trigger",
  [TriggerArbitrary.any],
  ([trigger]) => {
    const text = TriggerText.encode(trigger)
    assert.strictEqual(text, encode(trigger))
    assert.isTrue(Equal.equals(Result.getOrThrow(TriggerText.decode(text)), trigger))
  }
)
