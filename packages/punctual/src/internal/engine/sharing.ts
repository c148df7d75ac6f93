/**
 * Events of all schedulers that share a store, on one stream.
 *
 *     listener    "somebody listens, for 30 s" ──calls──▶ every scheduler        said again every 10 s
 *     scheduler   its events, numbered and in batches ──events──▶ the listeners  as long as somebody listens
 *     scheduler   "does anybody listen?" ──calls──▶ the listeners                when it is built
 *
 * While nobody listens no event is made. Nothing waits for one to arrive: those that cannot be sent, or taken, in time are
 * lost, the oldest first, and who listens sees it by the numbers.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Activity from "../../Activity.ts"
import { EventsNotShared } from "../../SchedulerError.ts"
import type { SharedEvent } from "../../SchedulerEvent.ts"
import type { Broadcast, TaskStore, TaskStoreError } from "../../TaskStore.ts"
import type { TaskStores, UnknownStore } from "../../TaskStores.ts"
import { decode, encode, type Numbered } from "./eventText.ts"
import { type Host, isElsewhere, type Listener, monotonic } from "./host.ts"

/** How often somebody says that he listens, and after how many times that he is not heard he is thought gone. */
const interval = 10_000
const patience = 3

/** After a call that could not be made. */
const soon = 1_000

/** How long an answer may take. */
const answerTime = 1_000

/** Under virtual time each call is a step, so there are fewer. */
const virtualInterval = 3_600_000

/** Events that wait to be sent, and texts that wait to be read. */
const bufferSize = 1_024

/** Sent together, so that making them into texts holds up nobody. */
const batchSize = 128

/** Schedulers whose numbers a listener remembers: more than will share a store. */
const mostSchedulers = 10_000

/** What it is called where virtual time waits for it. */
const label = "events"

// -----------------------------------------------------------------------------
// calls
// -----------------------------------------------------------------------------

const asking = "does anybody listen?"
const listening = (millis: number): string => `somebody listens: ${millis}`

/** For how long somebody listens, if a call says so. */
const listensFor = (call: string): number | undefined => {
  const millis = /^somebody listens: (\d{1,12})$/.exec(call)?.[1]
  return millis === undefined ? undefined : Number(millis)
}

const call = (broadcast: Broadcast, text: string): Effect.Effect<void, TaskStoreError> =>
  Effect.withTracerEnabled(broadcast.say("calls", [text]), false)

// -----------------------------------------------------------------------------
// telling
// -----------------------------------------------------------------------------

/**
 * Sends the events of a scheduler that are about this store, or about no store, to those who listen to it.
 *
 *     asking ──"somebody listens"──▶ sending ──nobody has said so for 30 s──▶ silent
 *       └──────────no answer in time─────────────────────────────────────────▶ ──"somebody listens"──▶ sending
 *
 * What happens while it asks is kept, so that its start is told.
 */
export const share = (
  host: Host,
  alias: string,
  store: TaskStore["Service"]
): Effect.Effect<void, never, Scope.Scope> => {
  const { broadcast } = store
  return broadcast === undefined ? Effect.void : Effect.gen(function*() {
    const { activity, clock, hub, owner, settings } = host
    const timeout = Duration.millis(settings.storeTimeout)
    /** Kept until it is sent. */
    const waiting: Array<Numbered> = []
    let numbered = 0
    /** Until when somebody listens, or may; `undefined`: nobody does. */
    let until: number | undefined = monotonic(clock) + answerTime
    let wanted = false
    let closing = false
    /** Open while something is on its way, or to be sent. Virtual time stands still meanwhile. */
    const sending = Latch.makeUnsafe()

    const startSending = () => {
      if (waiting.length > 0 && sending.openUnsafe()) activity.begin(label)
    }

    const listener: Listener = {
      onEvent: (event) => {
        if (until === undefined || monotonic(clock) > until) return forget()
        if ("store" in event && event.store !== alias) return
        waiting.push([++numbered, event])
        if (waiting.length > bufferSize) waiting.shift()
        if (wanted) startSending()
      },
      onEnd: () => {}
    }

    const forget = () => {
      hub.remove(listener)
      until = undefined
      wanted = false
      if (!sending.isOpen()) waiting.length = 0
    }

    const onCall = (text: string) => {
      const millis = listensFor(text)
      if (millis === undefined || closing) return
      until = Math.max(until ?? -Infinity, monotonic(clock) + millis)
      wanted = true
      hub.add(listener)
      startSending()
    }

    /** Waits no longer for the store than its other callers. */
    const attempt = (effect: Effect.Effect<void, TaskStoreError>): Effect.Effect<void> =>
      Effect.catchCause(
        activity.live(Effect.timeout(effect, timeout)),
        (cause) => Effect.logDebug(`Scheduler \`${owner}\` could not share events through store \`${alias}\`.`, cause)
      )

    const send = Effect.suspend(() => {
      const texts = encode(owner, waiting.splice(0, batchSize), broadcast.limit)
      return texts.length === 0 ? Effect.void : broadcast.say("events", texts)
    })

    const sendAll = Effect.gen(function*() {
      while (waiting.length > 0) yield* attempt(send)
      if (sending.closeUnsafe()) activity.end(label)
    })

    yield* broadcast.hear("calls", onCall)
    hub.add(listener)
    const fiber = yield* attempt(call(broadcast, asking)).pipe(
      Effect.andThen(Effect.sync(() => {
        // in this process whoever listens has answered
        if (!wanted && !isElsewhere(store)) forget()
      })),
      Effect.andThen(Effect.whileLoop({
        while: () => !closing,
        body: () => Effect.andThen(sending.await, sendAll),
        step: () => {}
      })),
      Effect.withTracerEnabled(false),
      Effect.forkScoped({ startImmediately: true })
    )
    // its last event is that it has stopped
    yield* Effect.addFinalizer(() => {
      closing = true
      forget()
      return sending.isOpen()
        ? activity.live(Effect.timeoutOption(Fiber.await(fiber), timeout))
        : Fiber.interrupt(fiber)
    })
  })
}

