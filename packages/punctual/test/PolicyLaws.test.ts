/**
 * Laws of `Policy.plan`, over random triggers, policies, windows and runs that end whenever they like.
 *
 * Instants are small integers, so that occurrences, windows, `lateAfter` and `misfireGrace` meet at their edges.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Policy from "punctual/Policy"
import type * as Trigger from "punctual/Trigger"

// ---------------------------------------------------------------------------------------------------------------------
// generators
// ---------------------------------------------------------------------------------------------------------------------

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const PolicySchema = Schema.Struct({
  misfireGrace: Schema.NullOr(int(1, 40)),
  coalesce: Schema.Literals(["latest", "earliest", "none"]),
  lateAfter: int(0, 20),
  catchUpLimit: int(1, 5),
  whenBusy: Schema.Literals(["skip", "queue", "queueAll", "cancelPrevious", "allow"]),
  maxInstances: int(1, 3),
  queueLimit: int(1, 4),
  maxRuns: Schema.NullOr(int(1, 20)),
  pauseOnFailure: Schema.NullOr(int(1, 3)),
  timeout: Schema.NullOr(int(1, 100)),
  delivery: Schema.Literals(["atLeastOnce", "atMostOnce"])
})

/** Gaps between occurrences. */
const Gaps = Schema.Array(int(1, 15)).check(Schema.isBetweenLength(1, 30))

/** One turn of a loop: what happened since the last one, and how far the clock went. */
const Turn = Schema.Struct({
  after: int(0, 30),
  begin: Schema.Literals([0, 1, 2, 2]),
  end: Schema.Literals([0, 0, 0, 1, 1, 9]),
  paused: Schema.Literals([false, false, false, true]),
  extra: Schema.Literals([false, false, true]),
  back: Schema.Literals([0, 0, 0, 10])
})
const Turns = Schema.Array(Turn).check(Schema.isBetweenLength(1, 20))

/** Fires at these instants. `walks`: counts no further than the limit. */
const boundOf = (dues: ReadonlyArray<number>, walks = false) => {
  const calls = { count: 0 }
  const point = (due: number | undefined): Trigger.Point | undefined => {
    calls.count++
    return due === undefined ? undefined : { due, nominal: due }
  }
  const bound: Trigger.Bound = {
    next: (after) => point(dues.find((due) => due > after)),
    previous: (before) => point(dues.findLast((due) => due < before)),
    countBetween: (after, until, limit) => {
      calls.count++
      const count = within(dues, after, until).length
      return walks && count > limit ? { count: limit, exact: false } : { count, exact: true }
    }
  }
  return { bound, calls }
}

const duesOf = (gaps: ReadonlyArray<number>): ReadonlyArray<number> => {
  let due = 0
  return gaps.map((gap) => due += gap)
}

const within = (dues: ReadonlyArray<number>, after: number, until: number): ReadonlyArray<number> =>
  dues.filter((due) => due > after && due <= until)

const sum = (counts: Policy.Plan["counts"]): number =>
  counts.ran + counts.missed + counts.coalesced + counts.skipped + counts.paused

// ---------------------------------------------------------------------------------------------------------------------
// a store and its workers, in a few lines
// ---------------------------------------------------------------------------------------------------------------------

interface Run extends Policy.OpenRun {
  readonly queues: boolean
}

const isActive = (run: Policy.OpenRun): boolean => run.state !== "waiting"

class World {
  cursor = 0
  now = 0
  open: Array<Run> = []
  ranges: ReadonlyArray<Policy.Range> = []
  counts: Policy.Plan["counts"] = { ran: 0, missed: 0, coalesced: 0, skipped: 0, paused: 0, exact: true }
  /** Occurrences that became runs and stayed runs. */
  readonly ran = new Set<number>()
  readonly policy: Policy.Policy
  readonly trigger: Trigger.Bound

