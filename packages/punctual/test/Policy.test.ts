import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Policy from "punctual/Policy"
import * as Trigger from "punctual/Trigger"

// ---------------------------------------------------------------------------------------------------------------------
// fixtures: instants are plain numbers, small ones where the numbers are the point
// ---------------------------------------------------------------------------------------------------------------------

/** Fires at these instants; counts by walking, as a rule without arithmetic does. */
const at = (...dues: ReadonlyArray<number>): Trigger.Bound => ({
  next: (after) => point(dues.find((due) => due > after)),
  previous: (before) => point(dues.findLast((due) => due < before)),
  countBetween: (after, until, limit) => {
    const count = dues.filter((due) => due > after && due <= until).length
    return { count: Math.min(count, limit), exact: count <= limit }
  }
})

/** Fires at every multiple of a period; counts by arithmetic unless told to walk. */
const every = (period: number, options: { readonly walks?: boolean } = {}) => {
  const calls = { next: 0, previous: 0, countBetween: 0 }
  const bound: Trigger.Bound & { readonly calls: typeof calls } = {
    calls,
    next: (after) => {
      calls.next++
      return point((Math.floor(after / period) + 1) * period)
    },
    previous: (before) => {
      calls.previous++
      return point((Math.ceil(before / period) - 1) * period)
    },
    countBetween: (after, until, limit) => {
      calls.countBetween++
      const count = Math.floor(until / period) - Math.floor(after / period)
      return options.walks === true && count > limit ? { count: limit, exact: false } : { count, exact: true }
    }
  }
  return bound
}

function point(due: number | undefined): Trigger.Point | undefined {
  return due === undefined ? undefined : { due, nominal: due }
}

const run = (due: number, state: Policy.OpenRun["state"], cancelRequested = false): Policy.OpenRun => ({
  key: String(due),
  due,
  state,
  cancelRequested
})

const extra = (due: number, state: Policy.OpenRun["state"]): Policy.OpenRun => ({
  key: `x:${due}`,
  due,
  state,
  cancelRequested: false
})

interface Decision {
  readonly runs: ReadonlyArray<string>
  readonly rest: ReadonlyArray<string>
  readonly cancel?: ReadonlyArray<string>
  readonly drop?: ReadonlyArray<string>
  readonly promote?: ReadonlyArray<string>
  readonly next: number | undefined
}

