import { readNetwork } from '../service/network/listening.ts'
import { readState } from '../service/postgres/postgres-settings.ts'
import { type Environment, readSecret, readText, readTracesUrl } from '../service/process/environment.ts'

/** Settings of a metadata server, from its environment. Throws `BAD_REQUEST`, naming the variable that is wrong. */
export function readConfig(env: Environment = process.env) {
  const network = readNetwork(env)
  return Object.freeze({
    id: readText(env, 'MAYFLY_METADATA_ID'),
    state: readState(env),
    listen: network.listen,
    network,
    controllerUrl: readText(env, 'MAYFLY_CONTROLLER_URL'),
    secret: readSecret(env),
    logLevel: readText(env, 'MAYFLY_LOG_LEVEL', 'info'),
    tracesUrl: readTracesUrl(env),
  })
}

/** `network` concerns the process, not what it serves. */
export type MetadataConfig = Omit<ReturnType<typeof readConfig>, 'network'>
