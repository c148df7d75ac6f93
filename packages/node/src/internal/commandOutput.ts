/**
 * The end of a long output: what a history keeps of it.
 *
 * @since 0.1.0
 */

/** Keeps the last bytes. @internal */
export class Tail {
  private chunks: Array<Buffer> = []
  private kept = 0
  private total = 0
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.kept += chunk.length
    this.total += chunk.length
    while (this.chunks.length > 1 && this.kept - this.chunks[0]!.length >= this.limit) {
      this.kept -= this.chunks.shift()!.length
    }
  }

  /** As text; where something was cut, the first line says how much. */
  text(): string {
    const all = Buffer.concat(this.chunks)
    if (this.total <= this.limit) return all.toString("utf8")
    let from = all.length - this.limit
    // Not from the middle of a character.
    while (from < all.length && (all[from]! & 0xc0) === 0x80) from++
    return `… ${this.total - (all.length - from)} bytes cut\n${all.toString("utf8", from)}`
  }
}
