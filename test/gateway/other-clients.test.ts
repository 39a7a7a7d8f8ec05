import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { needPeer } from '../fixture/peers.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { describeServers, freshName, type S3Server } from './support/s3-servers.ts'

const run = promisify(execFile)
const suite = new URL('support/boto3_suite.py', import.meta.url).pathname
const lithops = new URL('support/lithops_program.py', import.meta.url).pathname

function environmentOf({ is, endpoint, accessKeyId, secretAccessKey, region }: S3Server): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: is === 'minio' ? region : 'mayfly',
  }
}

/** Two files, one of them in parts, and one in a folder. */
async function folderOfFiles(): Promise<{ dir: string; files: Map<string, Buffer> }> {
  const dir = join(await tempDir(), 'files')
  const files = new Map([
    ['small.txt', Buffer.from('some bytes')],
    ['large.bin', randomBytes(11 * 2 ** 20)],
    ['in/a folder/é.txt', Buffer.from('text')],
  ])
  for (const [name, bytes] of files) {
    await mkdir(join(dir, name, '..'), { recursive: true })
    await writeFile(join(dir, name), bytes)
  }
  return { dir, files }
}

async function expectFiles(dir: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [name, bytes] of files) expect((await readFile(join(dir, name))).equals(bytes), name).toBe(true)
}

describeServers('other clients', (server: () => S3Server) => {
  test('programs with boto3 and s3fs run as they are', async (context) => {
    const python = needPeer('pythonS3', context)
    const { stdout } = await run(python, [suite, freshName()], {
      env: environmentOf(server()),
    })
    expect(stdout.trim().split('\n')).toEqual([
      'buckets',
      'objects',
      'transfers',
      'listings',
      'presigned',
      'threads',
      'files',
    ])
  })

  test('a program with Lithops runs as it is', async (context) => {
    const python = needPeer('pythonS3', context)
    const { region } = server()
    const config = {
      lithops: { backend: 'localhost', storage: 'aws_s3', data_cleaner: false },
      aws_s3: { region, storage_bucket: freshName() },
    }
    const { stdout } = await run(python, [lithops], {
      env: {
        ...environmentOf(server()),
        // Lithops starts `python` for its functions.
        PATH: `${dirname(python)}:${process.env.PATH}`,
        TMPDIR: await tempDir(),
        LITHOPS_CONFIG: JSON.stringify(config),
      },
    })
    expect(stdout.trim().split('\n').at(-1)).toBe('140')
  })

  test('s3cmd puts, lists, gets, copies, syncs and deletes', async (context) => {
    needPeer('s3cmd', context)
    const { accessKeyId, secretAccessKey, endpoint } = server()
    const { host } = new URL(endpoint)
    const config = join(await tempDir(), 's3cfg')
    const settings = {
      access_key: accessKeyId,
      secret_key: secretAccessKey,
      host_base: host,
      host_bucket: host,
      use_https: 'False',
      signature_v2: 'False',
    }
    await writeFile(
      config,
      `[default]\n${Object.entries(settings)
        .map(([name, value]) => `${name} = ${value}`)
        .join('\n')}\n`,
    )
    const s3cmd = async (...args: string[]) =>
      (await run('s3cmd', ['-c', config, '--no-progress', ...args])).stdout
    const bucket = `s3://${freshName()}`
    const { dir, files } = await folderOfFiles()
    const back = join(await tempDir(), 'back')
    await mkdir(back)
    await s3cmd('mb', bucket)
    await s3cmd('put', join(dir, 'small.txt'), `${bucket}/one`)
    expect(await s3cmd('info', `${bucket}/one`)).toContain('File size: 10')
    await s3cmd('cp', `${bucket}/one`, `${bucket}/two`)
    await s3cmd('mv', `${bucket}/two`, `${bucket}/three`)
    expect((await s3cmd('ls', `${bucket}/`)).match(/\/\w+$/gm)).toEqual(['/one', '/three'])
    await s3cmd('sync', '--multipart-chunk-size-mb=5', `${dir}/`, `${bucket}/synced/`)
    await s3cmd('sync', `${bucket}/synced/`, `${back}/`)
    await expectFiles(back, files)
    expect(await s3cmd('sync', '--dry-run', `${dir}/`, `${bucket}/synced/`)).not.toContain('upload:')
    await s3cmd('rb', '--recursive', '--force', bucket)
    expect(await s3cmd('ls')).not.toContain(bucket)
  })

  test('rclone copies both ways, checks, moves and purges', async (context) => {
    needPeer('rclone', context)
    const { accessKeyId, secretAccessKey, endpoint, is } = server()
    const settings = {
      type: 's3',
      provider: is === 'minio' ? 'Minio' : 'Other',
      access_key_id: accessKeyId,
      secret_access_key: secretAccessKey,
      endpoint,
    }
    const env = {
      PATH: process.env.PATH,
      HOME: await tempDir(),
      ...Object.fromEntries(
        Object.entries(settings).map(([name, value]) => [`RCLONE_CONFIG_S_${name.toUpperCase()}`, value]),
      ),
    }
    const rclone = async (...args: string[]) =>
      (await run('rclone', ['--retries', '1', ...args], { env })).stdout
    const bucket = `s:${freshName()}`
    const { dir, files } = await folderOfFiles()
    const back = join(await tempDir(), 'back')
    await rclone('mkdir', bucket)
    await rclone('copy', '--s3-upload-cutoff', '6M', '--s3-chunk-size', '5M', dir, `${bucket}/files`)
    await rclone('check', '--download', dir, `${bucket}/files`)
    await rclone('check', dir, `${bucket}/files`)
    await rclone('copy', `${bucket}/files`, back)
    await expectFiles(back, files)
    expect(await rclone('lsf', '--recursive', '--files-only', bucket)).toContain('files/in/a folder/é.txt')
    await rclone('moveto', `${bucket}/files/small.txt`, `${bucket}/moved`)
    expect(await rclone('cat', `${bucket}/moved`)).toBe('some bytes')
    await rclone('purge', bucket)
    expect(await rclone('lsd', 's:')).not.toContain(bucket.slice(2))
  })
})
