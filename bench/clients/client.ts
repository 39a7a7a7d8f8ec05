/** One system as a function uses it. Every adapter does no more than call the library that it wraps. */
export interface Client {
  put(key: string, bytes: Buffer): Promise<void>
  /** Rejects where there is no such key. */
  get(key: string): Promise<Buffer>
  putMany(entries: readonly Entry[]): Promise<void>
  /** In the order of the keys. Rejects where one of them is not there. */
  getMany(keys: readonly string[]): Promise<Buffer[]>
  /** Whether it was there is not said: S3 does not know. */
  delete(key: string): Promise<void>
  /** Puts what another process takes. */
  give(key: string, bytes: Buffer): Promise<void>
  /** Waits for what another process gives, and gets it. Of one client many may wait at a time. */
  take(key: string): Promise<Buffer>
  close(): Promise<void>
}

export interface Entry {
  readonly key: string
  readonly bytes: Buffer
}

/** `target` is that of the server's `Server`. */
export type Open = (target: string) => Promise<Client>

/** How long a `take` waits: far longer than any run, so that a lost answer is a failure and not a hang. */
export const TAKE_SECONDS_MAX = 60

/** What a store that has thrown an object away says of it. */
export class NotThere extends Error {}

/** A missing key is the bench's mistake or the system's; no figure counts then, but where a system may evict. */
export function found(bytes: Buffer | null | undefined, key: string): Buffer {
  if (bytes == null) throw new NotThere(`there is no ${key}`)
  return bytes
}
