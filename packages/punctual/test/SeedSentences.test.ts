/**
 * Each sentence of the page this toolkit grew from, and the tests that show what became of it.
 *
 * The table is checked: every sentence is there once, every file exists and has a test of that name. Headings and what the
 * page leaves to the reader's code stand with what they introduce.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "../../..")

const seed = "packages/punctual/test/Seed.test.ts"
const lifecycle = "packages/punctual/test/Lifecycle.test.ts"
const terms = "packages/punctual/test/LifecycleTerms.test.ts"
const generator = "packages/punctual/test/LifecycleGenerator.test.ts"
const info = "packages/punctual/test/TaskInfo.test.ts"
const examples = "examples/test/examples.test.ts"
const processes = "examples/test/processes.test.ts"
const locks = "packages/node/test/SeedLocks.test.ts"

type Shown = readonly [file: string, title: string]

const fields: Shown = [
  seed,
  "id, name, fn, args, kwargs, trigger, executor, grace, coalesce, max_instances, next_run_time"
]
const states: Shown = [
  seed,
  "pending until a started scheduler has seen it, then scheduled; paused, and scheduled again"
]
const snapshot: Shown = [
  seed,
  "a snapshot is immutable, equal by value, and safe for dashboards and logs: it has no secrets"
]
const submitted: Shown = [seed, "or submitted with a changed trigger; the defaults of definition and scheduler apply"]
const updated: Shown = [seed, "changes what it names and leaves the schedule alone; all of it is checked first"]
const decorator: Shown = [
  seed,
  "when and how stand beside what; each time it is submitted there is another copy"
]
const volatile: Shown = [seed, "it works in a volatile store only, which may stand beside a durable one"]
const plain: Shown = [generator, "setup to the first yield, a tick to each next one, cleanup after the last"]
const several: Shown = [
  processes,
  "24: each sets up and cleans up once; each tick comes to exactly one of them, with its payload"
]
const leader: Shown = [
  processes,
  "25: one has acquired at any time and gets every tick; killed or stopped, another takes over"
]
const placeholders: Shown = [
  locks,
  "a path with {pgrp} and {store} is filled in; a placeholder that is none is refused"
]

const sentences: ReadonlyArray<readonly [number: number, sentence: string, ...shown: ReadonlyArray<Shown>]> = [
  [1, "Tasks are the public scheduling unit in Asyncz.", fields],
  [2, "A task combines the callable, trigger, executor alias, arguments, and persistence metadata", fields],
  [3, "id", fields, [seed, "ids are immutable"]],
  [4, "name", fields],
  [5, "fn", fields],
  [6, "args", fields],
  [7, "kwargs", fields],
  [8, "trigger", fields],
  [9, "executor", fields, [
    seed,
    "an executor nobody has is refused when the task is added, and never a reason to delete it (B11)"
  ]],
  [10, "mistrigger_grace_time", fields],
  [11, "coalesce", fields],
  [12, "max_instances", fields],
  [13, "next_run_time", fields, [
    seed,
    "a next run time without an offset is read in the scheduler's zone; the task goes on by its trigger"
  ]],
  [14, "Every task exposes a derived scheduling state", states],
  [15, "pending: … has not been committed to a started store yet", states, [
    info,
    "is pending until a scheduler has started"
  ]],
  [16, "paused: the task exists but has no next_run_time", states],
  [17, "scheduled: the task has an upcoming next_run_time", states],
  [18, "task.schedule_state", states],
  [19, "task.paused", states],
  [20, "task.snapshot()", snapshot],
  [21, "Example: info.callable_reference, info.trigger_alias, info.schedule_state.value", fields, states],
  [22, "snapshot() returns an immutable TaskInfo model that is safe to pass into", snapshot, [
    info,
    "is frozen all the way down, and equal when nothing happened"
  ]],
  [23, "dashboards", snapshot],
  [24, "CLI formatting code", snapshot],
  [25, "structured logging", snapshot],
  [26, "tests and assertions", snapshot],
  [27, "Creating a task directly", [
    seed,
    "directly: what is scheduled beside its handler runs once the scheduler starts"
  ]],
  [28, "or manually submit one with a changed trigger", submitted],
  [29, "… which returns a Task instance after applying scheduler defaults.", submitted],
  [30, "Updating a task", updated],
  [31, "task ids are immutable", [seed, "ids are immutable"]],
  [32, "changing next_run_time requires a scheduler so Asyncz can normalize the datetime", [
    seed,
    "a next run time without an offset is read in the scheduler's zone; the task goes on by its trigger"
  ]],
  [33, "task callables must remain serializable if you want to persist them in a store", [
    seed,
    "what a durable store keeps must be a definition: an effect of this process is refused"
  ]],
  [34, "Rescheduling a task", [seed, "changes the trigger and computes the next run time"]],
  [
    35,
    "reschedule_task() changes the trigger and recomputes the next run time.",
    [seed, "changes the trigger and computes the next run time"],
    [seed, "leaves a paused task paused"]
  ],
  [36, "When you call scheduler.add_task(...) without a callable, Asyncz returns a decorator-mode task.", decorator],
  [37, "When the decorated function is applied, Asyncz creates a submitted copy of that task definition.", decorator],
  [38, "… task metadata to live next to the function definition but still be managed by the scheduler.", decorator],
  [
    39,
    "Asyncz supports lifecycle-style tasks implemented as generators or async generators.",
    plain,
    [generator, "async generators"]
  ],
  [40, "setup … we have to mask generator send so it could be set to a task", plain],
  [41, "running = yield / while running / cleanup", plain, [
    generator,
    "one that goes on when told to end is ended: its finally blocks run"
  ]],
  [42, "setup task / Run every 5 minutes", plain, [
    seed,
    "setup, a tick every five minutes, cleanup when the scheduler stops"
  ]],
  [43, "Now the shutdown task is executed and the generator progresses in the cleanup", plain, [
    seed,
    "a task of its own may wait for the end: the shutdown trigger"
  ], [examples, "26-a-generator"]],
  [44, "lifecycle generators only work with MemoryStore", volatile],
  [45, "generator-based tasks are not pickleable, so they cannot be persisted", volatile, [
    lifecycle,
    "over a durable store it fails before it acquires anything, and says what to do"
  ]],
  [46, "Asyncz can combine lifecycle tasks with file-based locks … across multiple worker processes.", leader],
  [47, "lock_path=\"/tmp/asyncz_{pgrp}_{store}.lock\", a file store and a memory store", several, placeholders],
  [48, "must be a global referencable function", several, [
    terms,
    "stored tasks reach the process that has the lock, and the next one when it closes"
  ]],
  [49, "setup initial / intialize a file lock (multi-processing safe)", leader, placeholders],
  [50, "don't block the generator: file_lock.protected(False)", leader, [
    terms,
    "where nothing is acquired its task is paused, with the grid that it goes on with"
  ]],
  [51, "if not got_the_lock: running = yield; if not running: break; continue", leader, [
    terms,
    "exactly one has acquired, the ticks reach it, and when it closes another acquires"
  ]],
  [52, "delayed setup phase. Only executed when the lock was grabbed.", leader, [
    generator,
    "with a lock it begins when it has it, and gives it back when it has finished"
  ]],
  [
    53,
    "do something risky, except: log / cleanup the loop setup / break the loop",
    [terms, "restart: cleaned up, a second later acquired again, and the next tick comes"],
    [terms, "one that fails stops no other, one that is slow is cut at its budget; both are told"]
  ],
  [54, "extra cleanup which is always executed except an exception was raised", leader],
  [55, "should be better a context manager or lifespan wrapper to cleanup on unexpected errors", [
    lifecycle,
    "cleans up once also when the program beside it fails, or is interrupted"
  ]],
  [56, "imports: a scheduler, Task, CronTrigger, make_function, FileLockProtected, tempfile", several, leader]
]

/** Names of the tests of a file, as they are written. */
const titlesOf = (file: string): ReadonlyArray<string> =>
  Array.from(
    fs.readFileSync(path.join(root, file), "utf8").matchAll(/\bit(?:\.\w+)*\(\s*(["'`])((?:\\.|(?!\1).)*)\1/g),
    (match) => match[2]!.replaceAll("\\\"", "\"")
  )

const missing = ([file, title]: Shown): boolean =>
  !fs.existsSync(path.join(root, file)) || !titlesOf(file).includes(title)

describe("the sentences of the page", () => {
  it("are all there, once and in order", () =>
    assert.deepStrictEqual(sentences.map(([number]) => number), Array.from({ length: 56 }, (_, i) => i + 1)))

  it("are each shown by a test that exists", () =>
    assert.deepStrictEqual(
      sentences.flatMap(([number, , ...shown]) =>
        shown.length === 0
          ? [`S${number}: nothing`]
          : shown.filter(missing).map((test) => `S${number}: ${test.join(" > ")}`)
      ),
      []
    ))

  it("would be found wanting: a file that is not there, a test of another name", () => {
    assert.isTrue(missing(["examples/test/nothing.test.ts", "24"]))
    assert.isTrue(missing([seed, "ids are mutable"]))
    assert.isFalse(missing([seed, "ids are immutable"]))
  })
})
