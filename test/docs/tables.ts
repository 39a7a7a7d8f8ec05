import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Help } from 'commander'
import { readConfig } from '../../cli/config.ts'
import { buildProgram } from '../../cli/program.ts'
import * as controller from '../../controller/limits.ts'
import { errorTable } from '../../protocol/errors.ts'
import * as shared from '../../protocol/limits.ts'
import * as node from '../../storage-node/limits.ts'
import { root } from './blocks.ts'

export type Rows = readonly (readonly string[])[]

/**
 * The table between `<!-- table: NAME -->` and `<!-- end -->` of a page, as the page has it. With UPDATE=true in the environment it is
 * written first.
 */
export function tableIn(page: string, name: string, wanted: string): string {
  const path = join(root, page)
  const text = readFileSync(path, 'utf8')
  const [all, begin = '', table = '', end = ''] =
    new RegExp(`(<!-- table: ${name} -->\n)(.*?)(<!-- end -->)`, 's').exec(text) ?? []
  if (all === undefined) throw new Error(`${page} has no table '${name}'`)
  if (process.env.UPDATE !== 'true') return table
  writeFileSync(
    path,
    text.replace(all, () => begin + wanted + end),
  )
  return wanted
}

export function markdownOf([head = [], ...rows]: Rows): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |\n`
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('')
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

export function errorRows(): Rows {
  const rows = Object.entries(errorTable).map(([code, { status, blame, retryable, advice }]) => [
    `\`${code}\``,
    String(status),
    blame,
    retryable ? 'yes' : 'no',
    advice,
  ])
  return [['code', 'HTTP status', 'blame', 'retryable', 'what to do'], ...rows]
}

/** What a user may meet: what is bounded, the bound, and what happens beyond it. */
export function limitRows(): Rows {
  return [
    ['what', 'limit', 'beyond it'],
    ['key', `1 to ${count(shared.KEY_BYTES_MAX)} bytes of UTF-8 without NUL`, '`BAD_REQUEST`'],
    ['object', bytes(shared.OBJECT_BYTES_MAX), '`OBJECT_TOO_LARGE`'],
    [
      'object that one `get` returns',
      bytes(shared.GET_BYTES_MAX),
      '`OBJECT_TOO_LARGE`: read it with `getStream` or in ranges',
    ],
    ['object that is appended to', bytes(node.APPEND_BYTES_MAX), '`OBJECT_TOO_LARGE`'],
    ['one `append`', bytes(shared.CHUNK_BYTES), '`OBJECT_TOO_LARGE`'],
    [
      'metadata of an object',
      `${bytes(shared.METADATA_BYTES_MAX)}, ${count(node.METADATA_NAMES_MAX)} names`,
      '`BAD_REQUEST`',
    ],
    ['TTL', seconds(shared.TTL_SECONDS_MAX), '`BAD_REQUEST`'],
    ['`waitSeconds` of a read', seconds(shared.WAIT_SECONDS_MAX), '`BAD_REQUEST`'],
    [
      'deadline of a call',
      `${ms(shared.CALL_MS_MAX)}; ${ms(shared.CALL_MS_DEFAULT)} if not given`,
      '`BAD_REQUEST`',
    ],
    ['calls under way on one connection', count(shared.CALLS_OUTSTANDING_MAX), '`TOO_MANY_REQUESTS`'],
    ['bytes of calls queued for one node', bytes(shared.CALLS_QUEUED_BYTES_MAX), 'further calls wait'],
    ['buckets of a job', count(shared.BUCKETS_MAX), '`BAD_REQUEST`'],
    [
      'bucket name',
      `1 to ${shared.BUCKET_NAME_BYTES_MAX} letters, digits, \`.\`, \`_\` or \`-\``,
      '`BAD_REQUEST`',
    ],
    ['job name', `${controller.JOB_NAME_BYTES_MAX} bytes without control characters`, '`BAD_REQUEST`'],
    [
      'lease of a job',
      `${seconds(shared.JOB_LEASE_SECONDS_MIN)} to ${seconds(shared.JOB_LEASE_SECONDS_MAX)}; ${seconds(controller.JOB_LEASE_SECONDS_DEFAULT)} if not given`,
      '`BAD_REQUEST`',
    ],
    ['life of a ticket', seconds(shared.TICKET_SECONDS), '`BAD_REQUEST`'],
    ['prefix of a ticket', `${controller.TICKET_PREFIX_BYTES_MAX} bytes`, '`BAD_REQUEST`'],
    ['nodes of a job', count(shared.JOB_NODES_MAX), '`RESERVATION_REFUSED`'],
    ['wait of a registration', seconds(shared.REGISTRATION_WAIT_SECONDS_MAX), '`BAD_REQUEST`'],
    [
      'registrations under way',
      `${count(controller.REGISTRATIONS_UNDER_WAY_MAX)}, ${count(controller.REGISTRATIONS_OF_KEY_MAX)} of an API key`,
      '`TOO_MANY_REQUESTS`',
    ],
    ['jobs of a cluster', count(controller.JOBS_MAX), '`RESERVATION_REFUSED`'],
    [
      'event streams',
      `${count(controller.EVENT_STREAMS_MAX)}, ${count(controller.EVENT_STREAMS_OF_KEY_MAX)} of an API key`,
      '`TOO_MANY_REQUESTS`',
    ],
    [
      'events kept for readers that reconnect',
      count(controller.EVENTS_RETAINED_MAX),
      'the oldest are forgotten',
    ],
    [
      'body of an HTTP request',
      `${bytes(controller.HTTP_BODY_BYTES_MAX)}, within ${ms(controller.HTTP_REQUEST_MS_MAX)}`,
      '`BAD_REQUEST`',
    ],
    ['metadata servers', count(shared.METADATA_SERVERS_MAX), 'no more are started'],
    ['node classes', count(shared.NODE_CLASSES_MAX), 'the config is refused'],
    ['API keys', count(shared.API_KEYS_MAX), 'the config is refused'],
    ['RAM of a node', bytes(node.ARENA_BYTES_MAX), 'the node uses no more'],
  ]
}

