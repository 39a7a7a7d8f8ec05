import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { challenge, ping } from '../../../protocol/operations/control-operations.ts'
import type { Operation } from '../../../protocol/operations/operation.ts'
import { FRAME_HEADER_BYTES } from '../../../protocol/wire/frame.ts'
import { FrameReader } from '../../../protocol/wire/frame-reader.ts'
import { feed, frameBytes, helloFrame, nonceOf } from '../../fixture/raw-connection.ts'

const PING_ID = 2 ** 32 - 1

/** A peer with a ticket that violates every rule. It ignores what it receives. */
export class Attacker {
  readonly #socket: Socket
  #id = 2
  #onPong: () => void = () => undefined
  isClosed = false
  #answered = 0
  /** How many requests were answered with an error. */
  refused = 0

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
    const reader = new FrameReader({
      onFrame: ({ id, kind }) => {
        if (id === PING_ID) attacker.#onPong()
        else {
          attacker.#answered++
          if (kind !== 0) attacker.refused++
        }
      },
    })
    socket.on('data', (piece) => feed(reader, piece))
    socket.write(await helloFrame(parseTicket(ticket).token, nonceOf(Buffer.from(head))))
    return attacker
  }

  /** How many frames that were made have no answer. */
  get unanswered(): number {
    return this.#id - 2 - this.#answered
  }

  get port(): number {
    return this.#socket.localPort ?? 0
  }

  /** Resolves when the server has processed everything sent before, or has closed the connection. */
  async heard(): Promise<void> {
    const frame = await frameBytes(PING_ID, ping, {})
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off('close', done)
        resolve()
      }
      this.#onPong = done
      this.#socket.once('close', done)
      if (this.isClosed) done()
      else this.#socket.write(frame)
    })
  }

  nextId(): number {
    return this.#id++
  }

  frame<Request>(
    operation: Operation<Request, unknown>,
    request: Request,
    payload?: Uint8Array,
    id = this.nextId(),
  ): Promise<Buffer> {
    return frameBytes(id, operation, request, payload)
  }

  /** Resolves when the network has accepted the bytes, or the connection is closed. */
  send(bytes: Uint8Array): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.once('close', done)
      // The bystander of the same process reads its answers in between.
      this.#socket.write(bytes, () => setImmediate(done))
    })
  }

  /** Stops reading for good. */
  stopReading(): void {
    this.#socket.pause()
  }

  vanish(): void {
    this.isClosed = true
    this.#socket.destroy()
  }
}
