import { findCredentials } from '../../api/credentials.ts'
import { type AddVerb, addVerb, type ClusterFlags, clusterOptions, onRun } from '../../verb.ts'

export const env: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'env', {
    summary: 'print the address and the API key of the cluster, as exports for a shell',
    examples: ['eval "$(mayfly env)"', 'mayfly env --context prod'],
  })
  clusterOptions(verb)
  onRun<ClusterFlags>(verb, cli, async (_, flags) => {
    const { url, apiKey } = findCredentials(flags, cli.config)
    cli.terminal.print(`export MAYFLY_URL=${quote(url)}\nexport MAYFLY_API_KEY=${quote(apiKey)}`)
  })
}

/** For a POSIX shell: text from a file or a variable must not be run as a command. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
