/** The operations of a system as a function uses them. Each adapter only calls the library that it wraps. */
export interface Client {
  put(key: string, bytes: Buffer): Promise<void>
  /** Rejects if the key does not exist. */
  get(key: string): Promise<Buffer>
  putMany(entries: readonly Entry[]): Promise<void>
  /** Values in the order of the keys. Rejects if a key does not exist. */
  getMany(keys: readonly string[]): Promise<Buffer[]>
  /** Resolves whether or not the key existed, because S3 does not report it. */
  delete(key: string): Promise<void>
  /** Puts a value that another process takes. */
  give(key: string, bytes: Buffer): Promise<void>
  /** Waits until another process gives the value, and resolves with it. One client may have several takes under way. */
  take(key: string): Promise<Buffer>
  close(): Promise<void>
}

export interface Entry {
  readonly key: string
  readonly bytes: Buffer
}

/** `target` is the `target` of the server's `Server`. */
export type Open = (target: string) => Promise<Client>

/** How long `take` waits: far longer than any run, so that a lost answer becomes a failure instead of a hang. */
export const TAKE_SECONDS_MAX = 60

/** Thrown if the store has not the object, or has evicted it. */
export class NotThere extends Error {}

/** Whether a call was rejected because the object is not there or was lost, whatever the system. */
export function isLost(error: unknown): boolean {
  const { code, name } = error as { code?: unknown; name?: unknown }
  return error instanceof NotThere || code === 'NOT_FOUND' || code === 'OBJECT_LOST' || name === 'NoSuchKey'
}

/** Throws if the key is missing. The suites that run systems with eviction count this error; for all others it makes the run invalid. */
export function found(bytes: Buffer | null | undefined, key: string): Buffer {
  if (bytes == null) throw new NotThere(`there is no ${key}`)
  return bytes
}
