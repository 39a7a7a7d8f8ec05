import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const root = new URL('../..', import.meta.url).pathname

/** A fenced block of a page. Its info string is `LANGUAGE [FILE] WORD on=MACHINES skip="REASON"`; all but the language may be missing. */
export interface Block {
  /** Path below the root. */
  readonly page: string
  /** Of the opening fence. */
  readonly line: number
  readonly language: string
  /** The file in which the text is saved. */
  readonly file: string | null
  /** `terminal`: it keeps running while later blocks run. */
  readonly isTerminal: boolean
  /** The machines on which it is run, where a page has several. */
  readonly on: readonly string[]
  /** Why it is not run. */
  readonly skip: string | null
  readonly text: string
}

/** Languages that are text for people: nothing to run or to parse. */
export const prose = ['text']

/** The pages whose blocks run, by their paths below the root. */
export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path))
  return ['README.md', 'client/README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...docs.sort()]
}

export function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at++) {
    const [, indent = '', info] = /^( *)```(.*)$/.exec(lines[at] ?? '') ?? []
    if (info === undefined) continue
    const end = lines.findIndex((line, index) => index > at && line.trim() === '```')
    if (end === -1) throw new Error(`${page}:${at + 1}: the block does not end`)
    const text = lines.slice(at + 1, end).map((line) => line.slice(indent.length))
    blocks.push({ ...parseInfo(info, `${page}:${at + 1}`), page, line: at + 1, text: `${text.join('\n')}\n` })
    at = end
  }
  return blocks
}

function parseInfo(
  info: string,
  place: string,
): Pick<Block, 'language' | 'file' | 'isTerminal' | 'on' | 'skip'> {
  const match = /^(\w+)(?: \[([\w./-]+)\])?( terminal)?(?: on=([\w,]+))?(?: skip="([^"]+)")?$/.exec(
    info.trim(),
  )
  if (match === null) throw new Error(`${place}: the info string '${info}' is none of test/docs/blocks.ts`)
  const [, language = '', file = null, terminal, on, skip = null] = match
  return { language, file, isTerminal: terminal !== undefined, on: on?.split(',') ?? [], skip }
}

/** Where a block stands, for names of tests and errors. */
export function placeOf({ page, line }: Block): string {
  return `${relative('.', page)}:${line}`
}
