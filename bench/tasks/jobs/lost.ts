import { type Client, isLost } from '../../clients/client.ts'

/** Thrown in a function that cannot go on without these objects. */
class ObjectsLost extends Error {
  readonly objects: number

  constructor(objects: number) {
    super(`${objects} objects were lost`)
    this.objects = objects
  }
}

/** Runs a function; resolves with the number of objects that it needed and that were lost. */
export async function countLost(work: () => Promise<unknown>): Promise<number> {
  try {
    await work()
    return 0
  } catch (error) {
    if (error instanceof ObjectsLost) return error.objects
    throw error
  }
}

/** All of the objects, in order. */
export async function getAll(client: Client, keys: readonly string[]): Promise<Buffer[]> {
  try {
    return await client.getMany(keys)
  } catch (error) {
    const each = await Promise.allSettled(keys.map((key) => client.get(key)))
    const lost = each.filter((got) => got.status === 'rejected' && isLost(got.reason))
    throw lost.length === 0 ? error : new ObjectsLost(lost.length)
  }
}

/** The object that another function gives. */
export async function takeOne(client: Client, key: string): Promise<Buffer> {
  try {
    return await client.take(key)
  } catch (error) {
    throw isLost(error) ? new ObjectsLost(1) : error
  }
}
