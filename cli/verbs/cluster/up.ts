import { isError } from '../../../protocol/errors.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { stateDirOf } from '../../api/credentials.ts'
import { requestPage } from '../../api/http.ts'
import { defaultConfig, readConfigFile } from '../../up/config/cluster-config.ts'
import { programs } from '../../up/programs.ts'
import { runCluster } from '../../up/run-cluster.ts'
import { type Cluster, S3_PORT_DEFAULT } from '../../up/supervisor.ts'
import { host, wholeNumber } from '../../values.ts'
import { type AddVerb, addVerb, jsonOption, notEmpty, onRun } from '../../verb.ts'

const PORT_DEFAULT = 7400

interface Flags {
  readonly port: number
  readonly s3Port?: number
  readonly dir?: string
  readonly config?: string
  readonly host?: string
  readonly advertise?: string
  readonly insecure?: boolean
  readonly tls?: boolean
  readonly json?: boolean
}

export const up: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'up', {
    summary: 'run a whole cluster on this machine until Ctrl-C',
    details:
      'Starts a controller, metadata servers, storage nodes and an S3 gateway as processes, and adds and removes nodes as jobs need them.\nWrites one line when it is ready. A second Ctrl-C kills at once.',
    examples: ['mayfly up', 'mayfly up --port 0 --dir ./state --json', 'mayfly up --config mayfly.json'],
  })
    .option('--port <port>', 'port of the HTTP API; 0 takes a free one', wholeNumber(0, 65_535), PORT_DEFAULT)
    .option(
      '--s3-port <port>',
      `port of the S3 gateway; 0 takes a free one (default: ${S3_PORT_DEFAULT}, or a free one if that is taken or with --port 0)`,
      wholeNumber(0, 65_535),
    )
    .option(
      '--dir <folder>',
      'where the cluster keeps its state (default: mayfly in the XDG state folder)',
      notEmpty,
    )
    .option('--config <file>', 'JSON: node classes, S3, API keys (docs/reference/config.md)', notEmpty)
    .option('--host <address>', 'IP address or name that every process binds (default: 127.0.0.1)', host)
    .option(
      '--advertise <host>',
      'IP address or DNS name that others connect to (default: that of --host)',
      host,
    )
    .option('--insecure', 'let other machines connect without encryption')
    .option('--tls', 'encrypt everything, with a CA and certificates of the cluster itself')
  jsonOption(verb, 'the ready line as JSON')
  onRun<Flags>(verb, cli, async (_, { port, s3Port, config: configFile, json, dir, tls, ...network }) => {
    const { config, terminal } = cli
    const read = configFile === undefined ? defaultConfig : readConfigFile(configFile)
    const options = {
      dir: stateDirOf(dir === undefined ? {} : { dir }, config),
      port,
      s3Port: s3Port ?? (port === 0 ? 0 : null),
      config: {
        ...read,
        network: { ...read.network, ...network, tls: read.network.tls ?? (tls ? 'own' : null) },
      },
      environment: config.environment,
      programs,
      runtime: systemRuntime,
      say: (line: string) => terminal.printError(`mayfly: ${line}`),
    }
    try {
      await runCluster(options, async (cluster, ended) => {
        const page = await requestPage(cluster)
        terminal.print(json === true ? readyJson(cluster, page) : readyText(cluster, page))
        await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }))
      })
    } catch (error) {
      // Ctrl-C is the normal end of this verb.
      if (!isError(error, 'ABORTED')) throw error
    }
  })
}

function readyJson({ url, s3, credentialsFile, caFile }: Cluster, page: string): string {
  return JSON.stringify({ event: 'ready', url, s3, credentials: credentialsFile, page, ca: caFile })
}

function readyText({ url }: Cluster, page: string): string {
  return `Mayfly is ready at ${url}. Register a job in another terminal: mayfly register NAME. Ctrl-C stops the cluster.\nThe page, by a link that logs in once within 10 minutes: ${page}`
}
