/**
 * Libraries that say when a cron expression is due next, behind one small interface: epoch milliseconds in and out.
 */

export interface Prepared {
  /** The first instant after one. */
  readonly next: (after: number) => number
  /** The last instant before one. */
  readonly previous?: (before: number) => number
  /** The last of the next `n` instants, listed as the library lists several. */
  readonly list?: (after: number, n: number) => number
  /** How many instants are in (after, until]. */
  readonly count?: (after: number, until: number) => number
}

export interface Contender {
  readonly prepare: (rule: Rule, timeZone: string) => Prepared
  readonly parse?: (text: string) => unknown
}

type Numbers = number | Array<number> | null

export interface Rule {
  readonly text: string
  /** For node-schedule, which answers about rules alone: day of month, month, day of week, hour, minute, second. */
  readonly fields: readonly [
    date: Numbers,
    month: Numbers,
    weekday: Numbers,
    hour: Numbers,
    minute: Numbers,
    second: Numbers
  ]
  /** The same by hand, for the limit: the first local second that fits after one. */
  readonly local: (after: number) => number
  /** A walk begins again after so many years. */
  readonly years: number
}

const DAY = 86_400

const daily = (time: number) => (after: number) => {
  const today = Math.floor(after / DAY) * DAY + time
  return today > after ? today : today + DAY
}

/** The month that contains a local day, counted from January of the year 0, by the civil calendar. */
const monthOf = (day: number): number => {
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const inEra = shifted - era * 146_097
  const year = Math.floor(
    (inEra - Math.floor(inEra / 1_460) + Math.floor(inEra / 36_524) - Math.floor(inEra / 146_096)) / 365
  )
  const inYear = inEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  return (year + era * 400) * 12 + Math.floor((5 * inYear + 2) / 153) + 2
}

/** The first local day of a month. */
const dayOf = (month: number): number => {
  const march = month - 2
  const year = Math.floor(march / 12)
  const era = Math.floor(year / 400)
  const inEra = year - era * 400
  const inYear = Math.floor((153 * (march - year * 12) + 2) / 5)
  return era * 146_097 + inEra * 365 + Math.floor(inEra / 4) - Math.floor(inEra / 100) + inYear - 719_468
}

/** A day and time of every so many months, `from` one of the year on; January is 0. */
const monthly = (every: number, from: number, day: number, time: number) => (after: number) => {
  let month = monthOf(Math.floor(after / DAY))
  month += (((from - month) % every) + every) % every
  while (true) {
    const found = (dayOf(month) + day - 1) * DAY + time
    if (found > after) return found
    month += every
  }
}

export const rules = {
  "every minute": {
    text: "* * * * *",
    fields: [null, null, null, null, null, 0],
    local: (after) => Math.floor(after / 60) * 60 + 60,
    years: 10
  },
  "every 5 minutes": {
    text: "*/5 * * * *",
    fields: [null, null, null, null, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55], 0],
    local: (after) => Math.floor(after / 300) * 300 + 300,
    years: 10
  },
  "hourly": {
    text: "0 * * * *",
    fields: [null, null, null, null, 0, 0],
    local: (after) => Math.floor(after / 3_600) * 3_600 + 3_600,
    years: 10
  },
  "daily at 09:00": {
    text: "0 9 * * *",
    fields: [null, null, null, 9, 0, 0],
    local: daily(9 * 3_600),
    years: 10
  },
  "daily at 02:30": {
    text: "30 2 * * *",
    fields: [null, null, null, 2, 30, 0],
    local: daily(2 * 3_600 + 1_800),
    years: 10
  },
  "weekdays, 9 to 17": {
    text: "0 9-17 * * MON-FRI",
    fields: [null, null, [1, 2, 3, 4, 5], [9, 10, 11, 12, 13, 14, 15, 16, 17], 0, 0],
    local(after) {
      let time = Math.floor(after / 3_600) * 3_600 + 3_600
      while (true) {
        const day = Math.floor(time / DAY)
        const weekday = (day + 4) % 7
        const hour = (time - day * DAY) / 3_600
        if (weekday === 0 || weekday === 6 || hour > 17) time = (day + 1) * DAY + 9 * 3_600
        else if (hour < 9) time = day * DAY + 9 * 3_600
        else return time
      }
    },
    years: 10
  },
  "Mondays at 08:00": {
    text: "0 8 * * MON",
    fields: [null, null, 1, 8, 0, 0],
    // 1970 began on a Thursday
    local(after) {
      const monday = Math.floor((Math.floor(after / DAY) + 3) / 7) * 7 - 3
      const time = monday * DAY + 8 * 3_600
      return time > after ? time : time + 7 * DAY
    },
    years: 10
  },
  "the first of each month": {
    text: "0 0 1 * *",
    fields: [1, null, null, 0, 0, 0],
    local: monthly(1, 0, 1, 0),
    years: 10
  },
  "quarters, at 06:15": {
    text: "15 6 1 1,4,7,10 *",
    fields: [1, [0, 3, 6, 9], null, 6, 15, 0],
    local: monthly(3, 0, 1, 6 * 3_600 + 900),
    years: 10
  },
  "the last half minute of the year": {
    text: "30 59 23 31 12 *",
    fields: [31, 11, null, 23, 59, 30],
    local: monthly(12, 11, 31, DAY - 30),
    years: 60
  },
  "29 February": {
    text: "0 0 29 2 *",
    fields: [29, 1, null, 0, 0, 0],
    local(after) {
      for (let year = 1970 + Math.floor(after / DAY / 366);; year++) {
        if (year % 4 !== 0 || (year % 100 === 0 && year % 400 !== 0)) continue
        const before = year - 1
        const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477
        const time = ((year - 1970) * 365 + leapDays + 59) * DAY
        if (time > after) return time
      }
    },
    years: 60
  },
  "every second": {
    text: "* * * * * *",
    fields: [null, null, null, null, null, null],
    local: (after) => after + 1,
    years: 10
  }
} satisfies Record<string, Rule>

