import type { Job } from '../../client/job.ts'
import { openJob } from '../../client/job.ts'
import { isError } from '../../protocol/errors.ts'
import { claimsOfAccessKey } from '../../protocol/model/s3-key.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { OpenJob } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { ENDED_JOB_MS, OPEN_JOB_IDLE_MS, OPEN_JOBS_MAX, TICKET_SECONDS } from '../limits.ts'

/** A ticket of a job for the rights of an access key, and when the job was registered. */
export interface Issued {
  readonly ticket: string
  readonly createdAt: string
}

/** The rights of an access key. */
interface Rights {
  readonly job: string
  readonly read: boolean
  readonly write: boolean
  readonly prefix: string
  readonly expiresInSeconds: number
}

/** Issues a ticket. Rejects with `JOB_NOT_FOUND` or `JOB_ENDED`. */
export type Issue = (rights: Rights) => Promise<Issued>

interface Entry {
  readonly opened: Promise<OpenJob>
  /** Requests that use it. */
  users: number
  usedMs: number
  renewAtMs: number
}

/** An open job, for one request. */
export interface Lease {
  readonly open: OpenJob
  readonly release: () => void
}

/**
 * The open jobs of the access keys in use. They are a cache of tickets and connections: another gateway, or this one after
 * a restart, opens them anew.
 */
export class OpenJobs {
  readonly #issue: Issue
  readonly #clock: Clock
  /** By access key; the latest used last. */
  readonly #entries = new Map<string, Entry>()
  /** Access keys of jobs that have ended, until when that is remembered. */
  readonly #ended = new Map<string, number>()

  constructor(issue: Issue, clock: Clock) {
    this.#issue = issue
    this.#clock = clock
  }

  get count(): number {
    return this.#entries.size
  }

  /** The job of an access key whose signature was right. Rejects with `InvalidAccessKeyId` once it has ended. */
  async lease(accessKeyId: string): Promise<Lease> {
    const nowMs = this.#clock.monotonicMs()
    if (this.hasEnded(accessKeyId)) throw new S3Error('InvalidAccessKeyId')
    const entry = this.#entries.get(accessKeyId) ?? this.#open(accessKeyId, nowMs)
    entry.usedMs = nowMs
    this.#entries.delete(accessKeyId)
    this.#entries.set(accessKeyId, entry)
    this.#trim(nowMs)
    if (nowMs > entry.renewAtMs) this.#renew(accessKeyId, entry, nowMs)
    entry.users++
    const release = (): void => {
      entry.users--
      entry.usedMs = this.#clock.monotonicMs()
    }
    try {
      return { open: await entry.opened, release }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Whether the job of this key is known to have ended. */
  hasEnded(accessKeyId: string): boolean {
    const untilMs = this.#ended.get(accessKeyId)
    return untilMs !== undefined && this.#clock.monotonicMs() < untilMs
  }

  /** The job of this key has ended, as one of its calls was answered. */
  forget(accessKeyId: string): void {
    this.#close(accessKeyId)
    this.#ended.set(accessKeyId, this.#clock.monotonicMs() + ENDED_JOB_MS)
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= OPEN_JOBS_MAX) break
      this.#ended.delete(oldest)
    }
  }

  close(): void {
    for (const accessKeyId of [...this.#entries.keys()]) this.#close(accessKeyId)
  }

  #open(accessKeyId: string, nowMs: number): Entry {
    const opened = this.#begin(accessKeyId)
    const entry: Entry = { opened, users: 0, usedMs: nowMs, renewAtMs: nowMs + TICKET_SECONDS * 500 }
    this.#entries.set(accessKeyId, entry)
    entry.opened.catch((error: unknown) => {
      if (isError(error, 'JOB_NOT_FOUND', 'JOB_ENDED')) this.forget(accessKeyId)
      else if (this.#entries.get(accessKeyId) === entry) this.#entries.delete(accessKeyId)
    })
    return entry
  }

  async #begin(accessKeyId: string): Promise<OpenJob> {
    const rights = rightsOf(accessKeyId, this.#clock.wallMs())
    const { ticket, createdAt } = await this.#issue(rights)
    return { job: await openJob(ticket), canWrite: rights.write, createdAt: new Date(createdAt) }
  }

  /** Meanwhile requests use the former ticket. */
  #renew(accessKeyId: string, entry: Entry, nowMs: number): void {
    entry.renewAtMs = nowMs + TICKET_SECONDS * 500
    void Promise.resolve()
      .then(async () => await this.#issue(rightsOf(accessKeyId, this.#clock.wallMs())))
      .then(async ({ ticket }) => (await entry.opened).job.renewTicket(ticket))
      .catch((error: unknown) => {
        if (isError(error, 'JOB_NOT_FOUND', 'JOB_ENDED')) this.forget(accessKeyId)
        // The controller may be restarting.
        else entry.renewAtMs = this.#clock.monotonicMs() + RENEW_AGAIN_MS
      })
  }

  #trim(nowMs: number): void {
    for (const [accessKeyId, { usedMs, users }] of this.#entries) {
      if (this.#entries.size <= OPEN_JOBS_MAX && nowMs - usedMs < OPEN_JOB_IDLE_MS) return
      if (users === 0) this.#close(accessKeyId)
    }
  }

  #close(accessKeyId: string): void {
    const entry = this.#entries.get(accessKeyId)
    this.#entries.delete(accessKeyId)
    void entry?.opened.then(({ job }: { job: Job }) => job.close()).catch(() => undefined)
  }
}

const RENEW_AGAIN_MS = 5_000

/** Throws `InvalidAccessKeyId`, or `ExpiredToken`. */
function rightsOf(accessKeyId: string, wallMs: number): Rights {
  const claimed = claimsOfAccessKey(accessKeyId)
  if (claimed === null) throw new S3Error('InvalidAccessKeyId')
  const { job, read, write, prefix, expiresSeconds } = claimed.claims
  const leftSeconds = Math.floor(expiresSeconds - wallMs / 1000)
  if (leftSeconds < 1) throw new S3Error('ExpiredToken')
  return {
    job,
    read,
    write,
    prefix: Buffer.from(prefix).toString(),
    expiresInSeconds: Math.min(leftSeconds, TICKET_SECONDS),
  }
}
