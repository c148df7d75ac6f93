/**
 * Carries out one script: boots nodes, lets their faults and operations happen, heals everything, waits, looks.
 *
 *     boot ─▶ faults and operations, for `duration` ─▶ all heals ─▶ `quiet` ─▶ ledger
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Executors from "../../Executors.ts"
import type { TaskRegistry } from "../../TaskRegistry.ts"
import { TaskSchedulerClient } from "../../TaskSchedulerClient.ts"
import { TaskStore, type TaskWithRuns } from "../../TaskStore.ts"
import { connect, type Link, makeLink, type Shared } from "./boundary.ts"
import type { Problem } from "./invariants.ts"
import type { Entry, Ledger, What } from "./ledger.ts"
import { type Draw, makeDraw, seedOf } from "./random.ts"
import type { Operation, Script, Step } from "./script.ts"
import { type Process, TimeStandsStill, World } from "./world.ts"

/** The process that a fiber belongs to, for what only a simulation can do to it. */
export const CurrentProcess: Context.Reference<Process | undefined> = Context.Reference<Process | undefined>(
  "punctual/Simulation/Process",
  { defaultValue: () => undefined }
)

export type Client = TaskSchedulerClient["Service"]

/** What is simulated. */
export interface Program {
  /** A scheduler, complete but for its store; `name` is that of the process. */
  readonly scheduler: (
    name: string,
    watch: (executors: Layer.Layer<Executors.Executors, unknown, TaskRegistry>) => Layer.Layer<
      Executors.Executors,
      unknown,
      TaskRegistry
    >
  ) => Layer.Layer<TaskSchedulerClient, unknown, TaskStore>
  readonly operations: ReadonlyMap<string, (scheduler: Client, draw: Draw) => Effect.Effect<unknown, unknown>>
  readonly store: Effect.Effect<TaskStore["Service"], never, Scope.Scope>
  /** What processes have in common, new for each simulation. */
  readonly outside: Effect.Effect<Context.Context<never>, never, Scope.Scope>
  /** When it begins, in milliseconds since 1970. */
  readonly start: number
  /** How long everything is left alone in the end. */
  readonly quiet: number
}

/** A node that could not be started tries again after this long. */
const startAgainAfter = 1_000

interface Node {
  readonly link: Link
  readonly skew: number
  drift: number
  /** Set where its clock shows another year. */
  step: number | undefined
  incarnation: number
  /** Why it did not start when it last failed to. */
  failure: string | undefined
  process: Running | undefined
}

interface Running {
  readonly process: Process
  readonly name: string
  readonly scope: Scope.Closeable
  readonly context: Context.Context<never>
  readonly wake: ReturnType<typeof connect>["wake"]
  client: Client | undefined
  /** Operations asked for before it had started. */
  readonly asked: Array<() => void>
  closing: boolean
}

