/**
 * What the programs of a chaos run on executors have in common: schedulers, their workers, and the runners of a cluster.
 */
import * as CommandTask from "@punctual/node/CommandTask"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import { openSync, writeSync } from "node:fs"
import { threadId } from "node:worker_threads"
import type { CurrentRun } from "punctual/CurrentRun"
import * as Task from "punctual/Task"

export const kinds = ["threads", "processes", "commands", "cluster"] as const

export type ExecutorKind = typeof kinds[number]

/** What is written down, each line before anything else happens. */
export type Line =
  /** A scheduler is there. */
  | { readonly at: number; readonly what: "started" }
  /** A task, once the store has answered that it is there. */
  | { readonly at: number; readonly what: "added"; readonly task: string }
  /** A worker or a runner is there. */
  | { readonly at: number; readonly what: "worker"; readonly pid: number }
  | {
    readonly at: number
    readonly what: "begin" | "act" | "end" | "stop"
    readonly task: string
    readonly run: string
    readonly pid: number
    /** Names the attempt. */
    readonly by: string
  }

/** In the environment of a program, its workers and all that they start: where they tell, and which program it is. */
export const linesVariable = "PUNCTUAL_CHAOS_LINES"
export const programVariable = "PUNCTUAL_CHAOS_PROGRAM"

// written at once: a killed process takes what it has only buffered with it
const file = process.env[linesVariable] === undefined ? undefined : openSync(process.env[linesVariable], "a")
export const tell = (line: Line): void => {
  if (file !== undefined) writeSync(file, `${JSON.stringify(line)}\n`)
}

/** Milliseconds. */
export const lease = 4_000
export const grace = 500
export const killAfter = 300
export const timeout = 5_000

/** What a run does when it is tried for the first time. */
export const Does = Schema.Literals(["work", "exit", "throw", "memory", "compute", "leave"])
export type Does = typeof Does.Type

const again = { times: 10_000, schedule: Schedule.spaced("100 millis") }

export const Least = Task.make("Least", { payload: { does: Does }, executor: "workers", retry: again })
export const Most = Task.make("Most", {
  payload: { does: Does },
  executor: "workers",
  delivery: "atMostOnce"
})

export const LeastCommand = CommandTask.make("Least", { retry: again })
export const MostCommand = CommandTask.make("Most", { delivery: "atMostOnce" })

const work = (does: Does, run: CurrentRun["Service"]) =>
  Effect.gen(function*() {
    const { pid } = process
    const say = (what: "begin" | "act" | "end" | "stop") =>
      Effect.sync(() =>
        tell({
          at: Date.now(),
          what,
          task: run.taskId,
          run: run.id,
          pid,
          by: `${pid}.${threadId}.${run.fencingToken}`
        })
      )
    yield* say("begin")
    if (run.attempt === 1) {
      switch (does) {
        case "exit":
          return process.exit(7)
        case "throw":
          setTimeout(() => {
            throw new Error("thrown where nobody catches it, on purpose")
          })
          return yield* Effect.never
        case "memory": {
          const kept: Array<unknown> = []
          while (true) kept.push(Array.from({ length: 10_000 }, () => Math.random()))
        }
        case "compute": {
          let told = 0
          while (true) {
            if (performance.now() < told + 20) continue
            told = performance.now()
            Effect.runSync(say("act"))
          }
        }
        case "leave":
          spawn("sleep", ["60"], { stdio: "ignore" })
      }
    }
    yield* Effect.repeat(Effect.andThen(Effect.sleep("20 millis"), say("act")), { times: 5 }).pipe(
      Effect.onInterrupt(() => say("stop"))
    )
    yield* say("end")
  })

/** For workers and runners. */
export const handlers = Layer.mergeAll(
  Least.toLayer(({ does }, run) => work(does, run)),
  Most.toLayer(({ does }, run) => work(does, run)),
  Layer.effectDiscard(Effect.sync(() => tell({ at: Date.now(), what: "worker", pid: process.pid })))
)

/** The same as a command; an attempt that computes sleeps, and leaves nobody behind but for a moment. */
export const commandOf = (does: Does): string =>
  [
    `say() { printf '{"at":%s,"what":"%s","task":"%s","run":"%s","pid":%s,"by":"%s"}\\n' ` +
    `"$(date +%s%3N)" "$1" "$PUNCTUAL_TASK" "$PUNCTUAL_RUN" $$ $$ >> "$${linesVariable}"; }`,
    "say begin",
    ...does === "work" ? [] : [
      `if [ "$PUNCTUAL_ATTEMPT" = 1 ]; then ${
        does === "compute" || does === "memory"
          ? `sleep ${longestCommand / 1_000} & wait`
          : does === "leave"
          ? "sleep 60 & kill $!"
          : "exit 7"
      }; fi`
    ],
    "for i in 1 2 3; do sleep 0.03; say act; done",
    "say end"
  ].join("\n")

/** Of a command whose program was killed: it ends by itself. */
export const longestCommand = 8_000
