import { createHash } from 'node:crypto'
import { MayflyError } from '../../protocol/errors.ts'
import { API_KEYS_MAX } from '../../protocol/limits.ts'
import type { Runtime } from '../../protocol/runtime.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { ApiKey, Quota } from '../records/quota.ts'
import type { Role } from '../records/roles.ts'
import type { Store } from '../store/store.ts'

/** The API key that a request was made with. */
export interface Caller {
  readonly name: string
  readonly role: Role
}

/** A key as the API shows it, without the key itself. */
export interface KeyShown extends Caller {
  readonly limits: Quota
  /** `config`: from the config file, or the key that `mayfly up` makes. */
  readonly source: 'config' | 'api'
  readonly record: KeyRecord | null
}

export interface KeysOptions {
  readonly configured: readonly ApiKey[]
  readonly store: Store
  readonly runtime: Runtime
}

/** Bytes of a key: 256 random bits. */
const KEY_BYTES = 32

/** The API keys of the cluster: those of the config and those made by the API. */
export class Keys {
  readonly #options: KeysOptions
  readonly #configured: ReadonlyMap<string, ApiKey>
  readonly #made = new Map<string, KeyRecord>()
  /** Names by digest. An attacker cannot choose digests, so the timing of a lookup reveals nothing. */
  readonly #names = new Map<string, string>()

  constructor(options: KeysOptions) {
    this.#options = options
    this.#configured = new Map(options.configured.map((key) => [key.name, key]))
    for (const { name, key } of options.configured) this.#names.set(digestOf(key), name)
  }

  /** Loads the stored keys; a key of the config replaces a stored one of the same name. */
  restore(records: readonly KeyRecord[]): void {
    for (const record of records) if (!this.#configured.has(record.name)) this.#enter(record)
  }

  /** Null for an unknown key. */
  find(key: string): Caller | null {
    return this.findDigest(digestOf(key))
  }

  /** As `find`, by what `digestOf` made of the key: for those who must not keep the key itself. */
  findDigest(digest: string): Caller | null {
    const name = this.#names.get(digest)
    if (name === undefined) return null
    const configured = this.#configured.get(name)
    if (configured !== undefined) return { name, role: configured.role }
    const made = this.#made.get(name)
    if (made === undefined) return null
    const isCurrent = made.digest === digest
    const isPrevious =
      made.previous?.digest === digest && made.previous.untilMs > this.#options.runtime.clock.wallMs()
    return isCurrent || isPrevious ? { name, role: made.role } : null
  }

  quotaOf(name: string): Quota {
    return this.#configured.get(name)?.quota ?? this.#made.get(name)?.limits ?? {}
  }

  all(): KeyShown[] {
    const configured = [...this.#configured.values()].map(({ name, role, quota }) => ({
      ...{ name, role, limits: quota },
      ...{ source: 'config' as const, record: null },
    }))
    const made = [...this.#made.values()].map((record) => ({
      ...{ name: record.name, role: record.role, limits: record.limits },
      ...{ source: 'api' as const, record },
    }))
    return [...configured, ...made]
  }

  /** Makes a key. The returned key is shown once. Throws `BAD_REQUEST` if the name is taken. */
  async make(of: { name: string; role: Role; limits: Quota }): Promise<{ key: string; record: KeyRecord }> {
    const { name } = of
    if (this.#configured.has(name) || this.#made.has(name))
      throw new MayflyError('BAD_REQUEST', `name: there is an API key '${name}' already`)
    if (this.#configured.size + this.#made.size >= API_KEYS_MAX)
      throw new MayflyError(
        'BAD_REQUEST',
        `name: there are ${API_KEYS_MAX} API keys, as many as a cluster may have`,
      )
    const createdAtMs = this.#options.runtime.clock.wallMs()
    return await this.#write({ ...of, previous: null, createdAtMs, rotatedAtMs: null })
  }

  /** Replaces a key; the previous one stays valid for `graceSeconds`. Throws `NOT_FOUND` or `BAD_REQUEST`. */
  async rotate(name: string, graceSeconds: number): Promise<{ key: string; record: KeyRecord }> {
    const { digest, ...before } = this.#require(name)
    const nowMs = this.#options.runtime.clock.wallMs()
    const previous = graceSeconds === 0 ? null : { digest, untilMs: nowMs + graceSeconds * 1000 }
    return await this.#write({ ...before, previous, rotatedAtMs: nowMs })
  }

  /** Revokes a key at once. Its jobs continue. Throws `NOT_FOUND` or `BAD_REQUEST`. */
  async revoke(name: string): Promise<KeyRecord> {
    const record = this.#require(name)
    this.#leave(record)
    try {
      await this.#options.store.deleteApiKey(name)
    } catch (error) {
      this.#enter(record)
      throw error
    }
    return record
  }

  async #write(of: Omit<KeyRecord, 'digest'>): Promise<{ key: string; record: KeyRecord }> {
    const key = this.#options.runtime.random.bytes(KEY_BYTES).toString('base64url')
    const record: KeyRecord = { ...of, digest: digestOf(key) }
    const before = this.#made.get(record.name)
    if (before !== undefined) this.#leave(before)
    this.#enter(record)
    try {
      await this.#options.store.putApiKey(record)
    } catch (error) {
      this.#leave(record)
      if (before !== undefined) this.#enter(before)
      throw error
    }
    return { key, record }
  }

  #require(name: string): KeyRecord {
    if (this.#configured.has(name))
      throw new MayflyError(
        'BAD_REQUEST',
        `name: the API key '${name}' is one of the config; change it there`,
      )
    const record = this.#made.get(name)
    if (record === undefined) throw new MayflyError('NOT_FOUND', `There is no API key '${name}'`)
    return record
  }

  #enter(record: KeyRecord): void {
    this.#made.set(record.name, record)
    for (const digest of digestsOf(record)) this.#names.set(digest, record.name)
  }

  #leave(record: KeyRecord): void {
    this.#made.delete(record.name)
    for (const digest of digestsOf(record)) this.#names.delete(digest)
  }
}

function digestsOf({ digest, previous }: KeyRecord): string[] {
  return previous === null ? [digest] : [digest, previous.digest]
}

export function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