export const simulate = (
  program: Program,
  script: Script
): { readonly ledger: Ledger; readonly outside: Context.Context<never>; readonly problems: ReadonlyArray<Problem> } => {
  const entries: Array<Entry> = []
  const problems: Array<Problem> = []
  const world = new World(program.start, makeDraw(seedOf(script.seed, "steps")))
  const storeScope = Scope.makeUnsafe()
  const store = Effect.runSync(Effect.provideService(program.store, Scope.Scope, storeScope))
  const outside = Effect.runSync(Effect.provideService(program.outside, Scope.Scope, storeScope))
  const record = (node: number, what: What) => {
    entries.push({ at: world.now, node, ...what })
  }
  // Nothing lasts longer than the time of faults.
  const rest = (millis: number) => Math.max(0, Math.min(millis, script.duration - world.now))
  const behind = world.spawn(-1, 0)
  const shared: Shared = {
    world,
    store,
    draw: makeDraw(seedOf(script.seed, "network")),
    latency: script.latency,
    rest,
    record,
    ids: new Map(),
    aside: (call) => void behind.fork(call, outside)
  }
  const nodes = script.skews.map((skew, node): Node => ({
    link: makeLink(node),
    skew,
    drift: 0,
    step: undefined,
    incarnation: 0,
    failure: undefined,
    process: undefined
  }))

  const fault = (node: Node, text: string) => record(node.link.node, { _tag: "Fault", text })

  // ---------------------------------------------------------------------------
  // processes
  // ---------------------------------------------------------------------------

  const bootAfter = (node: Node, millis: number) => {
    world.after(millis, () => {
      if (node.process === undefined) boot(node)
    })
  }

  const gone = (
    node: Node,
    running: Running,
    what: Extract<What, { readonly _tag: "Process" }>["what"],
    down: number
  ) => {
    if (!running.process.alive) return
    running.process.kill()
    node.process = undefined
    record(node.link.node, { _tag: "Process", what })
    bootAfter(node, down)
  }

  const offset = ({ drift, skew, step }: Node) => step ?? skew + drift

  const boot = (node: Node): void => {
    const { link } = node
    const name = `n${link.node}.${++node.incarnation}`
    const process = world.spawn(link.node, offset(node))
    process.onFreeze = () => record(link.node, { _tag: "Process", what: "stands still" })
    const scope = Scope.makeUnsafe()
    const connection = connect(shared, link, process, (steps, down) => {
      const crash = () => gone(node, running, "crashes", rest(down))
      if (steps === 0) crash()
      else process.crashAfter(steps, crash)
    })
    const context = outside.pipe(
      Context.add(Clock.Clock, process.clock),
      Context.add(Random.Random, randomOf(makeDraw(seedOf(script.seed, name)))),
      Context.add(References.CurrentLoggers, new Set()),
      Context.add(CurrentProcess, process),
      Context.add(TaskStore, connection.store)
    )
    const running: Running = {
      process,
      name,
      scope,
      context,
      wake: connection.wake,
      client: undefined,
      asked: [],
      closing: false
    }
    node.process = running
    record(link.node, { _tag: "Process", what: "starts", ahead: offset(node) })
    const watch = (executors: Layer.Layer<Executors.Executors, unknown, TaskRegistry>) =>
      watched(executors, (what) => record(link.node, what))
    process.fork(
      Effect.matchCauseEffect(Layer.buildWithScope(program.scheduler(name, watch), scope), {
        onFailure: (cause) =>
          Effect.sync(() => {
            node.failure = Cause.pretty(cause)
            gone(node, running, "fails to start", startAgainAfter)
          }),
        onSuccess: (services) =>
          Effect.sync(() => {
            running.client = Context.get(services, TaskSchedulerClient)
            for (const ask of running.asked) ask()
          })
      }),
      context
    )
  }

  const close = (node: Node, running: Running, down: number): void => {
    running.closing = true
    record(node.link.node, { _tag: "Process", what: "closes" })
    running.process.fork(
      Effect.andThen(
        Effect.exit(Scope.close(running.scope, Exit.void)),
        Effect.sync(() => gone(node, running, "closed", rest(down)))
      ),
      running.context
    )
  }

  // ---------------------------------------------------------------------------
  // steps of the script
  // ---------------------------------------------------------------------------

  const setClock = (node: Node) => {
    if (node.process !== undefined) node.process.process.wallOffset = offset(node)
  }

  const carryOut = (
    { draw, node, operation: name }: Extract<Step, Operation>,
    { client, context, process }: Running
  ) => {
    const operation = program.operations.get(name)
    if (operation === undefined || client === undefined) return
    const tell = (text: string) => Effect.sync(() => record(node, { _tag: "Operation", name, text }))
    process.fork(
      Effect.matchCauseEffect(Effect.suspend(() => operation(client, makeDraw(draw))), {
        onFailure: (cause) => {
          // It may be refused; a defect is a mistake of whoever wrote it.
          if (Cause.hasDies(cause)) {
            problems.push({ invariant: "operations", message: `${name}: ${Cause.pretty(cause)}` })
          }
          return tell("failed")
        },
        onSuccess: (what) => tell(typeof what === "string" ? what : "done")
      }),
      context
    )
  }

  const perform = (step: Step): void => {
    const node = nodes[step.node]!
    const running = node.process
    if ("operation" in step) {
      if (running === undefined || running.closing) return
      const ask = () => carryOut(step, running)
      if (running.client === undefined) running.asked.push(ask)
      else ask()
      return
    }
    switch (step.fault) {
      case "crash":
      case "freeze":
      case "suspend":
        if (step.point !== null) break
        if (running === undefined) return
        fault(node, `${step.fault} for ${step.for} ms`)
        if (step.fault === "crash") gone(node, running, "crashes", rest(step.for))
        else running.process.freeze(rest(step.for), step.fault === "suspend")
        return
      case "partition": {
        fault(node, `partition for ${step.for} ms`)
        const partition = { hangs: step.hangs, healed: new Set<() => void>() }
        node.link.partitions.add(partition)
        world.after(rest(step.for), () => {
          node.link.partitions.delete(partition)
          for (const healed of [...partition.healed]) healed()
        })
        return
      }
      case "deaf":
        fault(node, `deaf for ${step.for} ms`)
        node.link.deaf++
        world.after(rest(step.for), () => node.link.deaf--)
        return
      case "restart":
        if (running === undefined || running.closing) return
        fault(node, `restart after ${step.for} ms`)
        close(node, running, step.for)
        return
      case "drift":
        fault(node, `clock off by ${step.by} ms for ${step.for} ms`)
        node.drift += step.by
        setClock(node)
        world.after(rest(step.for), () => {
          node.drift -= step.by
          setClock(node)
        })
        return
      case "step": {
        fault(node, `clock at ${step.to} for ${step.for} ms`)
        const shown = step.to - world.start - world.now
        node.step = shown
        setClock(node)
        world.after(rest(step.for), () => {
          if (node.step !== shown) return
          node.step = undefined
          setClock(node)
        })
        return
      }
    }
    if (!("point" in step) || step.point === null) return
    const { point } = step
    node.link.armed.push({ ...step, point, left: point.skip })
  }

  // ---------------------------------------------------------------------------
  // the run
  // ---------------------------------------------------------------------------

  behind.fork(
    Effect.provideService(
      store.listen((wake) => {
        for (const node of nodes) node.process?.wake(wake)
      }),
      Scope.Scope,
      storeScope
    ),
    outside
  )
  for (const step of script.steps) world.after(step.at, () => perform(step))
  world.after(script.duration, () => {
    for (const node of nodes) node.link.armed.length = 0
  })
  for (const node of nodes) boot(node)
  try {
    world.runUntil(script.duration + program.quiet)
  } catch (error) {
    if (!(error instanceof TimeStandsStill)) throw error
    problems.push({ invariant: "liveness", message: error.message })
  }
  for (const { failure, link, process } of nodes) {
    if (process?.client === undefined) {
      const why = failure === undefined ? "" : ` ${failure}`
      problems.push({ invariant: "liveness", message: `node ${link.node} does not start, with all in order.${why}` })
    }
  }
  const owners = nodes.flatMap(({ process }) => process === undefined ? [] : [process.name])
  for (const { process } of nodes) process?.process.kill()
  behind.kill()
  return {
    ledger: {
      entries,
      final: {
        now: program.start + world.now,
        tasks: Effect.runSync(Effect.orDie(readAll(store))),
        owners,
        clock: store.time !== undefined
      }
    },
    outside,
    problems
  }
}

