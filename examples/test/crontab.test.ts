import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, FileSystem, Result } from "effect"
import { fileURLToPath } from "node:url"
import { Trigger } from "punctual"
import * as Crontab from "../ops/crontab.ts"

const entries = (text: string) => {
  const parsed = Crontab.parse(text)
  assert.isTrue(Result.isSuccess(parsed), Result.isFailure(parsed) ? JSON.stringify(parsed.failure) : "")
  return Result.getOrThrow(parsed)
}

const problems = (text: string): ReadonlyArray<string> => {
  const parsed = Crontab.parse(text)
  assert.isTrue(Result.isFailure(parsed), "this should not be accepted")
  return Result.isFailure(parsed) ? parsed.failure.map((problem) => Crontab.formatProblem("f", problem)) : []
}

describe("crontab", () => {
  it("reads entries, zones, environment and options", () => {
    const [date, backup, start, tick] = entries([
      "# a comment",
      "",
      "  */5 * * * *  date -u +\\%F   # not a comment: the shell's",
      "TZ=Europe/Berlin",
      "NAME = \"two words\"",
      "#: id=backup timeout=10m misfireGrace=2h",
      "#: coalesce=earliest whenBusy=queue jitter=30s pauseOnFailure=3",
      "30 2 * * mon-fri\ttar c .",
      "CRON_TZ=America/New_York",
      "@reboot echo $NAME",
      "@every 90s tick"
    ].join("\r\n"))
    assert.deepInclude(date, {
      line: 3,
      id: "date-u-F-not-a-comment-the-shell-s",
      command: "date -u +%F   # not a comment: the shell's",
      env: {},
      policy: {}
    })
    assert.isTrue(Equal.equals(date?.trigger, Trigger.cron("*/5 * * * *")))
    assert.deepInclude(backup, {
      line: 8,
      id: "backup",
      command: "tar c .",
      env: { TZ: "Europe/Berlin", NAME: "two words" },
      policy: { timeout: 600_000, misfireGrace: 7_200_000, coalesce: "earliest", whenBusy: "queue", pauseOnFailure: 3 }
    })
    assert.isTrue(Equal.equals(
      backup?.trigger,
      Trigger.cron("30 2 * * MON-FRI", { timeZone: "Europe/Berlin" }).pipe(Trigger.jittered("30 seconds"))
    ))
    // CRON_TZ is for the schedule, and no business of the command.
    assert.deepStrictEqual(start?.env, { TZ: "Europe/Berlin", NAME: "two words" })
    assert.isTrue(Equal.equals(start?.trigger, Trigger.startup))
    assert.isTrue(Equal.equals(tick?.trigger, Trigger.every("90 seconds")))
  })

  it("reads an empty file", () => assert.deepStrictEqual(entries("\n# nothing yet\n"), []))

  const table: ReadonlyArray<readonly [what: string, text: string, ...problems: ReadonlyArray<string>]> = [
    [
      "a name that is nearly one",
      "0 9 * * MOM date",
      "f:1:9: `MOM` is not a day of week (field 5, character 9): use 0-7 or SUN-SAT; did you mean `MON`?"
    ],
    ["a number out of bounds", "  61 * * * * date", "f:1:3: `61` is not a minute (field 1, character 1): use 0-59"],
    [
      "a day that never comes",
      "0 0 30 2 * date",
      "f:1:5: `30` is a day that FEB never has (field 3, character 5): use 1-29 with this month"
    ],
    ["too few fields", "* * * *", "f:1:1: an entry is five fields and a command, and this has only 4 words"],
    ["one word", "date", "f:1:1: an entry is five fields and a command, and this has only one word"],
    ["no command", "* * * * *  ", "f:1:10: the command is missing"],
    [
      "six fields",
      "*/5 * * * * * date",
      "f:1:13: `*` looks like a sixth field: an entry has five; for seconds write `@every 10s`"
    ],
    [
      "six fields with names",
      "0 30 9 * * MON-FRI date",
      "f:1:12: `MON-FRI` looks like a sixth field: an entry has five; for seconds write `@every 10s`"
    ],
    ["a percent sign", "* * * * * date +%F", "f:1:17: `%` ends a command in cron: write `\\%`"],
    ["a period of nothing", "@every 0s date", "f:1:8: `0s` is no period: use 500ms, 10s, 5m, 2h or 1d"],
    ["a period in words", "@every minute date", "f:1:8: `minute` is no period: use 500ms, 10s, 5m, 2h or 1d"],
    ["no period", "@every", "f:1:7: `` is no period: use 500ms, 10s, 5m, 2h or 1d"],
    ["a macro with a slip", "@evry 5s date", "f:1:1: there is no macro `@evry`; did you mean `@every`?"],
    ["another", "@dayly date", "f:1:1: there is no macro `@dayly`; did you mean `@daily`?"],
    [
      "a macro that nobody knows",
      "@sometimes date",
      "f:1:1: there is no macro `@sometimes`, only @every, @reboot, @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"
    ],
    [
      "a zone with a slip",
      "CRON_TZ=Europe/Berln",
      "f:1:9: `Europe/Berln` is not a time zone this runtime knows: use an IANA name such as \"Europe/Berlin\", " +
      "or an offset such as \"+05:30\"; did you mean `Europe/Berlin`?"
    ],
    [
      "an option with a slip",
      "#: timout=3s\n@every 5s date",
      "f:1:4: there is no option `timout`; did you mean `timeout`?"
    ],
    [
      "an option that nobody knows",
      "#: retries=3\n@every 5s date",
      "f:1:4: there is no option `retries`, only id, timeout, misfireGrace, jitter, coalesce, whenBusy, pauseOnFailure"
    ],
    [
      "an option that every object has",
      "#: constructor=3\n@every 5s date",
      "f:1:4: there is no option `constructor`, " +
      "only id, timeout, misfireGrace, jitter, coalesce, whenBusy, pauseOnFailure"
    ],
    ["an option without a value", "#: timeout\n@every 5s date", "f:1:4: `timeout` is no option: write name=value"],
    [
      "a value with a slip",
      "#: whenBusy=skpi\n@every 5s date",
      "f:1:13: `skpi` is no value of whenBusy: use skip, queue, queueAll, cancelPrevious, allow; did you mean `skip`?"
    ],
    [
      "a length without a unit",
      "#: timeout=10\n@every 5s date",
      "f:1:12: `10` is no value of timeout: use 500ms, 10s, 5m, 2h or 1d"
    ],
    [
      "an id with a space in it",
      "#: id=a,b\n@every 5s date",
      "f:1:7: `a,b` is no value of id: use letters, digits and . : _ -"
    ],
    ["an option given twice", "#: id=a\n#: id=b\n@every 5s date", "f:2:4: `id` is given twice"],
    ["options above a blank line", "#: id=a\n\n@every 5s date", "f:1:1: these options stand above no entry"],
    ["options above an assignment", "#: id=a\nA=1", "f:1:1: these options stand above no entry"],
    ["options at the end", "@every 5s date\n#: id=a", "f:2:1: these options stand above no entry"],
    [
      "one id for two",
      "#: id=a\n@every 5s date\n#: id=a\n@every 6s date",
      "f:4:1: line 2 has the id `a` already"
    ],
    [
      "one command twice",
      "@every 5s date\n@every 6s date",
      "f:2:1: line 1 has the id `date` already; name it with `#: id=…` above it"
    ],
    [
      "several at once",
      "61 * * * * date\n\n@every x date\n#: id=ok\n@every 5s date",
      "f:1:1: `61` is not a minute (field 1, character 1): use 0-59",
      "f:3:8: `x` is no period: use 500ms, 10s, 5m, 2h or 1d"
    ]
  ]
  for (const [what, text, ...expected] of table) {
    it(`refuses ${what}`, () => assert.deepStrictEqual(problems(text), expected))
  }

  it("reads the macros of cron, and what its expressions have", () => {
    const triggers = (text: string) => entries(text).map((entry) => entry.trigger)
    assert.deepStrictEqual(triggers("@daily date\n@HOURLY ls\n0 17 LW * FRI#L who"), [
      Trigger.cron("@daily"),
      Trigger.cron("@hourly"),
      Trigger.cron("0 17 LW * FRI#L")
    ])
  })

  it.effect("the schedule that ships is one", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const text = yield* fs.readFileString(fileURLToPath(new URL("../ops/schedule.crontab", import.meta.url)))
      assert.isAbove(entries(text).length, 5)
    }).pipe(Effect.provide(NodeServices.layer)))
})
