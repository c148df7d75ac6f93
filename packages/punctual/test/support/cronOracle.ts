/**
 * What a cron expression means, decided one minute or one day at a time. It owes nothing to the parser or the engine: each
 * field knows its values from how it was generated, dates come from `Date.UTC`, and clocks from `Intl`.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

export const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
export const pick = <const A>(values: ReadonlyArray<A>) => Arbitrary.map(int(0, values.length - 1), (i) => values[i]!)
export const oneOf = <A>(arbitraries: ReadonlyArray<Arbitrary.Arbitrary<A>>) =>
  Arbitrary.flatMap(int(0, arbitraries.length - 1), (i) => arbitraries[i]!)

/** A field: its text, whether it begins with a star, and what it means. */
export interface Field<A = number> {
  readonly text: string
  readonly star: boolean
  readonly has: (value: A) => boolean
}

/** `values` is the number of distinct ones, starting at `min`. */
export const field = (min: number, values: number, near: readonly [number, number]): Arbitrary.Arbitrary<Field> => {
  const max = min + values - 1
  const value = oneOf([int(min, max), int(near[0], near[1])])
  const within = (a: number, b: number, step: number) => (v: number) => {
    const distance = (v - a + values) % values
    return distance <= (b - a + values) % values && distance % step === 0
  }
  return oneOf<Field>([
    Arbitrary.Constant({ text: "*", star: true, has: () => true }),
    Arbitrary.map(pick([2, 3, 5]), (n) => ({ text: `*/${n}`, star: true, has: within(min, max, n) })),
    Arbitrary.map(value, (a) => ({ text: `${a}`, star: false, has: (v) => v === a })),
    Arbitrary.map(Arbitrary.all([value, value]), ([a, b]) => ({
      text: `${a},${b}`,
      star: false,
      has: (v) => v === a || v === b
    })),
    Arbitrary.map(
      Arbitrary.all([value, value]),
      ([a, b]) => ({ text: `${a}-${b}`, star: false, has: within(a, b, 1) })
    ),
    Arbitrary.map(Arbitrary.all([value, value, pick([2, 3])]), ([a, b, n]) => ({
      text: `${a}-${b}/${n}`,
      star: false,
      has: within(a, b, n)
    }))
  ])
}

export const anything: Field<unknown> = { text: "*", star: true, has: () => true }

const always = Arbitrary.Constant(anything)

// ---------------------------------------------------------------------------------------------------------------------
// days
// ---------------------------------------------------------------------------------------------------------------------

const months = new Map<number, ReadonlyArray<Date>>()

/** The dates of the month of a date, all of them; remembered, since every day of it asks. */
const monthOf = (date: Date): ReadonlyArray<Date> => {
  const key = date.getUTCFullYear() * 12 + date.getUTCMonth()
  const known = months.get(key)
  if (known !== undefined) return known
  const dates: Array<Date> = []
  for (let day = 1; day <= 31; day++) {
    const other = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), day))
    if (other.getUTCMonth() === date.getUTCMonth()) dates.push(other)
  }
  months.set(key, dates)
  return dates
}

const sameDay = (a: Date | undefined, b: Date): boolean => a?.getTime() === b.getTime()

/** The working day of a month that is nearest to one of its days, when it has that day. */
const nearestWorkday = (dates: ReadonlyArray<Date>, day: number): Date | undefined => {
  if (day < 1 || day > dates.length) return undefined
  const workdays = dates.filter((date) => date.getUTCDay() !== 0 && date.getUTCDay() !== 6)
  const distance = (date: Date) => Math.abs(date.getUTCDate() - day)
  return workdays.sort((a, b) => distance(a) - distance(b))[0]
}

const weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

const special = (text: string, day: (dates: ReadonlyArray<Date>) => Date | undefined): Field<Date> => ({
  text,
  star: false,
  has: (date) => sameDay(day(monthOf(date)), date)
})

const fromEnd = Arbitrary.map(
  oneOf([int(0, 4), int(0, 30), int(26, 30)]),
  (n) => special(n === 0 ? "L" : `L-${n}`, (dates) => dates[dates.length - 1 - n])
)

const workday = oneOf([
  Arbitrary.map(
    oneOf([int(1, 31), pick([1, 2, 28, 29, 30, 31])]),
    (n) => special(`${n}W`, (dates) => nearestWorkday(dates, n))
  ),
  Arbitrary.map(
    pick([0, 1, 2, 3, 28, 29]),
    (n) => special(n === 0 ? "LW" : `L-${n}W`, (dates) => nearestWorkday(dates, dates.length - n))
  )
])

