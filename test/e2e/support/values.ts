/** Length of every record of a log. */
export const RECORD_BYTES = 100
/** How long a consumer waits for its producer. */
export const WAIT_SECONDS = 2

const LARGE_BYTES = 1_500_000
const SMALL_BYTES_MAX = 20_000

/** Value number `number` of `key`: its bytes identify both. Every fiftieth value is a large object. */
export function objectOf(key: string, number: number): Buffer {
  const name = `${key}#${number}#`
  const bytes = number % 50 === 49 ? LARGE_BYTES : name.length + ((number * 7919) % SMALL_BYTES_MAX)
  return Buffer.alloc(bytes, name)
}

/** The number of the value of `key` that these bytes are; null if no such value was ever put. */
export function numberOf(key: string, bytes: Buffer): number | null {
  const [, name, number] = /^([^#]+)#(\d+)#/.exec(bytes.toString('latin1', 0, 200)) ?? []
  if (name !== key || !objectOf(key, Number(number)).equals(bytes)) return null
  return Number(number)
}
