import { findCredentials } from '../../api/credentials.ts'
import { shellText } from '../../terminal/shell-text.ts'
import { type AddVerb, addVerb, type ClusterFlags, clusterOptions, onRun } from '../../verb.ts'

export const env: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'env', {
    summary: 'print the address, the API key and the CA of the cluster, as exports for a shell',
    examples: ['eval "$(mayfly env)"', 'mayfly env --context prod'],
  })
  clusterOptions(verb)
  onRun<ClusterFlags>(verb, cli, async (_, flags) => {
    const { url, apiKey, caFile } = findCredentials(flags, cli.config)
    const variables = {
      MAYFLY_URL: url,
      MAYFLY_API_KEY: apiKey,
      ...(caFile !== undefined && { MAYFLY_CA_FILE: caFile }),
    }
    const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${shellText(value)}`)
    cli.terminal.print(lines.join('\n'))
  })
}
