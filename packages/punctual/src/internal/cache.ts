/**
 * A bounded memory of answers: two generations of a map. When the young one is full it becomes the old one, and what was
 * not asked for meanwhile is forgotten. Unlike evicting single entries, this costs nothing per entry.
 */
export class Cache<K, V> {
  private young = new Map<K, V>()
  private old = new Map<K, V>()
  private readonly size: number

  /** Holds the newest `size` answers, and at most twice as many. */
  constructor(size: number) {
    this.size = size
  }

  get(key: K): V | undefined {
    const value = this.young.get(key)
    if (value !== undefined || this.old.size === 0) return value
    const kept = this.old.get(key)
    if (kept !== undefined) this.set(key, kept)
    return kept
  }

  delete(key: K): void {
    this.young.delete(key)
    this.old.delete(key)
  }

  set(key: K, value: V): void {
    if (this.young.size >= this.size) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(key, value)
  }
}
