import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { challenge } from '../../../protocol/control-operations.ts'
import { FRAME_HEADER_BYTES } from '../../../protocol/frame.ts'
import type { Operation } from '../../../protocol/operation.ts'
import { parseTicket } from '../../../protocol/ticket.ts'
import { frameBytes, helloFrame, nonceOf } from '../../fixture/raw-connection.ts'

/** A peer that has a ticket and keeps no rule. It counts what it is sent and looks at none of it. */
export class Attacker {
  readonly #socket: Socket
  #received = 0
  #id = 2
  isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async connect(address: string, ticket: string): Promise<Attacker> {
    const [host, port] = address.split(':')
    const socket = connect({ host, port: Number(port) } as { host: string; port: number })
    socket.on('error', () => socket.destroy())
    onTestFinished(() => void socket.destroy())
    const attacker = new Attacker(socket)
    socket.once('close', () => {
      attacker.isClosed = true
    })
    const [first] = (await once(socket, 'data')) as [Buffer]
    const head = first.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + first.readUInt32LE(0))
    if (first.readUInt16LE(12) !== challenge.number) throw new Error('a connection begins with a challenge')
    socket.on('data', (piece) => {
      attacker.#received += piece.length
    })
    socket.write(await helloFrame(parseTicket(ticket).token, nonceOf(Buffer.from(head))))
    return attacker
  }

  get receivedBytes(): number {
    return this.#received
  }

  nextId(): number {
    return this.#id++
  }

  frame<Request>(operation: Operation<Request, unknown>, request: Request, payload?: Uint8Array, id = this.nextId()): Promise<Buffer> {
    return frameBytes(id, operation, request, payload)
  }

  /** Resolves when the network has taken it, or the connection is gone. */
  send(bytes: Uint8Array): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.once('close', done)
      this.#socket.write(bytes, done)
    })
  }

  /** Reads nothing from here on. */
  stopReading(): void {
    this.#socket.pause()
  }

  close(): void {
    this.#socket.destroy()
  }
}
