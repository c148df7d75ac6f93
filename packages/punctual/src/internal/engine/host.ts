/**
 * What the engines of one scheduler share: time, identity, executors, listeners, limits.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import type { Activity } from "../../Activity.ts"
import type { Executor } from "../../Executor.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import type { TaskStore } from "../../TaskStore.ts"
import type { TriggerDefinitions } from "../triggerDefinitions.ts"
import type { StoreClock } from "./storeClock.ts"
import type { Waiters } from "./telling.ts"

/** All in milliseconds, unless the name says otherwise. */
export interface Settings {
  /** How long a claim is valid without a heartbeat. */
  readonly lease: number
  readonly heartbeat: number
  /** Lost leases after which a run is abandoned: it must not end every process in turn. */
  readonly maxTakeovers: number
  /** A sleep is never longer, so that suspended machines and moved clocks are noticed. */
  readonly maxSleep: number
  /** How late a wake-up that was lost makes a change of another process. */
  readonly pollInterval: number
  readonly drainTimeout: number
  readonly shutdownTimeout: number
  /** How long an interrupted run may take to end before it is left behind. */
  readonly interruptGrace: number
  /** A store call without an answer fails after this long. */
  readonly storeTimeout: number
  /** Runs kept in history for each task. */
  readonly keepRuns: number
  /** Age at which history is deleted. */
  readonly keepHistoryFor: number
  /** Age at which finished tasks are deleted. */
  readonly keepFinishedFor: number
}

/** Tasks and runs handled in one round trip. */
export const batchSize = 500

/** An executor and how much of it is in use. */
export interface ExecutorSlot {
  readonly alias: string
  readonly executor: Executor["Service"]
  running: number
}

export type Phase = "idle" | "running" | "paused" | "stopping"

export interface Host {
  readonly name: string
  /** Identity and random incarnation: names this scheduler in leases. */
  readonly owner: string
  /** Where it runs, if the program says so. */
  readonly machine: { readonly host: string | null; readonly pid: number | null }
  /** Names this scheduler in verdicts on rows it cannot read. */
  readonly reader: string
  /** This machine's. */
  readonly clock: Clock.Clock
  /** What decides what is due in each store, by alias. */
  readonly clocks: ReadonlyMap<string, StoreClock>
  readonly activity: Activity
  /** What runs are forked with. */
  readonly context: Context.Context<never>
  readonly settings: Settings
  readonly executors: ReadonlyMap<string, ExecutorSlot>
  readonly hub: Hub
  /** What stored triggers are decoded with. */
  readonly definitions: TriggerDefinitions
  /** Ends of runs somebody of this program waits for, by store and run. */
  readonly waiters: Waiters
  phase: Phase
}

/** Who hears events, until the scheduler has closed. */
export interface Listener {
  readonly onEvent: (event: SchedulerEvent) => void
  readonly onEnd: () => void
}

/** Listeners of events. With none, no event is made. */
export class Hub {
  private readonly listeners = new Set<Listener>()

  get heard(): boolean {
    return this.listeners.size > 0
  }

  readonly add = (listener: Listener): void => {
    this.listeners.add(listener)
  }

  readonly remove = (listener: Listener): void => {
    this.listeners.delete(listener)
  }

  readonly emit = (event: SchedulerEvent): void => {
    for (const listener of this.listeners) listener.onEvent(event)
  }

  readonly end = (): void => {
    for (const listener of this.listeners) listener.onEnd()
    this.listeners.clear()
  }
}

/** Milliseconds of a clock that nobody sets: what leases and timeouts are counted on. */
export const monotonic = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

export const instant = (millis: number): DateTime.Utc => DateTime.makeUnsafe(millis)

/** Whether a store is more than the memory of this process: its calls may not be answered, and others may have its runs. */
export const isElsewhere = ({ capabilities }: TaskStore["Service"]): boolean =>
  capabilities.durable || capabilities.shared
