/**
 * What goes wrong in a chaos run, and when: all of it follows from the seed, before anything has begun.
 *
 * | fault | |
 * |---|---|
 * | `kill` | SIGKILL of a scheduler; another one begins in its place |
 * | `freeze` | SIGSTOP of one, and SIGCONT later |
 * | `silence` | its connections die without being closed, in one direction or in both |
 * | `delay` | what it says and hears arrives late |
 * | `cut` | its connections are reset in the middle of an answer: what was done is not told |
 * | `refuse` | its connections are reset, and new ones refused for a while |
 * | `restart` | SIGKILL of the server, which begins again later |
 * | `forget` | the same, and the last second of its log is lost with it |
 * | `full` | no space is left on the disk, for a while |
 */
import type { Lost } from "./proxy.ts"
import type { Random } from "./random.ts"
import type { Server } from "./servers.ts"

export interface Fault {
  /** Milliseconds from the beginning. */
  readonly at: number
  readonly what: "kill" | "freeze" | "silence" | "delay" | "cut" | "refuse" | "restart" | "forget" | "full"
  /** Which scheduler. */
  readonly place: number
  /** How long it takes. */
  readonly millis: number
  /** How much of what is said is delayed, or of a log lost: milliseconds. */
  readonly by: number
  readonly lost: Lost
}

export const plan = (
  random: Random,
  options: { readonly millis: number; readonly places: number; readonly server: Server }
): ReadonlyArray<Fault> => {
  const { millis, places, server } = options
  const faults: Array<Fault> = []
  /** Those of the store come at a third and two thirds; each kind at least once in two. */
  const ofStore: Array<"restart" | "forget" | "full"> = [
    ...server.restart === undefined
      ? []
      : [server.forgets === true ? "forget" as const : "restart" as const, "restart" as const],
    ...server.fill === undefined ? [] : ["full" as const, "full" as const]
  ]
  let at = 0
  while (true) {
    at += random.between(300, 1_500)
    if (at > millis) return faults
    const due = ofStore.length > 0 && at > millis * (3 - ofStore.length) / 3
    const what = due ? ofStore.shift()! : random.weighted<Fault["what"]>({
      kill: 5,
      freeze: 3,
      ...server.remote ? { silence: 1.5, delay: 1, cut: 1.5, refuse: 1 } : {}
    })
    const lengths: Readonly<Record<Fault["what"], readonly [number, number]>> = {
      kill: [0, 0],
      freeze: [500, 9_000],
      silence: [0, 0],
      delay: [500, 5_000],
      cut: [0, 0],
      refuse: [500, 4_000],
      restart: [0, 2_000],
      forget: [0, 2_000],
      full: [1_500, 4_000]
    }
    faults.push({
      at,
      what,
      place: random.integer(places),
      millis: Math.round(random.between(...lengths[what])),
      by: Math.round(what === "forget" ? random.between(200, 1_000) : random.between(20, 1_200)),
      lost: random.weighted<Lost>({ both: 1, requests: 1, replies: 1 })
    })
  }
}

export const describe = ({ by, lost, millis, place, what }: Fault): string => {
  switch (what) {
    case "kill":
      return `scheduler ${place} is killed`
    case "freeze":
      return `scheduler ${place} is frozen for ${millis} ms`
    case "silence":
      return `scheduler ${place}: its connections die in ${lost === "both" ? "both directions" : `their ${lost}`}`
    case "delay":
      return `scheduler ${place}: everything arrives ${by} ms late, for ${millis} ms`
    case "cut":
      return `scheduler ${place}: its connections are reset in the middle of an answer`
    case "refuse":
      return `scheduler ${place}: its connections are reset, and refused for ${millis} ms`
    case "restart":
      return `the server is killed, and starts ${millis} ms later`
    case "forget":
      return `the server is killed, loses the last ${by} ms of its log, and starts ${millis} ms later`
    case "full":
      return `the disk is full for ${millis} ms`
  }
}
