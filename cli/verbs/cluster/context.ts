import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { isHttpUrl } from '../../../client/connect.ts'
import { contextNamed, readContexts, writeContexts } from '../../api/contexts.ts'
import { findCredentials } from '../../api/credentials.ts'
import { formatTable } from '../../terminal/table.ts'
import { painter } from '../../terminal/terminal.ts'
import { type AddVerb, addVerb, type JsonFlag, jsonOption, notEmpty, onRun } from '../../verb.ts'

interface AddFlags {
  readonly url?: string
  readonly dir?: string
  readonly ca?: string
  readonly use?: boolean
}

const columns = [
  { heading: '', align: 'left' },
  { heading: 'NAME', align: 'left' },
  { heading: 'URL', align: 'left' },
] as const

const nameText = 'name of a context (mayfly context list)'

export const context: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'context', {
    summary: 'name clusters, and choose the one that the other verbs talk to',
    details:
      'Contexts are kept with their API keys in mayfly/contexts.json below the XDG config folder, for its owner alone.\n--context and --dir of a verb, and MAYFLY_URL with MAYFLY_API_KEY, come before the context in use.',
    examples: ['mayfly context add local --dir ./state', 'mayfly context use local'],
  })
  const adding = addVerb(verb, 'add', {
    summary: 'add or replace a context',
    details:
      'The API key is read from MAYFLY_API_KEY or, without it, from standard input. The first context is used at once.',
    examples: [
      'mayfly context add prod --url https://mayfly.example:7400 < api.key',
      'mayfly context add local --dir ./state --use',
    ],
  })
    .argument('<name>', 'letters, digits, ., _ and -')
    .option('--url <url>', 'URL of the controller', notEmpty)
    .option('--dir <folder>', 'take URL and key from the state folder of `mayfly up`', notEmpty)
    .option('--ca <file>', 'the CA of its certificates in PEM (default: those that Node trusts)', notEmpty)
    .option('--use', 'use it from now on')
  const using = addVerb(verb, 'use', {
    summary: 'let the other verbs talk to this cluster',
    examples: ['mayfly context use prod', 'mayfly context use local'],
  }).argument('<name>', nameText)
  const listing = addVerb(verb, 'list', {
    summary: 'list the contexts (the default); * is the one in use',
    isDefault: true,
    examples: ['mayfly context list', 'mayfly context list --json'],
  })
  jsonOption(listing, 'JSON instead of a table, without keys')
  const removing = addVerb(verb, 'remove', {
    summary: 'forget a context',
    examples: ['mayfly context remove prod', 'mayfly context remove local'],
  }).argument('<name>', nameText)

  const { config, terminal } = cli
  onRun<AddFlags>(adding, cli, async ([name = ''], { url, dir, ca, use }) => {
    if (!/^[\w.-]{1,64}$/.test(name))
      throw new Error(`name: '${name}' is not 1 to 64 letters, digits, '.', '_' or '-'`)
    if ((url === undefined) === (dir === undefined))
      return adding.error('error: give --url or --dir, one of the two')
    const credentials =
      dir === undefined
        ? { url: checkUrl(url as string), apiKey: await readKey(config.apiKey) }
        : findCredentials({ dir }, config)
    const caFile = ca === undefined ? {} : { caFile: resolve(ca) }
    const { current, contexts } = readContexts(config)
    const chosen = use === true || current === null ? name : current
    writeContexts(config, {
      current: chosen,
      contexts: { ...contexts, [name]: { ...credentials, ...caFile } },
    })
    terminal.print(`${name} is ${credentials.url}${chosen === name ? ', and in use' : ''}`)
  })
  onRun(using, cli, async ([name = '']) => {
    const all = readContexts(config)
    const { url } = contextNamed(all, name)
    writeContexts(config, { ...all, current: name })
    terminal.print(`${name} is in use: ${url}`)
  })
  onRun<JsonFlag>(listing, cli, async (_, { json }) => {
    const { current, contexts } = readContexts(config)
    const all = Object.entries(contexts).map(([name, { url }]) => ({ name, url, current: name === current }))
    if (json === true) terminal.print(JSON.stringify(all))
    else
      terminal.print(
        formatTable(
          columns,
          all.map(({ name, url, current }) => [current ? '*' : '', name, url]),
          painter(terminal),
        ),
      )
  })
  onRun(removing, cli, async ([name = '']) => {
    const all = readContexts(config)
    contextNamed(all, name)
    const { [name]: _, ...contexts } = all.contexts
    writeContexts(config, { current: all.current === name ? null : all.current, contexts })
    terminal.print(`${name} is forgotten${all.current === name ? '; no context is in use now' : ''}`)
  })
}

function checkUrl(url: string): string {
  if (url.split(',').every(isHttpUrl)) return url
  throw new Error(`url: it is '${url}', not a URL like http://127.0.0.1:7400`)
}

/** A key on the command line could be seen by every user of the machine. */
async function readKey(apiKey: string | undefined): Promise<string> {
  if (apiKey !== undefined) return apiKey
  if (process.stdin.isTTY)
    throw new Error('No API key is given: set MAYFLY_API_KEY, or pass it on standard input')
  const key = (await buffer(process.stdin)).toString().trim()
  if (key !== '') return key
  throw new Error('The API key on standard input is empty')
}
