/**
 * The schedulers that use a store, as they tell of themselves in it: for a person who asks who is there, and who runs what.
 *
 *     starts ──▶ tells of itself every 10 s ──▶ closes: forgotten
 *                          │
 *                          └── killed, frozen, cut off ──▶ stale after 30 s ──▶ forgotten after a day
 *
 * Nothing depends on it: a run is kept by its lease alone, whatever is said of its owner here.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { InstanceRow } from "./TaskRecord.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * A tag that a scheduler runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handled {
  /** Alias of the executor that runs it. */
  readonly executor: string
  readonly tag: string
  /** The newest payload version it decodes. */
  readonly version: number
}

/**
 * A scheduler at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchedulerInstance {
  /** Identity and random incarnation: the `owner` of its runs. */
  readonly id: string
  readonly name: string
  /** What the program says of itself: this package asks no runtime. */
  readonly host: Option.Option<string>
  readonly pid: Option.Option<number>
  /** Of this package. */
  readonly version: string
  /** What it runs, by executor and tag. */
  readonly handles: ReadonlyArray<Handled>
  /** `stale`: it should have been heard of again by now, on the clock of who asks. */
  readonly state: "alive" | "stale"
  readonly startedAt: DateTime.Utc
  readonly seenAt: DateTime.Utc
}

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

/** @internal */
export const encodeHandles = (handles: Iterable<Handled>): string => {
  const byExecutor = new Map<string, Array<readonly [tag: string, version: number]>>()
  for (const { executor, tag, version } of handles) {
    const tags = byExecutor.get(executor)
    if (tags === undefined) byExecutor.set(executor, [[tag, version]])
    else tags.push([tag, version])
  }
  return JSON.stringify(
    Object.fromEntries(Array.from(byExecutor, ([executor, tags]) => [executor, Object.fromEntries(tags)]))
  )
}

/** What is not understood is left out: another version of this package may have written it. */
const decodeHandles = (text: string): ReadonlyArray<Handled> => {
  try {
    return entries(JSON.parse(text)).flatMap(([executor, tags]) =>
      entries(tags).flatMap(([tag, version]) => typeof version === "number" ? [{ executor, tag, version }] : [])
    )
  } catch {
    return []
  }
}

const entries = (value: unknown): ReadonlyArray<[string, unknown]> =>
  typeof value === "object" && value !== null ? Object.entries(value) : []

/**
 * A snapshot of a stored row.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = (row: InstanceRow, now: number): SchedulerInstance =>
  Object.freeze<SchedulerInstance>({
    id: row.id,
    name: row.name,
    host: Option.fromNullishOr(row.host),
    pid: Option.fromNullishOr(row.pid),
    version: row.version,
    handles: Object.freeze(decodeHandles(row.handles)),
    state: row.until > now ? "alive" : "stale",
    startedAt: DateTime.makeUnsafe(row.startedAt),
    seenAt: DateTime.makeUnsafe(row.seenAt)
  })
