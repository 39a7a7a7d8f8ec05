import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `npm run smoke -- 22 24`: on each of these versions of Node, builds everything and runs the tests of the SDK and one of a whole cluster. The binary comes
 * from the npm package `node-PLATFORM-ARCH`. It is stored in the user's cache, with a copy of this tree whose addons are built for its ABI.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mayfly')
const tests = ['test/client', 'test/e2e/command.test.ts']

const versions = process.argv.slice(2)
if (versions.length === 0) throw new Error('Name versions of Node: npm run smoke -- 22 24')
const failed = versions.filter((version) => !passes(version))
for (const version of versions)
  console.log(`Node ${version}: ${failed.includes(version) ? 'FAILS' : 'passes'}`)
process.exitCode = failed.length === 0 ? 0 : 1

function passes(version) {
  const dir = join(cache, `node-${version}`)
  const home = installNode(version, dir)
  if (home === null) return false
  const tree = join(dir, 'tree')
  const env = {
    ...process.env,
    PATH: join(home, 'bin') + delimiter + process.env.PATH,
    // The package contains the headers that addons need.
    npm_config_nodedir: home,
  }
  const run = (program, ...args) =>
    spawnSync(program, args, { cwd: tree, env, stdio: 'inherit' }).status === 0
  copySources(tree)
  return installModules(tree, run) && run('npm', 'run', 'build') && run('npx', 'vitest', 'run', ...tests)
}

/** The folder of the version; null if it cannot be installed. */
function installNode(version, dir) {
  const name = `node-${process.platform}-${process.arch}`
  const home = join(dir, 'node_modules', name)
  if (existsSync(join(home, 'bin', 'node'))) return home
  mkdirSync(dir, { recursive: true })
  const args = ['install', '--no-save', '--prefix', dir, `${name}@${version}`]
  return spawnSync('npm', args, { stdio: 'inherit' }).status === 0 ? home : null
}

/** Replaces everything but the installed modules by the files that git tracks or would track. */
function copySources(tree) {
  mkdirSync(tree, { recursive: true })
  for (const name of readdirSync(tree))
    if (name !== 'node_modules') rmSync(join(tree, name), { recursive: true })
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(tree, file)), { recursive: true })
    cpSync(join(root, file), join(tree, file))
  }
}

/** Installs what the lock file says, unless that was done before. */
function installModules(tree, run) {
  const lock = createHash('sha256')
    .update(readFileSync(join(tree, 'package-lock.json')))
    .digest('hex')
  const done = join(tree, 'node_modules', '.installed')
  if (existsSync(done) && readFileSync(done, 'utf8') === lock) return true
  if (!run('npm', 'ci')) return false
  writeFileSync(done, lock)
  return true
}
