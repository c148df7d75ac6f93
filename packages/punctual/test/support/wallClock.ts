/**
 * What clocks on the wall show, by `Intl`: the oracle for our own tables of zones.
 */

const formats = new Map<string, Intl.DateTimeFormat>()

/** What the clock of a zone shows at an instant, in civil seconds since 1970. */
export const shows = (timeZone: string, instant: number): number => {
  let format = formats.get(timeZone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric"
    })
    formats.set(timeZone, format)
  }
  const [month, day, year, hour, minute, second] = format.format(instant * 1000).split(/\D+/).map(Number)
  return Date.UTC(year!, month! - 1, day, hour, minute, second) / 1000
}
