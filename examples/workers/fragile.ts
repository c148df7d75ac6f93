/**
 * A worker of 29-child-processes: its handlers do not always survive.
 */
import { TaskWorker } from "@punctual/node"
import { Effect, Layer, Schema } from "effect"
import { Task } from "punctual"

export const Convert = Task.make("Convert", {
  payload: { picture: Schema.String, crashes: Schema.Int },
  success: Schema.Struct({ picture: Schema.String, attempt: Schema.Int }),
  executor: "isolated"
})

const ConvertLive = Convert.toLayer(({ crashes, picture }, { attempt }) =>
  Effect.sync(() => {
    // As a native library does that meets a picture it was not made for.
    if (attempt <= crashes) process.kill(process.pid, "SIGKILL")
    return { picture: picture.replace(".bmp", ".png"), attempt }
  })
)

TaskWorker.serve(Layer.mergeAll(ConvertLive))
