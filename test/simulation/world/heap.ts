/** An event at a time; of two at the same time the one that was scheduled first comes first. */
export interface Timed {
  readonly atMs: number
  readonly order: number
}

/** A binary heap: the earliest first. */
export class Heap<T extends Timed> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  push(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent] as T
      if (!isBefore(item, above)) break
      items[at] = above
      at = parent
    }
    items[at] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let at = 0
    for (;;) {
      const child = this.#earlierChild(at)
      if (child === null || !isBefore(items[child] as T, last)) break
      items[at] = items[child] as T
      at = child
    }
    items[at] = last
    return first
  }

  #earlierChild(at: number): number | null {
    const left = 2 * at + 1
    const right = left + 1
    if (left >= this.#items.length) return null
    if (right >= this.#items.length) return left
    return isBefore(this.#items[right] as T, this.#items[left] as T) ? right : left
  }
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
