import { isError } from '../../protocol/errors.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dirOption, stateDirOf } from '../api/credentials.ts'
import { request } from '../api/http.ts'
import type { LinkReply } from '../api/replies.ts'
import { defaultConfig, readConfigFile } from '../up/cluster-config.ts'
import { programs } from '../up/programs.ts'
import { runCluster } from '../up/run-cluster.ts'
import type { Cluster } from '../up/supervisor.ts'
import type { Verb } from '../verb.ts'

const PORT_DEFAULT = 7400

export const up: Verb = {
  usage: 'up [--port 7400] [--dir DIR] [--config FILE] [--json]',
  summary: 'run a whole cluster on this machine until Ctrl-C',
  shape: {
    options: { port: 'text', config: 'text', json: 'flag', ...dirOption },
    required: [],
    optional: [],
  },
  async run({ args, config, print }) {
    const port = args.number('port', { least: 0, most: 65_535 }) ?? PORT_DEFAULT
    const configFile = args.text('config')
    const options = {
      dir: stateDirOf(args, config),
      port,
      config: configFile === undefined ? defaultConfig : readConfigFile(configFile),
      environment: config.environment,
      programs,
      runtime: systemRuntime,
      say: (line: string) => process.stderr.write(`mayfly: ${line}\n`),
    }
    try {
      await runCluster(options, async (cluster, ended) => {
        const page = `${cluster.url}${(await request<LinkReply>(cluster, { method: 'POST', path: '/v1/console/links' })).path}`
        print(args.flag('json') ? readyJson(cluster, page) : readyText(cluster, page))
        await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }))
      })
    } catch (error) {
      // Ctrl-C is the normal end of this verb.
      if (!isError(error, 'ABORTED')) throw error
    }
    return 0
  },
}

function readyJson({ url, credentialsFile }: Cluster, page: string): string {
  return JSON.stringify({ event: 'ready', url, credentials: credentialsFile, page })
}

function readyText({ url }: Cluster, page: string): string {
  return `Mayfly is ready at ${url}. Register a job in another terminal: mayfly register NAME. Ctrl-C stops the cluster.\nThe page, by a link that logs in once within 10 minutes: ${page}`
}
