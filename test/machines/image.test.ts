import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { buildImage } from '../deploy/support/image.ts'
import { needPeer } from '../fixture/peers.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const run = promisify(execFile)
const BYTES_MAX = 120_000_000

test('the image is small, has no compiler and runs without privileges on a root file system that cannot be written', {
  timeout: 900_000,
}, async (context) => {
  needPeer('buildah', context)
  if (process.getuid?.() !== 0) context.skip('only root may change the root folder of a process')
  const { config, rootfs, bytes, files } = await buildImage(await tempDir())
  console.log(`the image adds ${(bytes / 1e6).toFixed(1)} MB to its base`)
  expect(bytes).toBeLessThan(BYTES_MAX)
  expect(config).toMatchObject({
    User: '10001:10001',
    Entrypoint: ['node', '/opt/mayfly/dist/cli/main.js'],
  })
  const surplus = /(^|\/)(g?cc|g\+\+|c\+\+|make|python3|node-gyp|tsc|esbuild|vitest|vite)$|\.(o|a|cc|cpp|h)$/
  expect(files.filter((file) => surplus.test(file))).toEqual([])
  expect(files.filter((file) => file.endsWith('.node'))).toHaveLength(1)

  /** Runs a program in the image as its user, with a root that is mounted read-only and a /tmp of its own. */
  const inImage = async (...args: string[]): Promise<string> => {
    const script = `set -e
      mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; mount -t tmpfs none "$0/tmp"
      mount --bind /dev "$0/dev"; mount -t proc proc "$0/proc"
      exec env -i PATH=/usr/sbin:/usr/bin HOME=/tmp setpriv --no-new-privs chroot --userspec 10001:10001 --groups= "$0" "$@"`
    const unshare = ['--mount', '--propagation', 'private', 'bash', '-c', script]
    return (await run('unshare', [...unshare, rootfs, ...args], { timeout: 120_000 })).stdout
  }
  const [node = '', main = ''] = config.Entrypoint as string[]
  const at = `/usr/bin/${node}`
  const wrote = inImage(at, '-e', "require('fs').writeFileSync('/opt/mayfly/x', '')")
  await expect(wrote).rejects.toThrow('EROFS')
  expect(await inImage(at, main, '--help')).toContain('mayfly up')
  // It starts a cluster, whose processes use SQLite, and runs functions.
  const counted = await inImage(at, main, 'demo')
  expect(counted).toContain('a single process counts the same, word for word')
})