/** Those of the README. */
const principal = [
  'key',
  'object',
  'object that is appended to',
  'metadata of an object',
  'buckets of a job',
  'lease of a job',
  'life of a ticket',
]

export function principalLimitRows(): Rows {
  const [head = [], ...rows] = limitRows()
  return [head, ...rows.filter(([what = '']) => principal.includes(what))].map((row) => row.slice(0, 2))
}

export function commandRows(): Rows {
  return [
    ['command', 'what it does'],
    ...leaves(program).map((verb) => [`\`${new Help().commandUsage(verb)}\``, verb.summary()]),
  ]
}

const silent = { print: () => undefined, printError: () => undefined }
const program = buildProgram({ config: readConfig({ HOME: '/' }), terminal: silent, exitCode: 0 }, '')

/** Every verb that does something, those below another one too. */
function leaves(parent: Command): Command[] {
  const verbs = new Help().visibleCommands(parent).filter((verb) => verb.name() !== 'help')
  return verbs.flatMap((verb) => (verb.commands.length > 0 ? leaves(verb) : [verb]))
}

/** From the text of GET /metrics: name, type, labels that were seen, help. */
export function metricRows(text: string): Rows {
  const helps = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help = '']) => ({
    name,
    help,
  }))
  const rows = helps.map(({ name, help }) => {
    const type = new RegExp(`^# TYPE ${name} (\\w+)$`, 'm').exec(text)?.[1] ?? ''
    return [`\`${name}\``, type, help]
  })
  return [['metric', 'type', 'meaning'], ...rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))]
}

interface Operation {
  readonly summary?: string
  readonly security?: readonly unknown[]
}

/** From the OpenAPI document. */
export function routeRows({ paths }: { paths: Record<string, Record<string, Operation>> }): Rows {
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary = '' }]) => [
      `\`${method.toUpperCase()} ${path}\``,
      summary,
    ]),
  )
  return [['route', 'what it does'], ...rows]
}

export function count(number: number): string {
  return number.toLocaleString('en-US')
}

export function bytes(number: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(number) / 10))
  return `${number / 1024 ** power} ${units[power]}`
}

function seconds(number: number): string {
  if (number % 31_536_000 === 0) return `${number / 31_536_000} years`
  if (number % 86_400 === 0 && number > 86_400) return `${number / 86_400} days`
  if (number % 3_600 === 0) return `${number / 3_600} hours`
  return `${count(number)} s`
}

export function ms(number: number): string {
  return seconds(number / 1_000)
}
