import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, onTestFinished, test } from 'vitest'
import { connect, openJob } from '../../client/index.ts'
import type { ExportedSpan } from '../../service/tracing/span-exporter.ts'
import { Cluster } from '../fixture/mayfly-up.ts'

type Received = ExportedSpan & { readonly service: string }

interface Batch {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue: string } }[] }
    readonly scopeSpans: readonly { readonly spans: readonly ExportedSpan[] }[]
  }[]
}

/** The HTTP receiver of a collector. */
async function startCollector(): Promise<{ url: string; spans: Received[] }> {
  const spans: Received[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    for (const { resource, scopeSpans } of (JSON.parse(text) as Batch).resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? ''
      for (const scope of scopeSpans) spans.push(...scope.spans.map((span) => ({ ...span, service })))
    }
    response.end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans }
}

test('a trace leads from a call of the SDK to the spans of controller, metadata and node', async () => {
  const { url, spans } = await startCollector()
  const cluster = await Cluster.start([], { env: { MAYFLY_TRACES_URL: url } })
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  onTestFinished(() => provider.shutdown())
  const tracer = provider.getTracer('driver')
  const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey, tracer })
  const job = await mayfly.registerJob('traced')
  const reader = await openJob(job.ticket, { tracer })
  await reader.put('k', 'x')
  await reader.close()
  await job.deregister()
  /** The names of the services and spans from the call to the last one beneath it. */
  const chainOf = (call: string): string[] => {
    const span = exporter.getFinishedSpans().find(({ name }) => name === call)
    const chain = [call]
    let parent = span?.spanContext().spanId
    for (;;) {
      const below = spans.find(({ parentSpanId }) => parentSpanId === parent)
      if (below === undefined) return chain
      expect(below.traceId).toBe(span?.spanContext().traceId)
      expect(BigInt(below.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(below.startTimeUnixNano))
      chain.push(`${below.service} ${below.name}`)
      parent = below.spanId
    }
  }
  await expect
    .poll(() => chainOf('mayfly.registerJob'))
    .toEqual([
      'mayfly.registerJob',
      'mayfly-controller POST /v1/jobs',
      'mayfly-metadata jobCreate',
      'mayfly-storage-node own',
    ])
  await expect.poll(() => chainOf('mayfly.put')).toEqual(['mayfly.put', 'mayfly-storage-node put'])
  await expect
    .poll(() => chainOf('mayfly.deregister'))
    .toEqual([
      'mayfly.deregister',
      'mayfly-controller DELETE /v1/jobs/:id',
      'mayfly-metadata jobEnd',
      'mayfly-storage-node jobDrop',
    ])
})

test('a collector that does not answer is named in the log, and disturbs nothing', async () => {
  const cluster = await Cluster.start([], { env: { MAYFLY_TRACES_URL: 'http://127.0.0.1:9/v1/traces' } })
  const provider = new BasicTracerProvider()
  onTestFinished(() => provider.shutdown())
  const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey, tracer: provider.getTracer('driver') })
  const job = await mayfly.registerJob('traced')
  await job.put('k', 'x')
  expect((await job.get('k')).toString()).toBe('x')
  await job.deregister()
  await expect
    .poll(() => cluster.mayfly('logs', '--dir', cluster.dir, '--level', 'warn'))
    .toContain('spans of traced requests cannot be sent')
})
