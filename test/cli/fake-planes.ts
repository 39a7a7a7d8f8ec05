import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * Replacements of the built planes: a controller that carries out the test's commands over HTTP, and servers that only run. Each reports its address and exits
 * with its supervisor, as the real ones do. The controller asks which nodes run and starts one before it serves.
 */
const live = `
  process.on('disconnect', () => process.exit(0))
  process.on('SIGTERM', () => process.exit(0))
  const say = (reason) => { console.error(JSON.stringify({ level: 60, err: { reason } })); process.exit(1) }
  const [host, port] = process.env.MAYFLY_LISTEN.split(':')
  const serve = (handle) => {
    const server = require('node:http').createServer(handle)
    server.on('error', () => say('Port ' + port + ' is taken'))
    server.listen(Number(port), host, () => {
      process.send({ type: 'ready', address: host + ':' + server.address().port })
    })
  }
`
const controller = `${live}
  const heard = []
  const begin = () => serve((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://x')
    if (pathname === '/tell') process.send(JSON.parse(searchParams.get('message')))
    if (pathname === '/die') process.exit(3)
    response.end(JSON.stringify({ metadata: ['m-1'], heard }))
  })
  process.on('message', (message) => heard.push(message))
  process.once('message', () => {
    process.send({ type: 'startNode', node: 'n-warm', class: 'local' })
    begin()
  })
  process.send({ type: 'listNodes' })
`
const server = `${live}
  serve((request, response) => response.end())
`
const brokenMetadata = `${live}
  say('The disk is full')
`

/** Writes the planes below `dir`; returns the folder's URL for the supervisor. */
export function writeFakePlanes(dir: string, { brokenMetadata: broken = false } = {}): URL {
  const programs = {
    controller,
    metadata: broken ? brokenMetadata : server,
    'storage-node': server,
    gateway: server,
  }
  for (const [plane, source] of Object.entries(programs)) {
    mkdirSync(join(dir, plane), { recursive: true })
    writeFileSync(join(dir, plane, 'main.js'), source)
  }
  return pathToFileURL(`${dir}/`)
}
