/**
 * An ordered stream of bytes to one peer, as TCP gives it: nothing lost or doubled while it lives, and any part
 * of what was written may never arrive once it is closed. The simulation has its own.
 */
export interface Link {
  /** Starts delivery. Called once. */
  open(handlers: LinkHandlers): void
  /**
   * Queues the parts in one system call where possible. They must not change until `taken` is called, once: the
   * network has them, or the link is closed and nobody will read them.
   */
  write(parts: readonly Uint8Array[], taken: () => void): void
  /** Bytes written and not yet taken by the network. */
  readonly queuedBytes: number
  /** Stops and resumes delivery, so that a peer that sends too fast is slowed by its own window. */
  pause(): void
  resume(): void
  /** Closes once all that was queued is written. */
  end(): void
  /** Closes at once; `closed` is still called. */
  destroy(): void
  /** Whether this link alone keeps the process alive. */
  keepAlive(value: boolean): void
}

export interface LinkHandlers {
  /** Where the next bytes go; asked before each piece, and never empty. */
  space(): Buffer
  /** The first `bytes` of the last `space` are here. */
  filled(bytes: number): void
  /** All that was queued has been taken by the network. */
  drained(): void
  /** No byte came or went for `LINK_SILENT_MS`; said again and again while it is so. */
  silent(): void
  /** Called once, whoever closed. */
  closed(cause: Error | null): void
}

/** Connects to `host:port`. Rejects with `UNAVAILABLE`. */
export type Dial = (address: string) => Promise<Link>
