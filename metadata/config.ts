import {
  type Environment,
  readListen,
  readSecret,
  readText,
  readTracesUrl,
} from '../service/process/environment.ts'

/** Settings of a metadata server, from its environment. Throws `BAD_REQUEST`, naming the variable that is wrong. */
export function readConfig(env: Environment = process.env) {
  return Object.freeze({
    id: readText(env, 'MAYFLY_METADATA_ID'),
    dir: readText(env, 'MAYFLY_DIR'),
    listen: readListen(env),
    controllerUrl: readText(env, 'MAYFLY_CONTROLLER_URL'),
    secret: readSecret(env),
    logLevel: readText(env, 'MAYFLY_LOG_LEVEL', 'info'),
    tracesUrl: readTracesUrl(env),
  })
}

export type MetadataConfig = ReturnType<typeof readConfig>
