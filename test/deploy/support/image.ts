import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')

/** What the last stage of the Dockerfile adds to its base, and an archive of the whole. */
export interface BuiltImage {
  /** An OCI archive, named `local.test/mayfly:VERSION`. */
  readonly archive: string
  readonly config: Readonly<Record<string, unknown>>
  /** The mounted root file system. */
  readonly rootfs: string
  /** Without the base. */
  readonly bytes: number
  /** Files that the image has and its base has not. */
  readonly files: readonly string[]
}

/** Folders of this machine that stand in for those of the image with the compiler. */
const TOOLS = ['/usr', '/bin', '/lib', '/lib64', '/etc']

/**
 * Builds deploy/Dockerfile with buildah, for this machine's platform. No registry is asked: the base has this machine's `node` with its libraries and nothing
 * else, and the stages that build see this machine's `/usr`.
 */
export async function buildImage(dir: string): Promise<BuiltImage> {
  const store = ['--storage-driver', 'vfs', '--root', join(dir, 'store'), '--runroot', join(dir, 'run')]
  const buildah = async (...args: string[]): Promise<string> =>
    (await run('buildah', [...store, ...args], { cwd: root, maxBuffer: 2 ** 26 })).stdout.trim()
  const commit = async (name: string, folder: string, env: readonly string[] = []): Promise<void> => {
    const container = await buildah('from', 'scratch')
    await buildah('copy', '--quiet', container, folder, '/')
    for (const each of env) await buildah('config', '--env', each, container)
    await buildah('commit', '--quiet', container, name)
  }
  const [base, tools] = [join(dir, 'base'), join(dir, 'tools')]
  await writeBase(base)
  for (const folder of [...TOOLS, '/tmp', '/root', '/proc', '/dev'])
    await mkdir(join(tools, folder), { recursive: true })
  await commit('local.test/base', base)
  await commit('local.test/tools', tools, await settingsOfNpm())
  const name = 'local.test/mayfly:0.1.0'
  const { stdout } = await run('npm', ['config', 'get', 'cache'])
  await buildah(
    ...['build', '--isolation', 'chroot', '--pull-never', '--file', 'deploy/Dockerfile', '--tag', name],
    ...TOOLS.flatMap((folder) => ['--volume', `${folder}:${folder}:ro`]),
    ...['--volume', `${stdout.trim()}:/root/.npm`],
    ...['--build-arg', 'BUILD_IMAGE=local.test/tools', '--build-arg', 'BASE_IMAGE=local.test/base'],
    ...['--build-arg', 'NODE_PREFIX=/usr', '.'],
  )
  const archive = join(dir, 'mayfly.tar')
  await buildah('push', '--quiet', name, `oci-archive:${archive}:${name}`)
  const container = await buildah('from', '--pull-never', name)
  const rootfs = await buildah('mount', container)
  const config = JSON.parse(await buildah('inspect', '--type', 'image', name)).OCIv1.config
  const list = async (folder: string): Promise<Set<string>> =>
    new Set(
      (await run('find', ['.', '!', '-type', 'd'], { cwd: folder, maxBuffer: 2 ** 26 })).stdout.split('\n'),
    )
  const before = await list(base)
  const files = [...(await list(rootfs))].filter((file) => !before.has(file))
  const size = async (folder: string): Promise<number> =>
    Number((await run('du', ['--summarize', '--block-size=1', folder])).stdout.split('\t')[0])
  return { archive, config, rootfs, bytes: (await size(rootfs)) - (await size(base)), files }
}

/** As npm reaches its registry on this machine. */
async function settingsOfNpm(): Promise<string[]> {
  const { stdout } = await run('npm', ['config', 'get', 'registry'])
  const certificates = process.env.NODE_EXTRA_CA_CERTS
  return [
    `npm_config_registry=${stdout.trim()}`,
    ...(certificates === undefined ? [] : [`NODE_EXTRA_CA_CERTS=${certificates}`]),
  ]
}

/** This machine's Node, what it loads, and the folders that an image for containers has. */
async function writeBase(base: string): Promise<void> {
  for (const folder of ['tmp', 'etc', 'proc', 'dev', 'sys', 'usr/bin'])
    await mkdir(join(base, folder), { recursive: true })
  await copyFile(process.execPath, join(base, 'usr/bin/node'))
  await writeFile(join(base, 'etc/passwd'), 'root:x:0:0:root:/:/sbin/nologin\n')
  const { stdout } = await run('ldd', [process.execPath])
  for (const [path = ''] of stdout.matchAll(/\/\S+/g)) {
    await mkdir(join(base, dirname(path)), { recursive: true })
    await cp(path, join(base, path), { dereference: true })
  }
  // Names are resolved by these.
  for (const library of ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2']) {
    const path = join('/lib/x86_64-linux-gnu', library)
    await cp(path, join(base, path), { dereference: true }).catch(() => undefined)
  }
}
