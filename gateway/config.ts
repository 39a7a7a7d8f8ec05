import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { MayflyError } from '../protocol/errors.ts'
import { readNetwork } from '../service/network/listening.ts'
import {
  type Environment,
  readNumber,
  readSecret,
  readText,
  readTracesUrl,
} from '../service/process/environment.ts'
import { PROCESSES_DEFAULT_MAX, PROCESSES_MAX } from './limits.ts'

/** Settings of a gateway, from its environment. Throws `BAD_REQUEST`, naming the variable that is wrong. */
export function readConfig(env: Environment = process.env) {
  const network = readNetwork(env)
  return Object.freeze({
    id: env.MAYFLY_GATEWAY_ID ?? `g-${randomBytes(5).toString('hex')}`,
    network,
    endpoint: readEndpoint(env),
    serves: readServed(env),
    accessLog: env.MAYFLY_S3_ACCESS_LOG ?? null,
    processes: readProcesses(env),
    logLevel: readText(env, 'MAYFLY_LOG_LEVEL', 'info'),
    tracesUrl: readTracesUrl(env),
  })
}

/** How many processes serve. Throws `BAD_REQUEST`. */
function readProcesses(env: Environment): number {
  const processes = readNumber(
    env,
    'MAYFLY_GATEWAY_PROCESSES',
    Math.min(availableParallelism(), PROCESSES_DEFAULT_MAX),
  )
  if (processes >= 1 && processes <= PROCESSES_MAX) return processes
  throw new MayflyError(
    'BAD_REQUEST',
    `MAYFLY_GATEWAY_PROCESSES is ${processes}, not a whole number from 1 to ${PROCESSES_MAX}`,
  )
}

/** The jobs that a gateway serves: all of a cluster, or that of one ticket, without any secret of the cluster. */
export type Served =
  | { readonly of: 'cluster'; readonly secret: Buffer; readonly controllerUrl: string }
  | { readonly of: 'ticket'; readonly ticket: string }

function readServed(env: Environment): Served {
  if (env.MAYFLY_SECRET_FILE !== undefined)
    return { of: 'cluster', secret: readSecret(env), controllerUrl: readText(env, 'MAYFLY_CONTROLLER_URL') }
  return { of: 'ticket', ticket: readText(env, 'MAYFLY_TICKET') }
}

/** The URL that clients use, if it is not that of the listener: null then. */
function readEndpoint(env: Environment): string | null {
  const text = env.MAYFLY_S3_ENDPOINT
  if (text === undefined) return null
  if (URL.canParse(text) && /^https?:/.test(text)) return new URL(text).origin
  throw new MayflyError(
    'BAD_REQUEST',
    `MAYFLY_S3_ENDPOINT is '${text}', not a URL like http://127.0.0.1:7480`,
  )
}
