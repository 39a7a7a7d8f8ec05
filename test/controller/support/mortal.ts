/** When a life of the controller ends: before or after its n-th write. */
export interface Death {
  readonly write: number
  readonly when: 'before' | 'after'
}

/**
 * One life of a controller. From its death on every call to the objects that it was given stays without an answer and has no effect, as for a process that is
 * killed between two steps.
 */
export class Life {
  readonly #death: Death | null
  #writes = 0
  #dead = false

  constructor(death: Death | null) {
    this.#death = death
  }

  /** Number of writes so far. */
  get writes(): number {
    return this.#writes
  }

  get over(): boolean {
    return this.#dead
  }

  /** A proxy of `target` for the controller. */
  share<T extends object>(target: T, isWrite: (method: string) => boolean = () => false): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function' || name === 'close') {
          return typeof value === 'function' ? value.bind(target) : value
        }
        return (...parameters: unknown[]): unknown => {
          if (isWrite(String(name))) return this.#write(() => value.apply(target, parameters))
          return this.#dead ? new Promise(() => undefined) : value.apply(target, parameters)
        }
      },
    })
  }

  async #write(write: () => Promise<unknown>): Promise<unknown> {
    const isLast = ++this.#writes === this.#death?.write
    if (isLast && this.#death?.when === 'before') this.#dead = true
    if (this.#dead) return await new Promise(() => undefined)
    const written = await write()
    if (isLast) this.#dead = true
    // Writes of one transaction are stored together, and none of them is answered after the death.
    return this.#dead ? await new Promise(() => undefined) : written
  }
}
