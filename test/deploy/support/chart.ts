import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { helm } from '../../../bench/servers/go-programs.ts'

export const chart = join(import.meta.dirname, '../../../deploy/helm/mayfly')

/** A pod template's parts that tests look at. */
export interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> }
  readonly spec: {
    readonly automountServiceAccountToken?: boolean
    readonly hostNetwork?: boolean
    readonly priorityClassName?: string
    readonly securityContext: Readonly<Record<string, unknown>>
    readonly containers: readonly Container[]
    readonly volumes: readonly Readonly<Record<string, unknown>>[]
  }
}

interface Container {
  readonly name: string
  readonly image: string
  readonly env: readonly { readonly name: string; readonly value?: string }[]
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly [probe: string]: unknown
}

/** A manifest of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

/** What the fleet of the controller reads. */
export interface KubernetesFile {
  readonly name: string
  readonly deployment: string
  readonly startSeconds: number
  readonly nodes: Readonly<Record<string, PodTemplate>>
  readonly metadata: { readonly replicas: number; readonly template: PodTemplate }
}

/** What `go install` builds believes in an old Kubernetes. */
export const KUBE_VERSION = ['--kube-version', '1.36.0']

/** Runs Helm; rejects with what it printed unless it succeeds. */
export async function runHelm(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(helm.find() ?? '', args, { maxBuffer: 2 ** 24 })
  return stdout
}

/** Values as arguments of Helm. */
export function withValues(values: unknown): string[] {
  return Object.entries(values as Record<string, unknown>).flatMap(([name, value]) => [
    '--set-json',
    `${name}=${JSON.stringify(value)}`,
  ])
}

/** The manifests that an install of these values would make, in namespace `store`. */
export async function render(values: unknown): Promise<Manifest[]> {
  const release = ['template', 'mayfly', chart, '--namespace', 'store', ...KUBE_VERSION]
  const text = await runHelm([...release, ...withValues(values)])
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

export function fileOf(manifests: readonly Manifest[], name: 'cluster.json' | 'kubernetes.json'): string {
  const config = manifests.find(({ kind }) => kind === 'ConfigMap') as Manifest & {
    data: Record<string, string>
  }
  return config.data[name] ?? ''
}

/** All pods that would run, by component, those that the controller starts as well. */
export function podsOf(manifests: readonly Manifest[]): Map<string, PodTemplate> {
  const pods = new Map<string, PodTemplate>()
  for (const { kind, metadata, spec } of manifests) {
    if (kind === 'Deployment') {
      const { template } = spec as { template: PodTemplate }
      pods.set(template.metadata.labels['app.kubernetes.io/component'] ?? metadata.name, template)
    }
    if (kind === 'Pod') pods.set('test', { metadata, spec } as unknown as PodTemplate)
  }
  const { nodes, metadata } = JSON.parse(fileOf(manifests, 'kubernetes.json')) as KubernetesFile
  pods.set('metadata', metadata.template)
  for (const [name, template] of Object.entries(nodes)) pods.set(`storage-node ${name}`, template)
  return pods
}