  constructor(policy: Policy.Policy, trigger: Trigger.Bound) {
    this.policy = policy
    this.trigger = trigger
  }

  evaluate(now: number, paused = false): Policy.Plan {
    const plan = Policy.plan({
      policy: this.policy,
      trigger: this.trigger,
      cursor: this.cursor,
      now,
      open: this.open,
      ran: this.counts.ran,
      paused
    })
    this.now = now
    this.cursor = plan.cursor
    this.counts = {
      ran: this.counts.ran + plan.counts.ran,
      missed: this.counts.missed + plan.counts.missed,
      coalesced: this.counts.coalesced + plan.counts.coalesced,
      skipped: this.counts.skipped + plan.counts.skipped,
      paused: this.counts.paused + plan.counts.paused,
      exact: this.counts.exact && plan.counts.exact
    }
    this.ranges = Policy.appendRanges(this.ranges, plan.ranges)
    for (const key of plan.drop) {
      this.ran.delete(this.find(key).due)
      this.open = this.open.filter((run) => run.key !== key)
    }
    for (const key of plan.cancel) this.cancel(key)
    for (const key of plan.promote) this.set(key, { state: "ready" })
    for (const run of plan.runs) {
      this.ran.add(run.due)
      this.open.push({
        key: String(run.due),
        due: run.due,
        state: run.state,
        cancelRequested: false,
        queues: plan.queues
      })
    }
    return plan
  }

  runNow(key: string): void {
    const admission = Policy.admitExtra(this.policy, this.open)
    if (admission.state === "skipped") return
    for (const key of admission.cancel) this.cancel(key)
    const queues = this.policy.whenBusy !== "skip" && this.policy.whenBusy !== "allow"
    this.open.push({ key, due: this.now, state: admission.state, cancelRequested: false, queues })
  }

  newestWaiting(): number {
    return Math.max(...this.open.filter((run) => run.state === "waiting").map((run) => run.due))
  }

  begin(index: number): void {
    const ready = this.open.filter((run) => run.state === "ready")
    if (ready.length > 0) this.set(ready[index % ready.length]!.key, { state: "running" })
  }

  /** Ends one active run; a run that queues promotes the next waiting one. */
  end(index: number): boolean {
    const active = this.open.filter(isActive)
    if (active.length === 0) return false
    const run = active[index % active.length]!
    this.open = this.open.filter((other) => other !== run)
    if (run.queues) {
      const waiting = this.open.filter((run) => run.state === "waiting").sort((a, b) => a.due - b.due)[0]
      const room = this.policy.whenBusy === "allow" ? Infinity : this.policy.maxInstances
      if (waiting !== undefined && this.open.filter(isActive).length < room) this.set(waiting.key, { state: "ready" })
    }
    return true
  }

  private find(key: string): Run {
    const run = this.open.find((run) => run.key === key)
    assert(run !== undefined, `run ${key} is not open`)
    return run
  }

  private set(key: string, changes: Partial<Run>): void {
    this.find(key)
    this.open = this.open.map((run) => run.key === key ? { ...run, ...changes } : run)
  }

  private cancel(key: string): void {
    const run = this.find(key)
    assert.isFalse(run.cancelRequested, `run ${key} is asked twice`)
    if (run.state === "running") this.set(key, { cancelRequested: true })
    else this.open = this.open.filter((other) => other !== run)
  }
}

/** Plays turns; `check` sees the world before and after each evaluation. */
const play = (
  world: World,
  turns: ReadonlyArray<typeof Turn.Type>,
  check: (
    plan: Policy.Plan,
    before: { readonly cursor: number; readonly open: ReadonlyArray<Run>; readonly paused: boolean }
  ) => void = () => {}
): void => {
  let clock = 0
  turns.forEach((turn, index) => {
    for (let i = 0; i < turn.begin; i++) world.begin(i)
    for (let i = 0; i < turn.end; i++) world.end(turn.begin + i)
    if (turn.extra) world.runNow(`x:${index}`)
    clock += turn.after
    const before = { cursor: world.cursor, open: world.open.slice(), paused: turn.paused }
    check(world.evaluate(clock - turn.back, turn.paused), before)
  })
}

