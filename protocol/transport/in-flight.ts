/**
 * Runs `work` on every item, up to `max` at a time. After the first failure it starts no more, and rejects
 * with it.
 */
export async function runInFlight<Item>(
  items: Iterable<Item>,
  max: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && failures.length === 0; next = iterator.next()) {
      await work(next.value).catch((error: unknown) => {
        failures.push(error)
      })
    }
  }
  await Promise.all(Array.from({ length: max }, worker))
  if (failures.length > 0) throw failures[0]
}
