/** Of every record of a log. */
export const RECORD_BYTES = 100
/** How long a consumer waits for its producer. */
export const WAIT_SECONDS = 2

const LARGE_BYTES = 1_500_000
const SMALL_BYTES_MAX = 20_000

/** What is put under `key` as its value number `number`: every byte of it tells both. Each fiftieth is a large object. */
export function objectOf(key: string, number: number): Buffer {
  const name = `${key}#${number}#`
  const bytes = number % 50 === 49 ? LARGE_BYTES : name.length + ((number * 7919) % SMALL_BYTES_MAX)
  return Buffer.alloc(bytes, name)
}

/** Which value of `key` these bytes are; null if they are none that was ever put there. */
export function numberOf(key: string, bytes: Buffer): number | null {
  const [, name, number] = /^([^#]+)#(\d+)#/.exec(bytes.toString('latin1', 0, 200)) ?? []
  if (name !== key || !objectOf(key, Number(number)).equals(bytes)) return null
  return Number(number)
}