const nth = (show: (weekday: number, n: number | "last") => string) =>
  Arbitrary.map(
    Arbitrary.all([int(0, 6), pick([1, 2, 3, 4, 5, "last"])]),
    ([weekday, n]) =>
      special(show(weekday, n), (dates) => {
        const those = dates.filter((date) => date.getUTCDay() === weekday)
        return n === "last" ? those[those.length - 1] : those[n - 1]
      })
  )

const ordinals = ["0th", "1st", "2nd", "3rd", "4th", "5th"]
const inWords = nth((weekday, n) => `${n === "last" ? "last" : ordinals[n]}-${weekdayNames[weekday]}`)
const hash = oneOf([
  nth((weekday, n) => `${weekday}#${n === "last" ? "L" : n}`),
  nth((weekday, n) => `${weekdayNames[weekday]}${n === "last" ? "L" : `#${n}`}`)
])

const plain = (inner: Arbitrary.Arbitrary<Field>, value: (date: Date) => number): Arbitrary.Arbitrary<Field<Date>> =>
  Arbitrary.map(inner, ({ has, star, text }) => ({ text, star, has: (date) => has(value(date)) }))

/** `a,b`; only a list that begins with a star is a star. */
const both = (inner: Arbitrary.Arbitrary<Field<Date>>): Arbitrary.Arbitrary<Field<Date>> =>
  Arbitrary.map(Arbitrary.all([inner, inner]), ([a, b]) => ({
    text: `${a.text},${b.text}`,
    star: a.star,
    has: (date) => a.has(date) || b.has(date)
  }))

const monthDays = plain(field(1, 31, [1, 28]), (date) => date.getUTCDate())
const weekdays = plain(field(0, 7, [0, 6]), (date) => date.getUTCDay())

/** The day of month, without the forms that a month decides. */
export const plainDay: Arbitrary.Arbitrary<Field<Date>> = oneOf<Field<Date>>([always, always, monthDays])

/** The day of week, without the forms that a month decides. */
export const plainWeekday: Arbitrary.Arbitrary<Field<Date>> = oneOf<Field<Date>>([always, always, weekdays])

/** The day of month in all its forms. */
export const anyDay: Arbitrary.Arbitrary<Field<Date>> = oneOf([
  plainDay,
  fromEnd,
  workday,
  inWords,
  both(oneOf([monthDays, fromEnd, workday, inWords]))
])

/** The day of week in all its forms. */
export const anyWeekday: Arbitrary.Arbitrary<Field<Date>> = oneOf([
  plainWeekday,
  hash,
  both(oneOf([weekdays, hash]))
])

export const month: Arbitrary.Arbitrary<Field> = oneOf<Field>([always, always, field(1, 12, [2, 4])])

/** Years do not go around the end. */
export const year: Arbitrary.Arbitrary<Field> = oneOf<Field>([
  always,
  always,
  Arbitrary.map(int(2018, 2040), (a) => ({ text: `${a}`, star: false, has: (v) => v === a })),
  Arbitrary.map(Arbitrary.all([int(2015, 2030), int(0, 12), pick([1, 2, 4, 5])]), ([a, more, n]) => ({
    text: `${a}-${a + more}/${n}`,
    star: false,
    has: (v) => v >= a && v <= a + more && (v - a) % n === 0
  })),
  Arbitrary.map(pick([2, 3, 4]), (n) => ({ text: `*/${n}`, star: true, has: (v) => (v - 1970) % n === 0 }))
])

/** The ISO week: the first one of a year has the 4th of January in it, and begins on its Monday. */
export const isoWeek = (date: Date): number => {
  const DAY = 86_400_000
  const monday = (time: number) => time - (new Date(time).getUTCDay() + 6) % 7 * DAY
  for (const  of of[date.getUTCFullYear() + 1, date.getUTCFullYear(), date.getUTCFullYear() - 1]) {
    const first = monday(Date.UTC(of, 0, 4))
    if (date.getTime() >= first) return Math.floor((date.getTime() - first) / (7 * DAY)) + 1
  }
  throw new Error("a date is in some ISO week")
}

export const week: Arbitrary.Arbitrary<Field<Date>> = oneOf<Field<Date>>([
  always,
  always,
  always,
  plain(field(1, 53, [1, 2]), isoWeek),
  plain(field(1, 53, [51, 53]), isoWeek)
])

export interface DayFields {
  readonly day: Field<Date>
  readonly month: Field
  readonly weekday: Field<Date>
  readonly year: Field
  readonly week: Field<Date>
}

/** Whether a date, as midnight in UTC, matches. */
export const matchesDay = (fields: DayFields, and: boolean) => (date: Date): boolean => {
  const { day, month, week, weekday, year } = fields
  if (!year.has(date.getUTCFullYear()) || !month.has(date.getUTCMonth() + 1) || !week.has(date)) return false
  return and || day.star || weekday.star ? day.has(date) && weekday.has(date) : day.has(date) || weekday.has(date)
}

// ---------------------------------------------------------------------------------------------------------------------
// clocks
// ---------------------------------------------------------------------------------------------------------------------

/** Minutes of a stretch of time, what the clock on the wall shows at each (civil minutes since 1970), and how often. */
export interface Clock {
  readonly start: number
  readonly local: ReadonlyArray<number>
  readonly pass: ReadonlyArray<"only" | "first" | "second">
}

/** The offset is read at every hour, and at every minute of an hour in which it changes. */
export const readClock = (timeZone: string, start: number, minutes: number): Clock => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric"
  })
  const read = (i: number): number => {
    const [month, day, year, hour, minute] = format.format(start + i * 60_000).split(/\D+/).map(Number)
    return Date.UTC(year!, month! - 1, day, hour, minute) / 60_000
  }
  const local: Array<number> = []
  while (local.length < minutes) {
    const i = local.length
    const first = read(i)
    const steady = read(i + 60) === first + 60
    for (let m = 0; m < 60; m++) local.push(steady ? first + m : read(i + m))
  }
  const pass: Array<"only" | "first" | "second"> = local.map(() => "only")
  for (let i = 1; i < local.length; i++) {
    for (let k = 0; k <= local[i - 1]! - local[i]!; k++) {
      pass[i + k] = "second"
      pass[i - 1 - k] = "first"
    }
  }
  return { start, local, pass }
}

