import { dirOption, findCredentials } from '../../api/credentials.ts'
import type { Verb } from '../../verb.ts'

export const env: Verb = {
  usage: 'env [--dir DIR]',
  summary: 'print the address and the API key of the cluster, as exports for a shell: eval "$(mayfly env)"',
  shape: { options: dirOption, required: [], optional: [] },
  async run({ args, config, print }) {
    const { url, apiKey } = findCredentials(args, config)
    print(`export MAYFLY_URL=${quote(url)}\nexport MAYFLY_API_KEY=${quote(apiKey)}`)
    return 0
  },
}

/** For a POSIX shell: text from a file or a variable must not be run as a command. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