export type RuleName = keyof typeof rules

export const ruleNames = Object.keys(rules) as ReadonlyArray<RuleName>

export const timeZones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] as const

/** Walks begin here. */
export const BEGIN = Date.UTC(2026, 0, 1)

/** From a given instant on, by questions. */
const walk = (next: (after: number) => number) => (after: number, until: number): number => {
  let n = 0
  for (let at = next(after); at <= until; at = next(at)) n++
  return n
}

// ---------------------------------------------------------------------------------------------------------------------
// the limit
// ---------------------------------------------------------------------------------------------------------------------

export interface Stretch {
  readonly end: number
  readonly offset: number
}

/** When the offset of a zone changes, in seconds, from the beginning of the walks on. */
export const stretches = (timeZone: string, years: number): ReadonlyArray<Stretch> => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric"
  })
  const offsetAt = (time: number): number => {
    const [month = 0, day, year = 0, hour, minute, second] = format.format(time * 1_000).split(/\D+/).map(Number)
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1_000 - time
  }
  const found: Array<Stretch> = []
  const last = BEGIN / 1_000 + years * 366 * DAY
  let offset = offsetAt(BEGIN / 1_000 - DAY)
  for (let day = BEGIN / 1_000 - DAY; day < last; day += DAY) {
    if (offsetAt(day + DAY) === offset) continue
    let end = day
    while (offsetAt(end) === offset) end += 900
    found.push({ end, offset })
    offset = offsetAt(end)
  }
  return [...found, { end: Infinity, offset }]
}

/**
 * Integers and a table of offsets, by hand, for each rule alone: no parser, no policy for skipped and repeated times, no
 * objects. What a library cannot beat without doing less.
 */