export interface Policy {
  readonly gap?: "skip" | "shift" | undefined
  readonly overlap?: "first" | "second" | "both" | undefined
}

export interface TimeFields {
  readonly second: Field
  readonly minute: Field
  readonly hour: Field
}

/** All matching instants of a clock, by the definition in the documentation of `Trigger.cron`. */
export const bruteForce = (
  clock: Clock,
  fields: TimeFields & DayFields,
  policy: Policy,
  and: boolean
): Array<number> => {
  const table = (field: Field, size: number) => Array.from({ length: size }, (_, v) => field.has(v))
  const seconds = table(fields.second, 60).flatMap((has, v) => has ? [v] : [])
  const minutes = table(fields.minute, 60)
  const hours = table(fields.hour, 24)
  const wild = fields.minute.star || fields.hour.star
  const gap = policy.gap ?? (wild ? "skip" : "end")
  const overlap = policy.overlap ?? (wild ? "both" : "first")
  const matchesDate = matchesDay(fields, and)
  const days = new Map<number, boolean>()
  /** Whether the minute matches: any of its seconds may. */
  const matches = (local: number): boolean => {
    if (!minutes[local % 60] || !hours[Math.floor(local / 60) % 24]) return false
    const day = Math.floor(local / 1440)
    let known = days.get(day)
    if (known === undefined) days.set(day, known = matchesDate(new Date(day * 86_400_000)))
    return known
  }
  const out = new Set<number>()
  const add = (minute: number) => {
    for (const second of seconds) out.add(minute + second * 1000)
  }
  clock.local.forEach((local, i) => {
    const pass = clock.pass[i]!
    if (matches(local) && (pass === "only" || overlap === "both" || overlap === pass)) add(clock.start + i * 60_000)
    const before = clock.local[i - 1]
    if (before === undefined) return
    for (let skipped = before + 1; skipped < local; skipped++) {
      if (!matches(skipped)) continue
      // Once, whatever the second.
      if (gap === "end") out.add(clock.start + i * 60_000)
      if (gap === "shift") add(clock.start + (i - 1 + skipped - before) * 60_000)
    }
  })
  return Array.from(out).sort((a, b) => a - b)
}
