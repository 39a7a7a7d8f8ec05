import { describe, expect, test } from 'vitest'
import { EVENT_STREAMS_MAX } from '../../../controller/limits.ts'
import { errorTable } from '../../../protocol/errors.ts'
import { dereference } from '../support/dereference.ts'
import { readEvents } from '../support/event-stream.ts'
import { apiKey, eventually, MIB, smallClass, World } from '../support/world.ts'

const unmoved = {
  hits: 0,
  demotedObjects: 0,
  demotedBytes: 0,
  promotedObjects: 0,
  promotedBytes: 0,
  droppedMoves: 0,
}

describe('the stream of events', () => {
  test('tells of a job and its node from registration to end', async () => {
    const world = await World.start()
    const { body } = await world.register()
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    const { events, type } = await readEvents(world, 7, { 'last-event-id': '0' })
    expect(type).toContain('text/event-stream')
    expect(events.map(({ event }) => event)).toEqual([
      'metadata.active',
      'node.starting',
      'job.registering',
      'node.active',
      'job.active',
      'job.ended',
      'node.stopped',
    ])
    expect(events[5]?.data).toMatchObject({ job: body.id, name: 'job', reason: 'deregistered' })
  })

  test('resumes after the last event that the reader had', async () => {
    const world = await World.start()
    await world.register()
    const { events } = await readEvents(world, 5, { 'last-event-id': '0' })
    const resumed = await readEvents(world, 2, { 'last-event-id': events[2]?.id ?? '' })
    expect(resumed.events).toEqual(events.slice(3))
  })

  test('begins with what happens next where the reader names nothing', async () => {
    const world = await World.start()
    await world.register()
    const reading = readEvents(world, 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const { body } = await world.register({ name: 'later' })
    const { events } = await reading
    expect(events[0]).toMatchObject({ event: 'job.registering', data: { job: body.id } })
  })

  test('gives ids that rise over a restart, so that a reader who resumes misses nothing', async () => {
    const world = await World.start()
    const before = await readEvents(world, 1, { 'last-event-id': '0' })
    await world.stop()
    await world.startController()
    const last = before.events.at(-1)?.id ?? ''
    const after = await readEvents(world, 1, { 'last-event-id': last })
    expect(Number(after.events[0]?.id)).toBeGreaterThan(Number(last))
  })

  test('misses nothing where the reader had its last event from a machine whose clock is ahead', async () => {
    const world = await World.start()
    await world.register()
    const { events } = await readEvents(world, 5, { 'last-event-id': '0' })
    const hourAhead = `${(Date.now() + 3_600_000) * 1000}`
    const resumed = await readEvents(world, 5, { 'last-event-id': hourAhead })
    expect(resumed.events).toEqual(events)
  })

  test('refuses an id that is none, and more readers than there may be', async () => {
    const world = await World.start()
    const bad = await world.ask('/v1/events', { headers: { 'last-event-id': 'x' } })
    expect([bad.status, bad.body.error.field]).toEqual([400, 'last-event-id'])
    const cut = new AbortController()
    const headers = { authorization: `Bearer ${apiKey}` }
    const open = () => fetch(`${world.url}/v1/events`, { headers, signal: cut.signal })
    await Promise.all(Array.from({ length: EVENT_STREAMS_MAX }, open))
    const refused = await world.ask('/v1/events')
    expect([refused.status, refused.body.error.code]).toEqual([429, 'TOO_MANY_REQUESTS'])
    cut.abort()
    await eventually(async () => {
      const reading = new AbortController()
      const response = await fetch(`${world.url}/v1/events`, { headers, signal: reading.signal })
      reading.abort()
      expect(response.status).toBe(200)
    })
  })

  test('ends when the controller stops', async () => {
    const world = await World.start()
    const response = await fetch(`${world.url}/v1/events`, { headers: { authorization: `Bearer ${apiKey}` } })
    const text = response.text()
    await world.stop()
    expect(await text).toBe('')
  })
})

describe('the cluster', () => {
  test('adds up what is there, asked for, reserved, used and free', async () => {
    const world = await World.start({ warmNodes: 1 })
    const { body: job } = await world.register({ hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: 5 } })
    const { body } = await world.ask('/v1/cluster')
    const { ram } = job.reservation.bytes
    expect(body).toMatchObject({
      nodeClasses: [{ ...smallClass, nodes: 1 }],
      warmNodes: 1,
      totals: {
        bytes: {
          ram: {
            limit: 2 * smallClass.ramBytes,
            capacity: smallClass.ramBytes,
            asked: ram,
            reserved: ram,
            used: 0,
            free: smallClass.ramBytes - ram,
          },
        },
        bytesPerSecond: { limit: 2e9, capacity: 1e9, asked: 5, reserved: 5, used: 0, free: 1e9 - 5 },
      },
      metadata: [{ id: 'm-1', address: 'm-1:7401' }],
      jobs: { registering: 0, active: 1, ending: 0 },
      nodes: { starting: 0, active: 1, draining: 0, lost: 0 },
    })
  })

  test('has nodes with the fields that the API promises', async () => {
    const world = await World.start({ warmNodes: 1 })
    await eventually(async () => expect((await world.nodes())[0]?.state).toBe('active'))
    const [id] = world.fleet.running.keys()
    expect((await world.ask('/v1/nodes')).body).toEqual({
      nodes: [
        {
          id,
          class: 'small',
          state: 'active',
          address: '127.0.0.1:40001',
          pid: 40_001,
          tiers: {
            ram: {
              capacityBytes: smallClass.ramBytes,
              reservedBytes: 0,
              usedBytes: 0,
              objects: 0,
              ...unmoved,
            },
          },
          bytesPerSecond: { capacity: 1_000_000_000, reserved: 0, used: 0 },
          cores: { capacity: 1, used: 0 },
        },
      ],
    })
    expect(id).toMatch(/^n-[a-z2-7]{13}$/)
  })

  test('shows what a job has and moved on each tier, while it lives', async () => {
    const world = await World.start()
    const { body } = await world.register({ name: 'shuffle' })
    const [{ node }] = body.reservation.nodes
    const ssd = { objects: 2, hits: 3, demotedObjects: 0, demotedBytes: 0, droppedMoves: 0 }
    const tiers = {
      ram: { ...unmoved, objects: 5, hits: 7, demotedObjects: 2, demotedBytes: 4_000, droppedMoves: 1 },
      ssd: { ...ssd, promotedObjects: 1, promotedBytes: 2_000 },
    }
    const use = { id: body.id, objects: 7, bytes: { ram: 900, ssd: 4_000 }, stored: 9 }
    await world.report(node, [{ ...use, tiers }])
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.usage).toEqual({
      objects: 7,
      bytes: { ram: 900, ssd: 4_000, s3: 0 },
      bytesPerSecond: 0,
      tiers: { ...tiers, s3: { ...unmoved, objects: 0 } },
    })
    expect((await world.nodes())[0]).toMatchObject({ tiers: { ram: tiers.ram } })
    const { text } = await world.ask('/metrics')
    const labels = (tier: string) => `{job="${body.id}",name="shuffle",tier="${tier}"}`
    expect(text).toContain(`mayfly_job_bytes${labels('ssd')} 4000`)
    expect(text).toContain(`mayfly_job_objects${labels('ram')} 5`)
    expect(text).toContain(`mayfly_job_hits_total${labels('ram')} 7`)
    expect(text).toContain(`mayfly_job_demoted_objects_total${labels('ram')} 2`)
    expect(text).toContain(`mayfly_job_demoted_bytes_total${labels('ram')} 4000`)
    expect(text).toContain(`mayfly_job_promoted_objects_total${labels('ssd')} 1`)
    expect(text).toContain(`mayfly_job_promoted_bytes_total${labels('ssd')} 2000`)
    expect(text).toContain(`mayfly_job_dropped_moves_total${labels('ram')} 1`)
    expect(text).not.toContain(`mayfly_job_bytes${labels('s3')}`)
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    expect((await world.ask('/metrics')).text).not.toContain(body.id)
  })

  test('is measured for Prometheus', async () => {
    const world = await World.start()
    const { body } = await world.register()
    const { text, headers } = await world.ask('/metrics')
    expect(headers.get('content-type')).toContain('text/plain')
    expect(text).toContain('mayfly_jobs{state="active"} 1')
    expect(text).toContain('mayfly_nodes{state="active"} 1')
    expect(text).toContain(`mayfly_cluster_reserved_bytes{tier="ram"} ${body.reservation.bytes.ram}`)
    expect(text).toContain('mayfly_cluster_capacity_bytes_per_second 1000000000')
    expect(text).toContain('mayfly_events_total{type="job.active"} 1')
  })
})

