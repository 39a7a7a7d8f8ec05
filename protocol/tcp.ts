import { connect, type Socket } from 'node:net'
import { MayflyError } from './errors.ts'
import { CONNECT_MS_MAX } from './limits.ts'
import type { Link, LinkHandlers } from './link.ts'

/** A link over a socket that is connected already. */
export class TcpLink implements Link {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
  }

  open(handlers: LinkHandlers): void {
    let cause: Error | null = null
    this.#socket
      .on('data', (piece) => handlers.data(piece))
      .on('drain', () => handlers.drained())
      .on('error', (error) => {
        cause = error
      })
      .on('close', () => handlers.closed(cause))
  }

  write(parts: readonly Uint8Array[]): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (parts.length === 1) {
      socket.write(parts[0] as Uint8Array)
      return
    }
    socket.cork()
    for (const part of parts) socket.write(part)
    socket.uncork()
  }

  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  keepAlive(value: boolean): void {
    if (value) this.#socket.ref()
    else this.#socket.unref()
  }
}

/** Connects to `host:port` or `[ipv6]:port`. */
export function dialTcp(address: string): Promise<TcpLink> {
  const { host, port } = parseAddress(address)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const timer = setTimeout(() => fail(new Error(`no answer within ${CONNECT_MS_MAX} ms`)), CONNECT_MS_MAX)
    function fail(cause: Error): void {
      clearTimeout(timer)
      socket.destroy()
      reject(new MayflyError('UNAVAILABLE', `Cannot connect to ${address}: ${cause.message}`, { cause }))
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', fail)
      resolve(new TcpLink(socket))
    })
  })
}

function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const port = Number(address.slice(colon + 1))
  if (colon <= 0 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new MayflyError('BAD_REQUEST', `'${address}' is not an address of the form host:port`)
  }
  return { host, port }
}

/** The address of a listener, in the form that `dialTcp` takes. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
