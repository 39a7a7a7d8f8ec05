import type { Runtime } from '../../../protocol/runtime.ts'
import { sleep } from '../../../protocol/runtime.ts'
import {
  formatName,
  isNewer,
  isSameStamp,
  isSuperseded,
  type KeptDescription,
  type KeptEntry,
  type KeptName,
  type KeptObject,
  type KeptPage,
  type KeptPut,
  type KeptQuery,
  type KeptRemoval,
  type KeptStore,
  noSuchObject,
  type Stamp,
} from '../../../service/kept/kept-store.ts'

/** What the kept store of a cluster holds, whichever node put it there. */
export type KeptObjects = Map<string, KeptDescription & { readonly content: Buffer }>

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
    { expiresAtMs, about, stamp }: KeptObject,
    pieces: AsyncIterable<Buffer>,
    { fence }: KeptPut = {},
  ): Promise<void> {
    await this.#delay()
    const content: Buffer[] = []
    for await (const piece of pieces) content.push(Buffer.from(piece))
    const all = Buffer.concat(content)
    fence?.()
    if (isNewer(this.#objects.get(formatName(name))?.stamp ?? null, stamp)) throw isSuperseded(name)
    const entry = { ...name, bytes: all.length, expiresAtMs, about, stamp, content: all }
    this.#objects.set(formatName(name), entry)
  }

  async get(
    name: KeptName,
    { offset, length }: { offset: number; length: number },
    stamp?: Stamp,
  ): Promise<Buffer> {
    await this.#delay()
    const found = this.#objects.get(formatName(name))
    if (found === undefined || (stamp !== undefined && !isSameStamp(found.stamp, stamp)))
      throw noSuchObject(name)
    return found.content.subarray(offset, offset + length)
  }

  async stat(name: KeptName): Promise<KeptEntry | null> {
    return await this.describe(name)
  }

  async describe(name: KeptName): Promise<KeptDescription | null> {
    await this.#delay()
    return this.#objects.get(formatName(name)) ?? null
  }

  async remove(name: KeptName, by: Stamp | null, { fence }: KeptRemoval = {}): Promise<boolean> {
    await this.#delay()
    const found = this.#objects.get(formatName(name))
    if (found === undefined || (by !== null && isNewer(found.stamp, by))) return false
    fence?.()
    return this.#objects.delete(formatName(name))
  }

  async list({ prefix, after, limit }: KeptQuery): Promise<KeptPage> {
    const paths = [...this.#objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort()
    const page = paths.slice(0, limit)
    return {
      names: page.flatMap((path) => this.#objects.get(path) ?? []),
      next: paths.length > limit ? (page.at(-1) ?? null) : null,
    }
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
