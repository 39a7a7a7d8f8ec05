import { MayflyError } from '../../../protocol/errors.ts'
import { CONNECT_MS_MAX } from '../../../protocol/limits.ts'
import type { Link } from '../../../protocol/transport/link.ts'
import type { Network } from '../../../service/network/listener.ts'
import type { ListenAt } from '../../../service/network/listening.ts'
import { End, type Wire } from './connection.ts'
import type { Host } from './host.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

interface Listening {
  readonly host: Host
  readonly accept: (link: Link) => void
}

/** Connects hosts. Faults block, delay or break connections; without faults it is an ordinary network with jitter. */
export class SimulatedNetwork {
  readonly #timeline: Timeline
  readonly #random: SeededRandom
  readonly #wire: Wire
  readonly #listeners = new Map<string, Listening>()
  /** In the order in which they were opened, so that each run draws the same ends. */
  readonly #ends = new Set<End>()
  /** Number of faults that block each `from>to` pair of ips. */
  readonly #blocked = new Map<string, number>()
  readonly #slow = new Map<string, number>()
  readonly #refusing = new Set<string>()
  readonly #unreachable = new Set<string>()
  /** Bytes that must never be sent. */
  readonly #secrets: Buffer[] = []
  /** Called if such bytes are sent. */
  onLeak: () => void = () => undefined
  /** Probability that a piece finds its connection broken. */
  #losses = 0
  #nextPort = 40_000

  constructor(timeline: Timeline, random: SeededRandom) {
    this.#timeline = timeline
    this.#random = random
    this.#wire = {
      nowMs: () => timeline.nowMs,
      at: (atMs, task) => void timeline.at(atMs, task),
      delayMs: (from, to) => this.#delayMs(from, to),
      pieces: (bytes) => this.#pieces(bytes),
      isBlocked: (from, to) => this.#blocked.has(`${from.ip}>${to.ip}`) || this.#unreachable.has(to.ip),
      chance: (probability) => random.chance(probability),
      isLost: () => this.#losses > 0 && this.#random.chance(this.#losses),
      reset: (end) => this.#break(end),
      forget: (end) => void this.#ends.delete(end),
      received: (bytes) => {
        this.#trace(bytes)
        if (this.#secrets.some((secret) => bytes.includes(secret))) this.onLeak()
      },
    }
  }

  /** From now on no process may send these bytes. */
  keepSecret(bytes: Uint8Array): void {
    this.#secrets.push(Buffer.from(bytes))
  }

  /** The network as one host sees it. */
  of(host: Host): Network {
    return {
      dial: (address) => this.#dial(host, address),
      listen: async (at, accept) => this.#listen(host, at, accept),
    }
  }

  /** Duration of a message from one host to another now, over a connection that does not break; null if it is lost. */
  messageMs(from: Host, to: Host): number | null {
    const isBlocked = this.#wire.isBlocked(from, to) || this.#wire.isLost()
    return isBlocked ? null : this.#delayMs(from, to)
  }

