import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { postTo } from '../../../service/reporting/controller-report.ts'
import {
  NONCE_HEADER,
  PROOF_HEADER,
  RequestSigner,
  SignatureCheck,
} from '../../../service/reporting/signed-requests.ts'
import { answerSigned } from '../../fixture/signing-controller.ts'

const secret = Buffer.alloc(32, 5)
const path = '/internal/v1/nodes/n-1/heartbeat'

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A controller that answers with `body`, as `check` proves it. */
function controller(check: SignatureCheck, body: string, status = 200) {
  return (request: IncomingMessage, response: ServerResponse): void =>
    answerSigned(check, { request, response }, body, status)
}

function posting(...urls: string[]) {
  return postTo({ url: urls.join(','), secret, clock: systemRuntime.clock, ca: () => null })
}

test('I23: what answers on the port of a controller is believed only if it knows the secret of the cluster', async () => {
  const seen: string[] = []
  const note = (request: IncomingMessage) => seen.push(request.headers.authorization ?? '')
  const impostors = await Promise.all([
    serve((request, response) => {
      note(request)
      response.end('{"metadata":["evil:1"]}')
    }),
    serve((request, response) => {
      note(request)
      response.writeHead(401, { [NONCE_HEADER]: new SignatureCheck(secret).nonce() }).end()
    }),
    serve((request, response) => {
      note(request)
      const proof = Buffer.alloc(32).toString('base64url')
      response.setHeader(PROOF_HEADER, proof).end('{"metadata":["evil:1"]}')
    }),
  ])
  for (const url of impostors) {
    await expect(posting(url)('nodes/n-1/heartbeat', {})).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`What answers at ${url} does not know the secret of this process`),
    })
  }
  expect(seen.length).toBe(4)
  // What they have seen opens no controller.
  for (const header of seen) expect(new SignatureCheck(secret).admit(header, path)).toBe(null)
  const real = await serve(controller(new SignatureCheck(secret), '{"metadata":["m-1:1"]}'))
  const post = posting(...impostors, real)
  expect(await post('nodes/n-1/heartbeat', {})).toEqual({ metadata: ['m-1:1'] })
})

test('a controller whose machine is lost, so that nothing refuses a call, holds a call back for a second at most, and the next one not at all', async () => {
  let calls = 0
  const lost = await serve(() => {
    calls++
  })
  const url = await serve(controller(new SignatureCheck(secret), '{"metadata":["m-1:1"]}'))
  const post = posting(lost, url)
  const beganMs = performance.now()
  expect(await post('nodes/n-1/heartbeat', {})).toEqual({ metadata: ['m-1:1'] })
  expect(performance.now() - beganMs).toBeLessThan(2_000)
  expect(await post('nodes/n-1/heartbeat', {})).toEqual({ metadata: ['m-1:1'] })
  expect(calls).toBe(1)
})

test('after a call that nobody has answered the next one begins with another controller', async () => {
  const seen: string[] = []
  const standby = (name: string) =>
    serve((request) => {
      seen.push(name)
      request.socket.destroy()
    })
  const post = posting(await standby('a'), await standby('b'))
  for (let call = 0; call < 2; call++)
    await expect(post('nodes/n-1/heartbeat', {})).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(seen).toEqual(['a', 'b', 'b', 'a'])
})

test('a node that was declared dead learns it from the controller', async () => {
  const answer = (code: string): Promise<string> =>
    serve(controller(new SignatureCheck(secret), JSON.stringify({ error: { code, message: 'n-1' } }), 410))
  const beat = (url: string) => posting(url)('nodes/n-1/heartbeat', {})
  await expect(beat(await answer('NODE_DEAD'))).rejects.toMatchObject({ code: 'NODE_DEAD' })
  // Other errors have the same status.
  await expect(beat(await answer('JOB_ENDED'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('an answer that was changed on its way is refused', async () => {
  const check = new SignatureCheck(secret)
  const url = await serve((request, response) => {
    const signed = check.admit(request.headers.authorization ?? '', request.url ?? '')
    if (signed === null) return void response.writeHead(401, { [NONCE_HEADER]: check.nonce() }).end()
    const proof = check.prove(signed, { status: 200, body: '{"metadata":["m-1:1"]}' })
    response.setHeader(PROOF_HEADER, proof).end('{"metadata":["evil:1"]}')
  })
  await expect(posting(url)('nodes/n-1/heartbeat', {})).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('calls that overtake one another are admitted once each, also those that begin before the nonce is known', async () => {
  const check = new SignatureCheck(secret)
  const url = await serve(controller(check, '{}'))
  const post = posting(url)
  expect(
    await Promise.all(Array.from({ length: 50 }, (_, n) => post('nodes/n-1/heartbeat', { n }))),
  ).toHaveLength(50)
  const signer = new RequestSigner(secret)
  signer.adopt(check.nonce())
  const headers = Array.from({ length: 256 }, (_, n) => signer.sign(path, `${n}`).header)
  for (const header of headers.toReversed()) expect(check.admit(header, path)).not.toBe(null)
  for (const header of headers) expect(check.admit(header, path)).toBe(null)
})

test('a body counts only as it was signed, and a nonce only as the controller gave it', () => {
  const check = new SignatureCheck(secret)
  const signer = new RequestSigner(secret)
  signer.adopt(check.nonce())
  const admitted = check.admit(signer.sign(path, '{"a":1}').header, path)
  expect(admitted?.isBody(Buffer.from('{"a":1}'))).toBe(true)
  expect(admitted?.isBody(Buffer.from('{"a":2}'))).toBe(false)
  for (const nonce of [
    'none',
    '',
    new SignatureCheck(secret).nonce(),
    check.nonce().replace(/^./, (first) => (first === 'A' ? 'B' : 'A')),
  ]) {
    signer.adopt(nonce)
    expect(check.admit(signer.sign(path, '{}').header, path)).toBe(null)
  }
})
