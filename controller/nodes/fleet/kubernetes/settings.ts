import { readFileSync } from 'node:fs'
import type { V1PodTemplateSpec } from '@kubernetes/client-node'
import { MayflyError } from '../../../../protocol/errors.ts'
import { NAME_LENGTH_MAX, START_SECONDS_DEFAULT, START_SECONDS_MAX, START_SECONDS_MIN } from './limits.ts'

/** What the Kubernetes fleet makes pods from; the file that `MAYFLY_KUBERNETES_FILE` names. */
export interface KubernetesSettings {
  /** Prefix of the names of all objects, and their label `app.kubernetes.io/instance`. */
  readonly name: string
  /** The Deployment of the controller, which owns everything that the fleet makes. */
  readonly deployment: string
  /** A pod that has not started by then is given up. */
  readonly startSeconds: number
  /** By node class. */
  readonly nodes: Readonly<Record<string, V1PodTemplateSpec>>
  readonly metadata: { readonly replicas: number; readonly template: V1PodTemplateSpec }
}

const NAME = /^[a-z]([a-z0-9-]*[a-z0-9])?$/

/** Reads and checks the file. Throws `BAD_REQUEST`, naming the file and the field that is wrong. */
export function readKubernetesFile(path: string, classes: readonly { name: string }[]): KubernetesSettings {
  const refuse = (why: string, cause?: unknown): never => {
    throw new MayflyError('BAD_REQUEST', `${path}: ${why}`, { cause })
  }
  const file = readJson(path, refuse)
  const { name, deployment, startSeconds = START_SECONDS_DEFAULT, nodes, metadata } = file
  if (typeof name !== 'string' || !NAME.test(name) || name.length > NAME_LENGTH_MAX)
    return refuse(`name: lower-case letters, digits and dashes, up to ${NAME_LENGTH_MAX}`)
  if (typeof deployment !== 'string' || deployment === '')
    return refuse('deployment: the name of the Deployment of the controller is missing')
  if (!isWithin(startSeconds, START_SECONDS_MIN, START_SECONDS_MAX))
    return refuse(`startSeconds: it is not a whole number from ${START_SECONDS_MIN} to ${START_SECONDS_MAX}`)
  if (!isObject(nodes)) return refuse('nodes: it has no template of a pod by node class')
  for (const { name: className } of classes)
    if (!isTemplate(nodes[className]))
      return refuse(`nodes.${className}: there is no PodTemplateSpec with a container for this node class`)
  if (!isObject(metadata) || !isTemplate(metadata.template))
    return refuse('metadata.template: there is no PodTemplateSpec with a container')
  const { replicas = 1, template } = metadata
  if (!isWithin(replicas, 1, 10)) return refuse('metadata.replicas: it is not a whole number from 1 to 10')
  return {
    name,
    deployment,
    startSeconds,
    nodes: nodes as KubernetesSettings['nodes'],
    metadata: { replicas, template },
  }
}

function readJson(path: string, refuse: (why: string, cause: unknown) => never): Record<string, unknown> {
  try {
    const file: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return isObject(file) ? file : refuse('it is not a JSON object', null)
  } catch (error) {
    if (error instanceof MayflyError) throw error
    return refuse(error instanceof Error ? error.message : String(error), error)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

function isTemplate(value: unknown): value is V1PodTemplateSpec {
  if (!isObject(value) || !isObject(value.spec)) return false
  const { containers } = value.spec
  return Array.isArray(containers) && isObject(containers[0]) && typeof containers[0].name === 'string'
}