/** A plan in the words of the table. */
const decide = (
  trigger: Trigger.Bound,
  options: Policy.Options,
  input: Partial<Omit<Policy.PlanInput, "policy" | "trigger">>
): Decision => {
  const plan = Policy.plan({
    policy: Policy.makeUnsafe({ lateAfter: 10, ...options }),
    trigger,
    cursor: 0,
    now: 0,
    open: [],
    ran: 0,
    paused: false,
    ...input
  })
  const { ranges } = plan
  const sum = { ran: plan.runs.length - plan.drop.length, missed: 0, coalesced: 0, skipped: 0, paused: 0, exact: true }
  for (const range of ranges) {
    sum[range.outcome] += range.count
    sum.exact &&= range.exact
  }
  assert.deepStrictEqual(plan.counts, sum, "the counters are the sums of what was decided")
  return {
    runs: plan.runs.map((run) => `${run.due} ${run.state}`),
    rest: ranges.map((range) =>
      `${range.from}${range.to === range.from ? "" : `..${range.to}`}` +
      `${range.count === 1 ? "" : ` ${range.exact ? "" : ">="}${range.count}`} ${range.outcome} ${range.reason}`
    ),
    ...(plan.cancel.length > 0 && { cancel: plan.cancel }),
    ...(plan.drop.length > 0 && { drop: plan.drop }),
    ...(plan.promote.length > 0 && { promote: plan.promote }),
    next: plan.next?.due
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// plan
// ---------------------------------------------------------------------------------------------------------------------

describe("plan: the window", () => {
  it("answers everything a commit needs", () => {
    assert.deepStrictEqual(
      Policy.plan({
        policy: Policy.makeUnsafe({ misfireGrace: 35, lateAfter: 0 }),
        trigger: at(10, 20, 30, 40, 50, 60),
        cursor: 0,
        now: 55,
        open: [],
        ran: 7,
        paused: false
      }),
      {
        cursor: 55,
        runs: [{ due: 50, nominal: 50, state: "ready" }],
        cancel: [],
        drop: [],
        promote: [],
        counts: { ran: 1, missed: 1, coalesced: 3, skipped: 0, paused: 0, exact: true },
        ranges: [
          { from: 10, to: 10, count: 1, exact: true, outcome: "missed", reason: "grace", follows: null },
          { from: 20, to: 40, count: 3, exact: true, outcome: "coalesced", reason: "into:50", follows: 10 }
        ],
        queues: false,
        next: { due: 60, nominal: 60 }
      }
    )
  })

  it("keeps the nominal instant beside the due one", () => {
    const jittered: Trigger.Bound = { ...at(13), next: (after) => after < 13 ? { due: 13, nominal: 10 } : undefined }
    const plan = Policy.plan({
      policy: Policy.defaultPolicy,
      trigger: jittered,
      cursor: 0,
      now: 13,
      open: [],
      ran: 0,
      paused: false
    })
    assert.deepStrictEqual(plan.runs, [{ due: 13, nominal: 10, state: "ready" }])
  })

  it("is open at the cursor and closed at now", () => {
    assert.deepStrictEqual(decide(at(10, 20, 30), { coalesce: "none" }, { cursor: 10, now: 30 }), {
      runs: ["20 ready", "30 waiting"],
      rest: [],
      next: undefined
    })
  })

  it("moves the cursor over an empty window", () => {
    const plan = Policy.plan({
      policy: Policy.defaultPolicy,
      trigger: at(100),
      cursor: 10,
      now: 99,
      open: [],
      ran: 0,
      paused: false
    })
    assert.strictEqual(plan.cursor, 99)
    assert.deepStrictEqual(plan.next, { due: 100, nominal: 100 })
    assert.deepStrictEqual(plan.runs, [])
  })

  it("decides nothing when the clock was set back, and waits for the cursor to be reached again", () => {
    for (const now of [5, 10]) {
      const plan = Policy.plan({
        policy: Policy.defaultPolicy,
        trigger: at(6, 10, 20),
        cursor: 10,
        now,
        open: [],
        ran: 0,
        paused: false
      })
      assert.strictEqual(plan.cursor, 10)
      assert.deepStrictEqual(plan.runs, [])
      assert.deepStrictEqual(plan.ranges, [])
      assert.deepStrictEqual(plan.next, { due: 20, nominal: 20 })
    }
  })

  it("counts everything as paused while paused, whatever the policy", () => {
    assert.deepStrictEqual(
      decide(at(10, 20, 30), { misfireGrace: 5, maxRuns: 1 }, {
        now: 25,
        paused: true,
        ran: 1,
        open: [run(5, "waiting")]
      }),
      { runs: [], rest: ["10..20 2 paused paused"], next: undefined }
    )
    assert.strictEqual(decide(at(10, 20), {}, { now: 10, paused: true }).next, 20)
  })
})

describe("plan: which occurrences are kept", () => {
  const minutes = at(10, 20, 30, 40, 50)

  it("grace: exactly at it is in time, a millisecond later is missed", () => {
    assert.deepStrictEqual(decide(at(10), { misfireGrace: 5 }, { now: 15 }), {
      runs: ["10 ready"],
      rest: [],
      next: undefined
    })
    assert.deepStrictEqual(decide(at(10), { misfireGrace: 5 }, { now: 16 }).rest, ["10 missed grace"])
  })

  it("grace: shorter than lateAfter, it still decides", () => {
    assert.deepStrictEqual(decide(minutes, { misfireGrace: 2, lateAfter: 100 }, { now: 42 }), {
      runs: ["40 ready"],
      rest: ["10..30 3 missed grace"],
      next: 50
    })
  })

  it("lateAfter: exactly at it is on time, a millisecond later is late", () => {
    assert.deepStrictEqual(decide(minutes, {}, { now: 30 }), {
      runs: ["20 ready", "30 waiting"],
      rest: ["10 coalesced into:20"],
      next: 40
    })
    assert.deepStrictEqual(decide(minutes, {}, { now: 31 }), {
      runs: ["30 ready"],
      rest: ["10..20 2 coalesced into:30"],
      next: 40
    })
  })

  it("latest: the late ones become the on-time one, so an outage that ends on the minute is one run", () => {
    const minutely = every(60_000)
    assert.deepStrictEqual(decide(minutely, { lateAfter: 5_000 }, { now: 3_600_000 }), {
      runs: ["3600000 ready"],
      rest: ["60000..3540000 59 coalesced into:3600000"],
      next: 3_660_000
    })
  })

  it("latest: with none on time, the last late one runs", () => {
    assert.deepStrictEqual(decide(minutes, { lateAfter: 4 }, { now: 45 }), {
      runs: ["40 ready"],
      rest: ["10..30 3 coalesced into:40"],
      next: 50
    })
    assert.deepStrictEqual(decide(at(10), { lateAfter: 4 }, { now: 45 }), {
      runs: ["10 ready"],
      rest: [],
      next: undefined
    })
  })

  it("earliest: the first late one runs, and so does each on-time one", () => {
    assert.deepStrictEqual(decide(minutes, { coalesce: "earliest", lateAfter: 5 }, { now: 45 }), {
      runs: ["10 ready", "40 waiting"],
      rest: ["20..30 2 coalesced into:10"],
      next: 50
    })
    assert.deepStrictEqual(decide(minutes, { coalesce: "earliest", lateAfter: 5 }, { now: 49 }), {
      runs: ["10 ready"],
      rest: ["20..40 3 coalesced into:10"],
      next: 50
    })
  })

  it("earliest: the first one within grace", () => {
    assert.deepStrictEqual(decide(minutes, { coalesce: "earliest", lateAfter: 4, misfireGrace: 30 }, { now: 45 }), {
      runs: ["20 ready"],
      rest: ["10 missed grace", "30..40 2 coalesced into:20"],
      next: 50
    })
  })

  it("none: one window's occurrences run one after another and are no overlap to each other", () => {
    assert.deepStrictEqual(decide(minutes, { coalesce: "none" }, { now: 45 }), {
      runs: ["10 ready", "20 waiting", "30 waiting", "40 waiting"],
      rest: [],
      next: 50
    })
    assert.deepStrictEqual(decide(minutes, { coalesce: "none", maxInstances: 3 }, { now: 45 }).runs, [
      "10 ready",
      "20 ready",
      "30 ready",
      "40 waiting"
    ])
  })

  it("none: beyond catchUpLimit the oldest are missed", () => {
    assert.deepStrictEqual(decide(minutes, { coalesce: "none", catchUpLimit: 2, lateAfter: 4 }, { now: 45 }), {
      runs: ["30 ready", "40 waiting"],
      rest: ["10..20 2 missed limit"],
      next: 50
    })
    assert.deepStrictEqual(decide(minutes, { coalesce: "none", catchUpLimit: 4, lateAfter: 4 }, { now: 45 }).rest, [])
    assert.deepStrictEqual(
      decide(minutes, { coalesce: "none", catchUpLimit: 3, misfireGrace: 40, lateAfter: 4 }, { now: 51 }),
      {
        runs: ["30 ready", "40 waiting", "50 waiting"],
        rest: ["10 missed grace", "20 missed limit"],
        next: undefined
      }
    )
  })

  it("none: an outage of 200 seconds at one a second catches up on exactly 100", () => {
    const plan = decide(every(1_000), { coalesce: "none", lateAfter: 5_000 }, { now: 200_000 })
    assert.strictEqual(plan.runs.length, 100)
    assert.deepStrictEqual(plan.rest, ["1000..100000 100 missed limit"])
  })

  it("none: catchUpLimit never takes on-time occurrences, they are no catching up", () => {
    assert.deepStrictEqual(decide(minutes, { coalesce: "none", catchUpLimit: 1, lateAfter: 15 }, { now: 45 }), {
      runs: ["30 ready", "40 waiting"],
      rest: ["10..20 2 missed limit"],
      next: 50
    })
  })

  it("a loop that is 1.5 s late does not skip an every-second task (M13)", () => {
    assert.deepStrictEqual(decide(every(1_000), { lateAfter: 5_000 }, { now: 2_500 }), {
      runs: ["1000 ready", "2000 waiting"],
      rest: [],
      next: 3_000
    })
  })
})

describe("plan: whenBusy", () => {
  // the cursor is at 99: the first two became the open runs
  const one = at(50, 60, 100)
  const three = at(50, 60, 100, 110, 120)
  const late = { lateAfter: 50, coalesce: "none" } as const

  const cases: ReadonlyArray<
    readonly [
      name: string,
      trigger: Trigger.Bound,
      options: Policy.Options,
      open: ReadonlyArray<Policy.OpenRun>,
      expected: Omit<Decision, "next">
    ]
  > = [
    // skip
    ["skip, not busy", one, {}, [], { runs: ["100 ready"], rest: [] }],
    ["skip, busy running", one, {}, [run(50, "running")], { runs: [], rest: ["100 skipped busy:50"] }],
    ["skip, busy with a retry that waits", one, {}, [run(50, "ready")], { runs: [], rest: ["100 skipped busy:50"] }],
    ["skip, busy waiting behind one", one, {}, [run(60, "waiting"), run(50, "running")], {
      runs: [],
      rest: ["100 skipped busy:50"]
    }],
    ["skip, busy stopping", one, {}, [run(50, "running", true)], { runs: [], rest: ["100 skipped busy:50"] }],
    ["skip, busy with an extra run", one, {}, [extra(50, "running")], { runs: [], rest: ["100 skipped busy:x:50"] }],
    ["skip, the whole group", three, late, [run(50, "running")], { runs: [], rest: ["100..120 3 skipped busy:50"] }],
    ["skip, one of two places free", three, { ...late, maxInstances: 2 }, [run(50, "running")], {
      runs: ["100 ready", "110 waiting", "120 waiting"],
      rest: []
    }],
    ["skip, both places taken", three, { ...late, maxInstances: 2 }, [run(50, "running"), run(60, "ready")], {
      runs: [],
      rest: ["100..120 3 skipped busy:50"]
    }],
    ["skip, more open than allowed", one, { maxInstances: 1 }, [run(40, "running"), run(50, "running")], {
      runs: [],
      rest: ["100 skipped busy:40"]
    }],
    // queue
    ["queue, not busy", one, { whenBusy: "queue" }, [], { runs: ["100 ready"], rest: [] }],
    ["queue, busy", one, { whenBusy: "queue" }, [run(50, "running")], { runs: ["100 waiting"], rest: [] }],
    ["queue, replaces", one, { whenBusy: "queue" }, [run(50, "running"), run(60, "waiting")], {
      runs: ["100 waiting"],
      rest: ["60 skipped replaced"],
      drop: ["60"]
    }],
    ["queue, keeps the latest of the group", three, { ...late, whenBusy: "queue" }, [run(50, "running")], {
      runs: ["120 waiting"],
      rest: ["100..110 2 skipped replaced"]
    }],
    [
      "queue, replaces with the latest of the group",
      three,
      { ...late, whenBusy: "queue" },
      [run(50, "running"), run(60, "waiting")],
      { runs: ["120 waiting"], rest: ["60..110 3 skipped replaced"], drop: ["60"] }
    ],
    ["queue, never drops an extra run", one, { whenBusy: "queue" }, [run(50, "running"), extra(60, "waiting")], {
      runs: ["100 waiting"],
      rest: []
    }],
    [
      "queue, leaves a backlog alone but for its last",
      one,
      { whenBusy: "queue" },
      [run(50, "running"), run(60, "waiting"), run(70, "waiting")],
      { runs: ["100 waiting"], rest: ["70 skipped replaced"], drop: ["70"] }
    ],
    ["queue, not busy: the group is no overlap to itself", three, { ...late, whenBusy: "queue" }, [], {
      runs: ["100 ready", "110 waiting", "120 waiting"],
      rest: []
    }],
    ["queue, what waits is later than all of them", one, { whenBusy: "queue" }, [
      run(50, "running"),
      run(200, "waiting")
    ], {
      runs: [],
      rest: ["100 skipped replaced"]
    }],
    // queueAll
    ["queueAll, busy", three, { ...late, whenBusy: "queueAll" }, [run(50, "running"), run(60, "waiting")], {
      runs: ["100 waiting", "110 waiting", "120 waiting"],
      rest: []
    }],
    [
      "queueAll, full: the later ones are skipped",
      three,
      { ...late, whenBusy: "queueAll", queueLimit: 2 },
      [run(50, "running"), run(60, "waiting")],
      { runs: ["100 waiting"], rest: ["110..120 2 skipped full"] }
    ],
    ["queueAll, not busy: the limit holds for the group", three, { ...late, whenBusy: "queueAll", queueLimit: 1 }, [], {
      runs: ["100 ready", "110 waiting"],
      rest: ["120 skipped full"]
    }],
    // cancelPrevious
    ["cancelPrevious, not busy", one, { whenBusy: "cancelPrevious" }, [], { runs: ["100 ready"], rest: [] }],
    ["cancelPrevious, running: the new one waits until it has stopped", one, { whenBusy: "cancelPrevious" }, [
      run(50, "running")
    ], { runs: ["100 waiting"], rest: [], cancel: ["50"] }],
    ["cancelPrevious, ready or retrying: it ends in the same commit", one, { whenBusy: "cancelPrevious" }, [
      run(50, "ready")
    ], { runs: ["100 ready"], rest: [], cancel: ["50"] }],
    ["cancelPrevious, stopping: not asked twice", one, { whenBusy: "cancelPrevious" }, [run(50, "running", true)], {
      runs: ["100 waiting"],
      rest: []
    }],
    ["cancelPrevious, replaces the one that waits", one, { whenBusy: "cancelPrevious" }, [
      run(50, "running", true),
      run(60, "waiting")
    ], { runs: ["100 waiting"], rest: ["60 skipped replaced"], drop: ["60"] }],
    ["cancelPrevious, running and waiting", one, { whenBusy: "cancelPrevious" }, [
      run(60, "waiting"),
      run(50, "running")
    ], {
      runs: ["100 waiting"],
      rest: ["60 skipped replaced"],
      cancel: ["50"],
      drop: ["60"]
    }],
    ["cancelPrevious, only waiting", one, { whenBusy: "cancelPrevious" }, [run(60, "waiting")], {
      runs: ["100 ready"],
      rest: ["60 skipped replaced"],
      drop: ["60"]
    }],
    ["cancelPrevious, extra runs are cancelled, never dropped", one, { whenBusy: "cancelPrevious" }, [
      extra(50, "running"),
      extra(60, "waiting")
    ], { runs: ["100 waiting"], rest: [], cancel: ["x:50", "x:60"] }],
    ["cancelPrevious, keeps the last of the group", three, { ...late, whenBusy: "cancelPrevious" }, [
      run(50, "running")
    ], {
      runs: ["120 waiting"],
      rest: ["100..110 2 skipped replaced"],
      cancel: ["50"]
    }],
    ["cancelPrevious, two places: the oldest makes room", one, { whenBusy: "cancelPrevious", maxInstances: 2 }, [
      run(60, "running"),
      run(50, "running")
    ], { runs: ["100 waiting"], rest: [], cancel: ["50"] }],
    ["cancelPrevious, two places, one ready", three, { ...late, whenBusy: "cancelPrevious", maxInstances: 2 }, [
      run(50, "ready"),
      run(60, "running")
    ], {
      runs: ["110 ready", "120 waiting"],
      rest: ["100 skipped replaced"],
      cancel: ["50", "60"]
    }],
    ["cancelPrevious, a free place: nothing is cancelled", one, { whenBusy: "cancelPrevious", maxInstances: 2 }, [
      run(50, "running")
    ], { runs: ["100 ready"], rest: [] }],
    // allow
    ["allow, busy", three, { ...late, whenBusy: "allow" }, [run(50, "running"), run(60, "running")], {
      runs: ["100 ready", "110 ready", "120 ready"],
      rest: []
    }],
    ["allow, its own run is open", three, { ...late, whenBusy: "allow" }, [run(110, "running")], {
      runs: ["100 ready", "120 ready"],
      rest: ["110 skipped busy:110"]
    }],
    // what could wait for ever
    ["a waiting run with room to run is promoted", one, { maxInstances: 3 }, [
      run(50, "running"),
      run(70, "waiting"),
      run(60, "waiting")
    ], {
      runs: [],
      rest: ["100 skipped busy:50"],
      promote: ["60", "70"]
    }],
    ["a waiting run is promoted before a new one", one, { whenBusy: "queueAll" }, [run(50, "waiting")], {
      runs: ["100 waiting"],
      rest: [],
      promote: ["50"]
    }]
  ]

  for (const [name, trigger, options, open, expected] of cases) {
    it(name, () => {
      assert.deepStrictEqual(decide(trigger, options, { cursor: 99, now: 130, open }), { ...expected, next: undefined })
    })
  }

  it("promotes in an empty window too, not while paused", () => {
    const open = [run(50, "waiting")]
    assert.deepStrictEqual(decide(at(900), {}, { cursor: 99, now: 130, open }).promote, ["50"])
    assert.deepStrictEqual(decide(at(900), {}, { cursor: 130, now: 130, open }).promote, ["50"])
    assert.strictEqual(decide(at(900), {}, { cursor: 99, now: 130, open, paused: true }).promote, undefined)
    assert.strictEqual(decide(one, {}, { cursor: 99, now: 130, open, paused: true }).promote, undefined)
  })

  it("says whether settling must look for a waiting run", () => {
    const queues = (options: Policy.Options, open: ReadonlyArray<Policy.OpenRun> = []) =>
      Policy.plan({
        policy: Policy.makeUnsafe({ ...late, ...options }),
        trigger: three,
        cursor: 99,
        now: options.maxInstances === 5 ? 130 : 105,
        open,
        ran: 0,
        paused: false
      }).queues
    assert.isFalse(queues({}))
    assert.isFalse(queues({ maxInstances: 5 }))
    assert.isTrue(
      queues({ maxInstances: 5 }, [1, 2, 3].map((due) => run(due, "running"))),
      "a group waits under skip too"
    )
    assert.isTrue(queues({ whenBusy: "queue" }))
    assert.isTrue(queues({ whenBusy: "queueAll" }))
    assert.isTrue(queues({ whenBusy: "cancelPrevious" }))
    assert.isFalse(queues({ whenBusy: "allow" }))
  })
})

describe("plan: maxRuns", () => {
  it("finishes the task at the last run: no next occurrence, the rest of the window is skipped", () => {
    assert.deepStrictEqual(
      decide(at(10, 20, 30, 40), { maxRuns: 5, coalesce: "none" }, { now: 35, ran: 3 }),
      { runs: ["10 ready", "20 waiting"], rest: ["30 skipped maxRuns"], next: undefined }
    )
  })

  it("goes on while one is left", () => {
    assert.strictEqual(decide(at(10, 20), { maxRuns: 2 }, { now: 10 }).next, 20)
    assert.strictEqual(decide(at(10, 20), { maxRuns: 1 }, { now: 10 }).next, undefined)
  })

  it("counts nothing that was skipped by a busy task", () => {
    assert.deepStrictEqual(decide(at(10, 20), { maxRuns: 5 }, { now: 10, ran: 4, open: [run(5, "running")] }), {
      runs: [],
      rest: ["10 skipped busy:5"],
      next: 20
    })
  })

  it("a finished task skips all, however late", () => {
    assert.deepStrictEqual(decide(at(10, 20, 30), { maxRuns: 5, misfireGrace: 1 }, { now: 25, ran: 5 }), {
      runs: [],
      rest: ["10..20 2 skipped maxRuns"],
      next: undefined
    })
    assert.strictEqual(decide(at(10, 20), { maxRuns: 5 }, { now: 5, ran: 5 }).next, undefined)
  })

  it("a dropped waiting run gives its number back", () => {
    assert.deepStrictEqual(
      decide(at(40, 50, 70, 100, 110, 120), {
        maxRuns: 5,
        coalesce: "none",
        lateAfter: 50,
        whenBusy: "cancelPrevious",
        maxInstances: 2
      }, {
        cursor: 99,
        now: 120,
        ran: 4,
        open: [run(40, "running", true), run(50, "waiting"), run(70, "waiting")]
      }),
      { runs: ["110 ready", "120 waiting"], rest: ["50..100 3 skipped replaced"], drop: ["50", "70"], next: undefined }
    )
  })
})

describe("plan: bounded work", () => {
  const second = 1_000
  const tenYears = 10 * 365 * 86_400 * second

  it("an outage of ten years at one a second is decided by a few questions (B22)", () => {
    for (const coalesce of ["latest", "earliest", "none"] as const) {
      for (const misfireGrace of ["unlimited", "1 hour"] as const) {
        const trigger = every(second)
        const plan = decide(trigger, { coalesce, misfireGrace, lateAfter: "5 seconds" }, { now: tenYears })
        const { countBetween, next, previous } = trigger.calls
        assert.isBelow(next + previous + countBetween, 120, `${coalesce} ${misfireGrace}`)
        assert.isAtMost(plan.runs.length, 100)
      }
    }
  })

  it("counts that are not arithmetic stop at the limit and say so", () => {
    const plan = decide(every(second, { walks: true }), { misfireGrace: "1 hour", lateAfter: 0 }, { now: tenYears })
    assert.deepStrictEqual(plan.rest, [
      `1000..315356399000 >=${Policy.countLimit} missed grace`,
      `315356400000..315359999000 3600 coalesced into:315360000000`
    ])
  })

  it("a trigger of every millisecond runs onTimeLimit times per window at most", () => {
    const trigger = every(1)
    const plan = decide(trigger, { lateAfter: "5 seconds" }, { now: 60_000 })
    assert.strictEqual(plan.runs.length, Policy.onTimeLimit)
    assert.strictEqual(plan.runs[0], "59001 ready")
    assert.deepStrictEqual(plan.rest, [
      "1..54999 54999 coalesced into:59001",
      "55000..59000 4001 missed limit"
    ])
    assert.isBelow(trigger.calls.next + trigger.calls.previous, 2 * Policy.onTimeLimit + 10)
  })

  it("more than onTimeLimit run only when catchUpLimit asks for it, and then the newest", () => {
    const catchUp = { coalesce: "none", catchUpLimit: 3_000, lateAfter: "5 seconds" } as const
    const plan = decide(every(1), catchUp, { now: 60_000 })
    assert.strictEqual(plan.runs.length, 3_000)
    assert.deepStrictEqual(plan.rest, ["1..57000 57000 missed limit"])
    assert.deepStrictEqual(decide(every(1), { ...catchUp, catchUpLimit: 6_000 }, { now: 60_000 }).rest, [
      "1..54000 54000 missed limit"
    ])
  })

  it("an ordinary window asks twice", () => {
    const trigger = every(second)
    decide(trigger, { lateAfter: "5 seconds" }, { cursor: 0, now: second })
    assert.deepStrictEqual(trigger.calls, { next: 2, previous: 0, countBetween: 0 })
  })

  it("holds for real triggers", () => {
    const binding = { anchor: 0, seed: "task" }
    for (const trigger of [Trigger.every("1 second"), Trigger.cron("* * * * * *")]) {
      const plan = decide(Trigger.bind(trigger, binding), { lateAfter: "5 seconds" }, { cursor: -1, now: tenYears })
      assert.strictEqual(plan.runs.length, 6)
      assert.strictEqual(plan.next, tenYears + second)
      assert.match(plan.rest.join(), /^\d+\.\.315359994000 (>=)?\d+ coalesced into:315359995000$/)
    }
    const minutely = Trigger.bind(Trigger.every("1 minute"), binding)
    assert.deepStrictEqual(decide(minutely, { lateAfter: "5 seconds" }, { cursor: 0, now: 3_600_000 }), {
      runs: ["3600000 ready"],
      rest: ["60000..3540000 59 coalesced into:3600000"],
      next: 3_660_000
    })
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// beside plan
// ---------------------------------------------------------------------------------------------------------------------

describe("admitExtra", () => {
  const cases: ReadonlyArray<readonly [Policy.Options, ReadonlyArray<Policy.OpenRun>, Policy.Admission]> = [
    [{}, [], { state: "ready", cancel: [] }],
    [{}, [run(50, "ready")], { state: "skipped", reason: "busy:50" }],
    [{ maxInstances: 2 }, [run(50, "ready")], { state: "ready", cancel: [] }],
    [{ whenBusy: "queue" }, [run(50, "running"), run(60, "waiting")], { state: "waiting", cancel: [] }],
    [{ whenBusy: "queueAll" }, [run(50, "running")], { state: "waiting", cancel: [] }],
    [{ whenBusy: "queueAll", queueLimit: 1 }, [run(50, "running"), run(60, "waiting")], {
      state: "skipped",
      reason: "full"
    }],
    [{ whenBusy: "allow" }, [run(50, "running")], { state: "ready", cancel: [] }],
    [{ whenBusy: "cancelPrevious" }, [run(50, "running"), run(60, "waiting")], {
      state: "waiting",
      cancel: ["50", "60"]
    }],
    [{ whenBusy: "cancelPrevious" }, [run(50, "running", true)], { state: "waiting", cancel: [] }],
    [{ whenBusy: "cancelPrevious" }, [run(50, "ready")], { state: "ready", cancel: ["50"] }],
    [{ whenBusy: "cancelPrevious", maxInstances: 2 }, [run(60, "running"), run(50, "ready")], {
      state: "ready",
      cancel: ["50"]
    }]
  ]
  for (const [options, open, expected] of cases) {
    it(`${JSON.stringify(options)} with ${open.map((run) => `${run.key} ${run.state}`).join(", ") || "none"} open`, () => {
      assert.deepStrictEqual(Policy.admitExtra(Policy.makeUnsafe(options), open), expected)
    })
  }
})

describe("helpers of the engine", () => {
  it("isTooLate is strict, as in plan", () => {
    const policy = Policy.makeUnsafe({ misfireGrace: 5 })
    assert.isFalse(Policy.isTooLate(policy, 10, 15))
    assert.isTrue(Policy.isTooLate(policy, 10, 16))
    assert.isFalse(Policy.isTooLate(Policy.defaultPolicy, 10, 1e15))
  })

  it("nextAfter is none for a finished task", () => {
    const trigger = at(10, 20)
    const policy = Policy.makeUnsafe({ maxRuns: 2 })
    assert.deepStrictEqual(Policy.nextAfter({ policy, trigger, ran: 1, after: 10 }), { due: 20, nominal: 20 })
    assert.strictEqual(Policy.nextAfter({ policy, trigger, ran: 2, after: 10 }), undefined)
    assert.strictEqual(Policy.nextAfter({ policy, trigger, ran: 1, after: 20 }), undefined)
  })

  it("promotable answers for the runs that are left", () => {
    const policy = Policy.makeUnsafe({ whenBusy: "queueAll", maxInstances: 2 })
    assert.deepStrictEqual(Policy.promotable(policy, [run(3, "waiting"), run(2, "waiting"), run(1, "running")]), ["2"])
    assert.deepStrictEqual(Policy.promotable(policy, [run(3, "waiting", true)]), [])
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------------------------------------------------

const refusal = (options: object): string => {
  const made = Policy.make(options)
  assert(Result.isFailure(made), `accepted ${JSON.stringify(options)}`)
  assert.instanceOf(made.failure, Policy.InvalidPolicy)
  return made.failure.message
}

describe("make", () => {
  it("says nothing: the defaults of the documentation", () => {
    assert.deepStrictEqual(Policy.makeUnsafe({}), {
      misfireGrace: null,
      coalesce: "latest",
      lateAfter: 5_000,
      catchUpLimit: 100,
      whenBusy: "skip",
      maxInstances: 1,
      queueLimit: 1_000,
      maxRuns: null,
      pauseOnFailure: null,
      timeout: null,
      delivery: "atLeastOnce"
    })
    assert.deepStrictEqual(Policy.makeUnsafe({}), Policy.defaultPolicy)
  })

  it("reads every option", () => {
    assert.deepStrictEqual(
      Policy.makeUnsafe({
        misfireGrace: "5 minutes",
        coalesce: "none",
        lateAfter: 0,
        catchUpLimit: 7,
        whenBusy: "queueAll",
        maxInstances: 2,
        queueLimit: 3,
        maxRuns: 4,
        pauseOnFailure: true,
        timeout: Duration.seconds(1.5),
        delivery: "atMostOnce"
      }),
      {
        misfireGrace: 300_000,
        coalesce: "none",
        lateAfter: 0,
        catchUpLimit: 7,
        whenBusy: "queueAll",
        maxInstances: 2,
        queueLimit: 3,
        maxRuns: 4,
        pauseOnFailure: 1,
        timeout: 1_500,
        delivery: "atMostOnce"
      }
    )
    assert.deepStrictEqual([...Policy.optionNames].sort(), Object.keys(Policy.defaultPolicy).sort())
  })

  it("takes durations in all their spellings", () => {
    const spellings: ReadonlyArray<Duration.Input> = [
      300_000,
      "5 minutes",
      "0.5 seconds",
      { minutes: 5 },
      [300, 0],
      300_000_000_000n,
      Duration.minutes(5)
    ]
    assert.deepStrictEqual(spellings.map((misfireGrace) => Policy.makeUnsafe({ misfireGrace }).misfireGrace), [
      300_000,
      300_000,
      500,
      300_000,
      300_000,
      300_000,
      300_000
    ])
  })

  it("an explicit unlimited survives a limit among the defaults, undefined does not (B17)", () => {
    const defaults = Policy.makeUnsafe({ misfireGrace: 1, timeout: 1, maxRuns: 1, pauseOnFailure: 3 })
    for (const misfireGrace of ["unlimited", Infinity, "Infinity", Duration.infinity] as const) {
      assert.strictEqual(Policy.makeUnsafe({ misfireGrace }, defaults).misfireGrace, null)
    }
    const freed = Policy.makeUnsafe(
      { misfireGrace: "unlimited", timeout: "unlimited", maxRuns: "unlimited", pauseOnFailure: false },
      defaults
    )
    assert.deepStrictEqual(freed, Policy.defaultPolicy)
    assert.strictEqual(Policy.makeUnsafe({ timeout: Infinity }, defaults).timeout, null)
    const silent = { misfireGrace: undefined, timeout: undefined, maxRuns: undefined, pauseOnFailure: undefined }
    assert.deepStrictEqual(Policy.makeUnsafe(silent, defaults), defaults)
  })

  it("does not change its defaults, and cannot be changed", () => {
    const before = { ...Policy.defaultPolicy }
    const made = Policy.makeUnsafe({ maxInstances: 4 })
    assert.deepStrictEqual(Policy.defaultPolicy, before)
    assert.isTrue(Object.isFrozen(made))
  })

  const refused: ReadonlyArray<readonly [object, RegExp]> = [
    [
      { misfireGrace: 0 },
      /^misfireGrace: 0 is not longer than zero: write a duration such as "5 minutes", or "unlimited"/
    ],
    [{ misfireGrace: -1 }, /not longer than zero/],
    [{ misfireGrace: "-5 minutes" }, /not longer than zero/],
    [{ misfireGrace: -Infinity }, /not longer than zero/],
    [{ misfireGrace: NaN }, /NaN is not a duration/],
    [{ misfireGrace: 0.5 }, /0\.5 is not a whole number of milliseconds/],
    [{ misfireGrace: "5 minuts" }, /"5 minuts" is not a duration/],
    [{ misfireGrace: { minuts: 5 } }, /not a duration/],
    [{ misfireGrace: { minutes: NaN } }, /not a duration/],
    [{ misfireGrace: {} }, /not a duration/],
    [{ misfireGrace: [NaN, 0] }, /not a duration/],
    [{ misfireGrace: true }, /not a duration/],
    [{ misfireGrace: null }, /null is not a duration: .*"unlimited"/],
    [{ misfireGrace: Number.MAX_VALUE }, /not a whole number of milliseconds/],
    [{ lateAfter: -1 }, /between zero and a finite time/],
    [{ lateAfter: Infinity }, /between zero and a finite time/],
    [{ lateAfter: "unlimited" }, /not a duration/],
    [{ timeout: 0 }, /^timeout: 0 is not longer than zero/],
    [{ coalesce: "last" }, /"last" is not one of "latest", "earliest", "none"/],
    [{ coalesce: "lastest" }, /did you mean "latest"\?/],
    [{ coalesce: true }, /true is not one of .*did you mean "latest"\?/],
    [{ coalesce: false }, /did you mean "none"\?/],
    [{ whenBusy: "queueall" }, /did you mean "queueAll"\?/],
    [{ whenBusy: "overlap" }, /did you mean "allow"\?/],
    [{ whenBusy: {} }, /is not one of "skip"/],
    [{ delivery: "exactlyOnce" }, /is not one of "atLeastOnce", "atMostOnce"/],
    [{ maxInstances: 0 }, /^maxInstances: 0 is not a whole number from 1/],
    [{ maxInstances: -1 }, /not a whole number/],
    [{ maxInstances: 1.5 }, /not a whole number/],
    [{ maxInstances: NaN }, /not a whole number/],
    [{ maxInstances: "2" }, /not a whole number/],
    [{ maxInstances: Infinity }, /whenBusy: "allow" for no limit/],
    [{ catchUpLimit: 0 }, /coalesce: "latest" for one/],
    [{ catchUpLimit: 10_001 }, /from 1 to 10000/],
    [{ queueLimit: Infinity }, /from 1 to 10000/],
    [{ maxRuns: 0 }, /or "unlimited"/],
    [{ pauseOnFailure: 0 }, /how many failed runs in a row/],
    [{ pauseOnFailure: 2.5 }, /how many failed runs in a row/],
    [{ coalese: "none" }, /unknown option `coalese` of a policy, did you mean `coalesce`\?/],
    [{ max_instances: 3 }, /did you mean `maxInstances`\?/],
    [{ mistrigger_grace_time: 3 }, /did you mean `misfireGrace`\?/],
    [{ jitter: 3 }, /unknown option `jitter` of a policy, known options: misfireGrace/],
    [{ jitter: undefined }, /unknown option `jitter`/]
  ]
  for (const [options, message] of refused) {
    const [option, value] = Object.entries(options)[0]!
    it(`refuses ${option}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`, () => {
      assert.match(refusal(options), message)
    })
  }

  it("the refusal carries its option and value, the unsafe twin throws it", () => {
    const made = Policy.make({ maxInstances: -1 })
    assert(Result.isFailure(made))
    assert.strictEqual(made.failure._tag, "InvalidPolicy")
    assert.strictEqual(made.failure.option, "maxInstances")
    assert.strictEqual(made.failure.value, -1)
    assert.throws(() => Policy.makeUnsafe({ maxInstances: -1 }), /maxInstances: -1/)
  })
})

describe("encode and decode", () => {
  it("has one stable text", () => {
    const text = "{\"v\":1,\"misfireGrace\":null,\"coalesce\":\"latest\",\"lateAfter\":5000,\"catchUpLimit\":100," +
      "\"whenBusy\":\"skip\",\"maxInstances\":1,\"queueLimit\":1000,\"maxRuns\":null,\"pauseOnFailure\":null," +
      "\"timeout\":null,\"delivery\":\"atLeastOnce\"}"
    assert.strictEqual(Policy.encode(Policy.defaultPolicy), text)
    const reversed = Object.fromEntries(Object.entries(Policy.defaultPolicy).reverse()) as unknown as Policy.Policy
    assert.strictEqual(Policy.encode(reversed), text)
    assert.deepStrictEqual(Policy.decode(text), Result.succeed(Policy.defaultPolicy))
  })

  it("a field written later than the text means its default", () => {
    assert.deepStrictEqual(Policy.decode(`{"v":1,"maxRuns":3}`), Policy.make({ maxRuns: 3 }))
  })

  it("answers the same frozen value for the same text", () => {
    const text = Policy.encode(Policy.makeUnsafe({ maxRuns: 17 }))
    const decode = () => Result.getOrThrow(Policy.decode(text))
    assert.strictEqual(decode(), decode())
    assert.isTrue(Object.isFrozen(decode()))
  })

  it("reads more texts than it remembers", () => {
    const policies = Array.from({ length: 1_000 }, (_, i) => Policy.makeUnsafe({ maxRuns: i + 1 }))
    for (const policy of [...policies, ...policies]) {
      assert.deepStrictEqual(Result.getOrThrow(Policy.decode(Policy.encode(policy))), policy)
    }
  })

  const unreadable: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["", "policy", /not a JSON object/],
    ["null", "policy", /not a JSON object/],
    ["[]", "policy", /not a JSON object/],
    ["{}", "v", /format undefined/],
    [`{"v":2}`, "v", /format 2, this version reads 1: upgrade/],
    [`{"v":1,"rateLimit":5}`, "rateLimit", /unknown to this version: upgrade/],
    [`{"v":1,"maxInstances":0}`, "maxInstances", /^stored maxInstances: 0 is not a whole number/],
    [`{"v":1,"maxInstances":null}`, "maxInstances", /null is not a value that is stored/],
    [`{"v":1,"misfireGrace":"5 minutes"}`, "misfireGrace", /not a value that is stored/],
    [`{"v":1,"pauseOnFailure":true}`, "pauseOnFailure", /not a value that is stored/],
    [`{"v":1,"coalesce":"sometimes"}`, "coalesce", /is not one of/]
  ]
  for (const [text, option, message] of unreadable) {
    it(`refuses ${text || "an empty text"}`, () => {
      const decoded = Policy.decode(text)
      assert(Result.isFailure(decoded))
      assert.strictEqual(decoded.failure.option, option)
      assert.match(decoded.failure.message, message)
    })
  }
})

describe("ranges", () => {
  const range = (from: number, to: number, changes: Partial<Policy.Range> = {}): Policy.Range => ({
    from,
    to,
    count: to - from + 1,
    exact: true,
    outcome: "skipped",
    reason: "busy:1",
    follows: from - 1,
    ...changes
  })

  it("are read as written", () => {
    const ranges = [range(1, 3), range(4, 4, { outcome: "missed", reason: "grace", exact: false, follows: null })]
    const text = Policy.encodeRanges(ranges)
    assert.strictEqual(text, `{"v":1,"ranges":[[1,3,3,1,"skipped","busy:1",0],[4,4,1,0,"missed","grace",null]]}`)
    assert.deepStrictEqual(Policy.decodeRanges(text), ranges)
    assert.deepStrictEqual(Policy.decodeRanges(Policy.encodeRanges([])), [])
  })

  it("an unreadable text is no ranges", () => {
    const texts = [
      "",
      "null",
      "[]",
      "{}",
      `{"v":2,"ranges":[]}`,
      `{"v":1,"ranges":[[1,2]]}`,
      `{"v":1,"ranges":[[1,2,2,1,"ran","x",0]]}`
    ]
    for (const text of texts) assert.deepStrictEqual(Policy.decodeRanges(text), [])
  })

  it("merge when outcome and reason are the same and no occurrence lies between", () => {
    assert.deepStrictEqual(Policy.appendRanges([range(1, 3)], [range(4, 6)]), [range(1, 6)])
    assert.deepStrictEqual(Policy.appendRanges([range(1, 3)], [range(4, 6, { exact: false })]), [
      range(1, 6, { exact: false })
    ])
    for (
      const other of [
        range(5, 6),
        range(4, 6, { reason: "busy:2" }),
        range(4, 6, { outcome: "coalesced" }),
        range(2, 2)
      ]
    ) {
      assert.deepStrictEqual(Policy.appendRanges([range(1, 3)], [other]), [range(1, 3), other])
    }
  })

  it("of one cause over several windows are one", () => {
    const story = (options: Policy.Options, windows: ReadonlyArray<number>, open: ReadonlyArray<Policy.OpenRun>) => {
      const policy = Policy.makeUnsafe({ lateAfter: 50, ...options })
      let state = { cursor: 99, open, ran: 1, ranges: [] as ReadonlyArray<Policy.Range> }
      for (const now of windows) {
        const plan = Policy.plan({ policy, trigger: at(100, 110, 120, 130, 140), ...state, now, paused: false })
        state = {
          cursor: plan.cursor,
          open: [
            ...state.open.filter((run) => !plan.drop.includes(run.key)),
            ...plan.runs.map(({ due, state }) => run(due, state))
          ],
          ran: state.ran + plan.counts.ran,
          ranges: Policy.appendRanges(state.ranges, plan.ranges)
        }
      }
      return state.ranges.map(({ count, from, reason, to }) => `${from}..${to} ${count} ${reason}`)
    }
    const running = [run(50, "running")]
    assert.deepStrictEqual(story({}, [100, 110, 140], running), ["100..140 5 busy:50"])
    assert.deepStrictEqual(story({ whenBusy: "queueAll", queueLimit: 1 }, [120, 130, 140], running), [
      "110..140 4 full"
    ])
    assert.deepStrictEqual(story({ whenBusy: "queue" }, [110, 120, 140], running), ["100..130 4 replaced"])
    assert.deepStrictEqual(story({ whenBusy: "cancelPrevious" }, [110, 120, 140], running), ["100..130 4 replaced"])
  })

  it("keep the newest 32", () => {
    let ranges: ReadonlyArray<Policy.Range> = []
    for (let i = 1; i <= 100; i++) ranges = Policy.appendRanges(ranges, [range(i, i, { reason: `busy:${i}` })])
    assert.strictEqual(ranges.length, Policy.rangeLimit)
    assert.strictEqual(ranges[0]?.from, 69)
    assert.strictEqual(ranges[31]?.from, 100)
  })

  it("outcomeAt finds the newest that covers an instant", () => {
    const ranges = [range(10, 20), range(30, 30, { reason: "full" }), range(15, 15, { reason: "replaced" })]
    const reasonAt = (instant: number) => Policy.outcomeAt(ranges, instant)?.reason
    assert.deepStrictEqual([9, 10, 15, 20, 21, 30, 31].map(reasonAt), [
      undefined,
      "busy:1",
      "replaced",
      "busy:1",
      undefined,
      "full",
      undefined
    ])
  })
})
