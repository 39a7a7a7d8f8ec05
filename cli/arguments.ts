import { type ParseArgsConfig, parseArgs } from 'node:util'
import { assert } from '../protocol/assert.ts'

/** An invalid command line. The message names the mistake. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The options and words of a verb. */
export interface Shape {
  readonly options: Readonly<Record<string, 'flag' | 'text' | 'list'>>
  /** Names of the words after the verb, as the usage line shows them. */
  readonly required: readonly string[]
  readonly optional: readonly string[]
  /** True if the last word may be repeated. */
  readonly repeats?: boolean
}

/** A verb's command line, checked against its shape. */
export class Arguments {
  /** The words, in order: at least the required ones. */
  readonly words: readonly string[]
  readonly #values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

  /** Throws a UsageError that names what is missing, surplus or unknown. */
  constructor(args: readonly string[], shape: Shape) {
    const { values, positionals } = parse(args, shape)
    const { required, optional, repeats } = shape
    const missing = required[positionals.length]
    if (missing !== undefined) throw new UsageError(`${missing} is missing`)
    const extra = positionals[required.length + optional.length]
    if (extra !== undefined && repeats !== true) throw new UsageError(`'${extra}' is one word too many`)
    this.words = positionals
    this.#values = values
  }

  /** A required word. */
  word(index: number): string {
    const word = this.words[index]
    assert(word !== undefined, 'the shape requires this word')
    return word
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    if (value === '') throw new UsageError(`--${name} is empty`)
    return typeof value === 'string' ? value : undefined
  }

  list(name: string): string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.map(String) : []
  }

  /** A whole number within the bounds. */
  number(name: string, { least, most }: { least: number; most: number }): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least || value > most || text.trim() === '') {
      throw new UsageError(`--${name} is '${text}', not a whole number from ${least} to ${most}`)
    }
    return value
  }
}

function parse(args: readonly string[], shape: Shape) {
  const options: NonNullable<ParseArgsConfig['options']> = {}
  for (const [name, kind] of Object.entries(shape.options)) {
    options[name] = { type: kind === 'flag' ? 'boolean' : 'string', multiple: kind === 'list' }
  }
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    // The first sentence of Node's message names the mistake; the rest explains words that start with a dash.
    const [sentence] = error instanceof Error ? error.message.split(/\. |\n/) : [String(error)]
    throw new UsageError(`${sentence}`, { cause: error })
  }
}
