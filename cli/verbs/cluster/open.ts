import { spawn } from 'node:child_process'
import { findCredentials } from '../../api/credentials.ts'
import { requestPage } from '../../api/http.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  type JsonFlag,
  jsonOption,
  onRun,
} from '../../verb.ts'

interface Flags extends ClusterFlags, JsonFlag {
  readonly browser: boolean
}

export const open: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'open', {
    summary: 'open the page of the cluster in a browser, and print the link',
    details:
      'The link logs in once, within 10 minutes, with the rights of the API key. Without a terminal it is only printed.',
    examples: ['mayfly open', 'mayfly open --no-browser'],
  }).option('--no-browser', 'only print the link')
  jsonOption(clusterOptions(verb))
  onRun<Flags>(verb, cli, async (_, { browser, json, ...flags }) => {
    const page = await requestPage(findCredentials(flags, cli.config))
    cli.terminal.print(json === true ? JSON.stringify({ page }) : page)
    if (browser && json !== true && cli.terminal.screen !== undefined) openBrowser(page)
  })
}

/** Where there is none, the link that was printed is enough. */
function openBrowser(page: string): void {
  const [program = '', ...args] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['explorer'] : ['xdg-open']
  const child = spawn(program, [...args, page], { stdio: 'ignore', detached: true })
  child.once('error', () => undefined)
  child.unref()
}
