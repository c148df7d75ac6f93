/**
 * A sorted list in chunks: the one index structure of the memory store.
 *
 *     chunks   [ a b c … ] [ f g h … ] [ p q … ]      each at most `chunkSize` members, none empty
 *
 * A heap answers only what is first; the store also asks for the first after an instant, walks pages in both
 * directions and removes from the middle. Adding and removing are two binary searches and a shift inside one chunk,
 * adding behind the last member is a push. About 12 bytes a member.
 *
 * @since 0.1.0
 */

/** Small enough to shift in under 100 ns, large enough that a million members are a few thousand chunks. */
const chunkSize = 256

/** A total order: zero only for the same member. */
export type Compare<A> = (self: A, that: A) => number

/** Walks members in order without changing anything. Adding and removing invalidate it. */
export interface Cursor<A> {
  readonly next: () => A | undefined
}

/** @internal */
export class SortedList<A> {
  readonly compare: Compare<A>
  chunks: Array<Array<A>> = []
  size = 0

  constructor(compare: Compare<A>, members: ReadonlyArray<A> = []) {
    this.compare = compare
    if (members.length === 0) return
    const sorted = [...members].sort(compare)
    this.size = sorted.length
    for (let i = 0; i < sorted.length; i += chunkSize) this.chunks.push(sorted.slice(i, i + chunkSize))
  }

  add(a: A): void {
    const chunks = this.chunks
    this.size++
    if (chunks.length === 0) {
      chunks.push([a])
      return
    }
    const last = chunks[chunks.length - 1]!
    if (this.compare(last[last.length - 1]!, a) < 0) {
      if (last.length < chunkSize) last.push(a)
      else chunks.push([a])
      return
    }
    const c = this.chunkOf(a)
    const chunk = chunks[c]!
    const at = this.lowerBound(chunk, a)
    chunk.push(a)
    for (let i = chunk.length - 1; i > at; i--) chunk[i] = chunk[i - 1]!
    chunk[at] = a
    if (chunk.length > chunkSize) chunks.splice(c + 1, 0, chunk.splice(chunkSize >> 1))
  }

  /** Removes a member whose sort key has not changed since it was added. */
  remove(a: A): void {
    const chunks = this.chunks
    if (chunks.length === 0) return
    const c = this.chunkOf(a)
    const chunk = chunks[c]!
    const at = this.lowerBound(chunk, a)
    if (chunk[at] !== a) return
    this.size--
    if (at === 0) chunk.shift()
    else {
      for (let i = at + 1; i < chunk.length; i++) chunk[i - 1] = chunk[i]!
      chunk.pop()
    }
    if (chunk.length === 0) chunks.splice(c, 1)
    else if (chunk.length < chunkSize >> 2 && c + 1 < chunks.length) {
      const next = chunks[c + 1]!
      if (chunk.length + next.length <= chunkSize >> 1) {
        for (const member of next) chunk.push(member)
        chunks.splice(c + 1, 1)
      }
    }
  }

  first(): A | undefined {
    return this.chunks[0]?.[0]
  }

  /** The first member for which `before` is false; it must be true up to some place and false behind it. */
  firstFrom(before: (a: A) => boolean): A | undefined {
    return this.from(before).next()
  }

  /** From the first member for which `before` is false, upwards. */
  from(before: (a: A) => boolean): Cursor<A> {
    let c = this.seekChunk(before)
    let i = c < this.chunks.length ? seek(this.chunks[c]!, before) : 0
    return {
      next: () => {
        const chunk = this.chunks[c]
        if (chunk === undefined) return undefined
        const a = chunk[i]
        if (++i >= chunk.length) {
          c++
          i = 0
        }
        return a
      }
    }
  }

  /** From the last member for which `before` is true, downwards. */
  downFrom(before: (a: A) => boolean): Cursor<A> {
    let c = this.seekChunk(before)
    let i = c < this.chunks.length ? seek(this.chunks[c]!, before) - 1 : -1
    return {
      next: () => {
        if (i < 0) {
          if (--c < 0) return undefined
          i = this.chunks[c]!.length - 1
        }
        return this.chunks[c]![i--]
      }
    }
  }

  up(): Cursor<A> {
    return this.from(none)
  }

  down(): Cursor<A> {
    return this.downFrom(all)
  }

  /** The chunk that holds `a`, or would. */
  private chunkOf(a: A): number {
    let low = 0
    let high = this.chunks.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      const chunk = this.chunks[middle]!
      if (this.compare(chunk[chunk.length - 1]!, a) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  private lowerBound(chunk: Array<A>, a: A): number {
    let low = 0
    let high = chunk.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.compare(chunk[middle]!, a) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  private seekChunk(before: (a: A) => boolean): number {
    let low = 0
    let high = this.chunks.length
    while (low < high) {
      const middle = (low + high) >> 1
      const chunk = this.chunks[middle]!
      if (before(chunk[chunk.length - 1]!)) low = middle + 1
      else high = middle
    }
    return low
  }
}

const none = () => false

const all = () => true

const seek = <A>(chunk: Array<A>, before: (a: A) => boolean): number => {
  let low = 0
  let high = chunk.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (before(chunk[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}
