/**
 * What happens to the nodes of one simulation, as data: drawn from a seed, cut down when it fails, replayed.
 *
 *     seed ──generate──▶ Script ──run──▶ Ledger ──invariants──▶ problems ──shrink──▶ smaller Script …
 *
 * Faults name the call of the store that they hit by its place after an instant, so that taking one fault out of a script
 * leaves the others where they are.
 */
import { type Draw, makeDraw } from "./random.ts"

/** Operations of the store that a fault can be aimed at. */
export const storeOperations = [
  "insert",
  "get",
  "due",
  "commit",
  "claim",
  "start",
  "settle",
  "heartbeat",
  "takeover"
] as const

export type StoreOperation = typeof storeOperations[number]

/** A call of the store: the one after `skip` others of this operation (`null`: of any), counted from the step's instant. */
export interface Point {
  readonly operation: StoreOperation | null
  readonly skip: number
  /** Before the call is carried out, after it (its answer is not seen), or while it is under way. */
  readonly when: "before" | "during" | "after"
}

/** Instants and lengths are milliseconds; instants count from the start of the simulation. */
export type Step = { readonly at: number; readonly node: number } & (Fault | Operation)

export type Fault =
  /** The process is gone at once; another one starts `for` later. Without a point: at the instant itself. */
  | { readonly fault: "crash"; readonly point: Point | null; readonly for: number }
  /** The process stands still while time passes (SIGSTOP). */
  | { readonly fault: "freeze"; readonly point: Point | null; readonly for: number }
  /** The machine sleeps: its monotonic clock and its timers stand still, too. */
  | { readonly fault: "suspend"; readonly point: Point | null; readonly for: number }
  /** The call is carried out, and the caller is told that the store is unavailable. */
  | { readonly fault: "loseReply"; readonly point: Point }
  /** The call is not carried out. */
  | { readonly fault: "fail"; readonly point: Point }
  /** The call, or its answer, takes this long. */
  | { readonly fault: "delay"; readonly point: Point; readonly for: number }
  /** The caller is told that the store is unavailable, and the call is carried out this much later. */
  | { readonly fault: "late"; readonly point: Point; readonly for: number }
  /** The call is carried out twice; the caller sees the first answer, or the second. */
  | { readonly fault: "duplicate"; readonly point: Point; readonly answer: "first" | "second" }
  /** No call gets through: it fails at once, or has no answer until the end. Wake-ups are lost. */
  | { readonly fault: "partition"; readonly hangs: boolean; readonly for: number }
  /** Wake-ups of the store are lost. */
  | { readonly fault: "deaf"; readonly for: number }
  /** Closed in order, and started again. */
  | { readonly fault: "restart"; readonly for: number }
  /** The wall clock is set ahead or back by some minutes at most, and corrected. */
  | { readonly fault: "drift"; readonly by: number; readonly for: number }
  /** The wall clock is set to another year, and corrected. */
  | { readonly fault: "step"; readonly to: number; readonly for: number }

export type FaultKind = Fault["fault"]

export interface Operation {
  readonly operation: string
  /** What it draws its details from. */
  readonly draw: number
}

export interface Script {
  readonly seed: number
  /** How far each node's clock is ahead. */
  readonly skews: ReadonlyArray<number>
  /** A call of the store takes up to this long each way. */
  readonly latency: number
  /** How long faults and operations go on. */
  readonly duration: number
  readonly steps: ReadonlyArray<Step>
}

export const faultKinds: ReadonlyArray<FaultKind> = [
  "crash",
  "freeze",
  "suspend",
  "loseReply",
  "fail",
  "delay",
  "late",
  "duplicate",
  "partition",
  "deaf",
  "restart",
  "drift",
  "step"
]

/** Whether a script leaves all clocks within `tolerance` of each other, and running. */
export const clocksAgree = ({ skews, steps }: Script, tolerance: number): boolean =>
  Math.max(...skews) - Math.min(...skews) <= tolerance &&
  steps.every((step) =>
    !("fault" in step) || (step.fault !== "drift" && step.fault !== "step" && step.fault !== "suspend")
  )

/** Whether some clock is set to another year. */
export const clocksStep = ({ steps }: Script): boolean => steps.some((step) => "fault" in step && step.fault === "step")

