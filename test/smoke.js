import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * `npm run smoke -- 22 24 [--within SECONDS]`: on each of these versions of Node, builds everything and runs the tests of the SDK and one of a whole cluster.
 * The binary comes from the npm package `node-PLATFORM-ARCH`. It is stored in the user's cache, with a copy of this tree and with the addon built for its ABI.
 * With `--within`, versions that are not installed or not done in time are reported and do not fail the run.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mayfly')
/** One after the other: a cluster beside the tests of the SDK may take longer than a server may to start. */
const tests = ['test/client', 'test/e2e/command.test.ts']
const addon = 'node_modules/better-sqlite3'

const { positionals: versions, values } = parseArgs({
  allowPositionals: true,
  options: { within: { type: 'string' } },
})
if (versions.length === 0) throw new Error('Name versions of Node: npm run smoke -- 22 24')
const untilMs = Date.now() + 1_000 * Number(values.within ?? 3_600)
const results = versions.map((version) => ({ version, result: smoke(version) }))
for (const { version, result } of results) console.log(`Node ${version}: ${result}`)
const isBad = (result) => result === 'FAILS' || (values.within === undefined && result !== 'passes')
process.exitCode = results.some(({ result }) => isBad(result)) ? 1 : 0

function smoke(version) {
  const dir = join(cache, `node-${version}`)
  const home = installNode(version, dir)
  if (home === null) return 'is not installed'
  const tree = join(dir, 'tree')
  const env = {
    ...process.env,
    PATH: join(home, 'bin') + delimiter + process.env.PATH,
    // The package contains the headers that addons need.
    npm_config_nodedir: home,
  }
  const run = (program, ...args) => {
    const options = { cwd: tree, env, stdio: 'inherit' }
    if (values.within === undefined) return spawnSync(program, args, options).status === 0
    // timeout(1) also ends the processes that the program has started.
    const seconds = Math.max(1, Math.ceil((untilMs - Date.now()) / 1_000))
    return spawnSync('timeout', ['-k', '10', String(seconds), program, ...args], options).status === 0
  }
  copySources(tree)
  const passes =
    installModules(tree, { run, abi: abiOf(home) }) &&
    run('npm', 'run', 'build') &&
    tests.every((test) => run('npx', 'vitest', 'run', '--retry=1', test))
  if (passes) return 'passes'
  return Date.now() < untilMs ? 'FAILS' : 'not done in time'
}

/** The folder of the version; null if it cannot be installed. */
function installNode(version, dir) {
  const name = `node-${process.platform}-${process.arch}`
  const home = join(dir, 'node_modules', name)
  if (existsSync(join(home, 'bin', 'node'))) return home
  mkdirSync(dir, { recursive: true })
  const args = ['install', '--no-save', '--prefix', dir, `${name}@${version}`]
  const timeout = Math.max(1, untilMs - Date.now())
  return spawnSync('npm', args, { stdio: 'inherit', timeout }).status === 0 ? home : null
}

function abiOf(home) {
  const program = join(home, 'bin', 'node')
  return execFileSync(program, ['--print', 'process.versions.modules'], { encoding: 'utf8' }).trim()
}

/** Replaces everything by the files that git tracks or would track. */
function copySources(tree) {
  mkdirSync(tree, { recursive: true })
  for (const name of readdirSync(tree)) rmSync(join(tree, name), { recursive: true })
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(tree, file)), { recursive: true })
    cpSync(join(root, file), join(tree, file))
  }
}

/** Links the modules of this tree, or copies them to another file system. The only addon is built once for each ABI. */
function installModules(tree, { run, abi }) {
  if (!run('cp', '-al', join(root, 'node_modules'), tree)) {
    rmSync(join(tree, 'node_modules'), { recursive: true, force: true })
    if (!run('cp', '-a', join(root, 'node_modules'), tree)) return false
  }
  const { version } = JSON.parse(readFileSync(join(root, addon, 'package.json'), 'utf8'))
  const built = join(cache, `better-sqlite3-${version}-abi-${abi}`)
  const build = join(tree, addon, 'build')
  rmSync(build, { recursive: true, force: true })
  if (!existsSync(built)) {
    if (!run('npm', 'rebuild', 'better-sqlite3')) return false
    cpSync(join(build, 'Release/better_sqlite3.node'), join(built, 'Release/better_sqlite3.node'))
  }
  cpSync(built, build, { recursive: true })
  return true
}