const readAll = (store: TaskStore["Service"]) =>
  Effect.gen(function*() {
    const tasks: Array<TaskWithRuns> = []
    let after: string | undefined
    do {
      const page = yield* store.list({ sort: "id", descending: false, limit: 500, after })
      tasks.push(...(yield* store.get(page.items.map((row) => row.id))))
      after = page.next ?? undefined
    } while (after !== undefined)
    return tasks
  })

const randomOf = (draw: Draw): typeof Random.Random.Service => ({
  nextDoubleUnsafe: draw.next,
  nextIntUnsafe: () => Math.floor(draw.next() * Number.MAX_SAFE_INTEGER)
})

/** Executors that tell when handlers begin and end. */
const watched = (
  executors: Layer.Layer<Executors.Executors, unknown, TaskRegistry>,
  tell: (what: What) => void
): Layer.Layer<Executors.Executors, unknown, TaskRegistry> =>
  Layer.effect(Executors.Executors)(Effect.map(Layer.build(executors), (context) =>
    Executors.make(
      new Map(Array.from(Context.get(context, Executors.Executors).aliases, ([alias, executor]) => [alias, {
        ...executor,
        run: (record) =>
          Effect.uninterruptibleMask((restore) => {
            const { run } = record
            tell({ _tag: "Began", run })
            const attempt = Effect.onExit(executor.run(record), (exit) =>
              Effect.sync(() =>
                tell({ _tag: "Ended", run, how: Exit.isSuccess(exit) ? exit.value._tag : "Interrupted" })
              ))
            return Effect.flatMap(
              Effect.forkChild(restore(attempt), { startImmediately: true }),
              (fiber) =>
                Effect.onInterrupt(restore(Fiber.join(fiber)), () => {
                  tell({ _tag: "Interrupted", run })
                  return Fiber.interrupt(fiber)
                })
            )
          })
      }]))
    )))
