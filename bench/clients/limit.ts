import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server as Listener, type Socket } from 'node:net'
import { type Frame, FrameReader, FrameWriter } from '../servers/limit-frames.ts'
import type { Client, Entry } from './client.ts'

/** The ceiling: frames on raw sockets and a Map of calls. The target is `host:port`. */
export async function open(target: string): Promise<Client> {
  const [host = '', port] = target.split(':')
  const calls = new Calls()
  const listener = createServer({ noDelay: true }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const gets = connect({ host, port: Number(port), noDelay: true, onread: calls.reader.onread })
  const getWriter = new FrameWriter(gets)
  const own = (listener.address() as AddressInfo).port
  getWriter.write({ id: 0, key: String(own), payload: Buffer.alloc(0) })
  const [puts] = (await once(listener, 'connection')) as [Socket]
  const answers = new FrameReader((frame) => calls.answer(frame))
  puts.on('data', (bytes: Buffer) => answers.push(bytes))
  return new LimitClient(calls, { gets, puts, listener })
}

class Calls {
  readonly reader = new FrameReader((frame) => this.answer(frame))
  readonly #resolves = new Map<number, (payload: Buffer) => void>()
  #last = 0

  begin(writer: FrameWriter, key: string, payload: Buffer): Promise<Buffer> {
    const id = ++this.#last
    writer.write({ id, key, payload })
    return new Promise((resolve) => this.#resolves.set(id, resolve))
  }

  answer({ id, payload }: Frame): void {
    this.#resolves.get(id)?.(payload)
    this.#resolves.delete(id)
  }
}

interface Sockets {
  readonly gets: Socket
  readonly puts: Socket
  readonly listener: Listener
}

const NOTHING = Buffer.alloc(0)

class LimitClient implements Client {
  readonly #calls: Calls
  readonly #sockets: Sockets
  readonly #gets: FrameWriter
  readonly #puts: FrameWriter

  constructor(calls: Calls, sockets: Sockets) {
    this.#calls = calls
    this.#sockets = sockets
    this.#gets = new FrameWriter(sockets.gets)
    this.#puts = new FrameWriter(sockets.puts)
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    await this.#calls.begin(this.#puts, key, bytes)
  }

  get(key: string): Promise<Buffer> {
    return this.#calls.begin(this.#gets, key, NOTHING)
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await Promise.all(entries.map(({ key, bytes }) => this.put(key, bytes)))
  }

  getMany(keys: readonly string[]): Promise<Buffer[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  async delete(): Promise<void> {
    throw new Error('the ceiling only puts and gets')
  }

  async give(): Promise<void> {
    throw new Error('the ceiling only puts and gets')
  }

  async take(): Promise<Buffer> {
    throw new Error('the ceiling only puts and gets')
  }

  async close(): Promise<void> {
    for (const socket of [this.#sockets.gets, this.#sockets.puts]) socket.destroy()
    this.#sockets.listener.close()
  }
}