describe('the OpenAPI document', () => {
  test('has every public route, with its replies and errors, and nothing of the internal port', async () => {
    const world = await World.start()
    const body = dereference((await world.ask('/openapi.json')).body)
    const routes = Object.entries<object>(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )
    expect(routes.sort()).toEqual([
      'delete /v1/jobs/{id}',
      'delete /v1/kept/object',
      'delete /v1/keys/{name}',
      'get /healthz',
      'get /metrics',
      'get /openapi.json',
      'get /v1/cluster',
      'get /v1/events',
      'get /v1/jobs',
      'get /v1/jobs/{id}',
      'get /v1/kept',
      'get /v1/kept/object',
      'get /v1/keys',
      'get /v1/metrics/targets',
      'get /v1/nodes',
      'patch /v1/jobs/{id}',
      'post /v1/console/links',
      'post /v1/jobs',
      'post /v1/jobs/{id}/move',
      'post /v1/jobs/{id}/renew',
      'post /v1/jobs/{id}/s3-keys',
      'post /v1/jobs/{id}/tickets',
      'post /v1/keys',
      'post /v1/keys/{name}/rotate',
      'post /v1/nodes/{id}/drain',
    ])
    const { responses, requestBody } = body.paths['/v1/jobs'].post
    expect(Object.keys(responses)).toEqual([
      '201',
      '400',
      '401',
      '403',
      '408',
      '409',
      '410',
      '413',
      '414',
      '429',
      '431',
      '500',
      '503',
      '504',
    ])
    expect(responses['409'].description).toBe('RESERVATION_REFUSED')
    const { properties } = responses['409'].content['application/json'].schema.properties.error
    expect(properties.code.enum).toEqual(Object.keys(errorTable))
    const { hints } = requestBody.content['application/json'].schema.properties
    expect(hints.properties.capacityBytes).toMatchObject({ type: 'integer', minimum: 1 })
  })
})
