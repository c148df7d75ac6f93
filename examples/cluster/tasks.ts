/**
 * What schedulers and runners both know.
 */
import { Schema } from "effect"
import { Task } from "punctual"

export const Render = Task.make("Render", {
  payload: { page: Schema.Int },
  success: Schema.Struct({ runner: Schema.Int }),
  timeout: "30 seconds"
})
