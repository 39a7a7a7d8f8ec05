/** A statement, or a part of one, with its parameters. */
export class Sql {
  readonly #parts: readonly string[]
  readonly #values: readonly unknown[]

  constructor(parts: readonly string[], values: readonly unknown[]) {
    this.#parts = parts
    this.#values = values
  }

  /** The text with numbered parameters, and their values. */
  render(): { text: string; values: unknown[] } {
    const values: unknown[] = []
    return { text: this.#renderInto(values), values }
  }

  #renderInto(values: unknown[]): string {
    return this.#parts.reduce((text, part, index) => {
      const value = this.#values[index - 1]
      return `${text}${value instanceof Sql ? value.#renderInto(values) : `$${values.push(value)}`}${part}`
    })
  }
}

/** Values become parameters; an `Sql` becomes a part of the statement. */
export function sql(parts: TemplateStringsArray, ...values: readonly unknown[]): Sql {
  return new Sql(parts, values)
}

export function joinSql(all: readonly Sql[]): Sql {
  return new Sql(['', ...all.map(() => '')], all)
}
