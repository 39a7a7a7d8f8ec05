import { readFileSync } from 'node:fs'
import { MayflyError } from '../protocol/errors.ts'
import { type Environment, readListen, readSecret, readText } from '../service/environment.ts'
import type { NodeClass } from './node-class.ts'

/** Settings of the controller, from its environment. Throws `BAD_REQUEST`, naming the variable that is wrong. */
export function readConfig(env: Environment = process.env) {
  return Object.freeze({
    listen: readListen(env),
    dir: readText(env, 'MAYFLY_DIR'),
    secret: readSecret(env),
    apiKey: readApiKey(env),
    ...readCluster(env),
    logLevel: readText(env, 'MAYFLY_LOG_LEVEL', 'info'),
  })
}

export type ControllerConfig = ReturnType<typeof readConfig>

function readApiKey(env: Environment): string {
  const path = readText(env, 'MAYFLY_API_KEY_FILE')
  const key = readFileSync(path, 'utf8').trim()
  if (!/^\S{16,}$/.test(key)) {
    throw new MayflyError(
      'BAD_REQUEST',
      `${path} does not hold an API key of at least 16 characters on one line`,
    )
  }
  return key
}

/** The supervisor has checked the file and named each field; this only keeps nonsense out. */
function readCluster(env: Environment): { warmNodes: number; firstClass: NodeClass; classes: NodeClass[] } {
  const path = readText(env, 'MAYFLY_CLUSTER_FILE')
  const { warmNodes, nodeClasses } = JSON.parse(readFileSync(path, 'utf8')) as Partial<{
    warmNodes: number
    nodeClasses: NodeClass[]
  }>
  const [firstClass] = nodeClasses ?? []
  if (nodeClasses === undefined || firstClass === undefined || !nodeClasses.every(isNodeClass)) {
    throw new MayflyError(
      'BAD_REQUEST',
      `${path} has no nodeClasses with name, ramBytes, bytesPerSecond and nodesMax`,
    )
  }
  if (warmNodes === undefined || !Number.isSafeInteger(warmNodes) || warmNodes < 0) {
    throw new MayflyError('BAD_REQUEST', `warmNodes in ${path} is not a whole number from 0`)
  }
  return { warmNodes, firstClass, classes: nodeClasses }
}

function isNodeClass({ name, ramBytes, bytesPerSecond, nodesMax }: NodeClass): boolean {
  const numbers = [ramBytes, bytesPerSecond, nodesMax]
  return (
    typeof name === 'string' &&
    numbers.every((value) => Number.isSafeInteger(value) && value >= 0) &&
    ramBytes > 0 &&
    bytesPerSecond > 0
  )
}
