import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:https'
import { promisify } from 'node:util'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { fetchTrusting } from '../../protocol/transport/trusting-fetch.ts'
import { Cluster } from '../fixture/mayfly-up.ts'
import { needPeer } from '../fixture/peers.ts'
import { clientOf, freshName, severalProcesses } from './support/s3-servers.ts'

const run = promisify(execFile)
const suite = new URL('support/boto3_suite.py', import.meta.url).pathname

/** A cluster with a CA of its own, and a job on it. */
async function start() {
  const cluster = await Cluster.start(['--tls'], { env: severalProcesses })
  const job = await (await cluster.connect()).registerJob('tls', { capacityBytes: 2 ** 28 })
  onTestFinished(() => job.close())
  return { cluster, job, target: { region: 'mayfly', ...(await job.s3Credentials()) } }
}

test('over TLS the SDK of AWS and presigned URLs need the CA of the cluster', async () => {
  const { cluster, job, target } = await start()
  expect(target.endpoint).toMatch(/^https:/)
  const ca = cluster.ca as string
  const trusting = clientOf(target, { requestHandler: { httpsAgent: new Agent({ ca }) } })
  const bytes = randomBytes(9 * 2 ** 20)
  const object = { Bucket: 'default', Key: 'a' }
  await trusting.send(new PutObjectCommand({ ...object, Body: bytes }))
  const got = await trusting.send(new GetObjectCommand(object))
  expect(bytes.equals((await got.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true)
  const url = new URL(await job.presign('a'))
  const answer = await fetchTrusting(url, {}, ca)
  expect(bytes.equals(Buffer.from(await answer.arrayBuffer()))).toBe(true)
  const without = clientOf(target, { maxAttempts: 1 })
  await expect(without.send(new GetObjectCommand(object))).rejects.toMatchObject({
    code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/),
  })
  const plain = clientOf(
    { ...target, endpoint: target.endpoint.replace('https:', 'http:') },
    { maxAttempts: 1 },
  )
  await expect(plain.send(new GetObjectCommand(object))).rejects.toThrow()
})

test('over TLS programs with boto3 and s3fs run with the variables that `mayfly ticket --s3` prints', async (context) => {
  const python = needPeer('pythonS3', context)
  const { cluster, job } = await start()
  const printed = await cluster.mayfly('ticket', job.id, '--s3', '--dir', cluster.dir)
  expect(printed).toContain(`export AWS_CA_BUNDLE='${cluster.caFile}'`)
  const script = `${printed}\nexport SSL_CERT_FILE="$AWS_CA_BUNDLE"\n"$0" "$@"`
  const { stdout } = await run('bash', ['-c', script, python, suite, freshName()], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
  })
  expect(stdout).toContain('files')
  const without = run(
    'bash',
    ['-c', `${printed}\nunset AWS_CA_BUNDLE\n"$0" "$@"`, python, suite, freshName()],
    {
      env: { PATH: process.env.PATH, HOME: '/nonexistent' },
    },
  )
  await expect(without).rejects.toMatchObject({
    stderr: expect.stringContaining('CERTIFICATE_VERIFY_FAILED'),
  })
})