// -----------------------------------------------------------------------------
// listening
// -----------------------------------------------------------------------------

/** What all schedulers of a store tell from now on. */
export const everywhere = (
  stores: TaskStores["Service"],
  alias: string
): Stream.Stream<SharedEvent, EventsNotShared | UnknownStore> =>
  Stream.unwrap(Effect.gen(function*() {
    const { broadcast, name } = yield* stores.get(alias)
    if (broadcast === undefined) return yield* new EventsNotShared({ store: alias, name })
    return Stream.callback<string>((queue) => listen(broadcast, (text) => void Queue.offerUnsafe(queue, text)), {
      bufferSize,
      strategy: "sliding"
    }).pipe(Stream.mapAccumEffect(() => new Reading(), (reading, text) => read(reading, text, alias)))
  }))

/** Hears events, and says so, until the scope closes. */
const listen = Effect.fnUntraced(function*(broadcast: Broadcast, onText: (text: string) => void) {
  const { live, virtual } = yield* Activity.Activity
  const every = virtual ? virtualInterval : interval
  const say = live(Effect.timeout(call(broadcast, listening(patience * every)), Duration.millis(interval)))
  const answer = Effect.runForkWith(yield* Effect.context<never>())
  yield* broadcast.hear("events", onText)
  yield* broadcast.hear("calls", (text) => {
    if (text === asking) answer(Effect.ignoreCause(say))
  })
  yield* Effect.matchCause(say, { onSuccess: () => every, onFailure: () => Math.min(soon, every) }).pipe(
    Effect.flatMap((pause) => Effect.sleep(Duration.millis(pause))),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )
})

/** What a listener remembers. */
class Reading {
  /** Numbers of the latest event of each scheduler, the one that was heard of longest ago first. */
  private readonly latest = new Map<string, number>()
  /** Kinds of events that it does not understand. */
  private readonly strange = new Set<string>()

  /** How many events of a scheduler are missing before this one. */
  missing(from: string, n: number): number {
    const { latest } = this
    const missing = Math.max(0, n - 1 - (latest.get(from) ?? n - 1))
    latest.delete(from)
    latest.set(from, n)
    const [first] = latest.keys()
    if (first !== undefined && latest.size > mostSchedulers) latest.delete(first)
    return missing
  }

  /** Whether it is the first of its kind. */
  isNews(kind: string): boolean {
    return this.strange.size < this.strange.add(kind).size
  }
}

/** Events of a text, with this process's name for their store. */
const read = Effect.fnUntraced(function*(reading: Reading, text: string, alias: string) {
  const shared: Array<SharedEvent> = []
  const heard = decode(text)
  if (Option.isNone(heard)) return [reading, shared] as const
  const { events, from: scheduler } = heard.value
  for (const { event, kind, n } of events) {
    if (Option.isSome(event)) {
      const { value } = event
      shared.push({
        scheduler,
        event: "store" in value ? { ...value, store: alias } : value,
        lost: reading.missing(scheduler, n)
      })
    } else if (reading.isNews(kind)) {
      yield* Effect.logWarning(
        `Scheduler \`${scheduler}\` tells an event that this version does not understand, and passes over: ${kind}.`
      )
    }
  }
  return [reading, shared] as const
})