const limit: Contender = {
  prepare(rule, timeZone) {
    const table = stretches(timeZone, rule.years)
    let i = 0
    const next = (after: number): number => {
      const time = Math.floor(after / 1_000)
      while (i > 0 && table[i - 1]!.end > time) i--
      while (table[i]!.end <= time) i++
      let from = time
      while (true) {
        const { end, offset } = table[i]!
        const found = rule.local(from + offset) - offset
        if (found < end) return found * 1_000
        from = end - 1
        i++
      }
    }
    return {
      next,
      list(after, n) {
        let at = after
        for (let k = 0; k < n; k++) at = next(at)
        return at
      },
      count: walk(next)
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// libraries
// ---------------------------------------------------------------------------------------------------------------------

const punctual = async (): Promise<Contender> => {
  const CronExpression = await import("punctual/CronExpression")
  const Option = await import("effect/Option")
  const Trigger = await import("punctual/Trigger")
  return {
    parse: (text) => CronExpression.parseUnsafe(text),
    prepare({ text }, timeZone) {
      const trigger = Trigger.cron(text, { timeZone })
      const instant = (found: ReturnType<typeof Trigger.next>) => Option.getOrThrow(found).due.epochMilliseconds
      return {
        next: (after) => instant(Trigger.next(trigger, after)),
        previous: (before) => instant(Trigger.previous(trigger, before)),
        list(after, n) {
          let at = after
          for (const { due } of Trigger.occurrences(trigger, { after, limit: n })) at = due.epochMilliseconds
          return at
        },
        count: (after, until) => Trigger.countBetween(trigger, { after, until }).count
      }
    }
  }
}

/** The same prepared for loops: plain integers. */
const bound = async (): Promise<Contender> => {
  const Trigger = await import("punctual/Trigger")
  return {
    parse: (text) => Trigger.cron(text),
    prepare({ text }, timeZone) {
      const trigger = Trigger.bind(Trigger.cron(text, { timeZone }), { anchor: 0, seed: "" })
      const next = (after: number) => trigger.next(after)!.due
      return {
        next,
        previous: (before) => trigger.previous(before)!.due,
        list(after, n) {
          let at = after
          for (let k = 0; k < n; k++) at = next(at)
          return at
        },
        count: (after, until) => trigger.countBetween(after, until, Infinity).count
      }
    }
  }
}

const croner = async (): Promise<Contender> => {
  const { Cron } = await import("croner")
  return {
    parse: (text) => new Cron(text, { paused: true }),
    prepare({ text }, timezone) {
      const job = new Cron(text, { paused: true, timezone })
      const next = (after: number) => job.nextRun(new Date(after))!.getTime()
      return {
        next,
        previous: (before) => job.previousRuns(1, new Date(before))[0]!.getTime(),
        list: (after, n) => job.nextRuns(n, new Date(after)).at(-1)!.getTime(),
        count: walk(next)
      }
    }
  }
}

const cronParser = async (): Promise<Contender> => {
  const { CronExpressionParser } = await import("cron-parser")
  return {
    parse: (text) => CronExpressionParser.parse(text),
    prepare({ text }, tz) {
      const expression = CronExpressionParser.parse(text, { tz })
      return {
        next(after) {
          expression.reset(new Date(after))
          return expression.next().getTime()
        },
        previous(before) {
          expression.reset(new Date(before))
          return expression.prev().getTime()
        },
        list(after, n) {
          expression.reset(new Date(after))
          return expression.take(n).at(-1)!.getTime()
        },
        count(after, until) {
          expression.reset(new Date(after))
          let n = 0
          while (expression.next().getTime() <= until) n++
          return n
        }
      }
    }
  }
}

const cron = async (): Promise<Contender> => {
  const { CronTime } = await import("cron")
  return {
    parse: (text) => new CronTime(text),
    prepare({ text }, timeZone) {
      const time = new CronTime(text, timeZone)
      const next = (after: number) => time.getNextDateFrom(new Date(after), timeZone).toMillis()
      return { next, count: walk(next) }
    }
  }
}

const nodeSchedule = async (): Promise<Contender> => {
  const { RecurrenceRule } = (await import("node-schedule")).default
  return {
    prepare({ fields: [date, month, dayOfWeek, hour, minute, second] }, tz) {
      // Its constructor takes no zone and reads `null` as the second 0.
      const rule = Object.assign(new RecurrenceRule(), { date, month, dayOfWeek, hour, minute, second, tz })
      const next = (after: number) => rule.nextInvocationDate(new Date(after)).getTime()
      return { next, count: walk(next) }
    }
  }
}

const effect = async (): Promise<Contender> => {
  const Cron = await import("effect/Cron")
  return {
    parse: (text) => Cron.parseUnsafe(text),
    prepare({ text }, timeZone) {
      const rule = Cron.parseUnsafe(text, timeZone)
      const next = (after: number) => Cron.next(rule, after).getTime()
      return {
        next,
        previous: (before) => Cron.prev(rule, before).getTime(),
        list(after, n) {
          const sequence = Cron.sequence(rule, after)
          let at = after
          for (let k = 0; k < n; k++) at = sequence.next().value.getTime()
          return at
        },
        count: walk(next)
      }
    }
  }
}

export const contenders: Readonly<Record<string, () => Promise<Contender>>> = {
  punctual,
  "punctual, bound": bound,
  "limit (integers by hand)": async () => limit,
  croner,
  "cron-parser": cronParser,
  cron,
  "node-schedule": nodeSchedule,
  "Effect Cron": effect
}
