/**
 * A scheduler as a service of its machine: signals, exit codes, systemd.
 *
 *     running ──SIGTERM, SIGINT──▶ draining ──▶ closed: exit 0
 *                                     │ ├── deadline passed: exit 124
 *                                     │ └── a second signal: exit 128 + its number, at once
 *                                     └── failed while closing: exit 1
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { execFile } from "node:child_process"
import process from "node:process"
import { InvalidOption } from "punctual/SchedulerError"
import { TaskScheduler } from "punctual/TaskScheduler"
import { isLive } from "./internal/health.ts"

// -----------------------------------------------------------------------------
// running
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface RunOptions {
  /**
   * How long closing may take after a signal before the process ends anyway; what runs then is taken over when its lease
   * ends. Less than whoever stops the process waits before it kills. Default: 2 minutes.
   */
  readonly deadline?: Duration.Input | undefined
}

/** As of the command `timeout`. */
const deadlinePassed = 124
const signals = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * Runs a program as the process, until it ends or is asked to stop.
 *
 * **Details**
 *
 * SIGTERM and SIGINT (Ctrl-C) close the program: the scheduler drains, shutdown tasks run, lifecycles are cleaned up. A
 * second signal ends the process at once. What it exits with:
 *
 * | code | when |
 * |---|---|
 * | 0 | it ended by itself, or closed in order after a signal |
 * | 1 | it failed, or what the error says as `Runtime.errorExitCode` |
 * | 124 | it did not close before the deadline |
 * | 130, 143 | a second SIGINT, a second SIGTERM |
 *
 * Fails at once, with a defect, for a deadline that is no duration.
 *
 * **Example**
 *
 * ```ts
 * NodePunctual.runMain(Layer.launch(Main), { deadline: "25 seconds" })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const runMain = <A, E>(effect: Effect.Effect<A, E>, options: RunOptions = {}): void => {
  const deadline = Duration.fromInput(options.deadline ?? "2 minutes")
  for (const option of Object.keys(options)) {
    if (option !== "deadline") {
      throw new InvalidOption({
        option,
        value: undefined,
        message: `unknown option \`${option}\` of NodePunctual.runMain, did you mean \`deadline\`?`
      })
    }
  }
  if (Option.isNone(deadline)) {
    const message = `\`deadline\` must be a duration such as "25 seconds", not ${String(options.deadline)}.`
    throw new InvalidOption({ option: "deadline", value: String(options.deadline), message })
  }
  Runtime.makeRunMain(({ fiber, teardown }) => {
    let stopping = false
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) return process.exit(signals[signal as keyof typeof signals])
      stopping = true
      process.stderr.write(
        `${signal}: stopping, within ${Duration.format(deadline.value)}. Once more to stop at once.\n`
      )
      Effect.runFork(Effect.andThen(
        Effect.sleep(deadline.value),
        Effect.sync(() => {
          process.stderr.write(`Did not stop within ${Duration.format(deadline.value)} of ${signal}.\n`)
          process.exit(deadlinePassed)
        })
      ))
      fiber.interruptUnsafe(fiber.id)
    }
    for (const signal of Object.keys(signals)) process.on(signal, stop)
    fiber.addObserver((exit) => {
      const stopped = stopping && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
      teardown<unknown, unknown>(stopped ? Exit.void : exit, (code) => process.exit(code))
    })
  })(effect)
}

// -----------------------------------------------------------------------------
// systemd
// -----------------------------------------------------------------------------

/**
 * Tells systemd how the scheduler is: `READY=1` when it has started, `WATCHDOG=1` while it is alive, `STOPPING=1` when it
 * begins to close.
 *
 * **When to use**
 *
 * Use it in a unit of `Type=notify`, above the scheduler's layer. Elsewhere, where `NOTIFY_SOCKET` is not set, it does
 * nothing.
 *
 * **Details**
 *
 * Node has no datagram sockets of the local kind, so the words go through systemd's own `systemd-notify`, a process of
 * its own for each: the unit needs `NotifyAccess=all`. With `WatchdogSec` it is told twice in each such time, unless the
 * scheduler's loop has been silent; a store that is away is no reason to restart.
 *
 * @category systemd
 * @since 0.1.0
 */
export const layerSystemd: Layer.Layer<never, never, TaskScheduler> = Layer.effectDiscard(Effect.gen(function*() {
  if (process.env["NOTIFY_SOCKET"] === undefined) return
  const scheduler = yield* TaskScheduler
  yield* Effect.addFinalizer(() => notify("STOPPING=1", "STATUS=draining"))
  yield* notify("READY=1", "STATUS=running")
  const micros = Number(process.env["WATCHDOG_USEC"])
  if (!(micros > 0)) return
  const beat = Effect.flatMap(
    isLive(scheduler, Duration.millis(micros / 4_000)),
    (live) => live ? notify("WATCHDOG=1") : Effect.void
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(Duration.millis(micros / 2_000)), beat)))
}))

const notify = (...words: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.callback<void, Error>((resume) => {
    execFile("systemd-notify", words, (error) => resume(error === null ? Effect.void : Effect.fail(error)))
  }).pipe(Effect.catch((error) => Effect.logWarning(`systemd-notify ${words.join(" ")} failed: ${error.message}`)))