const runs = 300
const options = { arbitrary: { runs } }
const story = { policy: PolicySchema, gaps: Gaps, turns: Turns }

// ---------------------------------------------------------------------------------------------------------------------
// laws
// ---------------------------------------------------------------------------------------------------------------------

describe("Policy.plan, laws", () => {
  it.prop("conservation: the outcomes are as many as the occurrences, over any division into windows", story, (
    { gaps, policy, turns }
  ) => {
    const dues = duesOf(gaps)
    const world = new World(policy, boundOf(dues).bound)
    play(world, turns, (plan, before) => {
      assert.strictEqual(sum(plan.counts), within(dues, before.cursor, plan.cursor).length)
    })
    assert.strictEqual(sum(world.counts), within(dues, 0, world.cursor).length)
    assert.strictEqual(world.counts.ran, world.ran.size)
    assert.isTrue(world.counts.exact)
  }, options)

  it.prop("conservation: what is not exact is a lower bound, and everything else is exact", {
    policy: PolicySchema,
    period: int(1, 3),
    now: int(0, 100_000)
  }, ({ now, period, policy }) => {
    const grid: Trigger.Bound = {
      next: (after) => ({ due: (Math.floor(after / period) + 1) * period, nominal: 0 }),
      previous: (before) => ({ due: (Math.ceil(before / period) - 1) * period, nominal: 0 }),
      countBetween: (after, until, limit) => {
        const count = Math.floor(until / period) - Math.floor(after / period)
        return { count: Math.min(count, limit), exact: count <= limit }
      }
    }
    const { counts, ranges } = Policy.plan({ policy, trigger: grid, cursor: 0, now, open: [], ran: 0, paused: false })
    const occurrences = Math.floor(now / period)
    if (counts.exact) assert.strictEqual(sum(counts), occurrences)
    else assert.isBelow(sum(counts), occurrences)
    assert.strictEqual(counts.exact, ranges.every((range) => range.exact))
    for (const { count, exact, from, to } of ranges) {
      const length = (to - from) / period + 1
      if (exact) assert.strictEqual(count, length)
      else assert.isBelow(count, length)
    }
  }, options)

  it.prop(
    "one outcome each: every occurrence of a window is one run or in one range",
    story,
    ({ gaps, policy, turns }) => {
      const dues = duesOf(gaps)
      play(new World(policy, boundOf(dues).bound), turns, (plan, before) => {
        for (const due of within(dues, before.cursor, plan.cursor)) {
          const outcomes = plan.runs.filter((run) => run.due === due).length +
            plan.ranges.filter((range) => range.from <= due && due <= range.to).length
          assert.strictEqual(outcomes, 1, `occurrence ${due}`)
        }
        for (const { count, from, reason, to } of plan.ranges) {
          const inWindow = within(dues, Math.max(from - 1, before.cursor), to).length
          const dropped = plan.drop.filter((key) => Number(key) >= from && Number(key) <= to).length
          assert.strictEqual(count, inWindow + dropped, reason)
        }
        assert.strictEqual(plan.counts.paused, before.paused ? sum(plan.counts) : 0)
      })
    },
    options
  )

  it.prop("the kept ranges tell the outcome of every occurrence that did not run, and of no other", story, (
    { gaps, policy, turns }
  ) => {
    const dues = duesOf(gaps)
    const world = new World(policy, boundOf(dues).bound)
    play(world, turns)
    const ranges = Policy.decodeRanges(Policy.encodeRanges(world.ranges))
    assert.deepStrictEqual(ranges, world.ranges)
    const forgotten = ranges.length === Policy.rangeLimit ? ranges[0]?.from ?? 0 : 0
    for (const due of within(dues, forgotten, world.cursor)) {
      assert.strictEqual(Policy.outcomeAt(ranges, due) === undefined, world.ran.has(due), `occurrence ${due}`)
    }
  }, options)

  it.prop("what is kept: the zones by their definition, occurrence by occurrence", {
    policy: PolicySchema,
    gaps: Gaps,
    cursor: int(0, 60),
    length: int(1, 120)
  }, ({ cursor, gaps, length, policy: generated }) => {
    const policy: Policy.Policy = { ...generated, whenBusy: "allow", maxRuns: null }
    const dues = duesOf(gaps)
    const now = cursor + length
    const plan = new World(policy, boundOf(dues).bound)
    plan.cursor = cursor
    const { ranges, runs } = plan.evaluate(now)

    const expected = new Map<number, string>()
    const window = within(dues, cursor, now)
    for (const due of window) if (now - due > (policy.misfireGrace ?? Infinity)) expected.set(due, "missed grace")
    const inTime = window.filter((due) => !expected.has(due))
    const onTime = inTime.filter((due) => now - due <= policy.lateAfter)
    const late = inTime.filter((due) => now - due > policy.lateAfter)
    for (const due of onTime) expected.set(due, "ran")
    late.forEach((due, index) => {
      switch (policy.coalesce) {
        case "latest": {
          const target = onTime[0] ?? late[late.length - 1]
          return expected.set(due, due === target ? "ran" : `coalesced into:${target}`)
        }
        case "earliest":
          return expected.set(due, index === 0 ? "ran" : `coalesced into:${late[0]}`)
        case "none":
          return expected.set(due, late.length - index + onTime.length <= policy.catchUpLimit ? "ran" : "missed limit")
      }
    })
    for (const due of window) {
      const range = Policy.outcomeAt(ranges, due)
      const ran = runs.some((run) => run.due === due)
      assert.strictEqual(ran ? "ran" : `${range?.outcome} ${range?.reason}`, expected.get(due), `occurrence ${due}`)
    }
  }, options)

  it.prop("a slow loop changes nothing: any division is like a punctual one while it is at most lateAfter late (M13)", {
    policy: PolicySchema,
    gaps: Gaps,
    turns: Schema.Array(int(0, 20)).check(Schema.isBetweenLength(1, 40))
  }, ({ gaps, policy: generated, turns }) => {
    // A queue that is full, and grace, are limits that people set on lateness itself.
    const policy: Policy.Policy = { ...generated, queueLimit: 10_000, misfireGrace: null }
    const dues = duesOf(gaps)
    const outcomes = (instants: ReadonlyArray<number>) => {
      const world = new World(policy, boundOf(dues).bound)
      for (const now of instants) {
        world.evaluate(now)
        while (world.end(0)) { /* runs end before the next turn */ }
      }
      return { ran: [...world.ran], counts: world.counts }
    }
    const end = (dues[dues.length - 1] ?? 0) + policy.lateAfter
    const slow: Array<number> = []
    let cursor = 0
    for (let index = 0; cursor < end; index++) {
      // as late as it may be: the next occurrence is at most lateAfter old when it is evaluated
      const next = dues.find((due) => due > cursor) ?? end
      cursor = Math.min(cursor + 1 + (turns[index % turns.length] ?? 0), next + policy.lateAfter)
      slow.push(cursor)
    }
    assert.deepStrictEqual(outcomes(slow), outcomes([...dues, end]))
  }, options)

  it.prop("maxInstances: no more than that are ready or running, unless allowed", story, ({ gaps, policy, turns }) => {
    const world = new World(policy, boundOf(duesOf(gaps)).bound)
    play(world, turns, (plan) => {
      if (policy.whenBusy === "allow") return assert.isTrue(plan.runs.every((run) => run.state === "ready"))
      assert.isAtMost(world.open.filter(isActive).length, policy.maxInstances)
    })
  }, options)

  it.prop("queueLimit: queueAll lets no more than that wait", story, ({ gaps, policy: generated, turns }) => {
    const policy: Policy.Policy = { ...generated, whenBusy: "queueAll" }
    const world = new World(policy, boundOf(duesOf(gaps)).bound)
    play(world, turns, () => {
      assert.isAtMost(world.open.filter((run) => run.state === "waiting").length, policy.queueLimit)
    })
  }, options)

  it.prop("queue: while busy one waits, the latest, and what waited before is not added to", story, (
    { gaps, policy: generated, turns }
  ) => {
    const policy: Policy.Policy = { ...generated, whenBusy: "queue" }
    const world = new World(policy, boundOf(duesOf(gaps)).bound)
    const waiting = (open: ReadonlyArray<Run>) =>
      open.filter((run) => run.state === "waiting" && !run.key.startsWith("x:")).length
    play(world, turns, (plan, before) => {
      if (before.open.length >= policy.maxInstances) {
        assert.isAtMost(waiting(world.open), Math.max(1, waiting(before.open)))
        assert.isAtMost(plan.runs.length, 1)
        for (const { reason, to } of plan.ranges) {
          if (reason === "replaced") {
            assert.isAtLeast(Math.max(0, ...plan.runs.map((run) => run.due), world.newestWaiting()), to)
          }
        }
      }
    })
  }, options)

  it.prop(
    "nothing waits for ever: when the last active run has ended, none waits",
    story,
    ({ gaps, policy, turns }) => {
      const world = new World(policy, boundOf(duesOf(gaps)).bound)
      play(world, turns)
      while (world.end(0)) { /* let all of them end, without another evaluation */ }
      assert.deepStrictEqual(world.open, [])
    },
    options
  )

  it.prop("keys are unique, over all windows, and runs come in order of due", story, ({ gaps, policy, turns }) => {
    const seen = new Set<number>()
    play(new World(policy, boundOf(duesOf(gaps)).bound), turns, (plan, before) => {
      let last = before.cursor
      for (const { due } of plan.runs) {
        assert.isFalse(seen.has(due), `occurrence ${due} runs twice`)
        assert.isAbove(due, last)
        seen.add(due)
        last = due
      }
    })
  }, options)

  it.prop("an open key gets no second run, even where the cursor was set back", story, ({ gaps, policy, turns }) => {
    const dues = duesOf(gaps)
    const world = new World(policy, boundOf(dues).bound)
    turns.forEach((turn) => {
      world.cursor = Math.max(0, world.cursor - turn.back * 2)
      const before = world.cursor
      const open = new Set(world.open.map((run) => run.key))
      const plan = world.evaluate(world.now + turn.after)
      for (const run of plan.runs) assert.isFalse(open.has(String(run.due)))
      assert.strictEqual(sum(plan.counts), within(dues, before, plan.cursor).length)
      for (let i = 0; i < turn.begin; i++) world.begin(i)
    })
  }, options)

  it.prop(
    "the cursor never moves back, and next is the first occurrence after it",
    story,
    ({ gaps, policy, turns }) => {
      const dues = duesOf(gaps)
      const world = new World(policy, boundOf(dues).bound)
      play(world, turns, (plan, before) => {
        assert.strictEqual(plan.cursor, Math.max(before.cursor, world.now))
        const finished = policy.maxRuns !== null && world.counts.ran >= policy.maxRuns
        assert.strictEqual(plan.next?.due, finished ? undefined : dues.find((due) => due > plan.cursor))
      })
    },
    options
  )

  it.prop("maxRuns: never exceeded, and nothing is skipped for it before it is reached", {
    ...story,
    policy: Arbitrary.map(
      Arbitrary.all({ policy: Arbitrary.schema(PolicySchema), maxRuns: Arbitrary.schema(int(1, 6)) }),
      ({ maxRuns, policy }) => ({ ...policy, maxRuns })
    )
  }, ({ gaps, policy, turns }) => {
    const world = new World(policy, boundOf(duesOf(gaps)).bound)
    play(world, turns, (plan) => {
      assert.isAtMost(world.counts.ran, policy.maxRuns)
      const finished = world.counts.ran === policy.maxRuns
      if (plan.ranges.some((range) => range.reason === "maxRuns")) assert.isTrue(finished)
    })
  }, options)

  it.prop("the same input is the same plan, in whatever order the open runs come", story, ({ gaps, policy, turns }) => {
    const trigger = boundOf(duesOf(gaps)).bound
    const world = new World(policy, trigger)
    play(world, turns)
    const input = { policy, trigger, cursor: world.cursor, now: world.now + 40, ran: world.counts.ran, paused: false }
    assert.deepStrictEqual(
      Policy.plan({ ...input, open: world.open.slice().reverse() }),
      Policy.plan({ ...input, open: world.open })
    )
  }, options)

  it.prop("bounded work: the trigger is asked as often as the limits say, however long the outage", {
    policy: PolicySchema,
    period: Schema.Literals([1, 2, 5, 6, 70, 1_000, 86_400_000]),
    outage: int(1, 400_000_000_000),
    walks: Schema.Boolean,
    paused: Schema.Boolean
  }, ({ outage, paused, period, policy: generated, walks }) => {
    const policy: Policy.Policy = {
      ...generated,
      lateAfter: 5_000,
      misfireGrace: generated.misfireGrace && generated.misfireGrace * 1e8
    }
    let calls = 0
    const ask = (due: number): Trigger.Point => {
      calls++
      return { due, nominal: due }
    }
    const trigger: Trigger.Bound = {
      next: (after) => ask((Math.floor(after / period) + 1) * period),
      previous: (before) => ask((Math.ceil(before / period) - 1) * period),
      countBetween: (after, until, limit) => {
        const count = Math.floor(until / period) - Math.floor(after / period)
        // what walking would cost
        calls += walks ? Math.min(count, limit) : 1
        assert.isAtMost(limit, 10_000)
        return walks && count > limit ? { count: limit, exact: false } : { count, exact: true }
      }
    }
    const plan = Policy.plan({ policy, trigger, cursor: 0, now: outage, open: [], ran: 0, paused })
    const onTime = Math.min(1_000, Math.floor(policy.lateAfter / period) + 1)
    assert.isAtMost(calls, 2 * onTime + policy.catchUpLimit + 10 + (walks ? 3 * 10_000 : 3))
    assert.isAtMost(plan.runs.length, onTime + policy.catchUpLimit)
    assert.isAtMost(plan.ranges.length, 5)
  }, options)
})

describe("Policy codec, laws", () => {
  it.prop("decode after encode is the same policy", { policy: PolicySchema }, ({ policy }) => {
    assert.deepStrictEqual(Policy.decode(Policy.encode(policy)), Result.succeed(policy))
  }, options)

  it.prop("texts are equal exactly where policies are", { a: PolicySchema, b: PolicySchema }, ({ a, b }) => {
    assert.strictEqual(Policy.encode(a) === Policy.encode(b), JSON.stringify(a) === JSON.stringify(b))
    assert.strictEqual(Policy.encode(a), Policy.encode({ ...b, ...a }))
  }, options)

  it.prop(
    "a policy written as options over any defaults is that policy",
    { a: PolicySchema, b: PolicySchema },
    ({ a, b }) => {
      const written: Policy.Options = {
        ...a,
        misfireGrace: a.misfireGrace ?? "unlimited",
        maxRuns: a.maxRuns ?? "unlimited",
        pauseOnFailure: a.pauseOnFailure ?? false,
        timeout: a.timeout ?? "unlimited"
      }
      assert.deepStrictEqual(Policy.make(written, b), Result.succeed(a))
      assert.deepStrictEqual(Policy.make({}, b), Result.succeed(b))
    },
    options
  )
})
