import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Cluster } from '../fixture/mayfly-up.ts'
import { needPeer, type Skippable } from '../fixture/peers.ts'

const folder = new URL('../../docs/monitoring/', import.meta.url).pathname

/** Runs promtool of Prometheus; returns its output. Fails unless its exit code is 0. */
function promtool(context: Skippable, args: readonly string[], input = ''): string {
  const program = needPeer('promtool', context)
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, input, encoding: 'utf8' })
  expect(status, stdout + stderr).toBe(0)
  return stdout + stderr
}

test('promtool takes the scrape config and the alert rules, and the alerts fire when they should', (context) => {
  promtool(context, ['check', 'config', '--syntax-only', 'prometheus.yml'])
  promtool(context, ['check', 'rules', 'alerts.yml'])
  promtool(context, ['test', 'rules', 'alerts.test.yml'])
})

test('every process serves metrics that promtool takes, and rules and dashboard name no other', async (context) => {
  const cluster = await Cluster.start()
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('measured')
  await job.put('key', Buffer.alloc(1000))
  await job.get('key')
  await expect(job.get('missing')).rejects.toThrow('missing')
  type Target = { targets: [string]; labels: { plane: string } }
  const targets = await cluster.api<Target[]>('/v1/metrics/targets')
  expect(new Set(targets.map(({ labels }) => labels.plane))).toEqual(
    new Set(['storage-node', 'metadata', 'gateway']),
  )
  const own = await fetch(`${cluster.url}/metrics`, {
    headers: { authorization: `Bearer ${cluster.apiKey}` },
  })
  const texts = [await own.text()]
  for (const {
    targets: [address],
  } of targets)
    texts.push(await (await fetch(`http://${address}/metrics`)).text())
  for (const text of texts) {
    // nodejs_* of prom-client are not ours to name.
    const ours = text.split('\n\n').filter((metric) => !metric.includes('# HELP nodejs_'))
    expect(ours.join('\n')).toContain('mayfly_build_info{')
    promtool(context, ['check', 'metrics'], `${ours.join('\n')}\n`)
  }
  const all = texts.join('\n')
  const nodes = texts.slice(1).join('\n')
  expect(nodes).toMatch(/mayfly_requests_total\{operation="put"\} 1\n/)
  expect(nodes).toMatch(/mayfly_requests_total\{operation="get"\} 2\n/)
  expect(nodes).toMatch(/mayfly_request_errors_total\{operation="get",code="NOT_FOUND"\} 1\n/)
  expect(nodes).toMatch(/mayfly_request_payload_bytes_total\{operation="put"\} 1000\n/)
  expect(nodes).toMatch(/mayfly_request_duration_seconds_count\{operation="get"\} 2\n/)
  expect(nodes).not.toContain(job.id)
  const known = new Set([...all.matchAll(/^(?:# HELP )?([a-z_0-9]+)[{ ]/gm)].map(([, name]) => name))
  for (const file of ['alerts.yml', 'grafana-dashboard.json']) {
    const named =
      readFileSync(`${folder}${file}`, 'utf8').match(/\b(?:mayfly|nodejs|process)_[a-z_0-9]+/g) ?? []
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((name) => !known.has(name))).toEqual([])
  }
  await job.close()
})
