/**
 * Chaos on locks: programs that want the same lock are killed and frozen, for longer than its lease too. Nobody ever is in it
 * beside another, but one that was frozen; its token is behind then, and a receiver that compares tokens refuses it.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { lease, type Line, type LockKind } from "./lockLines.ts"
import { freeze, isFrozen, kill, linesOf, patience, type Process, start, wait, watchLateness } from "./processes.ts"
import type { Random } from "./random.ts"
import { type Server, servers } from "./servers.ts"

export interface Options {
  readonly seconds: number
  readonly random: Random
  readonly folder: string
  readonly say: (line: string) => void
}

interface Kind {
  readonly name: LockKind
  readonly where: string
  /** Whether a frozen holder loses it. */
  readonly leased: boolean
  /** Within what time the next one has it after its holder was killed, in milliseconds. */
  readonly free: number
}

const programs = 3

/** What waits looks again in between. */
const slack = 1_500
/** How many turns of processes on a busy machine it takes to hand a lock over, at most. */
const handing = 10

/** Within what time everybody has had it again after the last fault. */
const backWithin = 20_000

/** Within what time everybody is there in the beginning. */
const beginWithin = 150_000

interface Fault {
  readonly at: number
  readonly kind: LockKind
  /** Whom, or who has it just then. */
  readonly place: number | "holder"
  readonly what: "kill" | "freeze"
  readonly millis: number
}

const plan = (random: Random, kinds: ReadonlyArray<Kind>, millis: number): ReadonlyArray<Fault> =>
  kinds.flatMap(({ name }) => {
    const faults: Array<Fault> = []
    for (let at = random.between(500, 2_000); at < millis; at += random.between(1_000, 3_000)) {
      faults.push({
        at,
        kind: name,
        place: random.next() < 0.7 ? "holder" : random.integer(programs),
        what: random.weighted({ kill: 1, freeze: 1 }),
        millis: Math.round(random.between(500, 3 * lease))
      })
    }
    return faults
  }).sort((a, b) => a.at - b.at)

export const run = async ({ folder, random, say, seconds }: Options): Promise<ReadonlyArray<string>> => {
  const postgres = await servers["postgres"]!(folder)
  const redis = await servers["redis"]!(folder)
  mkdirSync(join(folder, "locks"))
  const kinds: ReadonlyArray<Kind> = [
    { name: "file", where: join(folder, "locks/{name}.lock"), leased: false, free: 0 },
    { name: "sql", where: join(folder, "locks.db"), leased: true, free: lease },
    { name: "postgres", where: postgres.where, leased: false, free: 0 },
    { name: "redis", where: redis.where, leased: true, free: lease }
  ]
  try {
    return await onKinds(kinds, { folder, random, say, seconds })
  } finally {
    for (const server of [postgres, redis] satisfies ReadonlyArray<Server>) await server.stop()
  }
}

const onKinds = async (kinds: ReadonlyArray<Kind>, { folder, random, say, seconds }: Options) => {
  const script = join(import.meta.dirname, "lockHolder.ts")
  const all = new Map<LockKind, Array<Process>>(kinds.map(({ name }) => [name, []]))
  const begin = ({ name, where }: Kind): Process => {
    const those = all.get(name)!
    const file = join(folder, `${name}-${those.length}.jsonl`)
    const program = start(script, file, [name, where, file, String(random.integer(1_000_000))])
    those.push(program)
    return program
  }
  const live = new Map(kinds.map((kind) => [kind.name, Array.from({ length: programs }, () => begin(kind))]))
  const done = { kill: 0, freeze: 0 }
  const wrong: Array<string> = []
  try {
    for (const [name, those] of live) {
      const isThere = (program: Process) => linesOf<Line>(program).some(({ what }) => what === "held")
      const until = Date.now() + beginWithin
      while (!those.every(isThere) && Date.now() < until) await wait(50)
      if (!those.every(isThere)) return [`${name}: not everybody had it in the first ${beginWithin} ms`]
    }
    const lateness = watchLateness()
    const begun = Date.now()
    const going = new Set<Promise<void>>()
    for (const { at, kind: name, millis, place: whom, what } of plan(random, kinds, seconds * 1_000)) {
      await wait(Math.max(0, begun + at - Date.now()))
      const those = live.get(name)!
      const holder = those.findIndex((program) => /held|act/.test(linesOf<Line>(program).at(-1)?.what ?? ""))
      const place = whom === "holder" ? Math.max(0, holder) : whom
      const program = those[place]!
      const kind = kinds.find((kind) => kind.name === name)!
      // one at a time of each lock, so that somebody is there to have it
      if (what === "freeze" && those.some(isFrozen)) continue
      done[what]++
      say(
        `${((Date.now() - begun) / 1_000).toFixed(1).padStart(7)}  ${name}: ${
          whom === "holder" ? "the holder" : "program"
        } ${place} is ${what === "kill" ? "killed" : `frozen for ${millis} ms`}`
      )
      if (what === "kill") {
        await kill(program)
        those[place] = begin(kind)
      } else {
        const thawed = freeze(program, millis).finally(() => going.delete(thawed))
        going.add(thawed)
      }
    }
    await Promise.all(going)
    const healed = Date.now()
    const within = patience(backWithin, lateness.worst())
    for (const [name, those] of live) {
      for (const [place, program] of those.entries()) {
        const isBack = () => linesOf<Line>(program).some(({ at, what }) => what === "held" && at > healed)
        while (!isBack() && Date.now() < healed + within) await wait(50)
        if (!isBack()) {
          wrong.push(`${name}: program ${place} did not get it in the ${within} ms after the last fault`)
        }
      }
    }
    for (const those of live.values()) for (const { child } of those) child.kill("SIGTERM")
    for (const those of live.values()) {
      for (const code of await Promise.all(those.map(({ exited }) => exited))) {
        if (code !== 130) wrong.push(`a program that was asked to stop ended with ${code}`)
      }
    }
    lateness.stop()
    const late = slack + handing * lateness.worst()
    say(`  ${String(done.kill).padStart(7)}  programs killed`)
    say(`  ${String(done.freeze).padStart(7)}  programs frozen`)
    for (const kind of kinds) {
      const result = verify(kind, all.get(kind.name)!, late)
      for (const [what, count] of Object.entries(result.sums)) {
        say(`  ${String(count).padStart(7)}  ${kind.name}: ${what}`)
      }
      wrong.push(...result.wrong.map((problem) => `${kind.name}: ${problem}`))
    }
    return wrong
  } finally {
    for (const those of all.values()) for (const { child } of those) child.kill("SIGKILL")
  }
}

