import type { V1Deployment, V1OwnerReference, V1PodDisruptionBudget } from '@kubernetes/client-node'
import { labelsOf, METADATA_LABEL, withEnvironment } from './pod.ts'
import type { KubernetesSettings } from './settings.ts'

/** What the fleet applies beside the pods of storage nodes. */

/**
 * The Deployment of one metadata server. Its decisions are in PostgreSQL, so Kubernetes may start it anew on any machine, and a second
 * replica is its standby.
 */
export function metadataDeployment(
  { name, metadata: { replicas, template } }: KubernetesSettings,
  metadata: string,
  owner: V1OwnerReference,
): V1Deployment {
  const labels = { ...labelsOf(name, 'metadata'), [METADATA_LABEL]: metadata }
  const spec = { containers: [], ...template.spec }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${name}-${metadata}`, labels, ownerReferences: [owner] },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      // The new process is ready before the old one ends.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...labels } },
        spec: { ...spec, containers: withEnvironment(spec.containers, { MAYFLY_METADATA_ID: metadata }) },
      },
    },
  }
}

/** The metadata server of a Deployment. */
export function metadataOf({ metadata }: V1Deployment): string | null {
  return metadata?.labels?.[METADATA_LABEL] ?? null
}

export function budgetName(instance: string): string {
  return `${instance}-nodes`
}

export function disruptionBudget(
  instance: string,
  minAvailable: number,
  owner: V1OwnerReference,
): V1PodDisruptionBudget {
  const labels = labelsOf(instance, 'storage-node')
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: budgetName(instance), labels, ownerReferences: [owner] },
    spec: { minAvailable, selector: { matchLabels: labels } },
  }
}
