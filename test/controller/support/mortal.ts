/** Where one life of a controller ends: before or after it has written something down for the n-th time. */
export interface Death {
  readonly write: number
  readonly when: 'before' | 'after'
}

/**
 * One life of a controller. From its death on nothing that it does reaches anything: every call to what it was given
 * stays without an answer, as it is when a process is killed between two steps.
 */
export class Life {
  readonly #death: Death | null
  #writes = 0
  #dead = false

  constructor(death: Death | null) {
    this.#death = death
  }

  /** How often something was written down. */
  get writes(): number {
    return this.#writes
  }

  get over(): boolean {
    return this.#dead
  }

  /** What the controller is given in place of `target`. */
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
    if (!isLast) return written
    this.#dead = true
    return await new Promise(() => undefined)
  }
}
