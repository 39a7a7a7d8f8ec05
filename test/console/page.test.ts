import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { apiKey, MIB, smallClass, World, type WorldOptions } from '../controller/support/world.ts'
import { startBrowser } from '../fixture/browser.ts'

const pageDir = new URL('../../dist/console/', import.meta.url).pathname
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** A controller with the built page, opened in a real browser; what the browser complains of or asks others for is collected. */
async function open(context: { skip(note: string): never }, options: WorldOptions = {}) {
  const browser = await startBrowser(context)
  const world = await World.start({ warmNodes: 1, pageDir, ...options })
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } })
  const problems: string[] = []
  const foreign: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(world.url)) foreign.push(request.url())
  })
  return { world, page, problems, foreign }
}

async function logIn(page: Page, url: string, key = apiKey): Promise<void> {
  await page.goto(url)
  await page.getByLabel('API key').fill(key)
  await page.getByRole('button', { name: 'Log in' }).click()
}

/** What axe-core finds wrong. The policy of the page lets no script in, so it runs in the world of the test. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(axe, 'utf8'))
  return await page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe-core puts itself there.
    const { violations } = await (globalThis as any).axe.run()
    // biome-ignore lint/suspicious/noExplicitAny: of axe-core.
    return violations.flatMap((each: any) => each.nodes.map((node: any) => `${each.id}: ${node.html}`))
  })
}

test('the page has fewer than 150 KB in gzip', () => {
  const files = readdirSync(`${pageDir}/assets`).map((name) => readFileSync(`${pageDir}/assets/${name}`))
  const bytes = files.reduce((sum, file) => sum + gzipSync(file).length, 0)
  expect(bytes).toBeGreaterThan(10_000)
  expect(bytes).toBeLessThan(150_000)
})

test('the key is taken once and is nowhere afterwards; nothing is asked of others and nothing breaks the policy', async (context) => {
  const { world, page, problems, foreign } = await open(context)
  await logIn(page, world.url, 'wrong-key-0123456789')
  await page.getByRole('alert').getByText('not one of this cluster').waitFor()
  expect(await violations(page)).toEqual([])
  // The browser says itself that the login was refused.
  expect(problems.splice(0).every((problem) => problem.includes('401'))).toBe(true)
  await page.getByLabel('API key').fill(apiKey)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('No node is full.').waitFor()
  const [cookie] = await page.context().cookies(`${world.url}/console`)
  expect(cookie).toMatchObject({
    name: 'mayfly_session',
    httpOnly: true,
    sameSite: 'Strict',
    path: '/console',
  })
  expect((cookie?.expires ?? 0) - Date.now() / 1000).toBeGreaterThan(3600)
  const kept = await page.evaluate(
    'JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])',
  )
  expect(kept).not.toContain(apiKey)
  expect(kept).not.toContain(cookie?.value)
  await page.reload()
  await page.getByText('No node is full.').waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('API key').waitFor()
  expect([problems, foreign]).toEqual([[], []])
})

test('it shows which node is full, which job does it, and what the controller did, as it happens', async (context) => {
  const { world, page, problems } = await open(context)
  await logIn(page, world.url)
  await page.getByText('No job lives.').waitFor()
  const { body } = await world.register({ name: 'frames', hints: { capacityBytes: 100 * MIB } })
  const [{ node }] = body.reservation.nodes
  const used = 250 * MIB
  await world.report(node, [{ id: body.id, objects: 7, bytes: { ram: used }, bytesPerSecond: 5 * MIB }], {
    ram: { capacityBytes: 256 * MIB, usedBytes: used },
  })
  await page.getByText(`Node ${node} is 98 % full in RAM, mostly job frames with 250 MiB.`).waitFor()
  await page.getByRole('img', { name: /^RAM: 250 MiB used, .* reserved, .* of 256 MiB/ }).waitFor()
  await page.getByRole('row', { name: /frames.*250 MiB of/ }).waitFor()
  await page.getByRole('log').getByText('Job frames is active').waitFor()
  await page.getByRole('img', { name: /^Throughput over the last ten minutes. Now: used 5 MiB\/s/ }).waitFor()
  await page.getByText(/Redis on 1 whole machines: \$0.10/).waitFor()
  for (const theme of ['dark', 'light']) {
    if ((await page.locator('html').getAttribute('data-theme')) !== theme)
      await page.getByRole('button', { name: theme === 'dark' ? 'Dark' : 'Light' }).click()
    expect([theme, await violations(page)]).toEqual([theme, []])
  }
  // By keyboard: the name of the job filters the events.
  const job = page.getByRole('button', { name: 'frames' })
  for (
    let tabs = 0;
    tabs < 20 && !(await job.evaluate((element) => element === element.ownerDocument.activeElement));
    tabs++
  )
    await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  expect(await job.getAttribute('aria-pressed')).toBe('true')
  await page.getByText('Only about').waitFor()
  await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
  await page.getByRole('log').getByText('Job frames ended').waitFor()
  expect(await page.getByRole('log').getByText('A node of class').count()).toBe(0)
  expect(problems).toEqual([])
})

test('of hundreds of nodes it shows the fullest first, says so at once, and more when asked', async (context) => {
  const nodes = 300
  const classes = [{ ...smallClass, nodesMax: nodes }]
  const { world, page, problems } = await open(context, { classes, warmNodes: nodes })
  await expect.poll(() => world.fleet.running.size).toBe(nodes)
  await logIn(page, world.url)
  await page.getByText('No node is full.').waitFor()
  await page.getByRole('heading', { name: '200 nodes, the 24 fullest are shown' }).waitFor()
  await page.getByText('100 more nodes are not shown.').waitFor()
  const { body } = await world.register({ name: 'frames', hints: { capacityBytes: 100 * MIB } })
  // The last one of the registry: it would not be among the first 200.
  const last = [...world.fleet.running.keys()].at(-1) ?? ''
  const used = 250 * MIB
  await world.report(last, [{ id: body.id, objects: 7, bytes: { ram: used }, bytesPerSecond: 0 }], {
    ram: { capacityBytes: 256 * MIB, usedBytes: used },
  })
  await page.getByText(`Node ${last} is 98 % full in RAM, mostly job frames with 250 MiB.`).waitFor()
  const shown = page.locator('.node')
  expect(await shown.first().getByRole('button').textContent()).toBe(last)
  expect(await shown.count()).toBe(24)
  await page.getByRole('button', { name: 'Show 24 more' }).click()
  await expect.poll(() => shown.count()).toBe(48)
  expect(await violations(page)).toEqual([])
  expect(problems).toEqual([])
})

test('a one-time link logs in once, a viewer sees the page, and a session ends with its key', async (context) => {
  const { world, page } = await open(context)
  const made = await world.ask('/v1/keys', { method: 'POST', body: { name: 'eyes', role: 'viewer' } })
  const headers = { authorization: `Bearer ${made.body.key}` }
  const { body } = await world.ask('/v1/console/links', { method: 'POST', headers })
  await page.goto(`${world.url}${body.path}`)
  await page.getByText('eyes (viewer)').waitFor()
  expect(page.url()).toBe(`${world.url}/`)
  const second = await page.context().browser()?.newPage()
  await second?.goto(`${world.url}${body.path}`)
  await second?.getByText('The link was used before').waitFor()
  await world.ask('/v1/keys/eyes', { method: 'DELETE' })
  await page.getByText('The session is over').waitFor()
})