/** A time in which a program had the lock, as it knew. */
interface Turn {
  readonly token: number
  readonly from: number
  readonly to: number
  readonly program: Process
  readonly frozen: boolean
  readonly ended: "end" | "lost" | "killed"
}

const turnsOf = (program: Process): ReadonlyArray<Turn> => {
  const turns: Array<Turn> = []
  for (const [token, lines] of Map.groupBy(linesOf<Line>(program), (line) => line.token)) {
    if (token === 0) continue
    const from = lines[0]!.at
    const last = lines.at(-1)!
    const ended = last.what === "end" || last.what === "lost" ? last.what : "killed"
    const to = ended === "killed" ? program.killedAt ?? last.at : last.at
    turns.push({
      token,
      from,
      to,
      program,
      frozen: program.frozen.some((other) => other.from < to && other.to > from),
      ended
    })
  }
  return turns
}

const verify = (kind: Kind, programs: ReadonlyArray<Process>, late: number) => {
  const wrong: Array<string> = []
  const turns = programs.flatMap(turnsOf).sort((a, b) => a.from - b.from)

  // each token is one holder's
  if (new Set(turns.map(({ token }) => token)).size !== turns.length) wrong.push("a token was given twice")

  // one at a time; where a frozen holder loses it, it is no holder
  const counted = turns.filter(({ frozen }) => !kind.leased || !frozen)
  for (let i = 1; i < counted.length; i++) {
    const [before, after] = [counted[i - 1]!, counted[i]!]
    if (after.from < before.to) {
      wrong.push(`token ${after.token} was held ${before.to - after.from} ms before ${before.token} was given back`)
    }
    if (after.token <= before.token) wrong.push(`token ${after.token} came after ${before.token}`)
  }

  // a receiver that compares tokens refuses nobody but those that were frozen, and those not for long
  let largest = 0
  let refused = 0
  const acts = programs.flatMap((program) =>
    linesOf<Line>(program).flatMap((line) => line.what === "act" ? [{ ...line, program }] : [])
  ).sort((a, b) => a.at - b.at)
  for (const { at, program, token } of acts) {
    if (token >= largest) largest = token
    else {
      refused++
      if (!kind.leased || !program.frozen.some(({ from, to }) => from <= at && at <= to)) {
        wrong.push(`token ${token} acted at ${at}, after ${largest} had`)
      }
    }
  }

  // who is killed, or frozen where that loses it, is followed in time, while somebody waits and nobody else is frozen
  const waits = programs.flatMap((program) => {
    const lines = linesOf<Line>(program)
    return lines.flatMap(({ at, what }, i) =>
      what === "asks" ? [{ from: at, to: lines[i + 1]?.at ?? program.killedAt ?? Infinity }] : []
    )
  })
  const waited = (from: number, to: number, holder: Process): number => {
    let millis = 0
    for (let at = from; at < to; at += 10) {
      const open = waits.some((wait) => wait.from <= at && at < wait.to) &&
        !programs.some((other) => other !== holder && other.frozen.some((f) => f.from <= at && at < f.to))
      if (open) millis += 10
    }
    return millis
  }
  let longest = 0
  let followed = 0
  for (const [i, { ended, from, program, to, token }] of turns.entries()) {
    const next = turns[i + 1]
    if (next === undefined) continue
    const freeze = program.frozen.find((other) => other.from > from && other.from < to)
    const left = ended === "killed" && freeze === undefined
      ? waited(to, next.from, program)
      : kind.leased && freeze !== undefined && program.killedAt === undefined
      ? waited(freeze.from, Math.min(next.from, freeze.to), program)
      : undefined
    if (left === undefined) continue
    followed++
    longest = Math.max(longest, left)
    if (left > kind.free + late) {
      wrong.push(
        `token ${token}: its holder was ${
          freeze === undefined ? "killed" : "frozen"
        }, and ${next.token} had it ${left} ms later`
      )
    }
  }
  if (turns.length < 20) wrong.push(`it was held only ${turns.length} times`)
  return {
    wrong,
    sums: {
      "times held": turns.length,
      "times lost": turns.filter(({ ended }) => ended === "lost").length,
      "times its holder was killed or frozen, and another had it": followed,
      "longest wait for the next holder then, ms": longest,
      "acts of overtaken holders, refused by their token": refused
    }
  }
}
