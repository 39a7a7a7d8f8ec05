/**
 * An ordered byte stream to one peer, as of TCP: nothing is lost or duplicated while it is open; after a
 * close any part of what was written may be missing. The simulation has its own.
 */
export interface Link {
  /** Starts delivery. Called once. */
  open(handlers: LinkHandlers): void
  /**
   * Queues the parts, in one system call if possible. They must not change until `taken` is called, once, perhaps before this
   * returns: the network has taken them, or the link is closed.
   */
  write(parts: readonly Uint8Array[], taken: () => void): void
  /** Bytes written and not yet taken by the network. */
  readonly queuedBytes: number
  /** Runs `task` once all bytes that have arrived by now, on any link of the process, were read. */
  afterInput(task: () => void): void
  /** Stops and resumes delivery: TCP back-pressure slows the peer. */
  pause(): void
  resume(): void
  /** Closes after all queued bytes are written. */
  end(): void
  /** Closes at once; `closed` is still called. */
  destroy(): void
  /** Whether this link alone keeps the process alive. */
  keepAlive(value: boolean): void
}

export interface LinkHandlers {
  /** Memory for the next bytes; called before each read, never empty. */
  space(): Buffer
  /** `bytes` bytes were written into the last `space`. */
  filled(bytes: number): void
  /** The network has taken all queued bytes. */
  drained(): void
  /** No byte was sent or received for `LINK_SILENT_MS`; repeated while that lasts. */
  silent(): void
  /** Called once, whoever closed. */
  closed(cause: Error | null): void
}

/** Connects to `host:port`. Rejects with `UNAVAILABLE`. */
export type Dial = (address: string) => Promise<Link>
