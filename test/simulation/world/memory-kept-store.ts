import type { Runtime } from '../../../protocol/runtime.ts'
import { sleep } from '../../../protocol/runtime.ts'
import {
  formatName,
  type KeptEntry,
  type KeptName,
  type KeptObject,
  type KeptQuery,
  type KeptStore,
  noSuchObject,
} from '../../../service/kept/kept-store.ts'

/** What the kept store of a cluster holds, whichever node put it there. */
export type KeptObjects = Map<string, KeptEntry & { readonly about: Buffer; readonly content: Buffer }>

/** A kept store as one node reaches it: it outlives the node, and writes take their time. */
export class MemoryKeptStore implements KeptStore {
  readonly #objects: KeptObjects
  readonly #runtime: Runtime
  readonly #msMax: number

  /** `msMax` is how long an access takes at most. */
  constructor(objects: KeptObjects, runtime: Runtime, msMax = 40) {
    this.#objects = objects
    this.#runtime = runtime
    this.#msMax = msMax
  }

  async put(
    name: KeptName,
    { expiresAtMs, about }: KeptObject,
    pieces: AsyncIterable<Buffer>,
  ): Promise<void> {
    await this.#delay()
    const content: Buffer[] = []
    for await (const piece of pieces) content.push(Buffer.from(piece))
    const all = Buffer.concat(content)
    this.#objects.set(formatName(name), { ...name, bytes: all.length, expiresAtMs, about, content: all })
  }

  async get(name: KeptName, { offset, length }: { offset: number; length: number }): Promise<Buffer> {
    await this.#delay()
    const found = this.#objects.get(formatName(name))
    if (found === undefined) throw noSuchObject(name)
    return found.content.subarray(offset, offset + length)
  }

  async stat(name: KeptName): Promise<KeptEntry | null> {
    await this.#delay()
    return this.#objects.get(formatName(name)) ?? null
  }

  async about(name: KeptName): Promise<Buffer | null> {
    await this.#delay()
    return this.#objects.get(formatName(name))?.about ?? null
  }

  async remove(name: KeptName, fence?: () => void): Promise<boolean> {
    await this.#delay()
    fence?.()
    return this.#objects.delete(formatName(name))
  }

  async list({ prefix, after, limit }: KeptQuery): Promise<KeptEntry[]> {
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort()
    return names.slice(0, limit).flatMap((name) => this.#objects.get(name) ?? [])
  }

  /** Nothing in a run lives that long. */
  async sweep(): Promise<number> {
    return 0
  }

  async #delay(): Promise<void> {
    const { clock, random } = this.#runtime
    await sleep(clock, random.fraction() * this.#msMax)
  }
}