  /** Blocks everything from any of `from` to any of `to` until the returned function is called; then most of it continues. */
  block(from: readonly string[], to: readonly string[]): () => void {
    const pairs = from.flatMap((a) => to.filter((b) => a !== b).map((b) => `${a}>${b}`))
    for (const pair of pairs) this.#blocked.set(pair, (this.#blocked.get(pair) ?? 0) + 1)
    return () => {
      for (const pair of pairs) {
        const left = (this.#blocked.get(pair) ?? 1) - 1
        if (left > 0) this.#blocked.set(pair, left)
        else this.#blocked.delete(pair)
      }
      for (const end of [...this.#ends]) {
        const { peer } = end
        // The last bytes of an end that was closed meanwhile, and its end of stream, still arrive.
        if (!this.#ends.has(peer) && pairs.includes(`${peer.host.ip}>${end.host.ip}`)) peer.flow()
        if (!pairs.includes(`${end.host.ip}>${peer.host.ip}`)) continue
        if (this.#random.chance(0.2)) this.#break(end)
        else end.flow()
      }
    }
  }

  /** Delays what is sent from one ip to another over connections that are open now; new ones are not affected. */
  stall(from: string, to: string): () => void {
    return stallAll([...this.#ends].filter(({ host, peer }) => host.ip === from && peer.host.ip === to))
  }

  /** As `stall`, for some of all connections. */
  stallSome(share: number, random: SeededRandom): () => void {
    return stallAll([...this.#ends].filter(() => random.chance(share)))
  }

  /** Some of the connections, of one host or of all, stop carrying bytes in one or both directions, and nobody is told. */
  forgetSome(share: number, random: SeededRandom, host?: Host): void {
    for (const end of [...this.#ends]) {
      if (host !== undefined && end.host !== host) continue
      if (!random.chance(share)) continue
      const both = random.chance(0.6)
      if (both || random.chance(0.5)) end.forget()
      if (both || random.chance(0.5)) end.peer.forget()
    }
  }

  slow(ip: string, factor: number): () => void {
    this.#slow.set(ip, factor)
    return () => void this.#slow.delete(ip)
  }

  refuse(ip: string): () => void {
    this.#refusing.add(ip)
    return () => void this.#refusing.delete(ip)
  }

  /** Connections break when something is about to arrive: the request is carried out, and its answer lost. */
  lose(probability: number): () => void {
    this.#losses += probability
    return () => {
      this.#losses = Math.max(0, this.#losses - probability)
    }
  }

  /** Breaks some of the connections; each side learns of it at another time. */
  breakSome(share: number, random: SeededRandom, host?: Host): void {
    for (const end of [...this.#ends])
      if ((host === undefined || end.host === host) && random.chance(share)) this.#break(end)
  }

  /** The process is gone. Its kernel tells its peers at once; if the whole machine is gone, they learn it only when their own kernels give up. */
  died(host: Host, machine: boolean): void {
    for (const [address, listening] of this.#listeners) {
      if (listening.host === host) this.#listeners.delete(address)
    }
    if (machine) {
      this.#unreachable.add(host.ip)
      this.#timeline.at(this.#timeline.nowMs + CONNECT_MS_MAX, () => this.#unreachable.delete(host.ip))
    }
    for (const end of [...this.#ends]) {
      if (end.host !== host) continue
      const { peer } = end
      end.vanish()
      const afterMs = machine ? this.#random.between(500, 4_000) : this.#random.between(0, 5)
      this.#timeline.at(this.#timeline.nowMs + afterMs, () => peer.close(new Error('the peer is gone')))
    }
  }

  #break(end: End): void {
    const cause = new Error('the connection was reset')
    const { peer } = end
    end.close(cause)
    const laterMs = this.#random.chance(0.3) ? this.#random.between(0, 3_000) : 0
    this.#timeline.at(this.#timeline.nowMs + laterMs, () => peer.close(cause))
  }

  #listen(host: Host, at: ListenAt, accept: (link: Link) => void): Awaited<ReturnType<Network['listen']>> {
    const address = `${host.ip}:${at.port === 0 ? this.#nextPort++ : at.port}`
    if (this.#listeners.has(address)) throw new Error(`${address} is taken`)
    this.#listeners.set(address, { host, accept })
    this.#unreachable.delete(host.ip)
    return {
      address,
      close: async () => {
        if (this.#listeners.get(address)?.host === host) this.#listeners.delete(address)
        for (const end of [...this.#ends]) if (end.host === host) end.destroy()
      },
    }
  }

  #dial(host: Host, address: string): Promise<Link> {
    const ip = address.slice(0, address.lastIndexOf(':'))
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        reject(new MayflyError('UNAVAILABLE', `Cannot connect to ${address}: ${reason}`))
      }
      const wayMs = this.#random.between(0.1, 1)
      this.#timeline.at(this.#timeline.nowMs + wayMs, () => {
        const listening = this.#listeners.get(address)
        const silent =
          this.#blocked.has(`${host.ip}>${ip}`) ||
          this.#blocked.has(`${ip}>${host.ip}`) ||
          this.#unreachable.has(ip)
        if (silent) {
          host.after(CONNECT_MS_MAX, () => fail('no answer'))
        } else if (listening === undefined || this.#refusing.has(ip)) {
          host.after(wayMs, () => fail('refused'))
        } else {
          const [near, far] = End.pair(host, listening.host, this.#wire)
          this.#ends.add(near).add(far)
          // The kernel of a paused process accepts the connection; the process sees it when it continues.
          listening.host.run(() => listening.accept(far))
          host.after(wayMs, () => resolve(near))
        }
      })
    })
  }

  #delayMs(from: Host, to: Host): number {
    const factor = Math.max(this.#slow.get(from.ip) ?? 1, this.#slow.get(to.ip) ?? 1)
    const baseMs = this.#random.chance(0.01) ? this.#random.between(5, 150) : this.#random.between(0.1, 1.5)
    return baseMs * factor
  }

  #pieces(bytes: number): number[] {
    if (bytes < 2 || this.#random.chance(0.8)) return [bytes]
    const cut = 1 + this.#random.below(bytes - 1)
    return [cut, bytes - cut]
  }

  #trace(bytes: Buffer): void {
    this.#timeline.trace(bytes.length)
    for (let at = 0; at < bytes.length; at += 7) this.#timeline.trace(bytes[at] as number)
  }
}

function stallAll(ends: readonly End[]): () => void {
  for (const end of ends) end.stall()
  return () => {
    for (const end of ends) end.unstall()
  }
}
