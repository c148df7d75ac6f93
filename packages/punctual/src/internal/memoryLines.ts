/**
 * Lines of ready runs that share a concurrency key, in the memory store.
 *
 *     line (tag, key): how many run ──┬── lane (executor, version): ready runs in the order of claims
 *                                     └── lane …
 *
 * A bucket lists those of its lanes whose first run may begin, by that run: so a claim looks at lanes that have room, and
 * at no other. A lane's place changes with its first run and with what runs in its line.
 *
 * @since 0.1.0
 */
import type { Run } from "./memoryRecords.ts"
import type { Compare, Cursor } from "./memorySorted.ts"
import { SortedList } from "./memorySorted.ts"

/** All runs of a tag and key that are ready or running. */
export class Line {
  readonly tag: string
  readonly key: string
  running = 0
  /** Those that will be ready later included. */
  ready = 0
  readonly lanes = new Set<Lane>()

  constructor(tag: string, key: string) {
    this.tag = tag
    this.key = key
  }

  run(change: 1 | -1): void {
    this.running += change
    for (const lane of this.lanes) lane.list()
  }
}

/** The runs of a line that one bucket has, and that may be claimed as far as their time has come. */
export class Lane {
  readonly line: Line
  readonly order: SortedList<Run>
  private readonly lanes: Lanes
  /** The first run, where it may begin: what the lane is listed by. */
  first: Run | undefined

  constructor(line: Line, lanes: Lanes, compare: Compare<Run>) {
    this.line = line
    this.lanes = lanes
    this.order = new SortedList(compare)
  }

  /** Lists it where its first run puts it, now. */
  list(): void {
    const run = this.order.first()
    const first = run !== undefined && hasRoom(this.line, 0, run) ? run : undefined
    if (first === this.first) return
    if (this.first !== undefined) this.lanes.listed.remove(this)
    this.first = first
    if (first !== undefined) this.lanes.listed.add(this)
  }
}

/** Whether a run may begin beside those of its line that run, and so many more. */
const hasRoom = (line: Line, more: number, run: Run): boolean => line.running + more < run.concurrencyLimit

/** The lanes of one bucket. */
export class Lanes {
  private readonly compare: Compare<Run>
  private readonly of = new Map<Line, Lane>()
  /** Those whose first run may begin. */
  readonly listed: SortedList<Lane>

  constructor(compare: Compare<Run>) {
    this.compare = compare
    this.listed = new SortedList((self, that) => compare(self.first!, that.first!))
  }

  add(line: Line, run: Run): void {
    let lane = this.of.get(line)
    if (lane === undefined) {
      this.of.set(line, lane = new Lane(line, this, this.compare))
      line.lanes.add(lane)
    }
    lane.order.add(run)
    lane.list()
  }

  remove(line: Line, run: Run): void {
    const lane = this.of.get(line)
    if (lane === undefined) return
    lane.order.remove(run)
    lane.list()
    if (lane.order.size > 0) return
    this.of.delete(line)
    line.lanes.delete(lane)
  }

  /** Whether no run of a line that satisfies this comes before one of another bucket. */
  noneBefore(line: Line, run: Run, mayHave: (run: Run) => boolean): boolean {
    const runs = this.of.get(line)?.order.up()
    for (let other = runs?.next(); other !== undefined && this.compare(other, run) < 0; other = runs?.next()) {
      if (mayHave(other)) return false
    }
    return true
  }

  /** Runs that may begin beside those that `taken` counts, in the order of claims. */
  up(taken: Taken): Cursor<Run> {
    const lanes = this.listed.up()
    let fresh = lanes.next()
    let begun: Array<{ readonly line: Line; readonly runs: Cursor<Run>; head: Run | undefined }> = []
    return {
      next: () => {
        begun = begun.filter(({ head, line }) => head !== undefined && taken.allows(line, head))
        let best = begun[0]
        for (const lane of begun) if (this.compare(lane.head!, best!.head!) < 0) best = lane
        if (fresh !== undefined && (best === undefined || this.compare(fresh.first!, best.head!) < 0)) {
          const runs = fresh.order.up()
          best = { line: fresh.line, runs, head: runs.next() }
          begun.push(best)
          fresh = lanes.next()
        }
        const run = best?.head
        if (best !== undefined) best.head = best.runs.next()
        return run
      }
    }
  }
}

/** What one claim takes of each line. */
export class Taken {
  private readonly counts = new Map<Line, number>()

  allows(line: Line, run: Run): boolean {
    return hasRoom(line, this.counts.get(line) ?? 0, run)
  }

  add(line: Line): void {
    this.counts.set(line, (this.counts.get(line) ?? 0) + 1)
  }
}

/** All lines, each for as long as it has runs. */
export class Lines {
  private readonly tags = new Map<string, Map<string, Line>>()
  /** Whether an end made room for a run that is ready, since this was last set to `false`. */
  freed = false

  of(tag: string, key: string): Line {
    let keys = this.tags.get(tag)
    if (keys === undefined) this.tags.set(tag, keys = new Map())
    let line = keys.get(key)
    if (line === undefined) keys.set(key, line = new Line(tag, key))
    return line
  }

  /** A run leaves its line. */
  left(line: Line): void {
    if (line.ready > 0 || line.running > 0) return
    const keys = this.tags.get(line.tag)
    keys?.delete(line.key)
    if (keys?.size === 0) this.tags.delete(line.tag)
  }
}
