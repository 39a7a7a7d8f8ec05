/** An invalid config. The message names the field and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export interface Range {
  readonly least: number
  readonly most: number
  readonly whole?: boolean
}

/** A value of a JSON document and its path, such as `nodeClasses[0].ramBytes`. */
export class Field {
  readonly #value: unknown
  readonly #path: string

  constructor(value: unknown, path: string) {
    this.#value = value
    this.#path = path
  }

  number({ least, most, whole }: Range): number {
    const value = this.#value
    const fits = typeof value === 'number' && value >= least && value <= most
    if (!fits || (whole === true && !Number.isSafeInteger(value)))
      this.#mustBe(`a ${whole === true ? 'whole ' : ''}number from ${least} to ${most}`)
    return value as number
  }

  text(pattern: RegExp): string {
    if (typeof this.#value !== 'string' || !pattern.test(this.#value)) {
      this.#mustBe(`a text of the form ${pattern.source}`)
    }
    return this.#value as string
  }

  flag(): boolean {
    if (typeof this.#value !== 'boolean') this.#mustBe('true or false')
    return this.#value as boolean
  }

  list({ least, most }: Range): Field[] {
    const value: unknown = this.#value
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      return this.#mustBe(`a list of ${least} to ${most} elements`)
    }
    return value.map((element: unknown, i) => new Field(element, `${this.#path}[${i}]`))
  }

  fields(): Fields {
    return Fields.of(this.#value, this.#path)
  }

  refuse(why: string): never {
    throw new ConfigError(`${this.#path}: ${why}`)
  }

  #mustBe(what: string): never {
    const shown = JSON.stringify(this.#value)
    return this.refuse(`it is ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}, not ${what}`)
  }
}

/** The fields of a JSON object, each read once. Unread fields are refused at the end. */
export class Fields {
  readonly #values: Map<string, unknown>
  readonly #path: string
  readonly #read = new Set<string>()

  private constructor(values: Map<string, unknown>, path: string) {
    this.#values = values
    this.#path = path
  }

  /** Throws a ConfigError if `value` is no JSON object. */
  static of(value: unknown, path: string): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ConfigError(`${path === '' ? 'it' : `${path}: it`} is not an object of the form { … }`)
    }
    return new Fields(new Map(Object.entries(value)), path)
  }

  required<T>(name: string, read: (field: Field) => T): T {
    const path = this.#pathOf(name)
    if (!this.#values.has(name)) throw new ConfigError(`${path}: it is missing`)
    this.#read.add(name)
    return read(new Field(this.#values.get(name), path))
  }

  optional<T>(name: string, read: (field: Field) => T): T | undefined {
    return this.#values.has(name) ? this.required(name, read) : undefined
  }

  /** Throws if the object has an unread field, so that a misspelt name is an error. */
  refuseOthers(): void {
    for (const name of this.#values.keys()) {
      if (!this.#read.has(name)) throw new ConfigError(`${this.#pathOf(name)}: there is no such field`)
    }
  }

  #pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }
}