export interface Generating {
  readonly nodes: number
  readonly duration: number
  readonly faults: ReadonlyArray<FaultKind>
  readonly operations: ReadonlyArray<{
    readonly name: string
    readonly weight: number
    readonly atStart: number
  }>
}

export const generate = (seed: number, options: Generating): Script => {
  const draw = makeDraw(seed)
  const nodes = draw.chance(0.7) ? options.nodes : draw.int(1, options.nodes)
  const steps: Array<Step> = []
  for (const { atStart, name } of options.operations) {
    if (atStart === 0) continue
    for (let i = draw.int(1, atStart); i > 0; i--) steps.push({ at: 1, node: 0, operation: name, draw: drawn(draw) })
  }
  const bag = options.operations.flatMap(({ name, weight }) => Array.from({ length: weight }, () => name))
  for (let i = bag.length === 0 ? 0 : draw.int(0, 8); i > 0; i--) {
    const at = draw.int(1, options.duration)
    steps.push({ at, node: draw.int(0, nodes - 1), operation: draw.pick(bag), draw: drawn(draw) })
  }
  for (let i = options.faults.length === 0 ? 0 : draw.int(1, 8); i > 0; i--) {
    const at = draw.int(1, options.duration)
    steps.push({ at, node: draw.int(0, nodes - 1), ...fault(draw, draw.pick(options.faults)) })
  }
  return {
    seed,
    skews: Array.from({ length: nodes }, () => draw.chance(0.5) ? 0 : draw.int(-400, 400)),
    latency: draw.pick([0, 0, 20, 150]),
    duration: options.duration,
    steps: steps.sort((a, b) => a.at - b.at)
  }
}

const drawn = (draw: Draw): number => draw.int(0, 0x7FFFFFFF)

const point = (draw: Draw): Point => ({
  operation: draw.chance(0.3) ? null : draw.pick(storeOperations),
  skip: draw.chance(0.5) ? 0 : draw.int(1, 4),
  when: draw.pick(["before", "during", "after"] as const)
})

const year2099 = Date.UTC(2099, 0, 1)

const fault = (draw: Draw, kind: FaultKind): Fault => {
  switch (kind) {
    case "crash":
      return { fault: kind, point: draw.chance(0.4) ? null : point(draw), for: draw.int(0, 15_000) }
    case "freeze":
    case "suspend":
      return { fault: kind, point: draw.chance(0.4) ? null : point(draw), for: draw.int(500, 25_000) }
    case "loseReply":
    case "fail":
      return { fault: kind, point: point(draw) }
    case "delay":
      return { fault: kind, point: point(draw), for: draw.int(1, 5_000) }
    case "late":
      return { fault: kind, point: point(draw), for: draw.int(1, 20_000) }
    case "duplicate":
      return { fault: kind, point: point(draw), answer: draw.pick(["first", "second"] as const) }
    case "partition":
      return { fault: kind, hangs: draw.chance(0.5), for: draw.int(500, 25_000) }
    case "deaf":
      return { fault: kind, for: draw.int(500, 25_000) }
    case "restart":
      return { fault: kind, for: draw.int(0, 10_000) }
    case "drift":
      return { fault: kind, by: draw.int(-300_000, 300_000), for: draw.int(500, 30_000) }
    case "step":
      return { fault: kind, to: draw.pick([0, year2099]), for: draw.int(1, 30_000) }
  }
}

// -----------------------------------------------------------------------------
// in words
// -----------------------------------------------------------------------------

/** One step on a line. */
export const formatStep = (step: Step): string => {
  const { at, node, ...what } = step
  const name = "fault" in what ? what.fault : what.operation
  const rest = Object.entries(what).filter(([key]) => key !== "fault" && key !== "operation")
  const details = rest.map(([key, value]) =>
    `${key} ${
      key === "point" && value !== null && typeof value === "object" ? formatPoint(value as Point) : String(value)
    }`
  )
  return `${formatTime(at)} node ${node}: ${[name, ...details].join(", ")}`
}

const formatPoint = ({ operation, skip, when }: Point): string =>
  `${when} ${operation ?? "any call"}${skip === 0 ? "" : ` after ${skip} more`}`

/** Seconds since the start, to the millisecond. */
export const formatTime = (at: number): string => `${(at / 1000).toFixed(3).padStart(8)}s`
