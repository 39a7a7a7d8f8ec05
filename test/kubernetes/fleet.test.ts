import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, onTestFinished } from 'vitest'
import { ApiServer } from '../../controller/nodes/fleet/kubernetes/api-server.ts'
import { KubernetesFleet } from '../../controller/nodes/fleet/kubernetes/kubernetes-fleet.ts'
import { readKubernetesFile } from '../../controller/nodes/fleet/kubernetes/settings.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { Background } from '../../service/process/background.ts'
import { createLog } from '../../service/process/log.ts'
import { fleetContract } from '../controller/support/fleet-contract.ts'
import { sharedKubernetes } from '../fixture/kubernetes.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const control = sharedKubernetes()
const program = new URL('../fixture/fleet-node.mjs', import.meta.url).pathname

describe('the Kubernetes fleet, as every fleet', () => {
  fleetContract(async (context) => {
    const kubernetes = await control(context)
    const dir = await tempDir()
    const namespace = await kubernetes.namespace()
    await kubernetes.kubectl([
      '-n',
      namespace,
      'create',
      'deployment',
      'mayfly-controller',
      '--image=none',
      '--replicas=0',
    ])
    onTestFinished(async () => {
      await kubernetes.kubectl(['delete', 'namespace', namespace, '--wait=false'])
    })
    const kubeconfig = join(dir, 'kubeconfig')
    const config = JSON.parse(await kubernetes.kubectl(['config', 'view', '--raw', '-o', 'json']))
    config.contexts[0].context.namespace = namespace
    await writeFile(kubeconfig, JSON.stringify(config))
    process.env.KUBECONFIG = kubeconfig
    const container = {
      name: 'mayfly',
      image: 'none',
      command: [process.execPath, program],
      env: [{ name: 'CONTRACT_DIR', value: dir }],
    }
    const template = { spec: { automountServiceAccountToken: false, containers: [container] } }
    const file = join(dir, 'kubernetes.json')
    const nodes = { small: template, broken: template }
    await writeFile(
      file,
      JSON.stringify({ name: 'mayfly', deployment: 'mayfly-controller', nodes, metadata: { template } }),
    )
    const ofEach = {
      cores: 1,
      ramBytes: 2 ** 20,
      ssdBytes: 0,
      bytesPerSecond: 1,
      pricePerHour: 0,
      nodesMax: 4,
    }
    const classes = ['small', 'broken'].map((name) => ({ name, ...ofEach }))
    const open = async (): Promise<KubernetesFleet> => {
      const api = await ApiServer.open('mayfly')
      const background = new Background({ runtime: systemRuntime, log: createLog('controller', 'warn') })
      const settings = readKubernetesFile(file, classes)
      return new KubernetesFleet({
        api,
        settings,
        classes,
        metadataServers: 1,
        podName: null,
        runtime: systemRuntime,
        background,
      })
    }
    return { dir, open }
  })
})
