import { MayflyError } from '../../../protocol/errors.ts'
import type { Runtime } from '../../../protocol/runtime.ts'
import { type Caller, digestOf, type Keys } from '../../access/keys.ts'
import {
  LINK_SECONDS,
  LINKS_OF_KEY_MAX,
  SESSION_SECONDS,
  SESSIONS_MAX,
  SESSIONS_OF_KEY_MAX,
} from '../../limits.ts'

/** Random bytes of a session id and of a link's code. */
const SECRET_BYTES = 32
const UNKNOWN_KEY = 'The API key is not one of this cluster'

/** A secret that stands for an API key until it expires. */
interface Grant {
  readonly name: string
  readonly keyDigest: string
  readonly untilMs: number
}

/**
 * Sessions of the page's users. A session has the rights of the API key that opened it, and ends when the key is revoked or rotated. Sessions
 * and links are held only in memory, with digests of their secrets.
 */
export class Sessions {
  readonly #keys: Pick<Keys, 'findDigest'>
  readonly #runtime: Runtime
  readonly #sessions = new Map<string, Grant>()
  readonly #links = new Map<string, Grant>()

  constructor(keys: Pick<Keys, 'findDigest'>, runtime: Runtime) {
    this.#keys = keys
    this.#runtime = runtime
  }

  /** Opens a session with an API key. Throws `UNAUTHENTICATED`, or `FORBIDDEN` for a driver's key. */
  login(apiKey: string): { session: string; caller: Caller } {
    const keyDigest = digestOf(apiKey)
    const caller = requireViewer(this.#keys.findDigest(keyDigest), UNKNOWN_KEY)
    return { session: this.#open(caller.name, keyDigest), caller }
  }

  /** Makes the code of a one-time link for the holder of an API key. Throws as `login` does. */
  makeLink(apiKey: string): { code: string; untilMs: number } {
    const keyDigest = digestOf(apiKey)
    const { name } = requireViewer(this.#keys.findDigest(keyDigest), UNKNOWN_KEY)
    const untilMs = this.#runtime.clock.wallMs() + LINK_SECONDS * 1000
    const code = this.#enter(this.#links, { name, keyDigest, untilMs })
    trim(this.#links, LINKS_OF_KEY_MAX, name)
    return { code, untilMs }
  }

  /** Opens a session with the code of a link, which is then used up. Throws as `login` does. */
  redeem(code: string): { session: string; caller: Caller } {
    const id = digestOf(code)
    const grant = this.#links.get(id)
    this.#links.delete(id)
    const why = 'The link was used before, or is too old; get another one with `mayfly open`'
    const caller = requireViewer(this.#callerOf(grant), why)
    return { session: this.#open(caller.name, grant?.keyDigest ?? ''), caller }
  }

  /** Null if there is no such session, or it has ended. */
  find(session: string): Caller | null {
    const id = digestOf(session)
    const caller = this.#callerOf(this.#sessions.get(id))
    if (caller !== null && caller.role !== 'driver') return caller
    this.#sessions.delete(id)
    return null
  }

  logout(session: string): void {
    this.#sessions.delete(digestOf(session))
  }

  /** Null if the grant is over, or its key is gone. */
  #callerOf(grant: Grant | undefined): Caller | null {
    if (grant === undefined || grant.untilMs <= this.#runtime.clock.wallMs()) return null
    return this.#keys.findDigest(grant.keyDigest)
  }

  #open(name: string, keyDigest: string): string {
    const untilMs = this.#runtime.clock.wallMs() + SESSION_SECONDS * 1000
    const session = this.#enter(this.#sessions, { name, keyDigest, untilMs })
    trim(this.#sessions, SESSIONS_OF_KEY_MAX, name)
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > SESSIONS_MAX && oldest !== undefined) this.#sessions.delete(oldest)
    return session
  }

  #enter(grants: Map<string, Grant>, grant: Grant): string {
    const nowMs = this.#runtime.clock.wallMs()
    for (const [id, { untilMs }] of grants) if (untilMs <= nowMs) grants.delete(id)
    const secret = this.#runtime.random.bytes(SECRET_BYTES).toString('base64url')
    grants.set(digestOf(secret), grant)
    return secret
  }
}

/** The page shows the whole cluster, which a driver may not see. */
function requireViewer(caller: Caller | null, whyUnknown: string): Caller {
  if (caller === null) throw new MayflyError('UNAUTHENTICATED', whyUnknown)
  if (caller.role !== 'driver') return caller
  throw new MayflyError(
    'FORBIDDEN',
    `API key '${caller.name}' has the role driver, and the page is for admin and viewer`,
  )
}

/** Ends the oldest grants of a key above the bound. */
function trim(grants: Map<string, Grant>, max: number, name: string): void {
  const own = [...grants].filter(([, grant]) => grant.name === name)
  for (const [id] of own.slice(0, Math.max(0, own.length - max))) grants.delete(id)
}
