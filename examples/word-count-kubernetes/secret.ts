import { readFileSync } from 'node:fs'

/** Where Kubernetes mounts the token of the pod's service account. */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Creates a Secret in the pod's namespace. It is removed together with the Job of this pod, whose name and uid POD_JOB and POD_JOB_UID are. */
export async function createSecret(
  name: string,
  stringData: Readonly<Record<string, string>>,
): Promise<void> {
  const {
    KUBERNETES_SERVICE_HOST: host = '',
    KUBERNETES_SERVICE_PORT: port,
    POD_JOB,
    POD_JOB_UID,
  } = process.env
  const namespace = readFileSync(`${ACCOUNT}/namespace`, 'utf8')
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: POD_JOB, uid: POD_JOB_UID }
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}/api/v1/namespaces/${namespace}/secrets`
  // The CA of the cluster is that of NODE_EXTRA_CA_CERTS.
  const reply = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${readFileSync(`${ACCOUNT}/token`, 'utf8')}`,
    },
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, ownerReferences: [owner] },
      stringData,
    }),
  })
  if (!reply.ok) throw new Error(`Kubernetes refuses the Secret ${name}: ${await reply.text()}`)
}
