import { expect } from 'vitest'
import type { RealCluster } from './real-cluster.ts'

/** Runs in a pod: puts, gets and deletes keys until SIGTERM, checks each answer, and prints what failed. */
const program = `
import { connect } from 'mayfly'
const mayfly = await connect()
const job = await mayfly.registerJob('load', { capacityBytes: 64 * 2 ** 20 })
let ending = false
let calls = 0
const failures = []
process.once('SIGTERM', () => { ending = true })
const lane = async (lane) => {
  for (let i = 0; !ending; i++) {
    const key = \`\${lane}/\${i % 50}\`
    const value = \`\${key} \${i} \`.repeat(500)
    try {
      await job.put(key, value)
      const found = String(await job.get(key))
      if (found !== value) throw new Error(\`\${key} has another value\`)
      calls += 2
    } catch (error) {
      failures.push(\`\${new Date().toISOString()} \${error.code} \${error.message}\`)
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
console.log('running')
await Promise.all([...Array(8).keys()].map(lane))
await job.deregister()
console.log(JSON.stringify({ calls, failures }))
process.exit()
`

export interface Load {
  /** Ends it; resolves with the number of calls and the messages of those that failed. */
  finish(): Promise<{ calls: number; failures: string[] }>
}

/** Eight lanes of calls from a pod beside the release \`mayfly\` of docs/kubernetes.md. */
export async function startLoad({ kubectl }: RealCluster, image: string): Promise<Load> {
  const volumes = [
    { name: 'tls', secret: { secretName: 'mayfly-tls', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  ]
  const container = {
    name: 'load',
    image,
    workingDir: '/opt/mayfly',
    command: ['node', '--input-type=module', '-e', program],
    env: [
      { name: 'MAYFLY_URL', value: 'https://mayfly:7400' },
      { name: 'MAYFLY_CA_FILE', value: '/etc/mayfly/ca.crt' },
      { name: 'MAYFLY_API_KEY', valueFrom: { secretKeyRef: { name: 'mayfly-auth', key: 'api-key' } } },
    ],
    volumeMounts: [{ name: 'tls', mountPath: '/etc/mayfly' }],
  }
  const spec = { restartPolicy: 'Never', terminationGracePeriodSeconds: 60, containers: [container], volumes }
  await kubectl(
    'run',
    'load',
    '--image',
    image,
    '--restart',
    'Never',
    '--overrides',
    JSON.stringify({ spec }),
  )
  const logs = (): Promise<string> => kubectl('logs', 'load').catch(() => '')
  await expect.poll(logs, { timeout: 60_000, interval: 500 }).toContain('running')
  return {
    finish: async () => {
      // The log of a pod that is deleted is gone, so its process is told alone.
      await kubectl('exec', 'load', '--', 'node', '-e', 'process.kill(1, "SIGTERM")')
      await expect.poll(logs, { timeout: 60_000, interval: 500 }).toContain('"calls"')
      const [, report = ''] = /^(\{"calls".*\})$/m.exec(await logs()) ?? []
      return JSON.parse(report) as { calls: number; failures: string[] }
    },
  }
}
